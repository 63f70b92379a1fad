//! Keys that a transaction sets by versionstamp, kept until its commit.
//!
//! Until the commit, the client library keeps such a key under the read version in the stamp's place,
//! and a later clear in the same transaction that covers this place drops the write, whatever the key
//! would have become: a queue whose first item has the stamp of the read version would lose what is
//! pushed when that item is popped. So the keys are sent behind everything else.

use foundationdb::{Transaction, options::MutationType};

#[derive(Debug, Default)]
pub(crate) struct StampedKeys {
    /// Templates and values, in order.
    writes: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many of them the client library knows of.
    announced: usize,
}

impl StampedKeys {
    pub(crate) fn push(&mut self, template: &[u8], value: &[u8]) {
        self.writes.push((template.to_vec(), value.to_vec()));
    }

    /// Lets reads from now on see that there will be keys, without their values.
    pub(crate) fn announce(&mut self, tx: &Transaction) {
        for (template, _) in &self.writes[self.announced..] {
            tx.atomic_op(template, &[], MutationType::SetVersionstampedKey);
        }
        self.announced = self.writes.len();
    }

    /// Sends all of them, which replaces what was announced.
    pub(crate) fn send(&self, tx: &Transaction) {
        for (template, value) in &self.writes {
            tx.atomic_op(template, value, MutationType::SetVersionstampedKey);
        }
    }
}
