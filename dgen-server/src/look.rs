//! What an attempt looks at first: all that says what there is to do beside the mailbox.
//!
//! That is the hold, the state's version, the head of the queue and the first row of the agenda. But if
//! the last attempt found nothing but messages of the mailbox, and the [count of changes](crate::changes) is
//! still what it left, then each of those is what it was, and the count is all that is read. Whoever
//! changes the hold or the state before the commit makes the attempt conflict, either way.

use std::{sync::Arc, time::Instant};

use dgen_backend::{Transaction, env::Env};
use dgen_queue::{Head, Item, Limits};

use crate::{
    Server,
    address::Address,
    agenda,
    changes::{self, Changes},
    clock,
    hold::Hold,
    remedy::AttemptError,
    state::{Asked, Cached},
};

/// That there was nothing to do but what came to the mailbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet {
    pub(crate) changes: Changes,
    /// When the first row of the agenda is due.
    pub(crate) next_due_millis: Option<u64>,
    /// From then on it is looked at again, whatever the count says.
    pub(crate) until: Instant,
}

impl Quiet {
    /// Whether it need not be looked at again, whatever the count says.
    pub(crate) fn is_to_be_relied_on(&self, env: &Env, now: Instant) -> bool {
        now < self.until
            && self
                .next_due_millis
                .is_none_or(|due| clock::to_millis(env.wall_clock()) < due)
    }
}

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// At most so many items of the queue.
    pub(crate) items_max: usize,
    /// Whether to ask for the queue's length.
    pub(crate) with_length: bool,
    /// Whether to ask for the count of changes, for the next attempt.
    pub(crate) with_changes: bool,
}

/// What was found.
pub(crate) struct Found {
    pub(crate) hold: Option<Hold>,
    /// None if nothing was pushed since the queue was found empty.
    pub(crate) head: Option<Head>,
    pub(crate) first_due_millis: Option<u64>,
    /// How many messages are in the queue, if that is known.
    pub(crate) waiting: Option<u64>,
    /// The count that belongs to all this, if it was read.
    pub(crate) changes: Option<Changes>,
    /// Until when it needs no other look, if this was such a one.
    pub(crate) quiet_until: Option<Instant>,
}

/// Looks, and asks for the state; the reads are under way when this returns. `quiet` is what is known, of the `cached` state.
pub(crate) fn look<'a, S: Server>(
    tx: &'a Transaction,
    address: &'a Address,
    cached: Option<&'a Arc<Cached<S>>>,
    quiet: Option<Quiet>,
    scope: Scope,
) -> impl Future<Output = Result<(Found, Asked<'a, S>), AttemptError>> + Send + 'a {
    let known = quiet.zip(cached);
    let count = known.map(|_| changes::read(tx, &address.keys));
    let all = known
        .is_none()
        .then(|| Box::pin(look_at_all(tx, address, cached, scope)));
    async move {
        if let Some(((quiet, cached), count)) = known.zip(count)
            && count.await? == Some(quiet.changes)
        {
            return found_quiet(tx, address, cached, quiet);
        }
        match all {
            Some(all) => all.await,
            None => Box::pin(look_at_all(tx, address, cached, scope)).await,
        }
    }
}

fn found_quiet<'a, S: Server>(
    tx: &Transaction,
    address: &Address,
    cached: &'a Arc<Cached<S>>,
    quiet: Quiet,
) -> Result<(Found, Asked<'a, S>), AttemptError> {
    // As if it had been read. Before anything is written: a read of what the transaction itself has written
    // conflicts with nothing.
    let version = dgen_codec::version_key(address.keys.state());
    tx.add_read_conflict_key(&version)?;
    tx.add_read_conflict_key(&address.keys.hold())?;
    let found = Found {
        hold: None,
        head: None,
        first_due_millis: quiet.next_due_millis,
        waiting: Some(0),
        changes: Some(quiet.changes),
        quiet_until: Some(quiet.until),
    };
    Ok((found, Asked::Nothing(cached)))
}

fn look_at_all<'a, S: Server>(
    tx: &Transaction,
    address: &'a Address,
    cached: Option<&'a Arc<Cached<S>>>,
    scope: Scope,
) -> impl Future<Output = Result<(Found, Asked<'a, S>), AttemptError>> + Send + 'a {
    let keys = &address.keys;
    let hold = tx.get(&keys.hold());
    let state = Asked::new(tx, address, cached);
    let head = keys.queue().head(tx, Limits::items(scope.items_max));
    let first_due = agenda::first(tx, keys);
    let length = scope.with_length.then(|| keys.queue().len(tx));
    let changes = scope.with_changes.then(|| changes::read(tx, keys));
    async move {
        let hold = hold.await?.map(|bytes| Hold::from_bytes(&bytes));
        let head = head.await?;
        let found = Found {
            hold: hold.transpose()?,
            first_due_millis: first_due.due_millis(keys).await?,
            waiting: match length {
                _ if !head.may_have_more() => Some(head.items().len() as u64),
                // What an operator is told fails no attempt.
                Some(length) => length.await.ok(),
                None => None,
            },
            head: Some(head),
            changes: match changes {
                Some(changes) => changes.await?,
                None => None,
            },
            quiet_until: None,
        };
        Ok((found, state))
    }
}

impl Found {
    /// The queue's oldest messages.
    pub(crate) fn items(&self) -> &[Item] {
        self.head.as_ref().map_or(&[], Head::items)
    }

    /// Whether there may be messages behind those.
    pub(crate) fn may_have_more(&self) -> bool {
        self.head.as_ref().is_some_and(Head::may_have_more)
    }
}
