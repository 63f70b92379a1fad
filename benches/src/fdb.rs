//! Servers on a FoundationDB cluster, and the cluster's own transactions in the same run: what is
//! left of its rate when a call is one of them.
//!
//! Every round runs every case for a while, and ratios are taken within a round: a cluster on the
//! same machine shares its processors with us, and with whatever else runs there.
//!
//! Callers and servers are in this OS process, but for the cases whose name says otherwise.

mod bout;
mod consumer;
mod counter;
mod cpu;
mod crowd;
mod load;
mod stage;

use std::{collections::HashMap, mem, sync::Arc};

use crate::{
    Outcome,
    case::Case,
    latency::Latency,
    options::Options,
    pace::{Pace, SLICES, median},
    report::Report,
};

use self::{
    bout::{Bout, bouts},
    crowd::Crowd,
    stage::Stage,
};

/// What a case came to, round by round.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    /// Microseconds of processor time of an operation, where they can be told.
    cpu_us: Vec<f64>,
    latency: Option<Latency>,
}

/// Runs the cases that are wanted, or the consumer that another run asks for.
pub(crate) async fn run(options: &Options) -> Outcome {
    let cluster_file = options.cluster_file.as_deref();
    if let Some(number) = options.fdb_consumer {
        return consumer::run(cluster_file, number).await;
    }
    let pace = Pace::new(options);
    let mut report = Report::new(&options.case);
    let all = bouts();
    let is_run = |bout: &&Bout| {
        let is_reference = |of: &Bout| of.of == bout.name && report.wants(&of.name);
        report.wants(&bout.name) || all.iter().any(is_reference)
    };
    let bouts: Vec<_> = all.iter().filter(is_run).collect();

    println!("on a FoundationDB cluster; medians of {SLICES} rounds");
    let stage = Arc::new(Stage::open(cluster_file).await?);
    let measured = measure(&stage, &pace, &bouts).await;
    stage.clear().await?;
    let mut measured = measured?;
    for bout in bouts {
        let case = case(bout, &mut measured);
        report.add(case);
    }
    report.print_table();
    Ok(())
}

/// The rounds of each case, by its name.
async fn measure(
    stage: &Arc<Stage>,
    pace: &Pace,
    bouts: &[&Bout],
) -> Outcome<HashMap<String, Rounds>> {
    let mut measured: HashMap<String, Rounds> = HashMap::new();
    for round in 1..=SLICES {
        eprintln!("round {round} of {SLICES}");
        for bout in bouts {
            let consumers = bout.load.consumers(stage)?;
            let crowd = Crowd::new(stage, bout);
            crowd.work(pace.slice / 4).await?;
            let cpu_before = cpu::processor_time();
            let (sample, latency) = crowd.work(pace.slice).await?;
            let cpu_after = cpu::processor_time();
            drop(consumers);
            let rounds = measured.entry(bout.name.clone()).or_default();
            rounds.rates.push(sample.rate());
            if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
                let cpu_us = (after - before).as_secs_f64() * 1e6;
                rounds.cpu_us.push(cpu_us / sample.ops as f64);
            }
            rounds
                .latency
                .get_or_insert_with(Latency::new)
                .add(&latency);
        }
    }
    Ok(measured)
}

fn case(bout: &Bout, measured: &mut HashMap<String, Rounds>) -> Case {
    let own = measured.get_mut(&bout.name);
    let (cpu_us, latency) = own.map_or_else(Default::default, |own| {
        (mem::take(&mut own.cpu_us), own.latency.take())
    });
    let cpu = match &cpu_us[..] {
        [] => String::new(),
        _ => format!(", {:.0} us of our processor time each", median(cpu_us)),
    };
    let rates = |name: &str| measured.get(name).map_or(&[][..], |rounds| &rounds.rates);
    let own = rates(&bout.name);
    let ratios = own.iter().zip(rates(bout.of)).map(|(own, of)| own / of);
    let mut ratios: Vec<_> = ratios.collect();
    ratios.sort_by(f64::total_cmp);
    Case {
        name: bout.name.clone(),
        ops_per_s: median(own.to_vec()),
        ratio: median(ratios.clone()),
        of: bout.of,
        target: bout.target,
        latency: latency.unwrap_or_else(Latency::new),
        note: format!(
            "; {:.3} to {:.3}{cpu}",
            ratios.first().unwrap_or(&f64::NAN),
            ratios.last().unwrap_or(&f64::NAN)
        ),
    }
}
