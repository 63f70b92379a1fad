//! The program that is killed: it opens a store, consumes its servers and sends to them, and says on
//! standard output what it was told.
//!
//! | it says | when |
//! |---|---|
//! | `in-use <pid>` | another process has the store open; it tries again |
//! | `opened <version>` | the store is open, and has so many commits |
//! | `at <caller> <n>`, `ack <caller> <n>` | see [`caller`](crate::caller) |
//! | `stopped` | its disk has done the operation after which it should be killed |
//! | `audited` | all servers were looked at, and nothing was wrong |
//! | `done` | it has done what it should, and ends |
//! | `wrong <what>` | a promise is broken; it ends with an error |

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use clap::Args;
use dgen_backend::{
    Database,
    env::{BoxFuture, Env, Environment},
    tuple::Subspace,
};
use dgen_local::{
    OpenError, Options,
    disk::{Disk, SlowDisk},
};
use dgen_server::Tenant;
use dgen_testkit::Random;
use futures_util::future::try_join_all;

use crate::{
    audit,
    caller::{CALLERS, TIMEOUT, Wrong},
    desk,
    journal::Journal,
    journaled_disk::{JournaledDisk, Stop},
    leftovers, letters,
    lie::Lie,
    world::{GRAVE, Way, World},
};

/// What the panic of a message says that fails on purpose.
pub(crate) const POISONED: &str = "poisoned on purpose";

/// Between two looks at what is not yet as it should be.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Longer than an id is remembered and a reply key is kept.
const ALL_WINDOWS: Duration = Duration::from_secs(26 * 60 * 60);

/// Far longer than sweeps and locked work take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What each caller sends before the store is closed.
const CLOSING_MESSAGES: u64 = 3;

/// What a child does.
#[derive(Debug, Clone, Default, Args)]
pub struct Child {
    /// Where its store is.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Where it keeps the journal of its disk; without one its disk is the directory itself.
    #[arg(long)]
    pub(crate) journal: Option<PathBuf>,
    /// Stop at this operation of the disk, and wait to be killed.
    #[arg(long)]
    pub(crate) stop_at: Option<u64>,
    /// The same, of those that are none of the log's.
    #[arg(long)]
    pub(crate) stop_at_data: Option<u64>,
    /// Send little, close the store, and stop at this operation of the disk from there on.
    #[arg(long)]
    pub(crate) stop_at_close: Option<u64>,
    #[arg(long)]
    pub(crate) seed: u64,
    #[arg(long)]
    pub(crate) segment_size_bytes: u64,
    /// How long a flush takes that is only noted in the journal.
    #[arg(long)]
    pub(crate) flush_micros: u64,
    /// Wait while another process has the store open.
    #[arg(long)]
    pub(crate) waits: bool,
    /// Look at everything before there is new work.
    #[arg(long)]
    pub(crate) audits: bool,
    /// Add no work, and end once everything is done.
    #[arg(long)]
    pub(crate) ends: bool,
    /// Open the store a day later, when nothing has to be kept any more.
    #[arg(long)]
    pub(crate) is_later: bool,
    #[arg(long)]
    pub(crate) lie: Option<Lie>,
}

/// What each caller was told last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(pub(crate) BTreeMap<String, u64>);

impl Known {
    pub(crate) fn of(&self, caller: &str) -> u64 {
        self.0.get(caller).copied().unwrap_or_default()
    }

    /// One line.
    pub(crate) fn to_line(&self) -> String {
        let words = self
            .0
            .iter()
            .map(|(caller, number)| format!("{caller} {number}"));
        words.collect::<Vec<_>>().join(" ")
    }

    fn from_line(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pairs = words.chunks_exact(2);
        let known = pairs.filter_map(|pair| Some((pair[0].to_owned(), pair[1].parse().ok()?)));
        Self(known.collect())
    }
}

/// Says `line` to the parent, which has it whatever happens next.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone needs no child.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(2);
    }
}

