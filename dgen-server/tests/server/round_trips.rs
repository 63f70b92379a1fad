//! What messages cost in round trips of reads and in commits, counted and not timed: on a cluster
//! each is a wait for the network.
//!
//! A round trip is what somebody waits for together; see [`dgen_testkit::counting`].

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use dgen_backend::{Database, KeyRange};
use dgen_server::{CallError, Handle, Never, StartOptions, Tenant};
use dgen_testkit::counting::{Counts, counted};
use futures_util::{FutureExt as _, future::join_all};

use crate::support::{elsewhere::elsewhere, mocked::woken_only, patience::yield_times, *};

/// So often nothing may happen while a store of its own thread, or across a network, commits.
const QUIET_ROUNDS: usize = 20;

/// A store as one OS process has it open, and what goes through it.
struct Metered {
    store: Database,
    tenant: Tenant,
    counts: Counts,
}

/// What was asked for and waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    /// In transactions that wrote.
    reads_to_write: u64,
    commits: u64,
    /// In transactions that only read.
    reads: u64,
}

/// One round trip of reads, and a commit.
const ONE_BATCH: Cost = Cost {
    reads_to_write: 1,
    commits: 1,
    reads: 0,
};

/// The same, and then the look at the empty queue with which a watch is set anew: nobody waits for
/// that.
const ONE_BATCH_AND_A_WATCH: Cost = Cost {
    reads: 1,
    ..ONE_BATCH
};

impl Metered {
    /// The same store as another OS process would have it.
    fn of(tenant: &Tenant) -> Self {
        let (db, counts) = counted(tenant.database().clone());
        Self {
            store: tenant.database().clone(),
            tenant: Tenant::new(db, tenant.subspace().clone()),
            counts,
        }
    }

    /// A process that looks only when it is woken, and whose state is in its memory.
    async fn warm(&self) -> CounterHandle {
        self.warm_with(woken_only()).await
    }

    async fn warm_with(&self, options: StartOptions) -> CounterHandle {
        let counter = Handle::start_with(&self.tenant, "demo", 0, options).await;
        let counter = counter.unwrap();
        increment(&counter, 1).await;
        self.settled().await;
        counter
    }

    /// What it has cost until now, once nothing more is asked for.
    async fn settled(&self) -> Cost {
        let mut before = None;
        let mut quiet_rounds = 0;
        while quiet_rounds < QUIET_ROUNDS {
            let seen = Some((self.cost(), self.counts.transactions()));
            quiet_rounds = if seen == before { quiet_rounds + 1 } else { 0 };
            before = seen;
            yield_times(100).await;
            // Behind what others have sent to the store, and in nobody's tenant.
            let settled = self.store.transact(async |tx| tx.set(b"settled", b""));
            settled.await.expect("the store writes");
        }
        self.cost()
    }

    fn cost(&self) -> Cost {
        let reads_to_write = self.counts.read_round_trips_of_commits();
        Cost {
            reads_to_write,
            commits: self.counts.commits(),
            reads: self.counts.read_round_trips() - reads_to_write,
        }
    }
}

impl std::ops::Sub for Cost {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            reads_to_write: self.reads_to_write - before.reads_to_write,
            commits: self.commits - before.commits,
            reads: self.reads - before.reads,
        }
    }
}

/// The keys of calls that wait, or have not taken their answers away, and of messages in the queue.
async fn keys_of(tenant: &Tenant, kind: &str) -> usize {
    let below = tenant.subspace().subspace(&("Counter", ("demo",), kind));
    let tx = tenant.database().begin().unwrap();
    let rows = tx.collect_range(KeyRange::subspace(&below)).await.unwrap();
    rows.len()
}

fn queued_increment(client: &CounterHandle) -> dgen_server::Call<'_, Counter, i64> {
    client.call(CounterCall::Increment { by: 1 })
}

