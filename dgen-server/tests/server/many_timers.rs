//! What pending timers cost.

use std::time::Duration;

use dgen_server::{StartOptions, Tenant};
use dgen_testkit::counting::{Counts, counted};

use crate::support::{
    desk::{DeskHandle, Step, act, after, desk_with, texts},
    mocked::{Mocked, on_each_mocked_store},
    patience::until,
};

const PENDING: u64 = 100_000;
const PER_TRANSACTION: u64 = 10_000;
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The rows that are read for one look at nothing to do, when the clock is moved to the next.
async fn rows_of_a_look(watcher: &DeskHandle, store: &Mocked, counts: &Counts) -> u64 {
    texts(watcher, &store.tenant).await;
    store.advance(Duration::ZERO).await;
    let before = counts.rows_read();
    store.advance(POLL_INTERVAL).await;
    until("it looked", async || counts.rows_read() > before).await;
    store.advance(Duration::ZERO).await;
    counts.rows_read() - before
}

on_each_mocked_store! {
    /// SPEC T2: however many timers are pending, an idle consumer reads one row of them at a look; one
    /// of them that is due fires, and costs no more than a page.
    async fn a_hundred_thousand_pending_timers_cost_one_row(store: Mocked, faultless = "it counts what is read or written") {
        let (db, counts) = counted(store.tenant.database().clone());
        let counted = Tenant::new(db, store.tenant.subspace().clone());
        let options = StartOptions::default().poll_interval(POLL_INTERVAL);
        let desk = desk_with(&counted, "desk", options).await;
        // What it reads is not counted.
        let watcher = DeskHandle::client(&store.tenant, "desk");
        act(&desk, [Step::Timer(after(1_000_000, "far"))]).await;
        let rows_of_one = rows_of_a_look(&watcher, &store, &counts).await;
        for number in 0..PENDING / PER_TRANSACTION {
            let millis = (2_000_000 + number * PER_TRANSACTION) * 1_000;
            act(&desk, [Step::Timers { count: PER_TRANSACTION, millis }]).await;
        }
        let rows_of_many = rows_of_a_look(&watcher, &store, &counts).await;
        assert_eq!((rows_of_one, rows_of_many), (1, 1));

        let before = counts.rows_read();
        act(&desk, [Step::Timer(after(10, "soon"))]).await;
        store.advance(Duration::from_secs(10)).await;
        assert_eq!(texts(&watcher, &store.tenant).await, ["soon"]);
        let rows = counts.rows_read() - before;
        assert!(rows < 600, "{rows} rows for one timer");
    }
}
