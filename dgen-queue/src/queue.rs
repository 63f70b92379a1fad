//! A durable queue.

use std::{sync::Arc, time::Duration};

use dgen_backend::{
    Error as StoreError, RangeRead, Read, Tenant, Transaction, Watch,
    planted::{self, Bug},
    tuple::{Subspace, Versionstamp},
};

use crate::{
    Error, Head, Item, Limits,
    assembly::Assembly,
    counter::read_len,
    head::read_head,
    keys::{Keys, WAKE_TEMPLATE},
};

/// How long to wait between two looks where nothing can be watched: at first, and at most.
const POLL_INITIAL: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(1);

/// A durable FIFO queue of opaque bytes. Cloning it is cheap, and every clone is the same queue.
///
/// It holds no items, only the names of its keys; all that it does happens in a transaction of the
/// caller's.
///
/// In one transaction, read a queue before you push to it: what is pushed has its place only at the
/// commit, so a read that meets it fails with [`StoreError::Unreadable`].
#[derive(Debug, Clone)]
pub struct Queue {
    keys: Arc<Keys>,
    /// What each push and notification adds one to.
    count: Option<Arc<[u8]>>,
}

/// What [`Queue::consume_k`] took.
#[derive(Debug)]
#[non_exhaustive]
pub struct Consumed {
    /// The items, the oldest first.
    pub items: Vec<Item>,
    /// Whether the queue had no item. With no items and this false, none were asked for.
    pub found_empty: bool,
    /// Resolves at the next push or [`notify`](Queue::notify), once the transaction has been
    /// committed. There is one if the queue was empty and the transaction had written nothing.
    pub watch: Option<Watch>,
}

impl Queue {
    /// The queue in `subspace`, which should hold nothing else. Nothing is read or written: a queue
    /// exists as soon as something is pushed.
    #[must_use]
    pub fn new(subspace: &Subspace) -> Self {
        Self {
            keys: Arc::new(Keys::new(subspace)),
            count: None,
        }
    }

    /// Has every push and [`notify`](Self::notify) through this value add one to the `i64` at `key`, by
    /// an atomic addition. Default: none does.
    ///
    /// A consumer that has found the queue empty, and the same count since, knows that it still is
    /// empty, by a read that may tell it of other changes too: whoever makes those adds one as well. The
    /// key may be anywhere; [`delete`](Self::delete) leaves it alone.
    #[must_use]
    pub fn counted_at(self, key: &[u8]) -> Self {
        Self {
            count: Some(key.into()),
            ..self
        }
    }