on_each_store! {
    /// SPEC F3: with a warm process an inline call costs one round trip of reads and one commit; one that
    /// changes nothing costs no commit; those that come together cost what one does.
    async fn an_inline_call_costs_one_round_trip_and_one_commit(store: Store, faultless = "it counts round trips") {
        let store = store.tenant;
        let here = Metered::of(&store);
        let counter = here.warm().await;
        for _ in 0..3 {
            let before = here.cost();
            increment(&counter, 1).await;
            assert_eq!(here.settled().await - before, ONE_BATCH);
        }
        let before = here.cost();
        value(&counter).await;
        let cost = here.settled().await - before;
        assert_eq!((cost.reads, cost.commits), (1, 0));
        let before = here.cost();
        join_all((0..20).map(|_| increment(&counter, 1))).await;
        assert_eq!(here.settled().await - before, ONE_BATCH);
    }

    /// SPEC F3, S8: a call that only reads costs its caller one look. Where somebody else has changed the state, that is in
    /// vain; then the process looks, and reads the state.
    async fn a_read_costs_one_round_trip(store: Store, faultless = "it counts round trips") {
        let store = store.tenant;
        let here = Metered::of(&store);
        let counter = here.warm().await;
        let there = elsewhere(&store);
        let there = CounterHandle::start_with(&there, "demo", 0, woken_only()).await.unwrap();
        let only_reads = |reads| Cost { reads_to_write: 0, commits: 0, reads };
        for sum in 2..6 {
            value(&counter).await;
            let before = here.settled().await;
            value(&counter).await;
            assert_eq!(here.settled().await - before, only_reads(1));
            increment(&there, 1).await;
            let before = here.settled().await;
            assert_eq!(value(&counter).await, sum);
            assert_eq!(here.settled().await - before, only_reads(3));
        }
    }

    /// SPEC F3, S5: a priority call costs the same, here and, where no process is, at its caller.
    async fn a_priority_call_costs_one_round_trip_and_one_commit(store: Store, faultless = "it counts round trips") {
        let store = store.tenant;
        let here = Metered::of(&store);
        let counter = here.warm().await;
        let there = Metered::of(&store);
        let client = CounterHandle::client(&there.tenant, "demo");
        for (metered, handle) in [(&here, &counter), (&there, &client)] {
            let before = metered.cost();
            queued_increment(handle).priority().await.unwrap();
            let cost = metered.settled().await - before;
            // A process looks at its queue again behind it.
            assert_eq!((cost.reads_to_write, cost.commits), (1, 1));
        }
    }

    /// SPEC F3: a batch of a hundred casts of another OS process costs their sender one commit and no
    /// read, and the consumer one round trip and one commit.
    async fn a_hundred_queued_casts_cost_what_an_inline_call_does(store: Store, faultless = "it counts round trips") {
        let store = store.tenant;
        let here = Metered::of(&store);
        let counter = here.warm().await;
        let there = Metered::of(&store);
        let client = CounterHandle::client(&there.tenant, "demo");
        let before = here.cost();
        let casts = vec![CounterCast::Add { by: 1 }; 100];
        client.cast_all(casts).await.unwrap();
        assert_eq!(here.settled().await - before, ONE_BATCH_AND_A_WATCH);
        assert_eq!(value(&counter).await, 101);
        let sent = Cost {
            reads_to_write: 0,
            commits: 1,
            reads: 0,
        };
        assert_eq!(there.settled().await, sent);
    }

    /// SPEC F3, S4: a queued call of another OS process costs its push, which reads nothing; the
    /// consumer's batch; and one read of the answer, for which alone its caller waits. Then it is taken
    /// away.
    async fn a_queued_call_costs_a_push_a_batch_and_a_read(store: Store, faultless = "it counts round trips") {
        let store = store.tenant;
        let here = Metered::of(&store);
        let _counter = here.warm().await;
        let there = Metered::of(&store);
        let client = CounterHandle::client(&there.tenant, "demo");
        for _ in 0..3 {
            let (before_here, before_there) = (here.settled().await, there.settled().await);
            queued_increment(&client).await.unwrap();
            let push_and_read = Cost {
                reads_to_write: 0,
                commits: 1,
                reads: 1,
            };
            assert_eq!(there.cost() - before_there, push_and_read);
            assert_eq!(here.settled().await - before_here, ONE_BATCH_AND_A_WATCH);
            let taken_away = Cost {
                commits: 2,
                ..push_and_read
            };
            assert_eq!(there.settled().await - before_there, taken_away);
            assert_eq!(keys_of(&store, "r").await, 0);
        }
    }
}

