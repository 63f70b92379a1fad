//! A payment that is made once, though the bank is slow and this program may die at any moment.
//!
//! `charge` is locked work: it runs outside of any transaction and may wait for as long as it likes;
//! other messages to the same payment wait for it. If its process is killed, the next run takes the
//! lock over when its lease has ended, and does the work again. So the bank may be asked twice. It
//! books once, because it is asked under the same idempotency key, the order; and it refuses whoever
//! comes with a smaller fence than somebody before: a run that lost its lock and does not know it.
//!
//! ```sh
//! cargo run --example payment   # kill -9 it while the bank takes its time
//! cargo run --example payment   # takes over, and completes
//! cat payment-data/book         # what the bank has seen: asked twice, booked once
//! ```
//!
//! `--order` names another order, `--data` another folder; `--bank-seconds` says how slow the bank is,
//! and `--lease-seconds` for how long a killed run holds its lock.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::OnceLock,
    time::Duration,
};

use clap::Parser;
use dgen_examples::store;
use dgen_macros::dgen_server;
use dgen_server::{HeldBy, Locked, StartOptions};
use serde::{Deserialize, Serialize};

/// Clients of other services are no state: each program has its own.
static BANK: OnceLock<Bank> = OnceLock::new();

/// The payment of one order.
#[derive(Clone, Serialize, Deserialize)]
struct Payment {
    order: String,
    /// The bank's receipt, once it is paid.
    receipt: Option<String>,
}

#[dgen_server]
impl Payment {
    #[init]
    fn of(order: String) -> Self {
        let receipt = None;
        Self { order, receipt }
    }

    /// Charges `cents`, once, and returns the receipt.
    #[call(locked, timeout = Duration::from_secs(60))]
    async fn charge(&mut self, cx: &mut Locked<Self>, cents: u64) -> Result<String, String> {
        if let Some(receipt) = &self.receipt {
            return Ok(receipt.clone());
        }
        let bank = BANK.get().ok_or("there is no bank")?;
        let receipt = bank.book(&self.order, cents, cx.fence()).await?;
        self.receipt = Some(receipt.clone());
        Ok(receipt)
    }
}

/// A payment that is made once.
#[derive(Parser)]
struct Options {
    /// The folder that holds the store, and the bank's book.
    #[arg(long, default_value = "payment-data")]
    data: PathBuf,
    /// What is paid for.
    #[arg(long, default_value = "tea")]
    order: String,
    /// What it costs.
    #[arg(long, default_value_t = 250)]
    cents: u64,
    /// How long the bank takes, in seconds.
    #[arg(long, default_value_t = 4.0)]
    bank_seconds: f64,
    /// How long a killed run holds its lock, in seconds; a living one renews it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    lease_seconds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payment: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let tenant = store::open(&options.data).await?;
    fs::create_dir_all(&options.data)?; // a cluster makes none
    BANK.get_or_init(|| Bank {
        book: options.data.join("book"),
        takes: Duration::from_secs_f64(options.bank_seconds),
    });

    let lease = Duration::from_secs(options.lease_seconds);
    let start = StartOptions::default().lock_lease(lease);
    let order = options.order;
    let payment = PaymentHandle::start_with(&tenant, &*order, order.clone(), start).await?;
    if let Some(HeldBy::Lock { fence, .. }) = payment.status().await?.hold {
        println!("a run with fence {fence} is at work; if it was killed, that is taken over");
    }
    let receipt = payment.charge(options.cents).await?;
    println!("paid: {receipt}");
    Ok(())
}

/// A slow service, which stands for one elsewhere: all that it knows is in its book.
struct Bank {
    book: PathBuf,
    takes: Duration,
}

impl Bank {
    /// Books `cents` under `key`, unless it has done so before; returns the receipt. Refuses whoever
    /// comes with a smaller `fence` than somebody before.
    async fn book(&self, key: &str, cents: u64, fence: u64) -> Result<String, String> {
        self.write(key, &format!("asked with fence {fence}"))?;
        println!("the bank is asked with fence {fence}");
        self.take_time().await;
        let lines = self.read(key)?;
        let fences = lines.iter().filter_map(|line| {
            let fence = line.strip_prefix("asked with fence ")?;
            fence.parse::<u64>().ok()
        });
        if fences.max() > Some(fence) {
            return Err(format!("the bank knows a greater fence than {fence}"));
        }
        let receipt = match lines.iter().find(|line| line.starts_with("booked ")) {
            Some(booked) => booked.clone(),
            None => {
                let booked = format!("booked {cents} cents");
                self.write(key, &booked)?;
                booked
            }
        };
        println!("the bank has {receipt}");
        self.take_time().await;
        Ok(receipt)
    }

    /// What is in the book under `key`.
    fn read(&self, key: &str) -> Result<Vec<String>, String> {
        let book = fs::read_to_string(&self.book).map_err(closed)?;
        let own = |line: &str| line.strip_prefix(&format!("{key}: ")).map(str::to_owned);
        Ok(book.lines().filter_map(own).collect())
    }

    fn write(&self, key: &str, line: &str) -> Result<(), String> {
        let mut append = OpenOptions::new();
        let book = append.create(true).append(true).open(&self.book);
        let line = format!("{key}: {line}\n");
        let written = book.and_then(|mut book| book.write_all(line.as_bytes()));
        written.map_err(closed)
    }

    #[expect(clippy::disallowed_methods, reason = "the bank is outside of dgen")]
    async fn take_time(&self) {
        tokio::time::sleep(self.takes / 2).await;
    }
}

fn closed(error: io::Error) -> String {
    format!("the bank is closed: {error}")
}
