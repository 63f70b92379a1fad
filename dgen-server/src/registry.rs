//! The processes of servers in this OS process: so that a message to a server next door needs no
//! detour through the store.

use std::{
    any::Any,
    borrow::Borrow,
    cmp::Ordering,
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{self, AtomicU64},
    },
};

use dgen_backend::Database;

use crate::{Server, address::Address, control::Remote, mailbox::Mailbox};

/// One for each opened database.
#[derive(Default)]
pub(crate) struct Registry {
    /// In an order that is always the same. The mailboxes are `Mailbox<S>`.
    mailboxes: Mutex<BTreeMap<ByPrefix, Vec<Registered>>>,
    processes_made: AtomicU64,
}

struct Registered {
    number: u64,
    mailbox: Arc<dyn Any + Send + Sync>,
    remote: Remote,
}

/// A server, found and sorted by the prefix of its keys.
struct ByPrefix(Arc<Address>);

/// A process's place in the registry. Dropping it takes the process out.
pub(crate) struct Registration {
    address: Arc<Address>,
    number: u64,
}

impl Registry {
    pub(crate) fn of(db: &Database) -> Arc<Self> {
        db.extension::<Self>()
    }

    /// Enters a process of the server at `address`.
    pub(crate) fn register<S: Server>(
        address: &Arc<Address>,
        mailbox: Mailbox<S>,
        remote: &Remote,
    ) -> Registration {
        let registry = &address.registry;
        let number = registry
            .processes_made
            .fetch_add(1, atomic::Ordering::Relaxed);
        let mut mailboxes = registry
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mailboxes
            .entry(ByPrefix(Arc::clone(address)))
            .or_insert_with(|| Vec::with_capacity(1))
            .push(Registered {
                number,
                mailbox: mailbox.into_any(),
                remote: remote.clone(),
            });
        Registration {
            address: Arc::clone(address),
            number,
        }
    }

    /// The mailbox of a process here that consumes the server, if there is one: of the one with
    /// number `preferred`, if that is there.
    pub(crate) fn mailbox<S: Server>(
        &self,
        prefix: &[u8],
        preferred: Option<u64>,
    ) -> Option<Mailbox<S>> {
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let registered = mailboxes.get(prefix)?;
        let own = registered
            .iter()
            .filter(|registered| preferred == Some(registered.number));
        own.chain(registered)
            .find_map(|registered| Mailbox::from_any(&registered.mailbox))
    }

    /// The processes here of servers whose keys begin with `prefix`, and the servers' names.
    pub(crate) fn remotes(&self, prefix: &[u8]) -> Vec<(String, Remote)> {
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let below = mailboxes
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(server, _)| server.0.keys.prefix().starts_with(prefix));
        below
            .flat_map(|(server, registered)| {
                let remotes = registered.iter().map(|one| one.remote.clone());
                remotes.map(|remote| (server.0.to_string(), remote))
            })
            .collect()
    }
}

impl Borrow<[u8]> for ByPrefix {
    fn borrow(&self) -> &[u8] {
        self.0.keys.prefix()
    }
}

impl Ord for ByPrefix {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.keys.prefix().cmp(other.0.keys.prefix())
    }
}

impl PartialOrd for ByPrefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByPrefix {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByPrefix {}

impl Registration {
    /// Which process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let prefix = self.address.keys.prefix();
        let mut mailboxes = self
            .address
            .registry
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = mailboxes.get_mut(prefix) {
            registered.retain(|registered| registered.number != self.number);
            if registered.is_empty() {
                mailboxes.remove(prefix);
            }
        }
    }
}
