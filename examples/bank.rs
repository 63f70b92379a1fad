//! Money that moves between accounts, and never gets lost.
//!
//! Each account is a server. A transfer is one call: the handler takes the money and sends a deposit
//! to the other account, in one transaction. So money is in an account or on its way to one, and the
//! total is the same whatever happens.
//!
//! `cargo run --example bank` opens the store in `bank-data`, lets 16 callers transfer money at random
//! between 64 accounts for five seconds, and counts it before and after. Kill it at any moment and run
//! it again: not a cent is missing. `--accounts`, `--callers` and `--seconds` say how many, how many at
//! once and for how long; `--data` names another folder.
//!
//! Accounts are asked one by one for what is in them. So if several banks run on one cluster, only the
//! last one to end counts right.

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use dgen_examples::{load, store};
use dgen_macros::dgen_server;
use dgen_server::{CallError, Context, Tenant};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

/// What is in an account when it is opened.
const OPENING_CENTS: u64 = 1_000;

/// Names an account: the bank, by its number of accounts, and the account in it.
type AccountId = (u32, u32);

#[derive(Clone, Serialize, Deserialize)]
struct Account {
    cents: u64,
}

/// The account has less than was asked for.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{short_by} cents are missing in the account")]
struct Overdrawn {
    short_by: u64,
}

#[dgen_server]
impl Account {
    #[init]
    fn open(cents: u64) -> Self {
        Self { cents }
    }

    /// Sends `cents` to account `to`: what is taken here and what is sent there are one transaction.
    #[call]
    fn transfer(
        &mut self,
        to: AccountId,
        cents: u64,
        cx: &mut Context<Self>,
    ) -> Result<(), Overdrawn> {
        let short_by = cents.saturating_sub(self.cents);
        if short_by > 0 {
            return Err(Overdrawn { short_by });
        }
        self.cents -= cents;
        cx.send(AccountHandle::client(cx.tenant(), to).deposit(cents));
        Ok(())
    }

    /// Puts `cents` in.
    #[cast]
    fn deposit(&mut self, cents: u64) {
        self.cents += cents;
    }

    /// Returns what is in it.
    #[call]
    fn balance(&self) -> u64 {
        self.cents
    }
}

/// Money that moves between accounts, and never gets lost.
#[derive(Parser)]
struct Options {
    /// The folder that holds the store.
    #[arg(long, default_value = "bank-data")]
    data: PathBuf,
    /// So many accounts has the bank. Another number is another bank.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    accounts: u32,
    /// So many callers transfer at once.
    #[arg(long, default_value_t = 16)]
    callers: usize,
    /// How long they transfer, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bank: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let tenant = store::open(&options.data).await?;
    let id = |number| (options.accounts, number);
    let open = |number| AccountHandle::start(&tenant, id(number), OPENING_CENTS);
    let accounts = try_join_all((0..options.accounts).map(open)).await?;
    println!("found {} cents", total(&accounts).await?);

    let transfer = || async {
        let from = &accounts[random_below(&tenant, options.accounts) as usize];
        let to = random_below(&tenant, options.accounts);
        let cents = random_below(&tenant, 500);
        match from.transfer(id(to), cents.into()).await {
            Err(CallError::Handler(Overdrawn { .. })) => Ok(()),
            done => done,
        }
    };
    let duration = Duration::from_secs(options.seconds);
    println!(
        "{}",
        load::drive(options.callers, duration, transfer).await?
    );

    let (left, expected) = (
        total(&accounts).await?,
        u64::from(options.accounts) * OPENING_CENTS,
    );
    println!("left {left} cents");
    if left != expected {
        return Err(format!("there should be {expected} cents, if no other bank runs").into());
    }
    Ok(())
}

/// What is in all accounts, and on its way to them.
///
/// Queues are first in, first out. So when each account has answered, the transfers that a killed run
/// left in the queues are done, and their deposits are in the queues; asked once more, each account
/// answers behind its deposits.
async fn total(accounts: &[AccountHandle]) -> Result<u64, CallError> {
    let balances = || {
        try_join_all(
            accounts
                .iter()
                .map(|account| account.balance().into_future()),
        )
    };
    balances().await?;
    Ok(balances().await?.iter().sum())
}

fn random_below(tenant: &Tenant, end: u32) -> u32 {
    u32::from_le_bytes(tenant.env().random()) % end
}
