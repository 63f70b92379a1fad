//! Messages wait in the queue under their names: what an older build sent, a newer one reads.

use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

/// As it was.
mod old {
    use super::*;

    #[derive(Clone, Default, Serialize, Deserialize)]
    pub(super) struct Tally;

    #[dgen_server(name = "tally")]
    impl Tally {
        #[cast]
        pub(super) fn add(&mut self, by: i64, times: i64) {
            let _ = (by, times);
        }

        #[cast]
        pub(super) fn reset(&mut self) {}

        #[cast]
        pub(super) fn scale(&mut self, factor: i64) {
            let _ = factor;
        }

        #[cast]
        pub(super) fn lower(&mut self, by: i64) {
            let _ = by;
        }

        #[cast]
        pub(super) fn drop_by(&mut self, by: i64) {
            let _ = by;
        }
    }
}

/// As it is: a handler in front, one renamed, arguments reordered, added, renamed and removed.
mod new {
    use super::*;

    #[derive(Clone, Default, Serialize, Deserialize)]
    pub(super) struct Counter {
        total: i64,
        notes: Vec<Option<String>>,
    }

    #[dgen_server(name = "tally")]
    impl Counter {
        #[cast]
        pub(super) fn first(&mut self, by: i64) {
            self.total -= by;
        }

        #[cast]
        pub(super) fn reset(&mut self, #[serde(default)] to: i64, note: Option<String>) {
            self.total = to;
            self.notes.push(note);
        }

        #[cast(rename = "scale")]
        pub(super) fn multiply(&mut self, #[serde(alias = "factor")] by: i64) {
            self.total *= by;
        }

        #[cast]
        #[serde(alias = "add")]
        pub(super) fn increase(
            &mut self,
            times: i64,
            #[serde(default = "one")] unit: i64,
            by: i64,
        ) {
            self.total += by * times * unit;
        }

        #[cast(alias = "lower", alias = "drop_by")]
        pub(super) fn subtract(&mut self, by: i64) {
            self.total -= by;
        }

        #[call]
        pub(super) fn total(&self) -> i64 {
            self.total
        }

        #[call]
        pub(super) fn notes(&self) -> Vec<Option<String>> {
            self.notes.clone()
        }
    }

    fn one() -> i64 {
        1
    }
}

/// SPEC M4
#[tokio::test]
async fn queued_messages_survive_new_reordered_and_renamed_handlers_and_arguments()
-> Result<(), Box<dyn std::error::Error>> {
    let tenant = dgen_server::in_memory()?;
    let sender = old::TallyHandle::client(&tenant, "t");
    sender.add(100, 100).await?;
    let batch = sender.batch().reset().add(2, 3).scale(7);
    batch.lower(1).drop_by(1).await?;

    let counter = new::CounterHandle::start(&tenant, "t", ()).await?;
    assert_eq!(counter.total().await?, 40);
    assert_eq!(counter.notes().await?, [None]);
    Ok(())
}

/// SPEC M1: a caller may hold what it got on another thread.
#[test]
fn handles_and_futures_are_send() {
    fn assert_send<T: Send>(_: T) {}
    async fn uses(handle: new::CounterHandle, tenant: dgen_server::Tenant) {
        let _ = new::CounterHandle::start(&tenant, "t", ()).await;
        let _ = handle.total().await;
        let _ = handle.first(1).await;
        let _ = handle.batch().first(1).await;
    }
    let _: fn(new::CounterHandle, dgen_server::Tenant) =
        |handle, tenant| assert_send(uses(handle, tenant));
}