/// SPEC F3, T3: so does one with an id, whose record is asked for with all else.
#[tokio::test]
async fn an_inline_call_with_an_id_costs_the_same() {
    let store = Store::in_memory().tenant;
    let here = Metered::of(&store);
    let counter = here.warm().await;
    let before = here.cost();
    queued_increment(&counter).id("new").await.unwrap();
    assert_eq!(here.settled().await - before, ONE_BATCH);
}

/// SPEC F3, S8: so does one of a server that keeps no state in memory: it is read with all else.
#[tokio::test]
async fn a_state_that_is_not_kept_costs_no_round_trip_of_its_own() {
    let store = Store::in_memory().tenant;
    let here = Metered::of(&store);
    let counter = here.warm_with(woken_only().cache(false)).await;
    let before = here.cost();
    increment(&counter, 1).await;
    assert_eq!(here.settled().await - before, ONE_BATCH);
}

/// SPEC F3, S4: a hundred of them, of two OS processes, cost the consumer what one does, however many
/// others wait for a later answer.
#[tokio::test]
async fn a_hundred_queued_calls_share_a_round_trip() {
    let store = Store::in_memory().tenant;
    let here = Metered::of(&store);
    let counter = here.warm().await;
    let clients = [elsewhere(&store), elsewhere(&store)];
    let clients = clients.map(|there| CounterHandle::client(&there, "demo"));
    let before = here.cost();
    // All are in the queue before the consumer is woken: it runs once this task waits.
    let calls = (0..100).map(|number| queued_increment(&clients[number % 2]).into_future());
    let answers = join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(here.settled().await - before, ONE_BATCH_AND_A_WATCH);
    assert_eq!(value(&counter).await, 101);
}

/// SPEC F3, S4: only for a call whose caller gave up the consumer looks whether somebody waits: a
/// second round trip. Nothing is left behind.
#[tokio::test]
async fn a_call_whose_caller_gave_up_costs_a_look() {
    let mut costs = Vec::new();
    for has_given_up in [false, true] {
        let store = Store::in_memory().tenant;
        let client = CounterHandle::client(&elsewhere(&store), "demo");
        let mut call = queued_increment(&client).into_future();
        assert!(call.as_mut().now_or_never().is_none());
        let mut call = Some(call).filter(|_| !has_given_up);
        let here = Metered::of(&store);
        here.settled().await;
        let counter: CounterHandle = Handle::start_with(&here.tenant, "demo", 0, woken_only())
            .await
            .unwrap();
        if let Some(call) = call.take() {
            assert_eq!(call.await.unwrap(), 1);
        }
        costs.push(here.settled().await);
        for kind in ["r", "t"] {
            assert_eq!(keys_of(&store, kind).await, 0, "{kind}");
        }
        assert_eq!(value(&counter).await, 1);
    }
    let [waited, gave_up] = costs[..] else {
        unreachable!("there are two")
    };
    let a_look = Cost {
        reads_to_write: 1,
        commits: 0,
        reads: 0,
    };
    assert_eq!(gave_up - waited, a_look);
}

/// SPEC F3: what a queued message's id is known for costs a second round trip: the id is read with
/// the message.
#[tokio::test]
async fn a_queued_message_with_an_id_costs_a_second_round_trip() {
    let store = Store::in_memory().tenant;
    let here = Metered::of(&store);
    let _counter = here.warm().await;
    let client = CounterHandle::client(&elsewhere(&store), "demo");
    let before = here.cost();
    queued_increment(&client).id("new").await.unwrap();
    let cost = here.settled().await - before;
    assert_eq!((cost.reads_to_write, cost.commits), (2, 1));
}

/// The model counts as the embedded store does.
#[tokio::test]
async fn the_model_counts_the_same() {
    let db: Database = dgen_testkit::model::in_memory();
    let store = Tenant::new(db, Store::in_memory().tenant.subspace().clone());
    let here = Metered::of(&store);
    let _counter = here.warm().await;
    let client = CounterHandle::client(&elsewhere(&store), "demo");
    let before = here.cost();
    let called: Result<i64, CallError<Never>> = queued_increment(&client).await;
    assert_eq!(called.unwrap(), 2);
    assert_eq!(here.settled().await - before, ONE_BATCH_AND_A_WATCH);
}
