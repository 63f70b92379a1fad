//! Reminders that fire once, at their time or when somebody is there again.
//!
//! A reminder is a durable timer: set in the transaction that notes it, cancelled in the one that
//! strikes it out, and fired by whoever consumes the server's messages at its time or later.
//!
//! ```sh
//! cargo run --example reminders -- in 10s "drink the tea"
//! cargo run --example reminders -- in 1h "ring Ada"
//! cargo run --example reminders -- list
//! cargo run --example reminders -- cancel 2
//! cargo run --example reminders -- run     # fires those that are due, waits for the others
//! ```
//!
//! Only `run` consumes; the others ask with priority messages, which need no consumer, and so fire
//! nothing. The store is in `reminders-data`; `--data` names another folder. One program at a time has
//! a folder open: stop `run` with Ctrl-C to add a reminder, and start it again. On a cluster `run`
//! goes on, and fires what others note meanwhile.

use std::{
    collections::BTreeMap,
    error::Error,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::{Parser, Subcommand};
use dgen_examples::store;
use dgen_macros::dgen_server;
use dgen_server::{Context, StartOptions};
use humantime::{format_duration, format_rfc3339_seconds};
use serde::{Deserialize, Serialize};

/// How far ahead a reminder may be.
const AFTER_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[derive(Clone, Default, Serialize, Deserialize)]
struct Reminders {
    pending: BTreeMap<u64, Reminder>,
    last_number: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Reminder {
    text: String,
    at: SystemTime,
}

#[dgen_server]
impl Reminders {
    /// Notes a reminder and returns its number.
    #[call]
    fn set(&mut self, after: Duration, text: String, cx: &mut Context<Self>) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let at = cx.now() + after;
        let me = RemindersHandle::from(cx.handle());
        cx.send_at(at, me.fire(number)).key(number.to_string());
        self.pending.insert(number, Reminder { text, at });
        number
    }

    /// Returns what is still to come, by number.
    #[call]
    fn pending(&self) -> BTreeMap<u64, Reminder> {
        self.pending.clone()
    }

    /// Strikes a reminder out. Returns whether there was one.
    #[call]
    fn cancel(&mut self, number: u64, cx: &mut Context<Self>) -> bool {
        cx.cancel(number.to_string());
        self.pending.remove(&number).is_some()
    }

    /// It is time.
    #[cast]
    fn fire(&mut self, number: u64, cx: &mut Context<Self>) {
        let Some(reminder) = self.pending.remove(&number) else {
            return; // cancelled when it was in the queue already
        };
        let late = cx.due().map(|due| due.late).unwrap_or_default();
        // After the commit, since a handler may run more than once. An action runs at most once.
        cx.after_commit(move |_: &Self| {
            let late = format_duration(Duration::from_secs(late.as_secs()));
            println!("{number}: {}, {late} late", reminder.text);
        });
        if self.pending.is_empty() {
            cx.stop("no reminder is left");
        }
    }
}

/// Reminders that fire once, at their time or when somebody is there again.
#[derive(Parser)]
struct Options {
    /// The folder that holds the store.
    #[arg(long, default_value = "reminders-data", global = true)]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Notes a reminder.
    In {
        /// After so long, like `10s` or `2h 30m`.
        after: humantime::Duration,
        /// Of this.
        text: String,
    },
    /// Prints what is to come.
    List,
    /// Strikes a reminder out.
    Cancel {
        /// The reminder's number.
        number: u64,
    },
    /// Fires reminders until none is to come.
    Run,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reminders: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let tenant = store::open(&options.data).await?;
    let asking = StartOptions::default().consume(false);
    let reminders = RemindersHandle::start_with(&tenant, (), (), asking).await?;
    match options.command {
        Command::In { after, text } => {
            if *after > AFTER_MAX {
                return Err("nobody will be there in more than a hundred years".into());
            }
            let number = reminders.set(*after, text).priority().await?;
            println!("noted as {number}");
        }
        Command::List => {
            for (number, Reminder { text, at }) in reminders.pending().priority().await? {
                println!("{number}: {text}, at {}", format_rfc3339_seconds(at));
            }
        }
        Command::Cancel { number } => {
            if !reminders.cancel(number).priority().await? {
                return Err(format!("there is no reminder {number}").into());
            }
            println!("{number} is struck out");
        }
        Command::Run => {
            if reminders.pending().priority().await?.is_empty() {
                println!("nothing is to come");
                return Ok(());
            }
            let firing = RemindersHandle::start(&tenant, (), ()).await?;
            println!("{}", firing.stopped().await);
        }
    }
    Ok(())
}
