//! The head of a queue: what a transaction has read of it and may pop.

use std::sync::Arc;

use dgen_backend::{
    KeyRange, RangePage, RangeRead, Read, Transaction,
    planted::{self, Bug},
};

use crate::{
    Error, Item, Limits,
    assembly::{Assembly, Progress},
    keys::Keys,
};

/// The oldest items of a queue, as one transaction sees them; made by [`Queue::head`].
///
/// It stays with that transaction: items can only be popped where they were read, since only there
/// does a conflict tell that another consumer was faster.
///
/// [`Queue::head`]: crate::Queue::head
#[derive(Debug)]
pub struct Head {
    tx: Transaction,
    keys: Arc<Keys>,
    items: Vec<Item>,
    found_empty: bool,
    may_have_more: bool,
}

impl Head {
    /// The items that were read and not popped, the oldest first.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The items that were read and not popped. What is not popped stays in the queue.
    #[must_use]
    pub fn into_items(self) -> Vec<Item> {
        self.items
    }

    /// Whether the queue had no item when it was read.
    #[must_use]
    pub fn found_empty(&self) -> bool {
        self.found_empty
    }

    /// Whether there may be items behind those that were read: true if a limit ended the read, false
    /// if the queue's end did.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    /// Takes the first `count` items out of the queue, or all that were read if they are fewer, and
    /// returns them. Can be called again for the next ones.
    ///
    /// Writes, and reads nothing: the items leave the queue with the transaction's commit. If another
    /// transaction popped one of them first, that commit fails with [`dgen_backend::Error::Conflict`]
    /// and the retry reads the head anew. A push never makes it fail (SPEC Q2).
    ///
    /// # Errors
    /// [`dgen_backend::Error::TransactionTooLarge`], [`dgen_backend::Error::UsedAfterCommit`].
    pub fn pop(&mut self, count: usize) -> Result<Vec<Item>, dgen_backend::Error> {
        let count = count.min(self.items.len());
        let (Some(first), Some(last)) = (self.items.first(), self.items[..count].last()) else {
            return Ok(Vec::new());
        };
        // One range for all of them: later pushes have later stamps, so nothing enters between.
        let taken = KeyRange::new(first.first_key.clone(), KeyRange::key(&last.last_key).end);
        // In this order: a read conflict on what the transaction itself has cleared counts for
        // nothing, and two consumers would take the same item (`consumers_of_one_item_conflict`).
        self.tx.add_read_conflict(&taken)?;
        if !planted::is(Bug::DoublePop) || self.tx.attempt().number == 1 {
            self.tx.clear_range(&taken)?;
        }
        self.tx.add(&self.keys.popped(), count as i64)?;
        Ok(self.items.drain(..count).collect())
    }
}

/// Reads the head. The first page is asked for before this returns.
///
/// A snapshot read: one that counted would conflict with every push behind the last item.
pub(crate) fn read_head(
    tx: &Transaction,
    keys: &Arc<Keys>,
    limits: Limits,
) -> impl Future<Output = Result<Head, Error>> + Send + use<> {
    let (tx, keys) = (tx.clone(), Arc::clone(keys));
    let read = RangeRead::from(keys.items()).limit(limits.items_max);
    let first_page = tx.snapshot().get_range(read.clone());
    async move {
        let mut assembly = Assembly::new(&keys, limits);
        let may_have_more = limits.items_max == 0
            || read_items(&tx, &mut assembly, read, first_page).await? == Progress::IsFull;
        let items = assembly.into_items();
        Ok(Head {
            found_empty: items.is_empty() && !may_have_more,
            tx,
            keys,
            items,
            may_have_more,
        })
    }
}

/// Feeds pages to `assembly` until it is full or the queue ends.
async fn read_items(
    tx: &Transaction,
    assembly: &mut Assembly<'_>,
    mut read: RangeRead,
    mut page: Read<RangePage>,
) -> Result<Progress, Error> {
    loop {
        let RangePage { rows, has_more } = page.await?;
        let is_limited = read.limit.is_some_and(|limit| rows.len() >= limit);
        let last_key = rows.last().map(|row| row.key.clone());
        for row in rows {
            if assembly.add(row)? == Progress::IsFull {
                return Ok(Progress::IsFull);
            }
        }
        let Some(last_key) = last_key.filter(|_| has_more || is_limited) else {
            return assembly.end();
        };
        // A page, or the limit, may have ended between two chunks of an item.
        read.range.begin = KeyRange::key(&last_key).end;
        read.limit = Some(assembly.rows_wanted());
        page = tx.snapshot().get_range(read.clone());
    }
}
