//! A call where there is much: in a large state, and among many servers.

use std::time::Duration;

use dgen_backend::{Tenant, tuple::Subspace};
use dgen_macros::dgen_server;
use dgen_server::List;
use dgen_testkit::Random;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::{
    Outcome,
    calls::{self, Stage},
    case::Case,
    counter::CounterHandle,
    cpu::processor_time,
    latency::Latency,
    options::Options,
    pace::{Pace, Sample},
    report::Report,
    scratch::Scratch,
    stopwatch::Stopwatch,
    target::Target,
};

const ITEMS: &str = "grow/items";
/// The same in a `Vec`.
const ITEMS_VEC: &str = "grow/items-vec";
const FEW: &str = "grow/items-10";
const LARGE: &str = "grow/10mb";
const LARGE_VEC: &str = "grow/10mb-vec";
const SERVERS: &str = "grow/servers";
/// The same with servers that exist, and are not started.
const STORED: &str = "grow/servers-stored";

const ITEMS_FEW: usize = 10;
const ITEMS_MANY: usize = 100_000;
/// Of 87 bytes each.
const ITEMS_10_MB: usize = 115_000;
/// A larger state is built by several calls, to stay below the limit of a transaction.
const ITEMS_A_CALL: usize = 10_000;
/// Whatever the machine is busy with.
const PATIENCE: Duration = Duration::from_secs(60);
/// Started at once.
const STARTS: usize = 1_000;

/// Items that have an id, so that each has keys of its own, in one of two lists.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Shop {
    renamed: u64,
    orders: List<Order>,
    orders_vec: Vec<Order>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    total: u64,
    note: String,
}

/// Which list has the orders.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Kept {
    List,
    Vec,
}

/// What is changed.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// One item.
    Item,
    /// A field beside the list.
    Field,
}

#[dgen_server]
impl Shop {
    /// Appends so many orders.
    #[call]
    fn extend(&mut self, kept: Kept, count: usize) {
        let first = self.orders.len() + self.orders_vec.len();
        let orders = (first..first + count).map(|number| Order {
            id: format!("order-{number:08}"),
            total: 0,
            note: "n".repeat(50),
        });
        match kept {
            Kept::List => self.orders.extend(orders),
            Kept::Vec => self.orders_vec.extend(orders),
        }
    }

    /// Changes one.
    #[call]
    fn set_total(&mut self, place: usize, total: u64) -> Option<u64> {
        let order = match self.orders_vec.is_empty() {
            true => self.orders.get_mut(place)?,
            false => self.orders_vec.get_mut(place)?,
        };
        order.total = total;
        Some(total)
    }

    /// Changes what is no order.
    #[call]
    fn rename(&mut self, number: u64) -> u64 {
        self.renamed = number;
        number
    }
}

/// Runs the cases.
pub(crate) async fn run(
    scratch: &Scratch,
    options: &Options,
    pace: &Pace,
    report: &mut Report,
) -> Outcome {
    if report.wants_any(&[FEW, ITEMS, ITEMS_VEC, LARGE, LARGE_VEC]) {
        grown(scratch, pace, report).await?;
    }
    if report.wants_any(&[SERVERS, STORED]) {
        among_servers(scratch, options, pace, report).await?;
    }
    Ok(())
}

/// The time of a change in a state of few items, and in large ones.
async fn grown(scratch: &Scratch, pace: &Pace, report: &mut Report) -> Outcome {
    let few = change_of(scratch, pace, FEW, (Kept::List, ITEMS_FEW), Change::Item).await?;
    let reference = few.figure;
    report.add(few);
    for (name, kept, items, change) in [
        (ITEMS, Kept::List, ITEMS_MANY, Change::Item),
        (ITEMS_VEC, Kept::Vec, ITEMS_MANY, Change::Item),
        (LARGE, Kept::List, ITEMS_10_MB, Change::Field),
        (LARGE_VEC, Kept::Vec, ITEMS_10_MB, Change::Field),
    ] {
        if !report.wants(name) {
            continue;
        }
        let case = change_of(scratch, pace, name, (kept, items), change).await?;
        let case = case.to(reference, "time in a state of 10 items");
        report.add(match name {
            ITEMS => case.target(Target::AtMost(1.5)),
            _ => case,
        });
    }
    Ok(())
}