    /// Pushes `items`, in their order, behind all that was committed before.
    ///
    /// Only writes: it conflicts with no other transaction (SPEC Q2). Items enter with the
    /// transaction's commit, all or none; several calls in one transaction keep their order. An item
    /// may have any size that the transaction has room for (SPEC Q3).
    ///
    /// Run it in [`Tenant::transact`]: if the answer to a commit is lost, that finds out whether the
    /// commit happened before it pushes again, so each item enters once (SPEC Q4). In
    /// [`Database::transact`](dgen_backend::Database::transact) it may enter twice.
    ///
    /// # Errors
    /// [`StoreError::TooManyVersionstamps`] if this is more than 65,536 items in one transaction, in
    /// all queues together; none of `items` was pushed. [`StoreError::TransactionTooLarge`] above
    /// 10,000,000 bytes; the transaction can no longer be committed.
    ///
    /// # Examples
    /// ```
    /// # use dgen_backend::tuple::Subspace;
    /// # use dgen_queue::Queue;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let db = dgen_local::in_memory()?;
    /// let queue = Queue::new(&Subspace::from("orders"));
    /// let tx = db.begin()?;
    /// queue.push_k(&tx, ["tea", "milk"])?;
    /// tx.commit().await?;
    /// # assert_eq!(queue.len(&db.begin()?).await?, 2);
    /// # Ok(()) }
    /// ```
    pub fn push_k(
        &self,
        tx: &Transaction,
        items: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), StoreError> {
        // Every item has its place before the first is written, so that too many write nothing.
        let mut items = items
            .into_iter()
            .map(|item| Ok((tx.next_user_version()?, item)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        if items.is_empty() {
            return Ok(());
        }
        if planted::is(Bug::ReorderedBatch)
            && let [(first, _), .., (last, _)] = &mut items[..]
        {
            std::mem::swap(first, last);
        }
        for (user_version, item) in &items {
            self.push_rows(tx, *user_version, item.as_ref())?;
        }
        tx.add(&self.keys.pushed(), items.len() as i64)?;
        self.notify(tx)
    }

    /// [`push_k`](Self::push_k) of one item. Returns the place that the commit gives it, which is
    /// [incomplete](Versionstamp::is_complete) until then: kept in a versionstamped value, it finds the
    /// item again with [`find`](Self::find).
    ///
    /// # Errors
    /// Those of [`push_k`](Self::push_k).
    pub fn push(
        &self,
        tx: &Transaction,
        item: impl AsRef<[u8]>,
    ) -> Result<Versionstamp, StoreError> {
        let user_version = tx.next_user_version()?;
        self.push_rows(tx, user_version, item.as_ref())?;
        tx.add(&self.keys.pushed(), 1)?;
        self.notify(tx)?;
        Ok(Versionstamp::incomplete(user_version))
    }

    fn push_rows(
        &self,
        tx: &Transaction,
        user_version: u16,
        item: &[u8],
    ) -> Result<(), StoreError> {
        for (key, value) in self.keys.rows(user_version, item) {
            tx.set_versionstamped_key(&key, value)?;
        }
        Ok(())
    }

    /// The item in that place, if it is still in the queue. Whoever pops it before this transaction
    /// commits makes it conflict.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn find(
        &self,
        tx: &Transaction,
        stamp: &Versionstamp,
    ) -> Result<Option<Item>, Error> {
        let rows = tx.collect_range(self.keys.rows_of(stamp)).await?;
        let mut assembly = Assembly::new(&self.keys, Limits::items(1));
        for row in rows {
            assembly.add(row)?;
        }
        assembly.end()?;
        Ok(assembly.into_items().pop())
    }

    /// Whether the item in that place is still in the queue. Conflicts with nothing; an item that has
    /// left does not come back.
    ///
    /// The read is under way when this returns.
    ///
    /// # Errors
    /// Those of the transaction.
    pub fn holds(&self, tx: &Transaction, stamp: &Versionstamp) -> Read<bool> {
        let read = RangeRead::from(self.keys.rows_of(stamp)).limit(1);
        let first_row = tx.snapshot().get_range(read);
        first_row.map(|page| Ok(!page.rows.is_empty()))
    }

    /// Puts `bytes` in the place of `item`, which this transaction has [found](Self::find): it stays
    /// where it is in the queue. Wakes nobody.
    ///
    /// # Errors
    /// Those of [`push_k`](Self::push_k).
    pub fn replace(&self, tx: &Transaction, item: &Item, bytes: &[u8]) -> Result<(), StoreError> {
        tx.clear_range(&self.keys.rows_of(&item.stamp))?;
        for (key, value) in self.keys.rows_at(&item.stamp, bytes) {
            tx.set(&key, value)?;
        }
        Ok(())
    }

    /// Pops up to so many of the oldest items: [`head`](Self::head) and [`Head::pop`] in one.
    ///
    /// `limits` is a number of items or [`Limits`]. If another consumer takes one of the items first,
    /// the commit fails with [`StoreError::Conflict`]; a push never makes it fail (SPEC Q2).
    ///
    /// If the queue was empty, [`Consumed::watch`] tells of the next push. A watch counts as a read of
    /// a key that every push writes, so a transaction that writes something of its own after this call
    /// conflicts with the next push: let it use [`head`](Self::head), and wait in a transaction of its
    /// own with [`watch_if_empty`](Self::watch_if_empty).
    ///
    /// # Errors
    /// [`Error::Damaged`] if the first row or item is not what was pushed: nothing is popped, now or on
    /// a retry, until it is mended. Damage further on is met when it has become the head.
    /// [`Error::Store`] as the source says.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, nothing was popped.
    ///
    /// # Examples
    /// ```
    /// # use dgen_backend::tuple::Subspace;
    /// # use dgen_queue::Queue;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let db = dgen_local::in_memory()?;
    /// # let queue = Queue::new(&Subspace::from("orders"));
    /// # let tx = db.begin()?;
    /// # queue.push_k(&tx, ["tea"])?;
    /// # tx.commit().await?;
    /// let tx = db.begin()?;
    /// let consumed = queue.consume_k(&tx, 1).await?;
    /// tx.commit().await?;
    /// assert_eq!(consumed.items[0].bytes(), "tea");
    /// # Ok(()) }
    /// ```
    pub async fn consume_k(
        &self,
        tx: &Transaction,
        limits: impl Into<Limits>,
    ) -> Result<Consumed, Error> {
        let mut head = self.head(tx, limits.into()).await?;
        let found_empty = head.found_empty();
        // The watch compares with this transaction's snapshot, the same in which the queue was empty:
        // no push can fall between the two.
        let watch = match (found_empty && !tx.has_writes()).then(|| self.watch_push(tx)) {
            Some(Err(StoreError::TooManyWatches { .. })) => None,
            watch => watch.transpose()?,
        };
        Ok(Consumed {
            items: head.pop(usize::MAX)?,
            found_empty,
            watch,
        })
    }

    /// Reads the oldest items, to pop some of them with [`Head::pop`].
    ///
    /// The read is under way when this returns, so that others can share its round trip (SPEC F3);
    /// only an item of more than one row, or a page that the backend ends early, takes another.
    /// It costs the same however long the queue is, and conflicts with nothing until something is
    /// popped.
    ///
    /// # Errors
    /// Those of [`consume_k`](Self::consume_k).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    ///
    /// # Examples
    /// ```
    /// # use dgen_backend::tuple::Subspace;
    /// # use dgen_queue::{Limits, Queue};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let db = dgen_local::in_memory()?;
    /// # let queue = Queue::new(&Subspace::from("orders"));
    /// # let tx = db.begin()?;
    /// # queue.push_k(&tx, ["tea", "milk"])?;
    /// # tx.commit().await?;
    /// let tx = db.begin()?;
    /// let (head, price) = (queue.head(&tx, Limits::default()), tx.get(b"price"));
    /// let (mut head, _price) = (head.await?, price.await?);
    /// head.pop(1)?;
    /// tx.commit().await?;
    /// # assert_eq!(queue.len(&db.begin()?).await?, 1);
    /// # Ok(()) }
    /// ```
    #[must_use = "a read does nothing for you until it is awaited"]
    pub fn head(
        &self,
        tx: &Transaction,
        limits: Limits,
    ) -> impl Future<Output = Result<Head, Error>> + Send + use<> {
        read_head(tx, &self.keys, limits)
    }

    /// The oldest items, which stay in the queue. Conflicts with nothing.
    ///
    /// # Errors
    /// Those of [`consume_k`](Self::consume_k).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn peek(
        &self,
        tx: &Transaction,
        limits: impl Into<Limits>,
    ) -> Result<Vec<Item>, Error> {
        Ok(self.head(tx, limits.into()).await?.into_items())
    }

