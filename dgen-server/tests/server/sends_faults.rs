//! Money that moves between accounts while the store conflicts, loses answers and commits late.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use dgen_backend::{Database, Tenant, tuple::Subspace};
use dgen_server::{CallError, Context, Handle, Never, Reply, Server, StartOptions};
use dgen_testkit::{
    Random,
    faults::{Faults, FaultyBackend, Rates},
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::support::{patience::until, *};

const ACCOUNTS: u64 = 4;
const CENTS: i64 = 100;

#[derive(Clone, Serialize, Deserialize)]
struct Account {
    cents: i64,
    /// The numbers of each sender's deposits, in the order in which they came.
    deposits: Vec<(u64, u64)>,
    /// How many transfers were sent.
    sent: u64,
}

#[derive(Clone, Serialize, Deserialize)]
enum AccountCall {
    Transfer { to: u64, cents: i64 },
    Show,
}

#[derive(Clone, Serialize, Deserialize)]
struct Deposit {
    from: u64,
    number: u64,
    cents: i64,
}

impl Server for Account {
    const NAME: &'static str = "Account";
    type Args = u64;
    type InitError = Never;
    type Call = AccountCall;
    type Cast = Deposit;
    type Info = Never;

    fn init(_number: u64) -> Result<Self, Never> {
        Ok(Self {
            cents: CENTS,
            deposits: Vec::new(),
            sent: 0,
        })
    }

    fn handle_call(&mut self, call: AccountCall, cx: &mut Context<Self>) -> Reply {
        match call {
            AccountCall::Transfer { to, cents } => {
                let from = (0..ACCOUNTS).find(|from| cx.id().to_string() == format!("({from})"));
                let deposit = Deposit {
                    from: from.unwrap(),
                    number: self.sent,
                    cents,
                };
                self.sent += 1;
                self.cents -= cents;
                cx.send(Handle::<Self>::client(cx.tenant(), to).cast(deposit));
                // Too late, but not for the state and what was sent.
                if self.cents < 0 {
                    return Reply::err("not enough");
                }
                Reply::ok(&self.cents)
            }
            AccountCall::Show => Reply::ok(&(self.cents, &self.deposits, self.sent)),
        }
    }

    fn handle_cast(&mut self, deposit: Deposit, _cx: &mut Context<Self>) {
        self.cents += deposit.cents;
        self.deposits.push((deposit.from, deposit.number));
    }
}

/// The same store as another OS process would have it, over a network that fails.
fn faulty(here: &Tenant, seed: u64) -> (Tenant, Faults) {
    let db = FaultyBackend::new(here.database().clone(), seed, Rates::all(0.06));
    let faults = db.faults();
    (
        Tenant::new(Database::new(db), here.subspace().clone()),
        faults,
    )
}

/// What a lost watch costs here.
fn options() -> StartOptions {
    StartOptions::default().poll_interval(Duration::from_millis(20))
}

async fn start(tenant: &Tenant, number: u64) -> Handle<Account> {
    loop {
        let started = Handle::start_with(tenant, number, number, options()).await;
        if let Ok(handle) = started {
            return handle;
        }
    }
}

/// Transfers of many callers at once between accounts that two OS processes serve. Then nothing is
/// lost, and nothing is there twice.
async fn transfers_conserve_money(here: &Tenant, seed: u64) {
    let (one, two) = (faulty(here, seed), faulty(here, seed + 1_000));
    let client = faulty(here, seed + 2_000);
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        let tenant = if number % 2 == 0 { &one.0 } else { &two.0 };
        accounts.push(start(tenant, number).await);
    }
    let clients: Vec<_> = (0..ACCOUNTS)
        .map(|number| Handle::<Account>::client_with(&client.0, number, options()))
        .collect();
    let callers = (0..8).map(async |caller| {
        let mut random = Random::new(seed * 100 + caller);
        let mut answered = 0;
        for _ in 0..6 {
            let mut account = || random.below(ACCOUNTS as usize);
            let (from, to) = (account(), account() as u64);
            let call = AccountCall::Transfer {
                to,
                cents: random.below(60) as i64,
            };
            let handles = if random.chance(0.5) {
                &accounts
            } else {
                &clients
            };
            let call = handles[from].call::<i64, String>(call);
            let call = call.timeout(Duration::from_secs(60));
            answered += u64::from(match call.await {
                Ok(_) => true,
                Err(CallError::Handler(error)) => {
                    assert_eq!(error, "not enough");
                    false
                }
                Err(error) if error.maybe_executed() => false,
                Err(error) => panic!("seed {seed}: {error}"),
            });
        }
        answered
    });
    let answered: u64 = join_all(callers).await.into_iter().sum();
    for account in &accounts {
        account.stop().await;
    }
    for faults in [&one.1, &two.1, &client.1] {
        faults.stop();
    }
    check(here, answered, seed).await;
}

/// Nothing calls any more. A transfer that is still in a queue may send to any other.
async fn check(here: &Tenant, answered: u64, seed: u64) {
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        accounts.push(start(here, number).await);
    }
    for account in accounts.iter().chain(&accounts) {
        until("an empty queue", async || {
            account.queue_len().await.unwrap() == 0
        })
        .await;
    }
    let (mut total, mut sent, mut arrived) = (0, Vec::new(), Vec::new());
    for account in &accounts {
        let shown: (i64, Vec<(u64, u64)>, u64) =
            account.call::<_, Never>(AccountCall::Show).await.unwrap();
        assert!(shown.0 >= 0, "seed {seed}: overdrawn by {}", -shown.0);
        for from in 0..ACCOUNTS {
            let numbers = shown.1.iter().filter(|(sender, _)| *sender == from);
            assert!(
                numbers.is_sorted(),
                "seed {seed}: out of order: {:?}",
                shown.1
            );
        }
        total += shown.0;
        sent.push(shown.2);
        arrived.extend(shown.1);
    }
    arrived.sort_unstable();
    let expected: Vec<_> = (0..ACCOUNTS)
        .zip(&sent)
        .flat_map(|(from, sent)| (0..*sent).map(move |number| (from, number)))
        .collect();
    assert_eq!(arrived, expected, "seed {seed}: each transfer, once");
    assert_eq!(total, ACCOUNTS as i64 * CENTS, "seed {seed}");
    assert!(
        sent.iter().sum::<u64>() >= answered,
        "seed {seed}: answered, and lost"
    );
    for account in &accounts {
        account.stop().await;
    }
}

/// SPEC T1: both ends or neither, whatever the store does, and in the sender's order.
#[tokio::test]
async fn transfers_conserve_money_in_memory() {
    for seed in 0..12 {
        let db = dgen_local::in_memory().unwrap();
        transfers_conserve_money(&Tenant::new(db, Subspace::from("test")), seed).await;
    }
}

/// The same on disk.
#[tokio::test]
async fn transfers_conserve_money_on_disk() {
    for seed in 0..2 {
        let store = Store::on_disk();
        transfers_conserve_money(&store.tenant, seed).await;
    }
}
