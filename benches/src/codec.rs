//! One change of a state, small and large: what is written must not depend on the state's size.

use std::time::Duration;

use dgen_backend::{Database, tuple::Subspace};
use dgen_codec::Stored;
use dgen_testkit::{
    Random,
    counting::{Counts, counted},
};
use serde::Serialize;

use crate::{
    Outcome,
    case::Case,
    latency::Latency,
    pace::{Pace, Sample},
    report::Report,
    scratch::Scratch,
    stopwatch::Stopwatch,
};

const SIZES: [usize; 3] = [10, 1_000, 100_000];
/// A larger state is built in several transactions, to stay below their limit.
const ITEMS_A_TRANSACTION: usize = 10_000;

#[derive(Debug, Clone, Copy)]
enum Change {
    /// One field of one item.
    Field,
    /// A new item between two others.
    Insert,
}

/// The state: a list of items that have an id, so that each has keys of its own.
#[derive(Serialize)]
struct Shop {
    name: String,
    orders: Vec<Order>,
}

#[derive(Serialize)]
struct Order {
    id: String,
    total: u32,
    note: String,
}

/// A state and where it is stored.
struct Shelf {
    db: Database,
    counts: Counts,
    base: Subspace,
    shop: Shop,
    stored: Option<Stored>,
    random: Random,
    ids_used: usize,
    /// Where the last change put a new item.
    inserted_at: Option<usize>,
    /// Of the codec alone, without the commits.
    diffs: Latency,
}

/// Runs the cases.
pub(crate) async fn run(scratch: &Scratch, pace: &Pace, report: &mut Report) -> Outcome {
    for change in [Change::Field, Change::Insert] {
        let names = SIZES.map(|size| format!("{}/{size}", change.name()));
        if !names.iter().any(|name| report.wants(name)) {
            continue;
        }
        let mut reference = f64::NAN;
        for (size, name) in SIZES.into_iter().zip(names) {
            // The smallest is what the others are compared with.
            if size == SIZES[0] || report.wants(&name) {
                let (case, bytes) = measure(scratch, pace, change, size, name).await?;
                if size == SIZES[0] {
                    reference = bytes;
                }
                report.add(Case {
                    ratio: Some(bytes / reference),
                    of: "bytes written in a state of 10",
                    ..case
                });
            }
        }
    }
    Ok(())
}

/// Returns the case, its ratio still open, and the bytes of a change.
async fn measure(
    scratch: &Scratch,
    pace: &Pace,
    change: Change,
    size: usize,
    name: String,
) -> Outcome<(Case, f64)> {
    let (db, _disk) = scratch.store(&name)?;
    let mut shelf = Shelf::new(db);
    shelf.fill(size).await?;
    let (mut changes, mut bytes) = (0, 0);
    let measured = pace
        .measure(async || {
            let before = shelf.counts.written_bytes();
            let sample = shelf.change(change).await?;
            changes += 1;
            bytes += shelf.counts.written_bytes() - before;
            shelf.restore().await?;
            Ok(sample)
        })
        .await?;
    let bytes = bytes as f64 / f64::from(changes);
    let note = format!(
        "{bytes:.0} bytes a change, codec alone {:.0} us",
        shelf.diffs.quantile_us(0.5)
    );
    let case = Case::rate(name, measured.ops_per_s, measured.latency);
    Ok((case.note(note), bytes))
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Field => "codec/field",
            Self::Insert => "codec/insert",
        }
    }
}

impl Shelf {
    fn new(db: Database) -> Self {
        let (db, counts) = counted(db);
        Self {
            db,
            counts,
            base: Subspace::from(("bench", "shop")),
            shop: Shop {
                name: "shop".to_owned(),
                orders: Vec::new(),
            },
            stored: None,
            random: Random::new(1),
            ids_used: 0,
            inserted_at: None,
            diffs: Latency::new(),
        }
    }

    async fn fill(&mut self, size: usize) -> Outcome {
        while self.shop.orders.len() < size {
            for _ in 0..ITEMS_A_TRANSACTION.min(size - self.shop.orders.len()) {
                let order = self.new_order();
                self.shop.orders.push(order);
            }
            self.store().await?;
        }
        Ok(())
    }

    /// Makes a change and stores it. Its place is random.
    async fn change(&mut self, change: Change) -> Outcome<Sample> {
        let place = self.random.below(self.shop.orders.len());
        match change {
            Change::Field => self.shop.orders[place].total = self.new_total(),
            Change::Insert => {
                let order = self.new_order();
                self.shop.orders.insert(place, order);
                self.inserted_at = Some(place);
            }
        }
        let watch = Stopwatch::start();
        let codec_took = self.store().await?;
        let took = watch.elapsed();
        self.diffs.record(codec_took);
        Ok(Sample { ops: 1, took })
    }

    /// Takes an inserted item out again, so that the state keeps its size.
    async fn restore(&mut self) -> Outcome {
        if let Some(place) = self.inserted_at.take() {
            self.shop.orders.remove(place);
            self.store().await?;
        }
        Ok(())
    }

    fn new_order(&mut self) -> Order {
        self.ids_used += 1;
        Order {
            id: format!("order-{:08}", self.ids_used),
            total: self.new_total(),
            note: "n".repeat(50),
        }
    }

    /// A number that is no other's, of one length in MessagePack.
    fn new_total(&mut self) -> u32 {
        self.random.next_u64() as u32 | 1 << 31
    }

    /// Stores the state; returns how long the codec took, without the commit.
    async fn store(&mut self) -> Outcome<Duration> {
        let tx = self.db.begin()?;
        // As a server does that has the state cached.
        dgen_codec::version(&tx, &self.base).await?;
        let watch = Stopwatch::start();
        let written = dgen_codec::store(&tx, &self.base, self.stored.as_ref(), &self.shop)?;
        let codec_took = watch.elapsed();
        tx.commit().await?;
        self.stored = Some(written.stored);
        Ok(codec_took)
    }
}
