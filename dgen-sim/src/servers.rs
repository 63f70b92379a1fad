//! The servers of a world. Each keeps in its state which messages took effect, in which order: what
//! the checks look at in the end.

mod account;
mod alarm;
mod any;
mod desk;
mod register;
mod worker;

pub use self::{
    account::{Account, AccountHandle, Payment},
    alarm::{Alarm, AlarmHandle, Entry},
    any::{AnyHandle, ID_WINDOW, LEASE, client, id, options, start, state},
    desk::{Desk, DeskHandle},
    register::{Register, RegisterHandle},
    worker::{Worker, WorkerHandle},
};

/// What is stored of a server in the end.
#[derive(Debug, Clone)]
pub enum State {
    /// Of a register.
    Register(Register),
    /// Of an account.
    Account(Account),
    /// Of a worker.
    Worker(Worker),
    /// Of an alarm.
    Alarm(Alarm),
    /// Of a desk.
    Desk(Desk),
}

impl State {
    /// The messages of clients that took effect, in this order.
    #[must_use]
    pub fn done(&self) -> Vec<crate::history::Op> {
        match self {
            Self::Register(register) => register.done.clone(),
            Self::Account(account) => account.sent.iter().map(|sent| sent.op).collect(),
            Self::Worker(worker) => worker.done.iter().map(|(op, _)| *op).collect(),
            Self::Alarm(alarm) => alarm.done(),
            Self::Desk(desk) => desk.done.clone(),
        }
    }
}