    /// How many items are in the queue, from two counters: it costs the same however many. Conflicts
    /// with nothing, so it may be behind when the transaction commits.
    ///
    /// Both reads are under way when this returns.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a counter that is none, [`Error::Store`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    #[must_use = "a read does nothing for you until it is awaited"]
    pub fn len(&self, tx: &Transaction) -> impl Future<Output = Result<u64, Error>> + Send + use<> {
        read_len(tx, &self.keys)
    }

    /// Whether there is no item, by a look at the first row. Conflicts with nothing.
    ///
    /// The read is under way when this returns.
    ///
    /// # Errors
    /// [`Error::Store`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    #[must_use = "a read does nothing for you until it is awaited"]
    pub fn is_empty(
        &self,
        tx: &Transaction,
    ) -> impl Future<Output = Result<bool, Error>> + Send + use<> {
        let read = RangeRead::from(self.keys.items()).limit(1);
        let first_row = tx.snapshot().get_range(read);
        async move { Ok(first_row.await?.rows.is_empty()) }
    }

    /// A watch that resolves at the next push, [`notify`](Self::notify), or
    /// [`delete`](Self::delete) of a queue that was ever pushed to. Armed by the transaction's commit.
    ///
    /// It counts as a read of a key that every push writes: set it in a transaction that writes
    /// nothing, or that transaction conflicts with every push. To wait for an item, take
    /// [`watch_if_empty`](Self::watch_if_empty): this one knows nothing of the items that are there.
    ///
    /// # Errors
    /// [`StoreError::TooManyWatches`]: poll instead. [`StoreError::Unreadable`] if the transaction
    /// itself has pushed.
    pub fn watch_push(&self, tx: &Transaction) -> Result<Watch, StoreError> {
        tx.watch(&self.keys.wake())
    }

