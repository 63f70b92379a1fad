//! A short run of every target: on the files in `fuzz/seeds`, and on mutations of them.
//!
//! `DGEN_FUZZ=write` writes the seeds anew; `DGEN_FUZZ_ROUNDS` says how many mutations of each, and
//! `DGEN_SEED` which.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{env, fs, path::PathBuf};

use dgen_fuzz::{TARGETS, Target};
use dgen_testkit::{Random, random::seed_from_env};

/// Mutations of each seed.
const ROUNDS: usize = 40;

fn folder(target: &Target) -> PathBuf {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    fuzz.join("seeds").join(target.name)
}

fn seeds(name: &str) -> (Target, Vec<Vec<u8>>) {
    let target = *TARGETS.iter().find(|target| target.name == name).unwrap();
    let folder = folder(&target);
    if env::var("DGEN_FUZZ").as_deref() == Ok("write") {
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in (target.seeds)() {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    (
        target,
        paths
            .into_iter()
            .map(|path| fs::read(path).unwrap())
            .collect(),
    )
}

/// Changes `bytes` as a fuzzer would, a few times.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => {
                bytes[at] = [0, 1, 0x7f, 0x80, 0xc0, 0xdf, 0xff][random.below(7)]
            }
            2 => drop(bytes.drain(at..(at + random.below(16)).min(bytes.len()))),
            3 => {
                let from = random.below(other.len() + 1);
                let part = &other[from..(from + random.below(64)).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
            4 => {
                let end = (at + 8).min(bytes.len());
                let byte = [0, 0xff][random.below(2)];
                bytes[at..end].fill(byte);
            }
            _ => bytes.insert(at, random.next_u64() as u8),
        }
    }
}

fn run(name: &str) {
    let (target, seeds) = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    for seed in &seeds {
        (target.run)(seed);
    }
    let rounds = env::var("DGEN_FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let first = seed_from_env();
    let mut random = Random::new(first);
    for round in 0..rounds {
        for (place, seed) in seeds.iter().enumerate() {
            let mut bytes = seed.clone();
            let other = &seeds[random.below(seeds.len())];
            mutate(&mut random, &mut bytes, other);
            let dump = Dump {
                name,
                first,
                round,
                place,
                bytes,
            };
            (target.run)(&dump.bytes);
        }
    }
}

/// Says at a panic what caused it, though panics are hushed.
struct Dump<'a> {
    name: &'a str,
    first: u64,
    round: usize,
    place: usize,
    bytes: Vec<u8>,
}

impl Drop for Dump<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self {
                name,
                first,
                round,
                place,
                bytes,
            } = self;
            eprintln!("target {name}, DGEN_SEED={first}, round {round}, seed file {place}");
            eprintln!(
                "DGEN_FUZZ_LOUD=1 shows the panic. Its input: {}",
                bytes.escape_ascii()
            );
        }
    }
}

macro_rules! targets {
    ($($(#[$attribute:meta])* $name:ident: $target:literal,)*) => {
        $($(#[$attribute])* #[test] fn $name() { run($target); })*

        /// Each target is run here, and by cargo-fuzz.
        #[test]
        fn no_target_is_forgotten() {
            let mut names = vec![$($target),*];
            names.sort_unstable();
            let mut all = TARGETS.map(|target| target.name);
            all.sort_unstable();
            assert_eq!(names, all);
            for name in names {
                let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
                let file = fuzz.join("fuzz_targets").join(name).with_extension("rs");
                let text = fs::read_to_string(file).unwrap();
                assert!(text.contains(&format!("dgen_fuzz::run({name:?}, data)")), "{text}");
                let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
                assert!(manifest.contains(&format!("name = {name:?}")), "{name}");
            }
        }
    };
}

targets! {
    /// SPEC C1, M4: MessagePack that is anything.
    any_messagepack_is_a_value_or_an_error: "plain",
    /// SPEC B6, C5: keys that are anything.
    any_key_is_a_tuple_or_an_error: "keys",
    /// SPEC C4: rows below a state.
    any_state_is_read_or_an_error: "state",
    /// SPEC Q3: rows below a queue.
    any_queue_is_read_or_an_error: "queue",
    /// SPEC B6: rows of the directory layer.
    any_directory_is_read_or_an_error: "directories",
    /// SPEC S12: rows below a server.
    any_server_serves_or_says_why_not: "server",
    /// SPEC L2: a log.
    any_log_is_recovered_or_an_error: "log",
    /// SPEC L2: a data file.
    any_data_file_is_read_or_an_error: "data",
}
