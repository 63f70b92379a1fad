//! A child process is killed at random moments under load; every increment that it acknowledged is
//! there afterwards, once.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "support/victim.rs"]
mod victim;

use std::{collections::BTreeMap, path::Path};

use dgen_server::{Context, Handle, Never, Reply, Server};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use victim::{Acknowledged, acknowledge, amounts, kill_after};

const KILLS: usize = 100;
const CALLERS: u32 = 8;

/// Counts for each caller apart, and for all together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally {
    total: u64,
    by_caller: BTreeMap<u32, u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum TallyCall {
    Increment { caller: u32 },
    Read,
}

impl Server for Tally {
    const NAME: &'static str = "Tally";
    type Args = ();
    type InitError = Never;
    type Call = TallyCall;
    type Cast = Never;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: TallyCall, _cx: &mut Context<Self>) -> Reply {
        match call {
            TallyCall::Increment { caller } => {
                self.total += 1;
                let mine = self.by_caller.entry(caller).or_default();
                *mine += 1;
                Reply::ok(mine)
            }
            TallyCall::Read => Reply::ok(&*self),
        }
    }

    fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
        match cast {}
    }
}

/// Not a test of its own: what the killed process does. Each acknowledged increment is a line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = victim::folder() else {
        return;
    };
    let tenant = dgen_server::open(&folder).unwrap();
    let tally = Handle::<Tally>::start(&tenant, (), ()).await.unwrap();
    join_all((0..CALLERS).map(|caller| {
        let tally = tally.clone();
        async move {
            loop {
                let call = tally.call::<u64, Never>(TallyCall::Increment { caller });
                let count = call.await.unwrap();
                acknowledge(caller, count);
            }
        }
    }))
    .await;
}

/// SPEC L2, S2: 100 kills under load; no acknowledged increment is lost, none is there twice.
#[test]
fn sigkill_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    for (kill, answers) in amounts(60).take(KILLS).enumerate() {
        kill_after(answers, folder.path(), &mut acknowledged);
        let tally = read(folder.path());
        assert_eq!(
            tally.total,
            tally.by_caller.values().sum::<u64>(),
            "kill {kill}"
        );
        for (caller, count) in &acknowledged {
            let stored = tally.by_caller.get(caller).copied().unwrap_or_default();
            // Each caller has one call under way, which may be committed and not answered.
            assert!(
                stored == *count || stored == count + 1,
                "kill {kill}: caller {caller} was told {count}, {stored} are stored"
            );
        }
        acknowledged = tally.by_caller;
    }
    let total: u64 = acknowledged.values().sum();
    assert!(
        total > KILLS as u64,
        "the children worked: {total} increments"
    );
}

/// The state, read in this process.
fn read(folder: &Path) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tenant = dgen_server::open(folder).unwrap();
        let tally = Handle::<Tally>::start(&tenant, (), ()).await.unwrap();
        let read = tally.call::<Tally, Never>(TallyCall::Read).await.unwrap();
        tally.stop().await;
        read
    })
}