impl Child {
    /// Does it.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        hide_poison();
        if let Some(lie) = self.lie {
            desk::plant(lie);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                say(&format!("wrong there is no runtime: {error}"));
                return ExitCode::FAILURE;
            }
        };
        match runtime.block_on(self.work()) {
            Ok(()) => {
                // The store is closed behind the last task.
                drop(runtime);
                say("done");
                ExitCode::SUCCESS
            }
            Err(Wrong(what)) => {
                say(&format!("wrong {}", what.replace('\n', " ")));
                // Without the destructors: there is nothing to be saved.
                std::process::exit(1)
            }
        }
    }

    async fn work(&self) -> Result<(), Wrong> {
        let env = if self.is_later {
            Env::new(Later(Env::system()))
        } else {
            Env::system()
        };
        let (db, disk) = self.open(&env).await?;
        let version = version(&db).await?;
        say(&format!("opened {version}"));
        let known = read_known()?;
        let world = World::start(Tenant::new(db, Subspace::from("dgen"))).await;
        let world = world.map_err(Wrong)?;
        if self.audits || self.ends {
            audit::audit(&world).await?;
            say("audited");
        }
        if self.is_later {
            take_up_what_is_left(&world).await?;
        }
        if self.ends {
            let shut_down = dgen_server::shutdown(world.tenant(), PATIENCE).await;
            return shut_down.map_err(|error| Wrong(format!("servers do not end: {error}")));
        }
        world
            .desk(Way::Near, GRAVE)
            .wind_up()
            .timeout(TIMEOUT)
            .await?;
        let messages = self.stop_at_close.map_or(u64::MAX, |_| CLOSING_MESSAGES);
        let callers = CALLERS
            .iter()
            .map(|caller| caller.run(&world, &known, messages, self.lie));
        try_join_all(callers).await?;
        if let (Some(operations), Some(disk)) = (self.stop_at_close, disk) {
            close(world, &disk, operations).await?;
        }
        Ok(())
    }

    async fn open(&self, env: &Env) -> Result<(Database, Option<JournaledDisk>), Wrong> {
        let options = Options::default()
            .env(env.clone())
            .cache_size_bytes(1024 * 1024)
            .segment_size_bytes(self.segment_size_bytes);
        loop {
            let journal = self.journal.as_deref().map(Journal::open).transpose();
            let journal =
                journal.map_err(|error| Wrong(format!("there is no journal: {error}")))?;
            let mut journaled = None;
            let opened = options.open_wrapped(&self.folder, |disk| {
                let Some(journal) = journal else { return disk };
                let random = Random::new(self.seed);
                let stop = Stop {
                    operation: self.stop_at,
                    data_operation: self.stop_at_data,
                };
                let disk = JournaledDisk::new(disk, journal, stop, self.lie, random);
                let disk: Arc<dyn Disk> = Arc::new(journaled.insert(disk).clone());
                match self.flush_micros {
                    0 => disk,
                    micros => Arc::new(SlowDisk::new(disk, Duration::from_micros(micros))),
                }
            });
            match opened {
                Ok(db) => return Ok((db, journaled)),
                Err(OpenError::InUse { pid, .. }) if self.waits => {
                    say(&format!("in-use {}", pid.unwrap_or_default()));
                    env.sleep(LOOK_AGAIN).await;
                }
                Err(error) => return Err(Wrong(format!("the store does not open: {error}"))),
            }
        }
    }
}

/// Closes the store, and stops at the latest when that is done.
async fn close(world: World, disk: &JournaledDisk, operations: u64) -> Result<(), Wrong> {
    let env = world.tenant().env().clone();
    disk.stop_after(operations);
    let shut_down = dgen_server::shutdown(world.tenant(), PATIENCE).await;
    shut_down.map_err(|error| Wrong(format!("servers do not end: {error}")))?;
    drop(world);
    let closed = async {
        while disk.is_used() {
            env.sleep(LOOK_AGAIN).await;
        }
    };
    let closed = env.timeout(PATIENCE, closed).await;
    closed.map_err(|_| Wrong("nobody has the store, and it is not closed".to_owned()))?;
    say("stopped");
    std::future::pending().await
}

/// Replays what failed, and waits until everything is swept.
async fn take_up_what_is_left(world: &World) -> Result<(), Wrong> {
    let grave = world.desk(Way::Near, GRAVE);
    grave.run_down().timeout(TIMEOUT).await?;
    grave.cure().timeout(TIMEOUT).await?;
    letters::replay(grave).await?;
    let tenant = world.tenant();
    let swept = async {
        while !leftovers::leftovers(tenant).await?.is_empty() {
            tenant.env().sleep(LOOK_AGAIN).await;
        }
        Ok::<_, Wrong>(())
    };
    if let Ok(swept) = tenant.env().timeout(PATIENCE, swept).await {
        return swept;
    }
    let left = leftovers::leftovers(tenant).await?;
    Err(Wrong(format!("left behind: {}", left.join(", "))))
}

/// How many commits a store has: read, and nothing written.
async fn version(db: &Database) -> Result<u64, Wrong> {
    let version = db
        .transact(|tx| async move { tx.read_version().await })
        .await;
    version.map_err(|error: dgen_server::Error| Wrong(format!("a read failed: {error}")))
}

/// The line that the parent gives.
fn read_known() -> Result<Known, Wrong> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Wrong(format!("the parent says nothing: {error}")))?;
    Ok(Known::from_line(&line))
}

/// Keeps the panics of poison, of which there are many, out of what a failure prints.
fn hide_poison() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text.is_none_or(|text| text != POISONED) {
            print(panic);
        }
    }));
}

/// The system's environment, at a time when every window is over.
struct Later(Env);

impl Environment for Later {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall_clock(&self) -> SystemTime {
        self.0.wall_clock() + ALL_WINDOWS
    }

    fn random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            [*byte] = self.0.random();
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.0.sleep(duration)
    }

    fn spawn(&self, task: BoxFuture<()>) -> std::io::Result<()> {
        self.0.spawn(task)
    }

    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        self.0.spawn_thread(name, work)
    }
}
