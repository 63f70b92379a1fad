//! Everything that a server promises, on every store: one program, as each program of tests costs its own build.

mod support;

mod basics;
mod batches;
mod cache;
mod calendar;
mod codec;
mod consumers;
mod crash;
mod dead_letters;
mod disks;
mod faults;
mod few_watches;
mod flushes;
mod giving_up;
mod golden;
mod ids;
mod ids_faults;
mod ids_later;
mod ids_window;
mod large_lists;
mod lifecycle;
mod many_timers;
mod metrics;
mod quiet;
mod races;
mod reads;
mod round_trips;
mod sends;
mod sends_faults;
mod shutdown;
mod simulated;
mod spans;
mod stopping;
mod sweeps;
mod timers;
mod timers_wait;
mod unknown_messages;
mod wakeups;

/// A file without its `mod` above would be built by nobody, and its tests would not run.
#[test]
fn every_file_is_a_module() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server");
    let names = std::fs::read_dir(folder)
        .expect("the tests' folder can be read")
        .map(|entry| entry.expect("its entries too").file_name());
    let missing: Vec<_> = names
        .filter_map(|name| name.to_str()?.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "main")
        .filter(|name| !include_str!("main.rs").contains(&format!("\nmod {name};\n")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
