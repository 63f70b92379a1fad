//! The end of a process that uses a cluster: nothing aborts, and nothing hangs.

mod support;

use dgen_backend::{Error, Tenant, Transaction, env::Env};
use dgen_fdb::{Network, NetworkError, Options};
use dgen_server::Handle;
use support::{
    child::{self, Child},
    directory,
    tally::{Kind, Sender, Tally},
};
use tokio::{runtime::Runtime, sync::mpsc};

/// How many transactions are under way at once.
const IN_FLIGHT: u32 = 50;

/// What ends at any moment ends at another each time.
const REPETITIONS: usize = 5;

/// Not a test of its own: what the children do.
#[test]
fn child() {
    let Some(role) = child::role() else {
        return;
    };
    match role.as_str() {
        "no network" => drop(Options::default()),
        "return" => drop(open(&runtime())),
        "tenant goes on" => std::mem::forget(open(&runtime())),
        "network alone" => Network::default().start().expect("the first one"),
        "database alone" => drop(Options::default().database().expect("there is a file")),
        "database goes on" => std::mem::forget(Options::default().database()),
        "two networks" => start_twice(),
        "network behind a database" => {
            let _tenant = open(&runtime());
            refuse_a_network();
        }
        "network of the program's own" => {
            Network::is_started_elsewhere().expect("nobody has started one");
            refuse_a_network();
        }
        "exit" => {
            let _tenant = open(&runtime());
            exit();
        }
        "return in flight" => {
            let runtime = runtime();
            keep_busy(&runtime);
        }
        "exit in flight" => {
            let runtime = runtime();
            keep_busy(&runtime);
            exit();
        }
        // Its tasks go on while the process ends.
        "runtime goes on" => keep_busy(Box::leak(Box::new(runtime()))),
        "server goes on" => serve(Box::leak(Box::new(runtime()))),
        other => panic!("no role {other}"),
    }
    child::say("done");
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let built = builder.worker_threads(2).enable_all().build();
    built.expect("a runtime can be made")
}

fn open(runtime: &Runtime) -> Tenant {
    runtime.block_on(directory::open(&child::directory()))
}

fn exit() {
    child::say("done");
    std::process::exit(0);
}

fn start_twice() {
    Network::default().start().expect("the first one");
    refuse_a_network();
    // The one that runs is used.
    let _tenant = open(&runtime());
}

fn refuse_a_network() {
    let started = Network::default().start();
    assert!(matches!(started, Err(NetworkError::Started)), "{started:?}");
}

/// Returns with transactions under way, and watches.
fn keep_busy(runtime: &Runtime) {
    let tenant = open(runtime);
    let (committed, mut commits) = mpsc::unbounded_channel();
    runtime.block_on(async {
        for number in 0..IN_FLIGHT {
            let (tenant, committed) = (tenant.clone(), committed.clone());
            let task = async move {
                let key = tenant.subspace().pack(&("busy", number));
                let add = |tx: Transaction| {
                    let key = key.clone();
                    async move {
                        tx.get(&key).await?;
                        let watch = tx.watch(&key)?;
                        tx.add(&key, 1)?;
                        Ok::<_, Error>(watch)
                    }
                };
                while let Ok(watch) = tenant.transact(add).await {
                    let _ = committed.send(());
                    if number % 10 == 0 {
                        // Nobody else writes the key.
                        let _ = watch.await;
                    }
                }
            };
            Env::system().spawn(task).expect("there is a runtime");
        }
        for _ in 0..10 * IN_FLIGHT {
            commits.recv().await;
        }
    });
}

/// Returns with a server's process that waits, and calls to it under way.
fn serve(runtime: &Runtime) {
    let tenant = open(runtime);
    runtime.block_on(async {
        // One for each of these processes.
        let tally = Handle::<Tally>::start(&tenant, std::process::id(), ()).await;
        let tally = tally.expect("it starts");
        let (answered, mut answers) = mpsc::unbounded_channel();
        let task = async move {
            let mut sender = Sender::new(1, tally, std::time::Duration::from_secs(30));
            loop {
                sender.send(Kind::Call).await;
                let _ = answered.send(());
            }
        };
        Env::system().spawn(task).expect("there is a runtime");
        for _ in 0..10 {
            answers.recv().await;
        }
    });
}

/// A process in each of these roles does what it is to do, and ends with status 0.
async fn all_end_well(roles: &[&str]) {
    let path = directory::unused("exit");
    let tenant = directory::open(&path).await;
    for role in roles {
        for _ in 0..REPETITIONS {
            let (status, said) = Child::start(role, &path).end().await;
            assert!(status.success(), "{role}: {status}, and it said {said:?}");
            assert_eq!(said, ["done"], "{role}");
        }
    }
    directory::remove(&tenant, &path).await;
}

/// SPEC F1: the process ends when `main` returns, with or without anything to stop.
#[tokio::test]
async fn returning_from_main_ends_the_process() {
    all_end_well(&["return", "tenant goes on"]).await;
}

/// SPEC F1: so does one that has opened nothing yet, or has not used what it opened.
#[tokio::test]
async fn unused_network_ends_with_the_process() {
    all_end_well(&[
        "no network",
        "network alone",
        "database alone",
        "database goes on",
    ])
    .await;
}

/// SPEC F1: so does `exit`.
#[tokio::test]
async fn exit_ends_the_process() {
    all_end_well(&["exit", "exit in flight"]).await;
}

/// SPEC F1: transactions, watches and servers under way neither keep the process nor crash it.
#[tokio::test]
async fn what_is_under_way_does_not_keep_the_process() {
    all_end_well(&["return in flight", "runtime goes on", "server goes on"]).await;
}

/// SPEC F1: the network runs once in a process; who starts it again is told.
#[tokio::test]
async fn network_is_started_once() {
    all_end_well(&[
        "two networks",
        "network behind a database",
        "network of the program's own",
    ])
    .await;
}
