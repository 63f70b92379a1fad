//! A world from a seed.

use std::time::Duration;

use dgen_testkit::{Random, faults::Rates, sim::Hazards};

use super::{Client, Kind, Machine, Order, Step, Store, Trouble, Way, What, World};

/// So long clients send and things go wrong, about.
const STORM: Duration = Duration::from_secs(10);

impl World {
    /// The world of that seed.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        Draw(Random::new(seed)).world(seed)
    }
}

struct Draw(Random);

impl Draw {
    fn world(&mut self, seed: u64) -> World {
        match self.below(10) {
            0 => return self.siege(seed),
            1 => return self.neighbours(seed),
            _ => {}
        }
        let only = self.chance(0.4).then(|| self.kind());
        let servers: Vec<_> = (0..1 + self.below(4))
            .map(|_| only.unwrap_or_else(|| self.kind()))
            .collect();
        let machines = self.machines(servers.len());
        let mut number = 0;
        let clients: Vec<_> = (0..1 + self.below(4))
            .map(|_| self.client(&servers, machines.len(), &mut number))
            .collect();
        let troubles: Vec<_> = match self.below(4) {
            0 => Vec::new(),
            many => (0..self.below(3 * many))
                .map(|_| self.trouble(&servers, &machines))
                .collect(),
        };
        World {
            seed,
            servers: servers.into_iter().map(Some).collect(),
            machines: machines.into_iter().map(Some).collect(),
            clients: clients.into_iter().map(Some).collect(),
            troubles: troubles.into_iter().flatten().map(Some).collect(),
            rates: self.rates(),
            hazards: self.hazards(),
            store: self.store(),
            has_cache: self.chance(0.8),
            skew_max: self.skew_max(),
        }
    }

    /// Workers on machines that stand still, or are cut off, for longer than a lease: who comes back finds its lock taken
    /// over, and what it worked on done by another.
    fn siege(&mut self, seed: u64) -> World {
        let servers = vec![Kind::Worker; 1 + self.below(2)];
        let serves = (0..servers.len()).collect::<Vec<_>>();
        let machine = Machine { serves };
        let machines = vec![Some(machine); 2 + self.below(2)];
        let mut number = 0;
        let clients = (0..2 + self.below(3)).map(|_| {
            let mut client = self.client(&servers, machines.len(), &mut number);
            for step in &mut client.steps {
                if let Order::Work(duration) = &mut step.order {
                    *duration = self.millis(2_000);
                }
            }
            Some(client)
        });
        let clients = clients.collect();
        let troubles = (0..2 + self.below(5)).map(|_| {
            let at = self.millis(STORM.as_millis() as u64);
            let duration = Duration::from_secs(2) + self.millis(12_000);
            let machine = self.below(machines.len());
            let what = match self.chance(0.7) {
                true => What::Freeze(machine, duration),
                false => What::CutOff(machine, duration),
            };
            Some(Trouble { at, what })
        });
        World {
            seed,
            servers: servers.iter().copied().map(Some).collect(),
            troubles: troubles.collect(),
            machines,
            clients,
            rates: self.rates(),
            hazards: self.hazards(),
            store: self.store(),
            has_cache: self.chance(0.8),
            skew_max: self.skew_max(),
        }
    }

    /// Clients next door to the one process, and others elsewhere whose messages it may not notice: what
    /// comes through the queue must not be overtaken.
    fn neighbours(&mut self, seed: u64) -> World {
        let register = Kind::Register {
            has_priority: false,
            is_killed: false,
        };
        let servers = vec![register];
        let machines = vec![Machine { serves: vec![0] }, Machine { serves: Vec::new() }];
        let mut number = 0;
        let clients = (0..4).map(|client| {
            let mut plan = self.client(&servers, machines.len(), &mut number);
            plan.machine = client % 2;
            for step in &mut plan.steps {
                step.pause = self.millis(100);
                step.way.panics = 0;
            }
            Some(plan)
        });
        let clients = clients.collect();
        let mut rates = self.rates();
        rates.lost_watch = 0.5;
        World {
            seed,
            servers: servers.iter().copied().map(Some).collect(),
            machines: machines.into_iter().map(Some).collect(),
            clients,
            troubles: Vec::new(),
            rates,
            hazards: self.hazards(),
            store: self.store(),
            has_cache: true,
            skew_max: self.skew_max(),
        }
    }

    fn kind(&mut self) -> Kind {
        match self.below(10) {
            0..3 => Kind::Register {
                has_priority: self.chance(0.3),
                is_killed: self.chance(0.2),
            },
            3 | 4 => Kind::Account,
            5..8 => Kind::Worker,
            8 => Kind::Alarm,
            _ => Kind::Desk,
        }
    }

    fn machines(&mut self, servers: usize) -> Vec<Machine> {
        let mut machines: Vec<_> = (0..1 + self.below(4))
            .map(|_| Machine { serves: Vec::new() })
            .collect();
        let share = self.share();
        for server in 0..servers {
            let sure = self.below(machines.len());
            for (place, machine) in machines.iter_mut().enumerate() {
                if place == sure || self.chance(share) {
                    machine.serves.push(server);
                }
            }
        }
        machines
    }

    fn client(&mut self, servers: &[Kind], machines: usize, number: &mut u32) -> Client {
        let haste = [20, 200, 1_500][self.below(3)];
        let has_panics = self.chance(0.4);
        let steps = (0..1 + self.below(10)).map(|_| {
            *number += 1;
            let server = self.below(servers.len());
            let order = self.order(servers, server);
            let mut way = self.way(servers[server], &order);
            if !has_panics {
                way.panics = 0;
            }
            Step {
                number: *number,
                pause: self.millis(haste),
                server,
                order,
                way,
            }
        });
        let steps = steps.collect();
        Client {
            machine: self.below(machines),
            steps,
        }
    }

