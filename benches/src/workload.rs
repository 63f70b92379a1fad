//! What a transaction of the benchmarks does: read one row, write four, all of them anywhere.

use std::sync::Arc;

use dgen_backend::{Error, Tenant, Transaction, tuple::Subspace};
use dgen_testkit::Random;

/// Rows of the store before a case begins.
const ROWS: usize = 100_000;
const ROWS_WRITTEN: usize = 4;
const VALUE_MIN_BYTES: usize = 100;
const VALUE_MAX_BYTES: usize = 300;

/// Makes transactions. The same seed makes the same ones.
pub(crate) struct Workload {
    random: Random,
    subspace: Subspace,
}

/// One transaction's work. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Work(Arc<Rows>);

struct Rows {
    read: Vec<u8>,
    written: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Workload {
    pub(crate) fn new(subspace: &Subspace, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            subspace: subspace.clone(),
        }
    }

    pub(crate) fn next(&mut self) -> Work {
        let read = self.key();
        let written = (0..ROWS_WRITTEN)
            .map(|_| (self.key(), self.value()))
            .collect();
        Work(Arc::new(Rows { read, written }))
    }

    fn key(&mut self) -> Vec<u8> {
        let row = self.random.below(ROWS);
        key(&self.subspace, row)
    }

    fn value(&mut self) -> Vec<u8> {
        let spread = VALUE_MAX_BYTES - VALUE_MIN_BYTES + 1;
        let mut value = vec![0; VALUE_MIN_BYTES + self.random.below(spread)];
        self.random.fill(&mut value);
        value
    }

    /// Writes every row once.
    pub(crate) async fn fill(&mut self, tenant: &Tenant) -> Result<(), Error> {
        const ROWS_A_TRANSACTION: usize = 1_000;
        for first in (0..ROWS).step_by(ROWS_A_TRANSACTION) {
            let mut written = Vec::with_capacity(ROWS_A_TRANSACTION);
            for row in first..first + ROWS_A_TRANSACTION {
                written.push((key(&self.subspace, row), self.value()));
            }
            let read = key(&self.subspace, first);
            let work = Work(Arc::new(Rows { read, written }));
            tenant.transact(|tx| work.clone().run(tx)).await?;
        }
        Ok(())
    }
}

impl Work {
    pub(crate) async fn run(self, tx: Transaction) -> Result<(), Error> {
        tx.get(&self.0.read).await?;
        for (key, value) in &self.0.written {
            tx.set(key, value)?;
        }
        Ok(())
    }

    /// Appends the bytes that a commit of it must make durable.
    pub(crate) fn append_to(&self, record: &mut Vec<u8>) {
        for (key, value) in &self.0.written {
            record.extend_from_slice(key);
            record.extend_from_slice(value);
        }
    }
}

fn key(subspace: &Subspace, row: usize) -> Vec<u8> {
    subspace.pack(&(row as u64))
}
