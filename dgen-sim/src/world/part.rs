//! What can be left out of a world: how a failing one is made small, and named.

use std::{fmt, str::FromStr, time::Duration};

use super::{Machine, Order, What, World};

/// A part of a world, as it is written: `s1` is server 1, `m0` machine 0, `c2` client 2, `c2.31` the
/// step of client 2 with number 31, `t3` trouble 3, and `conflict` or another word a fault that comes by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A server, with all that is sent to it.
    Server(usize),
    /// A machine. What it served and who sent from it goes to another.
    Machine(usize),
    /// A client.
    Client(usize),
    /// A step of a client, by its number.
    Step(usize, u32),
    /// What goes wrong at a time.
    Trouble(usize),
    /// A fault that comes by chance.
    Fault(Fault),
    /// Wrong clocks.
    Skew,
}

/// What goes wrong by chance: of the store, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Commits that conflict with nothing.
    Conflict,
    /// Commits whose answer is lost.
    Unknown,
    /// Commits that come late.
    Late,
    /// Transactions that are too old.
    TooOld,
    /// Watches that resolve early.
    EarlyWatch,
    /// Watches that never resolve.
    LostWatch,
    /// Answers that take long.
    Delay,
    /// Machines that die at an await point.
    Death,
    /// Machines that stand still from an await point on.
    Freeze,
    /// Machines that do not reach the store from an await point on.
    CutOff,
    /// Calendars that jump.
    Jump,
}

const FAULTS: [(Fault, &str); 11] = [
    (Fault::Conflict, "conflict"),
    (Fault::Unknown, "unknown"),
    (Fault::Late, "late"),
    (Fault::TooOld, "too-old"),
    (Fault::EarlyWatch, "early-watch"),
    (Fault::LostWatch, "lost-watch"),
    (Fault::Delay, "delay"),
    (Fault::Death, "death"),
    (Fault::Freeze, "freeze"),
    (Fault::CutOff, "cut-off"),
    (Fault::Jump, "jump"),
];

/// What was written names no part of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPart(String);

impl World {
    /// This world without that part; none if it has none, or needs it.
    #[must_use]
    pub fn without(&self, part: Part) -> Option<Self> {
        let mut world = self.clone();
        match part {
            Part::Server(server) => world.drop_server(server)?,
            Part::Machine(machine) => world.drop_machine(machine)?,
            Part::Client(client) => {
                world.clients.get_mut(client)?.take()?;
            }
            Part::Step(client, number) => {
                let steps = &mut world.clients.get_mut(client)?.as_mut()?.steps;
                let at = steps.iter().position(|step| step.number == number)?;
                steps.remove(at);
            }
            Part::Trouble(trouble) => {
                world.troubles.get_mut(trouble)?.take()?;
            }
            Part::Fault(fault) => {
                let rate = world.rate(fault);
                if *rate == 0.0 {
                    return None;
                }
                *rate = 0.0;
            }
            Part::Skew if world.skew_max.is_zero() => return None,
            Part::Skew => world.skew_max = Duration::ZERO,
        }
        Some(world)
    }

