//! Clients: each does its steps, one after the other, and notes what came of them.

use std::time::Duration;

use super::{Stage, lock};
use crate::{
    history::{Outcome, Record, op},
    sending::send,
    world::{Client, Order, Step},
};

/// Between two tries of a message.
const PAUSE: Duration = Duration::from_millis(50);

/// A client whose machine is away looks again after this.
const AWAY: Duration = Duration::from_millis(20);

impl Stage {
    pub(super) async fn drive(&self, place: usize, client: &Client) {
        for step in &client.steps {
            self.sim.sleep(step.pause).await;
            self.take(place, client.machine, step).await;
        }
    }

    /// Sends a message until somebody answers, or often enough. Returns whether somebody did.
    pub(super) async fn take(&self, client: usize, machine: usize, step: &Step) -> bool {
        let mut record = self.record(client, step, 0);
        let mut may_have_happened = false;
        for number in 0..step.way.tries {
            if number > 0 && !step.way.has_id {
                record = self.record(client, step, number);
                may_have_happened = false;
            }
            record.outcome = match self.send(machine, step, record.op).await {
                // An earlier try with the same id may have.
                Outcome::NotExecuted(reason) if may_have_happened => Outcome::Unknown(reason),
                outcome => outcome,
            };
            may_have_happened |= matches!(record.outcome, Outcome::Unknown(_));
            record.ended = self.moment();
            record.ended_at = self.sim.elapsed();
            let is_last = number + 1 == step.way.tries;
            let is_answered = matches!(
                record.outcome,
                Outcome::Answered(_) | Outcome::Accepted | Outcome::Refused
            );
            if is_answered || is_last || !step.way.has_id {
                self.sim.note(format!("c{client} {record:?}"));
                lock(&self.records).push(record.clone());
            }
            if is_answered {
                return true;
            }
            self.sim.sleep(PAUSE).await;
        }
        false
    }

    fn record(&self, client: usize, step: &Step, number: u32) -> Record {
        let (moment, elapsed) = (self.moment(), self.sim.elapsed());
        Record {
            op: op(step.number, number, 0),
            client,
            server: step.server,
            order: step.order.clone(),
            way: step.way,
            sent: moment,
            ended: moment,
            sent_at: elapsed,
            ended_at: elapsed,
            outcome: Outcome::NotExecuted("never sent".to_owned()),
        }
    }

    async fn send(&self, machine: usize, step: &Step, op: u32) -> Outcome {
        let Some(machine) = self.machine(machine) else {
            return Outcome::NotExecuted("its machine is not there".to_owned());
        };
        while !machine.is_alive() {
            self.sim.sleep(AWAY).await;
        }
        let sent = machine.run(send(self.tenant(machine), step.clone(), op));
        match sent.await {
            Ok(outcome) => outcome,
            Err(died) => Outcome::Unknown(died.to_string()),
        }
    }
}

impl Order {
    /// Whether an answer to it is given by a later message.
    pub(super) fn is_answered_later(&self) -> bool {
        *self == Self::Ask
    }
}
