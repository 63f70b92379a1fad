//! What a test of the suite gets: a database, and a part of its keys for itself.

use std::{any::Any, fmt};

use bytes::Bytes;
use dgen_backend::{Database, Error, KeyRange, Transaction, env::Env, tuple};

/// The database under test, and what must live as long as it, such as a temporary directory.
///
/// # Examples
/// ```
/// # fn open(_: &std::path::Path) -> dgen_backend::Database { dgen_testkit::model::in_memory() }
/// use dgen_testkit::Subject;
///
/// let directory = std::env::temp_dir(); // better: tempfile::tempdir()
/// let db = open(&directory);
/// let subject = Subject::from(db).keep(directory);
/// # drop(subject);
/// ```
pub struct Subject {
    // Dropped first: it may flush into what is kept below.
    db: Database,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// Keeps `guard` until the test is over.
    #[must_use]
    pub fn keep(mut self, guard: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(guard));
        self
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }
}

impl From<Database> for Subject {
    fn from(db: Database) -> Self {
        Self {
            db,
            kept: Vec::new(),
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("db", &self.db)
            .field("kept", &self.kept.len())
            .finish()
    }
}

/// The keys below a random prefix of a database, so that tests can share a store.
///
/// Keys are given by their name in the area. Methods panic where the store fails: they are for
/// tests.
#[derive(Debug, Clone)]
pub struct Area {
    db: Database,
    unique_name: String,
    prefix: Vec<u8>,
}

impl Area {
    /// A new area of `db` for the test called `name`.
    #[must_use]
    pub fn new(db: &Database, name: &str) -> Self {
        // Not from the database's environment: with a seeded one, two areas of a shared store
        // would be the same.
        let unique = u128::from_le_bytes(Env::system().random());
        let unique_name = format!("{name}-{unique:032x}");
        Self {
            db: db.clone(),
            prefix: tuple::pack(&("dgen-testkit", &unique_name)),
            unique_name,
        }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// The test's name and a random ending: a name that no other test uses, for a directory.
    #[must_use]
    pub fn unique_name(&self) -> &str {
        &self.unique_name
    }

    /// What every key of the area begins with.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The key called `name`.
    #[must_use]
    pub fn key(&self, name: impl AsRef<[u8]>) -> Vec<u8> {
        [&self.prefix, name.as_ref()].concat()
    }

    /// The name of `key`.
    ///
    /// # Panics
    /// If the key is outside the area.
    #[must_use]
    pub fn name_of<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        key.strip_prefix(self.prefix.as_slice())
            .expect("a range read in an area returns keys of the area")
    }

    /// From the key called `begin` to the one called `end`.
    #[must_use]
    pub fn range(&self, begin: impl AsRef<[u8]>, end: impl AsRef<[u8]>) -> KeyRange {
        KeyRange::new(self.key(begin), self.key(end))
    }

    /// Every key of the area.
    #[must_use]
    pub fn all(&self) -> KeyRange {
        KeyRange::prefix(&self.prefix)
    }

    /// A new transaction.
    ///
    /// # Panics
    /// If the store is closed.
    #[must_use]
    pub fn begin(&self) -> Transaction {
        self.db.begin().expect("the store is open")
    }

    /// Sets keys, and commits.
    ///
    /// # Errors
    /// Those of the commit.
    pub async fn put<const N: usize>(&self, rows: [(&str, &[u8]); N]) -> Result<(), Error> {
        let write = async |tx: Transaction| {
            for (name, value) in rows {
                tx.set(&self.key(name), value)?;
            }
            Ok(())
        };
        self.db.transact(write).await
    }

    /// Removes a key, and commits.
    ///
    /// # Errors
    /// Those of the commit.
    pub async fn clear(&self, name: &str) -> Result<(), Error> {
        let key = self.key(name);
        self.db
            .transact(|tx| std::future::ready(tx.clear(&key)))
            .await
    }

    /// The value that is committed.
    ///
    /// # Errors
    /// Those of the read.
    pub async fn value(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.begin().get(&self.key(name)).await
    }

    /// What is committed in the area, by name.
    ///
    /// # Errors
    /// Those of the reads.
    pub async fn rows(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        self.rows_in(&self.begin()).await
    }

    /// What `tx` sees in the area, by name.
    ///
    /// # Errors
    /// Those of the reads.
    pub async fn rows_in(&self, tx: &Transaction) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let rows = tx.snapshot().collect_range(self.all()).await?;
        Ok(rows
            .into_iter()
            .map(|row| (self.name_of(&row.key).to_vec(), row.value.to_vec()))
            .collect())
    }

    /// Removes every key of the area.
    ///
    /// # Errors
    /// Those of the commit.
    pub async fn remove(&self) -> Result<(), Error> {
        let all = self.all();
        self.db
            .transact(|tx| std::future::ready(tx.clear_range(&all)))
            .await
    }
}
