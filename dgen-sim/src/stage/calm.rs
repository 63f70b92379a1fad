//! The calm behind the storm: what was sent is handled, what failed is tried again, every machine is
//! answered; and in the end there is silence.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use dgen_backend::KeyRange;
use dgen_backend::tuple::Subspace;
use futures_util::future::join;

use super::{Stage, TENANT};
use crate::{
    servers::{self, ID_WINDOW, State},
    world::{Kind, Order, Step, Way},
};

/// All that waits is handled within this.
const REST_MAX: Duration = Duration::from_secs(900);

/// So often it is looked whether it is.
const LOOK: Duration = Duration::from_secs(1);

/// A timer rings within this, be the clocks as wrong as they may.
const TIMERS: Duration = Duration::from_secs(40);

/// What is left behind is swept within this, once it has expired: callers' keys twice ten minutes
/// later.
const SWEEPS: Duration = Duration::from_secs(1_500);

/// Who sends in the calm is client 1,000 and up, and its steps have such numbers.
const PROBES: usize = 1_000;

impl Stage {
    /// Waits until nothing waits, and nothing is a dead letter.
    pub(super) async fn come_to_rest(&self) {
        for (server, kind) in self.world.servers() {
            let until = self.sim.elapsed() + REST_MAX;
            while let Err(why) = self.rests(server, kind).await {
                if self.sim.elapsed() > until {
                    self.is_wrong(format!("s{server}: does not come to rest: {why}"));
                    break;
                }
                self.sim.sleep(LOOK).await;
            }
        }
    }

    /// Whether nothing waits; else what. Dead letters are replayed.
    async fn rests(&self, server: usize, kind: Kind) -> Result<(), String> {
        let machine = self.machine_of(server).ok_or("nobody serves it")?;
        let tenant = self.tenant(machine);
        let looked = machine.run(async move {
            let handle = servers::client(kind, &tenant, server);
            let replayed = handle.replay_all().await;
            (replayed, handle.status().await)
        });
        let (replayed, status) = looked.await.map_err(|died| died.to_string())?;
        let replayed = replayed.map_err(|error| error.to_string())?;
        let status = status.map_err(|error| error.to_string())?;
        let is_done = replayed == 0 && status.queue_len == 0 && status.hold.is_none();
        match is_done && status.is_started && status.dead_letters == 0 {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    }

    /// Each server answers each machine, and at once.
    pub(super) async fn probe(&self) {
        let mut number = PROBES as u32;
        let mut step = |server: usize, order: Order| {
            number += 1;
            Step {
                number,
                pause: Duration::ZERO,
                server,
                order,
                way: Way {
                    has_id: false,
                    is_priority: false,
                    is_enqueued: false,
                    timeout: Duration::from_secs(15),
                    tries: 1,
                    panics: 0,
                },
            }
        };
        for (server, kind) in self.world.servers() {
            for (machine, _) in self.world.machines() {
                let order = match kind {
                    Kind::Register { .. } => Order::Add(1),
                    Kind::Account => Order::Transfer {
                        to: server,
                        amount: 1,
                    },
                    Kind::Worker => Order::Work(Duration::from_millis(10)),
                    Kind::Alarm => Order::Set {
                        after: Duration::from_millis(10),
                        key: None,
                    },
                    Kind::Desk => Order::Ask,
                };
                let asked = step(server, order);
                let is_answered = match asked.order.is_answered_later() {
                    true => self.ask(machine, &asked, &step(server, Order::Serve)).await,
                    false => self.take(PROBES + machine, machine, &asked).await,
                };
                if !is_answered {
                    self.is_wrong(format!("s{server}: does not answer m{machine} in the calm"));
                }
            }
            if kind == Kind::Alarm
                && let Some((machine, _)) = self.world.machines().next()
            {
                for key in 0..2 {
                    self.take(PROBES, machine, &step(server, Order::Cancel(key)))
                        .await;
                }
            }
        }
        self.sim.sleep(TIMERS).await;
    }

    async fn ask(&self, machine: usize, asked: &Step, served: &Step) -> bool {
        let ask = self.take(PROBES + machine, machine, asked);
        let serve = async {
            self.sim.sleep(LOOK).await;
            self.take(PROBES, machine, served).await
        };
        join(ask, serve).await == (true, true)
    }

    /// What is stored of each server.
    pub(super) async fn states(&self) -> BTreeMap<usize, State> {
        let mut states = BTreeMap::new();
        for (server, kind) in self.world.servers() {
            let Some(machine) = self.machine_of(server) else {
                continue;
            };
            let tenant = self.tenant(machine);
            let state = machine.run(async move { servers::state(kind, &tenant, server).await });
            match state.await {
                Ok(Ok(state)) => drop(states.insert(server, state)),
                Ok(Err(error)) => self.is_wrong(format!("s{server}: can't be read: {error}")),
                Err(died) => self.is_wrong(format!("s{server}: can't be read: {died}")),
            }
        }
        states
    }

    /// Until all has expired that does.
    pub(super) async fn be_silent(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
        for (place, machine) in self.world.machines() {
            for server in &machine.serves {
                self.stop(place, *server).await;
            }
        }
        self.sim.sleep(ID_WINDOW + SWEEPS).await;
    }

    /// All keys that are left.
    pub(super) async fn keys(&self) -> Vec<Vec<u8>> {
        let range = KeyRange::prefix(Subspace::from(TENANT).bytes());
        let read = async {
            let tx = self.store.begin()?;
            tx.snapshot().collect_range(range).await
        };
        match read.await {
            Ok(rows) => rows.into_iter().map(|row| row.key.to_vec()).collect(),
            Err(error) => {
                self.is_wrong(format!("the store can't be read: {error}"));
                Vec::new()
            }
        }
    }
}
