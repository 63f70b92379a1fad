//! `service`, asked by many, wrongly, and until it ends.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "support/http.rs"]
mod http;
mod support;

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    process::Command,
    time::Duration,
};

use dgen_examples::load;
use futures_util::future::try_join_all;
use http::Connection;
use support::{Running, Store, output};

const CALLERS: usize = 256;

/// Its everyday load: each of 256 callers keeps its connection and increments a counter of its own. With
/// `--nocapture` it says how fast that was.
#[tokio::test]
async fn many_callers_count_on_counters_of_their_own() {
    let store = Store::in_folder();
    let (service, address) = start(&store);
    let open = |_| Connection::open(address);
    let callers = try_join_all((0..CALLERS).map(open)).await.unwrap();
    // Who calls takes a caller that is free, and puts it back.
    let free: RefCell<Vec<_>> = RefCell::new(callers.into_iter().zip(0..).collect());
    let calls = Cell::new(0);
    let call = || async {
        let (mut caller, key) = free.borrow_mut().pop().unwrap();
        let request = format!("POST /c/key-{key}/increment");
        let (status, body) = caller.send(&request, "1").await?;
        assert_eq!(status, 200, "{body}");
        calls.set(calls.get() + 1);
        free.borrow_mut().push((caller, key));
        Ok::<_, io::Error>(())
    };
    let report = load::drive(CALLERS, Duration::from_secs(1), call).await;
    println!("{CALLERS} callers on {CALLERS} keys: {}", report.unwrap());

    let mut sum = 0;
    for (caller, key) in &mut free.take() {
        let (status, body) = caller.send(&format!("GET /c/key-{key}"), "").await.unwrap();
        assert_eq!(status, 200, "{body}");
        sum += body.parse::<u64>().unwrap();
    }
    assert_eq!(sum, calls.get());
    service.kill();
}

/// Errors are status codes, and nothing is counted then.
#[tokio::test]
async fn a_bad_amount_is_refused_and_changes_nothing() {
    let store = Store::in_folder();
    let (_service, address) = start(&store);
    let mut caller = Connection::open(address).await.unwrap();
    let mut send = async |request, body| caller.send(request, body).await.unwrap();
    let increment = "POST /c/a%20key/increment";
    assert_eq!(send("GET /c/a%20key", "").await, (200, "0".into()));
    assert_eq!(send(increment, "40").await, (200, "40".into()));
    assert_eq!(send(increment, " -2\n").await, (200, "38".into()));
    for amount in [
        "",
        "four",
        "1.5",
        "9223372036854775808",
        "9223372036854775807",
    ] {
        let (status, body) = send(increment, amount).await;
        assert_eq!(status, 400, "{amount}: {body}");
    }
    assert_eq!(send("GET /c/", "").await.0, 404);
    assert_eq!(send("GET /c/a%20key", "").await, (200, "38".into()));
}

/// SPEC L2: SIGTERM ends it cleanly though callers keep their connections; what it answered is there
/// after that, and after SIGKILL too.
#[tokio::test]
async fn what_was_answered_is_there_after_every_end() {
    what_was_answered_is_there(&Store::in_folder()).await;
}

#[cfg(feature = "fdb")]
mod on_cluster {
    use super::*;
    use futures_util::future::{join, join_all};

    /// SPEC L2, F1: on a cluster too.
    #[tokio::test]
    async fn what_was_answered_is_there_after_every_end() {
        what_was_answered_is_there(&Store::on_cluster()).await;
    }

    /// SPEC S11: two OS processes serve the same counters; callers of both see each increment once,
    /// whichever they ask next.
    #[tokio::test]
    async fn two_serve_the_same_counters() {
        let store = Store::on_cluster();
        let (services, addresses): (Vec<_>, Vec<_>) =
            [start(&store), start(&store)].into_iter().unzip();
        let callers = (0..CALLERS_OF_TWO).map(async |caller| {
            let address = addresses[caller % 2];
            let mut caller = Connection::open(address).await.unwrap();
            for _ in 0..CALLS_OF_EACH {
                let (status, body) = caller.send("POST /c/key/increment", "1").await.unwrap();
                assert_eq!(status, 200, "{body}");
            }
        });
        join_all(callers).await;
        let sum = (CALLERS_OF_TWO * CALLS_OF_EACH).to_string();
        for address in addresses {
            let mut caller = Connection::open(address).await.unwrap();
            let answer = caller.send("GET /c/key", "").await.unwrap();
            assert_eq!(answer, (200, sum.clone()));
        }
        drop(services);
    }

    /// SPEC S11, S2: one of two is killed while it answers; the other goes on, nothing that was answered
    /// is lost, and what was not answered counts once or not at all.
    #[tokio::test]
    async fn one_of_two_is_killed_and_the_other_goes_on() {
        let store = Store::on_cluster();
        let (killed, address_of_killed) = start(&store);
        let (_service, address) = start(&store);
        let mut caller = Connection::open(address).await.unwrap();
        let answered = Cell::new(0);
        let dying = (0..CALLERS_OF_TWO).map(async |_| {
            let mut caller = Connection::open(address_of_killed).await.unwrap();
            while let Ok((status, _)) = caller.send("POST /c/key/increment", "1").await {
                assert_eq!(status, 200);
                answered.set(answered.get() + 1);
            }
        });
        let living = async {
            for _ in 0..CALLS_OF_EACH {
                let (status, body) = caller.send("POST /c/key/increment", "1").await.unwrap();
                assert_eq!(status, 200, "{body}");
            }
            killed.kill();
            for _ in 0..CALLS_OF_EACH {
                let (status, body) = caller.send("POST /c/key/increment", "1").await.unwrap();
                assert_eq!(status, 200, "{body}");
            }
        };
        join(join_all(dying), living).await;

        let (status, body) = caller.send("GET /c/key", "").await.unwrap();
        assert_eq!(status, 200, "{body}");
        let value: usize = body.parse().unwrap();
        let certain = answered.get() + 2 * CALLS_OF_EACH;
        // Of each caller one call was under way when its service was killed.
        let possible = certain..=certain + CALLERS_OF_TWO;
        assert!(possible.contains(&value), "{value} is not in {possible:?}");
    }

    const CALLERS_OF_TWO: usize = 8;
    const CALLS_OF_EACH: usize = 50;
}

async fn what_was_answered_is_there(store: &Store) {
    for run in 1..=4 {
        let (service, address) = start(store);
        let mut caller = Connection::open(address).await.unwrap();
        let answer = caller.send("POST /c/key/increment", "1").await.unwrap();
        assert_eq!(answer, (200, run.to_string()));
        if run % 2 == 0 {
            service.kill();
            continue;
        }
        let pid = service.id().to_string();
        output(Command::new("kill").args(["-s", "TERM", &pid]));
        assert_eq!(service.finish(), "ended");
    }
}

fn start(store: &Store) -> (Running, SocketAddr) {
    let mut service = store.example("service");
    let mut service = Running::start(service.args(["--port", "0"]));
    let line = service.wait_for("listening on http://");
    let (_, address) = line.split_once("http://").unwrap();
    (service, address.parse().unwrap())
}
