//! One store, opened by several OS processes.

use dgen_backend::Database;
use dgen_server::Tenant;
use dgen_testkit::faults::{FaultyBackend, Rates};

/// The same store as another OS process would have it open: with calls and mailboxes of its own.
pub(crate) fn elsewhere(here: &Tenant) -> Tenant {
    let db = here.database().clone();
    let db = Database::new(FaultyBackend::new(db, 0, Rates::default()));
    Tenant::new(db, here.subspace().clone())
}