    /// A watch as from [`watch_push`](Self::watch_push) if the queue is empty; none if there is
    /// something to pop.
    ///
    /// No push is missed: the watch is set before the look, and both see the same snapshot. A push in
    /// the snapshot is found by the look, and any later one changes what the watch compares with.
    ///
    /// # Errors
    /// Those of [`watch_push`](Self::watch_push).
    ///
    /// # Cancel safety
    /// Safe: a watch that is dropped is freed.
    pub async fn watch_if_empty(&self, tx: &Transaction) -> Result<Option<Watch>, Error> {
        let watch = self.watch_push(tx)?;
        Ok(self.is_empty(tx).await?.then_some(watch))
    }

    /// Waits, in a transaction of its own, while the queue is empty: until a push, a
    /// [`notify`](Self::notify), or `poll_every`.
    ///
    /// It may return early, and another consumer may be faster: look at the queue, then wait again. A
    /// lost watch delays it by `poll_every` and no more (SPEC B4). Where there are too many watches it
    /// looks by itself instead, first often and then once a second: it does not see a
    /// [`notify`](Self::notify) then.
    ///
    /// # Errors
    /// [`Error::Store`], when the queue can't be read, or the watch fails for good.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn wait_for_push(&self, tenant: &Tenant, poll_every: Duration) -> Result<(), Error> {
        let watch = tenant
            .transact(|tx| {
                let queue = self.clone();
                async move { queue.watch_if_empty(&tx).await }
            })
            .await;
        let waited = match watch {
            Ok(None) => return Ok(()),
            Ok(Some(watch)) => tenant.env().timeout(poll_every, watch).await,
            Err(Error::Store(too_many @ StoreError::TooManyWatches { .. })) => Ok(Err(too_many)),
            Err(error) => return Err(error),
        };
        match waited {
            Ok(Err(StoreError::TooManyWatches { .. })) => self.poll(tenant, poll_every).await,
            Ok(Err(error)) if !error.is_retryable() => Err(error.into()),
            Ok(Err(_) | Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Looks while the queue is empty, ever more rarely, but no longer than `poll_every`.
    async fn poll(&self, tenant: &Tenant, poll_every: Duration) -> Result<(), Error> {
        let (env, mut pause) = (tenant.env(), POLL_INITIAL);
        let begun = env.now();
        loop {
            let left = poll_every.saturating_sub(env.now().saturating_duration_since(begun));
            env.sleep(pause.min(left)).await;
            let look = |tx| {
                let queue = self.clone();
                async move { queue.is_empty(&tx).await }
            };
            if pause >= left || !tenant.transact(look).await? {
                return Ok(());
            }
            pause = (2 * pause).min(POLL_MAX);
        }
    }

    /// Wakes all who wait for a push, without one. Only writes, and conflicts with no push, pop or
    /// notify.
    ///
    /// # Errors
    /// [`StoreError::TransactionTooLarge`], [`StoreError::UsedAfterCommit`].
    pub fn notify(&self, tx: &Transaction) -> Result<(), StoreError> {
        if let Some(count) = &self.count
            && !planted::is(Bug::UncountedPush)
        {
            tx.add(count, 1)?;
        }
        // A versionstamp and not a counter: a counter begins anew behind a delete and could come back
        // to the value that a watch saw. No two commits have the same stamp.
        tx.set_versionstamped_value(&self.keys.wake(), &WAKE_TEMPLATE)
    }

    /// Removes every item, the counters and everything else that the queue has stored. A consumer that
    /// is popping conflicts; a push that is committed later enters a new queue.
    ///
    /// Wakes who waits, unless nothing was ever pushed: a [`notify`](Self::notify) behind it in the
    /// same transaction wakes them in any case, and leaves one key.
    ///
    /// # Errors
    /// Those of [`notify`](Self::notify).
    pub fn delete(&self, tx: &Transaction) -> Result<(), StoreError> {
        tx.clear_range(&self.keys.all())
    }
}
