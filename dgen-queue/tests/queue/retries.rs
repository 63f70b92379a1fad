//! Commits whose answer is lost.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Database, Error as StoreError, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    env::Env,
};
use dgen_queue::Error;
use dgen_testkit::model::ModelBackend;
use proptest::prelude::*;

use crate::fixture::{Fixture, bytes, pattern};

/// What becomes of one commit that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It happens, and nobody is told.
    LostAndDone,
    /// It does not happen, and nobody is told.
    LostAndUndone,
}

use Fate::{Answered, LostAndDone, LostAndUndone};

/// The fates of the commits to come; then all are answered.
type Script = Arc<Mutex<VecDeque<Fate>>>;

/// The model behind a connection that loses answers by a script.
#[derive(Debug)]
struct Lossy {
    store: ModelBackend,
    script: Script,
}

struct LossyTransaction {
    tx: Box<dyn BackendTransaction>,
    script: Script,
    has_writes: Mutex<bool>,
}

impl Lossy {
    fn fixture(script: impl IntoIterator<Item = Fate>) -> Fixture {
        Fixture::on(Database::new(Self {
            store: ModelBackend::new(Env::system()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
        }))
    }
}

impl Backend for Lossy {
    fn name(&self) -> &'static str {
        "lossy"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, StoreError> {
        Ok(Box::new(LossyTransaction {
            tx: self.store.begin()?,
            script: Arc::clone(&self.script),
            has_writes: Mutex::new(false),
        }))
    }

    fn env(&self) -> &Env {
        self.store.env()
    }
}

impl BackendTransaction for LossyTransaction {
    fn read_version(&self) -> Read<u64> {
        self.tx.read_version()
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.tx.get(key, isolation)
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        self.tx.get_range(read, isolation)
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), StoreError> {
        *self.has_writes.lock().unwrap() = true;
        self.tx.mutate(mutation)
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), StoreError> {
        self.tx.add_conflict(range, kind)
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        self.tx.watch(key)
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        self.tx.versionstamp()
    }

    fn commit(&self) -> Read<()> {
        let fate = if *self.has_writes.lock().unwrap() {
            self.script.lock().unwrap().pop_front().unwrap_or(Answered)
        } else {
            Answered
        };
        let lost = move || StoreError::CommitUnknown {
            reason: format!("{fate:?}"),
        };
        match fate {
            Answered => self.tx.commit(),
            LostAndDone => {
                let commit = self.tx.commit();
                Read::pending(async move {
                    commit.await?;
                    Err(lost())
                })
            }
            LostAndUndone => {
                self.tx.cancel();
                Read::ready(Err(lost()))
            }
        }
    }

    fn cancel(&self) {
        self.tx.cancel();
    }
}

impl Fixture {
    async fn transact_push(&self, items: &[Bytes]) -> Result<(), Error> {
        self.tenant()
            .transact(async |tx| Ok(self.queue.push_k(&tx, items)?))
            .await
    }

    async fn transact_consume(&self, items_max: usize) -> Result<Vec<Bytes>, Error> {
        self.tenant()
            .transact(async |tx| {
                let consumed = self.queue.consume_k(&tx, items_max).await?;
                Ok(bytes(&consumed.items))
            })
            .await
    }
}

/// SPEC Q4.
#[tokio::test]
async fn a_push_retried_after_a_lost_answer_enters_once() {
    for script in [
        vec![LostAndDone],
        vec![LostAndUndone],
        vec![LostAndUndone, LostAndDone],
        vec![LostAndUndone, LostAndUndone, LostAndUndone],
    ] {
        let f = Lossy::fixture(script.clone());
        let items = [Bytes::from("a"), pattern(250_000).into(), Bytes::from("b")];
        f.transact_push(&items).await.unwrap();
        f.transact_push(&["c".into()]).await.unwrap();
        assert_eq!(f.len().await, 4, "{script:?}");
        let left = f.transact_consume(10).await.unwrap();
        assert!(left[..3] == items, "{script:?}");
        assert_eq!(left[3], "c");
    }
}

/// SPEC Q4: what a consumer was given is what it took, and nothing is taken twice.
#[tokio::test]
async fn a_pop_retried_after_a_lost_answer_takes_once() {
    for fate in [LostAndDone, LostAndUndone] {
        let f = Lossy::fixture([Answered, fate]);
        f.transact_push(&["a".into(), "b".into(), "c".into()])
            .await
            .unwrap();
        assert_eq!(f.transact_consume(2).await.unwrap(), ["a", "b"], "{fate:?}");
        assert_eq!(f.len().await, 1, "{fate:?}");
        assert_eq!(f.transact_consume(2).await.unwrap(), ["c"], "{fate:?}");
    }
}

/// SPEC Q1, B5: a conflict inside [`Error`] is found by the retry loop.
#[tokio::test]
async fn errors_of_the_store_are_retried() {
    let error = Error::from(StoreError::Conflict);
    assert!(error.is_retryable() && !error.maybe_executed());
    assert!(matches!(
        StoreError::find(&error),
        Some(StoreError::Conflict)
    ));

    let f = Fixture::new();
    let attempts = Mutex::new(0);
    f.tenant()
        .transact(async |_tx| {
            let mut attempts = attempts.lock().unwrap();
            *attempts += 1;
            if *attempts == 1 {
                return Err(Error::from(StoreError::Conflict));
            }
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(*attempts.lock().unwrap(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// SPEC Q1, Q4: whatever answers are lost, the queue does what was asked, once and in order.
    #[test]
    fn lost_answers_change_nothing(
        script in prop::collection::vec(
            prop::sample::select(vec![Answered, LostAndDone, LostAndUndone]), 0..30,
        ),
        steps in prop::collection::vec((any::<bool>(), 1_usize..4), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = Lossy::fixture(script);
            let mut expected = VecDeque::new();
            let mut names = (0_u64..).map(|number| Bytes::from(number.to_string()));
            for (is_push, count) in steps {
                if is_push {
                    let items: Vec<_> = names.by_ref().take(count).collect();
                    f.transact_push(&items).await.unwrap();
                    expected.extend(items);
                } else {
                    let count = count.min(expected.len());
                    let left = f.transact_consume(count).await.unwrap();
                    let taken: Vec<_> = expected.drain(..count).collect();
                    assert_eq!(left, taken);
                }
                assert_eq!(f.len().await, expected.len() as u64);
            }
        });
    }
}