    /// Its parts, the large ones first.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let servers = self.servers().map(|(server, _)| Part::Server(server));
        let machines = self.machines().map(|(machine, _)| Part::Machine(machine));
        let clients = self.clients().map(|(client, _)| Part::Client(client));
        let troubles = self.troubles().map(|(trouble, _)| Part::Trouble(trouble));
        let faults = FAULTS.iter().map(|(fault, _)| Part::Fault(*fault));
        let steps = self.clients().flat_map(|(client, plan)| {
            let steps = plan.steps.iter();
            steps.map(move |step| Part::Step(client, step.number))
        });
        let parts = servers.chain(machines).chain(clients).chain(troubles);
        parts
            .chain(faults)
            .chain([Part::Skew])
            .chain(steps)
            .collect()
    }

    fn rate(&mut self, fault: Fault) -> &mut f64 {
        match fault {
            Fault::Conflict => &mut self.rates.conflict,
            Fault::Unknown => &mut self.rates.commit_unknown,
            Fault::Late => &mut self.rates.commit_late,
            Fault::TooOld => &mut self.rates.too_old,
            Fault::EarlyWatch => &mut self.rates.early_watch,
            Fault::LostWatch => &mut self.rates.lost_watch,
            Fault::Delay => &mut self.rates.delay,
            Fault::Death => &mut self.hazards.death,
            Fault::Freeze => &mut self.hazards.freeze,
            Fault::CutOff => &mut self.hazards.cut_off,
            Fault::Jump => &mut self.hazards.clock_jump,
        }
    }

    fn drop_server(&mut self, server: usize) -> Option<()> {
        self.servers.get_mut(server)?.take()?;
        for machine in self.machines.iter_mut().flatten() {
            machine.serves.retain(|served| *served != server);
        }
        for client in self.clients.iter_mut().flatten() {
            client.steps.retain(|step| {
                let is_paid = matches!(step.order, Order::Transfer { to, .. } if to == server);
                step.server != server && !is_paid
            });
        }
        self.drop_troubles(|what| match what {
            What::Stop(_, of) | What::Kill(of) | What::Replay(of) => *of == server,
            What::Death(..)
            | What::Freeze(..)
            | What::CutOff(..)
            | What::Shutdown(..)
            | What::Jump(..) => false,
        });
        Some(())
    }

    fn drop_machine(&mut self, machine: usize) -> Option<()> {
        let Machine { serves } = self.machines.get_mut(machine)?.take()?;
        let (heir, _) = self.machines().next()?;
        for client in self.clients.iter_mut().flatten() {
            if client.machine == machine {
                client.machine = heir;
            }
        }
        for server in serves {
            let is_served = self
                .machines()
                .any(|(_, other)| other.serves.contains(&server));
            if !is_served && let Some(heir) = &mut self.machines[heir] {
                heir.serves.push(server);
            }
        }
        self.drop_troubles(|what| match what {
            What::Death(of, _)
            | What::Freeze(of, _)
            | What::CutOff(of, _)
            | What::Stop(of, _)
            | What::Shutdown(of, _)
            | What::Jump(of, _) => *of == machine,
            What::Kill(_) | What::Replay(_) => false,
        });
        Some(())
    }

    fn drop_troubles(&mut self, is_dropped: impl Fn(&What) -> bool) {
        for trouble in &mut self.troubles {
            if trouble
                .as_ref()
                .is_some_and(|trouble| is_dropped(&trouble.what))
            {
                *trouble = None;
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => write!(f, "s{server}"),
            Self::Machine(machine) => write!(f, "m{machine}"),
            Self::Client(client) => write!(f, "c{client}"),
            Self::Step(client, number) => write!(f, "c{client}.{number}"),
            Self::Trouble(trouble) => write!(f, "t{trouble}"),
            Self::Fault(fault) => {
                let name = FAULTS.iter().find(|(one, _)| one == fault);
                f.write_str(name.map_or("?", |(_, name)| name))
            }
            Self::Skew => f.write_str("skew"),
        }
    }
}

impl FromStr for Part {
    type Err = NoPart;

    fn from_str(text: &str) -> Result<Self, NoPart> {
        parse(text).ok_or_else(|| NoPart(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Part> {
    if text == "skew" {
        return Some(Part::Skew);
    }
    if let Some((fault, _)) = FAULTS.iter().find(|(_, name)| *name == text) {
        return Some(Part::Fault(*fault));
    }
    let place = |text: &str| text.parse::<usize>().ok();
    let (kind, rest) = text.split_at_checked(1)?;
    Some(match (kind, rest.split_once('.')) {
        ("s", None) => Part::Server(place(rest)?),
        ("m", None) => Part::Machine(place(rest)?),
        ("c", None) => Part::Client(place(rest)?),
        ("c", Some((client, number))) => Part::Step(place(client)?, number.parse().ok()?),
        ("t", None) => Part::Trouble(place(rest)?),
        _ => return None,
    })
}

impl fmt::Display for NoPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no part of a world", self.0)
    }
}

impl std::error::Error for NoPart {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_it_is_written() {
        for seed in 0..20 {
            for part in World::random(seed).parts() {
                assert_eq!(part.to_string().parse(), Ok(part));
            }
        }
        for text in ["", "x1", "c1.", "s1.2", "t", "ä"] {
            assert!(text.parse::<Part>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn whatever_is_left_out_every_server_is_served() {
        for seed in 0..50 {
            let mut world = World::random(seed);
            for part in world.parts() {
                world = world.without(part).unwrap_or(world);
                for (server, _) in world.servers() {
                    assert!(
                        world
                            .machines()
                            .any(|(_, one)| one.serves.contains(&server))
                    );
                }
                for (_, client) in world.clients() {
                    assert!(world.machines[client.machine].is_some());
                }
            }
            assert_eq!(world.machines().count(), 1, "one is always needed");
        }
    }
}
