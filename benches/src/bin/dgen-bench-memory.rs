//! Counts the memory that servers take, for the benchmarks: `dgen-bench-memory FOLDER SERVERS` prints
//! the bytes of a server that exists and is not started, and of one that is started and idle.
//!
//! Counted is what the allocator has given and not got back. The store is opened anew before, so that
//! nothing of the servers' making is left. All are started and stopped once before they are counted as
//! started: what the store then keeps of what it has read is not theirs.

use std::{error::Error, sync::Arc, time::Duration};

use dgen_backend::{Tenant, tuple::Subspace};
use dgen_local::disk::DirectoryDisk;
use dgen_macros::dgen_server;
use dgen_server::StartOptions;
use futures_util::future::try_join_all;
use peak_alloc::PeakAlloc;
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Started at once.
const STARTS: usize = 1_000;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: u64,
}

#[dgen_server]
impl Counter {
    /// Adds `by` and returns the new value.
    #[call]
    fn increment(&mut self, by: u64) -> u64 {
        self.value += by;
        self.value
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), Some(servers)) = (arguments.next(), arguments.next()) else {
        return Err("usage: dgen-bench-memory FOLDER SERVERS".into());
    };
    let disk = Arc::new(DirectoryDisk::create(folder)?);
    let servers: usize = servers.to_string_lossy().parse()?;

    let tenant = open(&disk)?;
    start(&tenant, 1).await?;
    close(tenant).await?;
    let tenant = open(&disk)?;
    let empty = ALLOCATOR.current_usage();
    start(&tenant, servers).await?;
    close(tenant).await?;

    let tenant = open(&disk)?;
    let stored = ALLOCATOR.current_usage();
    let handles = start(&tenant, servers).await?;
    stop(&tenant).await?;
    drop(handles);
    let stopped = ALLOCATOR.current_usage();
    let handles = start(&tenant, servers).await?;
    let started = ALLOCATOR.current_usage();
    println!(
        "{} {}",
        each(empty, stored, servers),
        each(stopped, started, servers)
    );
    drop(handles);
    close(tenant).await
}

fn open(disk: &Arc<DirectoryDisk>) -> Outcome<Tenant> {
    let db = dgen_local::Options::default().open_on(Arc::clone(disk) as _)?;
    Ok(Tenant::new(db, Subspace::from("bench")))
}

async fn start(tenant: &Tenant, servers: usize) -> Outcome<Vec<CounterHandle>> {
    let mut started = Vec::with_capacity(servers);
    for first in (0..servers).step_by(STARTS) {
        let last = (first + STARTS).min(servers);
        let group = (first..last).map(|number| {
            // So many that look every five seconds would be busy with nothing else.
            let options = StartOptions::default().poll_interval(Duration::from_secs(3_600));
            CounterHandle::start_with(tenant, format!("counter-{number}"), (), options)
        });
        started.extend(try_join_all(group).await?);
    }
    // Each has looked at its queue, and waits, once it has answered behind that.
    for group in started.chunks(STARTS) {
        try_join_all(group.iter().map(async |server| server.increment(0).await)).await?;
    }
    Ok(started)
}

async fn stop(tenant: &Tenant) -> Outcome {
    dgen_server::shutdown(tenant, Duration::from_secs(60)).await?;
    Ok(())
}

/// The store is closed when this returns.
async fn close(tenant: Tenant) -> Outcome {
    stop(&tenant).await
}

fn each(before: usize, after: usize, servers: usize) -> f64 {
    (after as f64 - before as f64) / servers as f64
}