    fn order(&mut self, servers: &[Kind], server: usize) -> Order {
        match servers[server] {
            Kind::Register { .. } => match self.below(6) {
                0 | 1 => Order::Read,
                2 => Order::Add(self.amount()),
                3 => Order::Swap(self.amount()),
                4 => Order::Increase(vec![self.amount()]),
                _ => Order::Increase((0..2 + self.below(4)).map(|_| self.amount()).collect()),
            },
            Kind::Account => {
                let accounts = (0..servers.len()).filter(|other| servers[*other] == Kind::Account);
                let accounts: Vec<_> = accounts.collect();
                let to = accounts[self.below(accounts.len())];
                let amount = self.amount();
                Order::Transfer { to, amount }
            }
            Kind::Worker => match self.below(6) {
                0..3 => Order::Work(self.long()),
                3 => Order::Note,
                _ => Order::Count,
            },
            Kind::Alarm => {
                let key = self.below(2) as u8;
                match self.below(8) {
                    0..3 => Order::Set {
                        after: self.long(),
                        key: None,
                    },
                    3 | 4 => Order::Set {
                        after: self.long(),
                        key: Some(key),
                    },
                    5 => Order::Every {
                        period: Duration::from_millis(500) + self.millis(2_000),
                        key,
                    },
                    _ => Order::Cancel(key),
                }
            }
            Kind::Desk => match self.below(3) {
                0 => Order::Serve,
                _ => Order::Ask,
            },
        }
    }

    fn way(&mut self, kind: Kind, order: &Order) -> Way {
        let has_id = self.chance(0.4)
            && !matches!(
                kind,
                Kind::Register {
                    is_killed: true,
                    ..
                }
            );
        let may_skip = matches!(
            kind,
            Kind::Register {
                has_priority: true,
                ..
            }
        );
        let is_fragile = !matches!(order, Order::Note | Order::Set { .. } | Order::Every { .. });
        let panics = [0, 0, 0, 30, 100][self.below(5)];
        let is_priority = *order == Order::Note || may_skip && self.chance(0.5);
        let is_cast = matches!(order, Order::Increase(_));
        Way {
            has_id: has_id && *order != Order::Read,
            is_priority,
            is_enqueued: is_cast && !is_priority && self.chance(0.3),
            timeout: [200, 1_000, 5_000, 20_000].map(Duration::from_millis)[self.below(4)],
            tries: [1, 1, 2, 4][self.below(4)],
            panics: if is_fragile { panics } else { 0 },
        }
    }

    fn trouble(&mut self, servers: &[Kind], machines: &[Machine]) -> Option<Trouble> {
        let machine = self.below(machines.len());
        let server = self.below(servers.len());
        let what = match self.below(13) {
            0..4 => What::Death(machine, self.long()),
            4 | 5 => What::Freeze(machine, self.long()),
            6 => What::CutOff(machine, self.long()),
            7 => {
                let serves = &machines[machine].serves;
                let server = (!serves.is_empty()).then(|| serves[self.below(serves.len())])?;
                What::Stop(machine, server)
            }
            8 => What::Jump(machine, self.below(4_000) as i64 - 2_000),
            9 => What::Replay(server),
            10 => What::Shutdown(machine, self.long()),
            _ => match servers[server] {
                Kind::Register {
                    is_killed: true, ..
                } => What::Kill(server),
                _ => What::Death(machine, self.millis(100)),
            },
        };
        let at = self.millis(STORM.as_millis() as u64);
        Some(Trouble { at, what })
    }

    fn rates(&mut self) -> Rates {
        let mut rate = || match self.below(4) {
            0 | 1 => 0.0,
            2 => 0.02,
            _ => 0.15,
        };
        Rates {
            conflict: rate(),
            commit_unknown: rate(),
            commit_late: rate(),
            too_old: rate() / 4.0,
            early_watch: rate(),
            lost_watch: rate(),
            delay: rate(),
        }
    }

    fn hazards(&mut self) -> Hazards {
        Hazards {
            death: [0.0, 0.0, 0.001, 0.01][self.below(4)],
            freeze: [0.0, 0.0, 0.0, 0.002][self.below(4)],
            cut_off: [0.0, 0.0, 0.0, 0.002][self.below(4)],
            clock_jump: [0.0, 0.0, 0.01][self.below(3)],
        }
    }

    fn store(&mut self) -> Store {
        match self.chance(0.5) {
            true => Store::Model,
            false => Store::Embedded,
        }
    }

    fn skew_max(&mut self) -> Duration {
        [0, 50, 3_000].map(Duration::from_millis)[self.below(3)]
    }

    /// Some milliseconds to some seconds, and longer than a lease now and then.
    fn long(&mut self) -> Duration {
        let most = [50, 1_000, 4_000, 12_000][self.below(4)];
        self.millis(most)
    }

    fn share(&mut self) -> f64 {
        [0.0, 0.3, 0.8][self.below(3)]
    }

    fn amount(&mut self) -> i64 {
        1 + self.below(50) as i64
    }

    fn millis(&mut self, below: u64) -> Duration {
        Duration::from_millis(self.0.next_u64() % below)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    fn chance(&mut self, share: f64) -> bool {
        self.0.chance(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_world() {
        assert_eq!(World::random(7), World::random(7));
        assert_ne!(World::random(7), World::random(8));
    }
}
