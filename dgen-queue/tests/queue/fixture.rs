//! A store with one queue in it, and what most tests do with them.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use dgen_backend::{
    Database, Error as StoreError, KeyRange, KeyValue, Tenant, Transaction, env::Env,
    tuple::Subspace,
};
use dgen_queue::{Item, Queue};

/// A store with one queue.
pub(crate) struct Fixture {
    pub(crate) db: Database,
    pub(crate) queue: Queue,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::on(crate::database(Env::system()))
    }

    pub(crate) fn on(db: Database) -> Self {
        let queue = Queue::new(&Self::subspace());
        Self { db, queue }
    }

    pub(crate) fn subspace() -> Subspace {
        Subspace::from(("tenant", "queue"))
    }

    /// The tenant around the queue.
    pub(crate) fn tenant(&self) -> Tenant {
        Tenant::new(self.db.clone(), Subspace::from("tenant"))
    }

    pub(crate) fn begin(&self) -> Transaction {
        self.db.begin().unwrap()
    }

    /// Pushes in a transaction of its own.
    pub(crate) async fn push<T: AsRef<[u8]>>(&self, items: impl IntoIterator<Item = T>) {
        let tx = self.begin();
        self.queue.push_k(&tx, items).unwrap();
        tx.commit().await.unwrap();
    }

    /// Pops in a transaction of its own.
    pub(crate) async fn consume(&self, items_max: usize) -> Vec<Bytes> {
        let tx = self.begin();
        let consumed = self.queue.consume_k(&tx, items_max).await.unwrap();
        tx.commit().await.unwrap();
        bytes(&consumed.items)
    }

    pub(crate) async fn len(&self) -> u64 {
        self.queue.len(&self.begin()).await.unwrap()
    }

    /// Everything that is stored below the queue's subspace.
    pub(crate) async fn rows(&self) -> Vec<KeyValue> {
        let all = KeyRange::prefix(Self::subspace().bytes());
        self.begin().collect_range(all).await.unwrap()
    }

    /// Writes a row past the queue.
    pub(crate) async fn set(&self, key: &[u8], value: &[u8]) {
        let tx = self.begin();
        tx.set(key, value).unwrap();
        tx.commit().await.unwrap();
    }

    /// Removes a row past the queue.
    pub(crate) async fn clear(&self, key: &[u8]) {
        let tx = self.begin();
        tx.clear(key).unwrap();
        tx.commit().await.unwrap();
    }
}

pub(crate) fn bytes(items: &[Item]) -> Vec<Bytes> {
    items.iter().map(|item| item.bytes().clone()).collect()
}

/// `size_bytes` bytes that no shorter or shifted copy equals.
pub(crate) fn pattern(size_bytes: usize) -> Vec<u8> {
    (0..size_bytes).map(|at| (at % 251) as u8).collect()
}

/// Whether `future` has its answer now.
pub(crate) fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(pin!(future).poll(&mut cx), Poll::Ready(_))
}

pub(crate) fn is_conflict(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}