/// Changes a state of so many items, again and again.
async fn change_of(
    scratch: &Scratch,
    pace: &Pace,
    name: &str,
    (kept, items): (Kept, usize),
    change: Change,
) -> Outcome<Case> {
    let (db, _) = scratch.store(name)?;
    let tenant = Tenant::new(db, Subspace::from("bench"));
    let shop = ShopHandle::start(&tenant, "shop", ()).await?;
    for first in (0..items).step_by(ITEMS_A_CALL) {
        shop.extend(kept, ITEMS_A_CALL.min(items - first)).await?;
    }
    let mut random = Random::new(1);
    let mut total = 0;
    let cpu_before = processor_time();
    let measured = pace
        .measure(async || {
            total += 1;
            let watch = Stopwatch::start();
            let changed = match change {
                Change::Item => shop.set_total(random.below(items), total).await?,
                Change::Field => Some(shop.rename(total).await?),
            };
            let took = watch.elapsed();
            match changed == Some(total) {
                true => Ok(Sample { ops: 1, took }),
                false => Err("the state was not changed".into()),
            }
        })
        .await?;
    let cpu = processor_time().zip(cpu_before);
    let note = cpu.map(|(after, before)| {
        let us = (after - before).as_secs_f64() * 1e6 / total as f64;
        format!("{us:.0} us of the processors a call")
    });
    shop.stop().await;
    Ok(time_of_a_call(name.to_owned(), measured.latency).note(note.unwrap_or_default()))
}

/// Calls one server: alone, among many that exist, and among many that are started.
async fn among_servers(
    scratch: &Scratch,
    options: &Options,
    pace: &Pace,
    report: &mut Report,
) -> Outcome {
    let many = options.servers();
    let stage = Stage::open(scratch, SERVERS, 1).await?;
    let alone = call_time(&stage, pace, format!("{SERVERS}-1")).await?;
    let reference = alone.figure;
    report.add(alone);
    for (name, is_stopped) in [(STORED, true), (SERVERS, false)] {
        let watch = Stopwatch::start();
        let started = start_others(&stage.tenant, many, is_stopped).await?;
        let rate = many as f64 / watch.elapsed().as_secs_f64();
        let what = match is_stopped {
            true => "exist and are not started; they were stored",
            false => "are started and idle; they were started again",
        };
        let case = call_time(&stage, pace, name.to_owned()).await?;
        let note = format!("{many} others {what} at {rate:.0} a second; {}", case.note);
        let case = case.to(reference, "time among no others").note(note);
        report.add(case.target(Target::AtMost(1.2)));
        drop(started);
    }
    dgen_server::shutdown(&stage.tenant, PATIENCE).await?;
    Ok(())
}

/// Starts so many servers, which are kept until what is returned is dropped; and stops them.
async fn start_others(
    tenant: &Tenant,
    servers: usize,
    is_stopped: bool,
) -> Outcome<Vec<CounterHandle>> {
    let mut started = Vec::new();
    for first in (1..=servers).step_by(STARTS) {
        let last = (first + STARTS - 1).min(servers);
        let group = try_join_all((first..=last).map(async |number| {
            let server = calls::start(tenant, number).await?;
            if is_stopped {
                server.stop().await;
            }
            Outcome::Ok(server)
        }));
        started.extend(group.await?);
    }
    if !is_stopped {
        // Idle they are once each has looked at its queue: it answers behind that.
        for group in started.chunks(STARTS) {
            try_join_all(
                group
                    .iter()
                    .map(async |server| server.value().timeout(PATIENCE).await),
            )
            .await?;
        }
    }
    Ok(started)
}

async fn call_time(stage: &Stage, pace: &Pace, name: String) -> Outcome<Case> {
    let (work, note) = calls::increments(stage, pace, 1).await?;
    Ok(time_of_a_call(name, work.latency).note(note))
}

/// The median.
fn time_of_a_call(name: String, latency: Latency) -> Case {
    let median_us = latency.quantile_us(0.5);
    Case {
        latency: Some(latency),
        ..Case::figure(name, median_us, "us")
    }
}
