//! Money, which is sent from one account to another.

use dgen_macros::dgen_server;
use dgen_server::Context;
use serde::{Deserialize, Serialize};

use crate::{history::Op, scene};

/// Money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// How much there is.
    pub balance: i64,
    /// What left, in order.
    pub sent: Vec<Payment>,
    /// What came, in order.
    pub received: Vec<Payment>,
}

/// Money on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The message that sent it.
    pub op: Op,
    /// The account that it left, and the one that it goes to.
    pub from: usize,
    /// Where it goes.
    pub to: usize,
    /// How much.
    pub amount: i64,
    /// How often in a hundred its handlers panic.
    pub panics: u8,
}

/// Who has not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdrawn;

impl Account {
    /// What is in each when a world begins.
    pub const INITIAL: i64 = 100;
}

#[dgen_server]
impl Account {
    #[init]
    fn new() -> Self {
        Self {
            balance: Self::INITIAL,
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Sends money to another, and returns what is left.
    #[call]
    pub fn transfer(&mut self, payment: Payment, cx: &mut Context<Self>) -> Result<i64, Overdrawn> {
        scene::stumble(payment.panics / 2, cx.random());
        if self.balance < payment.amount {
            return Err(Overdrawn);
        }
        self.balance -= payment.amount;
        self.sent.push(payment);
        let to = AccountHandle::client(cx.tenant(), payment.to as u64);
        cx.send(to.deposit(payment));
        Ok(self.balance)
    }

    /// Takes money in.
    #[cast]
    pub fn deposit(&mut self, payment: Payment, cx: &mut Context<Self>) {
        self.balance += payment.amount;
        self.received.push(payment);
        scene::stumble(payment.panics, cx.random());
    }

    /// All of it.
    #[call]
    pub fn state(&self) -> Self {
        self.clone()
    }
}
