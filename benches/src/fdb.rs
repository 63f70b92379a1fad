//! Servers on a FoundationDB cluster, and the cluster's own transactions in the same run: what is
//! left of its rate when a call is one of them.
//!
//! Every round runs every case for a while, each behind what it is compared with: a cluster on the
//! same machine shares its processors with us, and with whatever else runs there.
//!
//! Callers and servers are in this OS process, but for the cases whose name says otherwise.

mod bout;
mod consumer;
mod crowd;
mod load;
mod stage;

use std::{sync::Arc, time::Duration};

use crate::{
    Outcome,
    case::Case,
    latency::Latency,
    options::Options,
    pace::{Pace, SLICES, median},
    report::Report,
    target::Target,
};

use self::{
    bout::{Bout, bouts},
    crowd::{Crowd, Work},
    stage::Stage,
};

/// What a case came to, round by round.
struct Rounds<'a> {
    bout: &'a Bout,
    /// What it is compared with; none if that is itself.
    reference: Option<&'a Bout>,
    rates: Vec<f64>,
    ratios: Vec<f64>,
    /// Microseconds of processor time of an operation, where they can be told.
    cpu_us: Vec<f64>,
    latency: Latency,
}

/// Runs the cases that are wanted, or the consumer that another run asks for.
pub(crate) async fn run(options: &Options) -> Outcome {
    let cluster_file = options.cluster_file.as_deref();
    if let Some(number) = options.fdb_consumer {
        return consumer::run(cluster_file, number).await;
    }
    let pace = Pace::new(options);
    let mut report = Report::new(options)?;
    let bouts = bouts();
    let is_reference = |bout: &Bout| {
        (bouts.iter()).any(|other| other.of == bout.name && report.wants(&other.name))
    };
    let mut measured: Vec<_> = bouts
        .iter()
        .filter(|bout| report.wants(&bout.name) || is_reference(bout))
        .map(|bout| Rounds::new(bout, &bouts))
        .collect();

    println!("on a FoundationDB cluster; medians of {SLICES} rounds");
    let stage = Arc::new(Stage::open(cluster_file).await?);
    let end = measure(&stage, pace.slice, &mut measured).await;
    stage.clear().await?;
    end?;
    for rounds in measured {
        report.add(rounds.into_case());
    }
    report.finish(options)
}

async fn measure(stage: &Arc<Stage>, slice: Duration, measured: &mut [Rounds<'_>]) -> Outcome {
    for round in 1..=SLICES {
        eprintln!("round {round} of {SLICES}");
        // The case that has just run, and its rate.
        let mut last: Option<(&str, f64)> = None;
        for rounds in &mut *measured {
            let reference_rate = match (rounds.reference, last) {
                (None, _) => None,
                (Some(reference), Some((name, rate))) if name == reference.name => Some(rate),
                (Some(reference), _) => Some(work(stage, reference, slice / 2).await?.rate()),
            };
            let work = work(stage, rounds.bout, slice).await?;
            last = Some((&rounds.bout.name, work.rate()));
            rounds.add(&work, reference_rate);
        }
    }
    Ok(())
}

/// One case, behind a warm-up.
async fn work(stage: &Arc<Stage>, bout: &Bout, duration: Duration) -> Outcome<Work> {
    let consumers = bout.load.consumers(stage)?;
    let crowd = Crowd::new(stage, bout);
    crowd.work(duration / 4).await?;
    let work = crowd.work(duration).await;
    drop(consumers);
    work
}

impl<'a> Rounds<'a> {
    fn new(bout: &'a Bout, all: &'a [Bout]) -> Self {
        Self {
            bout,
            reference: (all.iter()).find(|other| other.name == bout.of && bout.name != bout.of),
            rates: Vec::new(),
            ratios: Vec::new(),
            cpu_us: Vec::new(),
            latency: Latency::new(),
        }
    }

    fn add(&mut self, work: &Work, reference_rate: Option<f64>) {
        let rate = work.rate();
        self.rates.push(rate);
        self.ratios.push(rate / reference_rate.unwrap_or(rate));
        self.cpu_us.extend(work.cpu_us());
        self.latency.add(&work.latency);
    }

    fn into_case(mut self) -> Case {
        self.ratios.sort_by(f64::total_cmp);
        let range = match &self.ratios[..] {
            [least, .., most] => format!("{least:.3} to {most:.3}"),
            _ => String::new(),
        };
        let cpu = match self.cpu_us.is_empty() {
            true => String::new(),
            false => format!(", {:.0} us of our processors each", median(self.cpu_us)),
        };
        Case {
            ratio: Some(median(self.ratios)),
            of: self.bout.of,
            target: self.bout.target.map(Target::AtLeast),
            note: format!("{range}{cpu}"),
            ..Case::rate(&*self.bout.name, median(self.rates), self.latency)
        }
    }
}
