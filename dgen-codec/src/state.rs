//! States in transactions: the one place that reads and writes.

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Error, KeyPreview, KeyRange, RangeRead, Read, Transaction,
    limits::VERSIONSTAMP_SIZE_BYTES, tuple::Subspace,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    diff::Write,
    error::{Damage, LoadError, StoreError},
    join::Row,
    keys,
    stored::{EncodeError, Stored},
};

/// Which write of a state: the versionstamp of the commit that changed it last (SPEC C4).
///
/// Versions of one state grow with every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(CommitVersionstamp);

impl Version {
    /// The version that a commit gives to what it stores.
    #[must_use]
    pub fn new(versionstamp: CommitVersionstamp) -> Self {
        Self(versionstamp)
    }

    /// The ten bytes of it.
    #[must_use]
    pub fn to_bytes(self) -> CommitVersionstamp {
        self.0
    }
}

/// A state that was read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// The state.
    pub value: T,
    /// Its keys, for the next [`store`].
    pub stored: Stored,
    /// Its version: as long as [`version`] says the same, `value` is current.
    pub version: Version,
}

/// What a [`store`] did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Written {
    /// The keys as they are once the transaction commits, for the next [`store`].
    pub stored: Stored,
    /// Whether anything was written. If so, the version is new: the commit's versionstamp.
    pub is_changed: bool,
}

/// Reads the state below `base`, if there is one, in one range read.
///
/// The read is under way when this returns, so that others can share its round trip; a state of which
/// the backend ends the first page early takes more.
///
/// # Errors
/// [`LoadError::Decode`] if `T` does not read what is stored, [`LoadError::Damaged`] if stored
/// bytes are not what was written; both name the key path. [`LoadError::Backend`] with
/// [`Error::Unreadable`] in a transaction that stored to `base` before: go on with what was stored.
///
/// # Cancel safety
/// Safe: it only reads.
///
/// # Examples
/// See the [crate].
#[must_use = "a read does nothing for you until it is awaited"]
pub fn load<T: DeserializeOwned>(
    tx: &Transaction,
    base: &Subspace,
) -> impl Future<Output = Result<Option<Loaded<T>>, LoadError>> + Send + use<T> {
    let (tx, base) = (tx.clone(), base.clone());
    let read = RangeRead::from(KeyRange::subspace(&base));
    let first_page = tx.get_range(read.clone());
    async move {
        let page = first_page.await?;
        let rest = page.rest(&read);
        let mut rows = page.rows;
        if let Some(rest) = rest {
            rows.extend(tx.collect_range(rest).await?);
        }
        let prefix_size_bytes = base.bytes().len();
        let rows = rows.iter().map(|row| Row {
            key: &row.key[prefix_size_bytes..],
            value: &row.value,
        });
        from_rows(&base, &rows.collect::<Vec<_>>())
    }
}

/// The pure part of [`load`].
fn from_rows<T: DeserializeOwned>(
    base: &Subspace,
    rows: &[Row<'_>],
) -> Result<Option<Loaded<T>>, LoadError> {
    let Some((last, rest)) = rows.split_last() else {
        return Ok(None);
    };
    let damaged = |path, damage| LoadError::Damaged {
        base: base_text(base),
        path,
        damage,
    };
    // Behind all else in the order of keys.
    if last.key != keys::VERSION_PATH {
        return Err(damaged(keys::describe(&[]), Damage::MissingVersion));
    }
    let size_bytes = last.value.len();
    let version = parse_version(last.value)
        .ok_or_else(|| damaged(keys::describe(&[]), Damage::BadVersion { size_bytes }))?;
    if rest.is_empty() {
        return Err(damaged(keys::describe(&[]), Damage::MissingState));
    }
    let stored = Stored::from_rows(rest)
        .map_err(|error| damaged(keys::describe(&error.key), error.damage))?;
    let value = stored.decode().map_err(|error| LoadError::Decode {
        base: base_text(base),
        path: error.path,
        source: error.source,
    })?;
    Ok(Some(Loaded {
        value,
        stored,
        version,
    }))
}

/// Writes `value` below `base`: the keys in which it differs from `old`, and a new version. Writes
/// nothing if it does not differ.
///
/// It reads nothing. So the caller must know, in this transaction, that `old` is what is stored:
/// because it was [loaded](load) here, or because [`version`] was read here and is still the one
/// that `old` came with. With no `old`, everything below `base` is cleared first.
///
/// # Errors
/// [`StoreError::Encode`] and [`StoreError::WrongLength`] if the value cannot be MessagePack: then
/// nothing was written. [`StoreError::Backend`] if a write failed: then the transaction can't
/// commit.
///
/// # Examples
/// See the [crate].
pub fn store<T: Serialize + ?Sized>(
    tx: &Transaction,
    base: &Subspace,
    old: Option<&Stored>,
    value: &T,
) -> Result<Written, StoreError> {
    let stored = Stored::encode(value, old).map_err(|error| match error {
        EncodeError::Plain(source) => StoreError::Encode {
            base: base_text(base),
            source: source.into(),
        },
        EncodeError::WrongLength => StoreError::WrongLength {
            base: base_text(base),
        },
    })?;
    if old.is_none() {
        clear(tx, base)?;
    }
    let writes = stored.writes(old);
    let is_changed = !writes.is_empty();
    for write in writes {
        apply(tx, base, &write)?;
    }
    if is_changed {
        let template = [0; VERSIONSTAMP_SIZE_BYTES + 4];
        tx.set_versionstamped_value(&version_key(base), &template)?;
    }
    Ok(Written { stored, is_changed })
}

/// The version of the state below `base`, if there is one: a single get (SPEC C4).
///
/// If it is the one that a cached state came with, the cache is current, and stays so for this
/// transaction: a change in between is a conflict.
///
/// # Cancel safety
/// Safe: it only reads.
pub fn version(tx: &Transaction, base: &Subspace) -> Read<Option<Version>> {
    let key = version_key(base);
    let read = tx.get(&key);
    read.map(move |value| {
        let parse = |value: Bytes| {
            parse_version(&value).ok_or_else(|| Error::Damaged {
                place: KeyPreview::new(&key).to_string(),
                what: Damage::BadVersion {
                    size_bytes: value.len(),
                }
                .to_string(),
            })
        };
        value.map(parse).transpose()
    })
}

/// Removes the state below `base`, its version included.
///
/// # Errors
/// Those of the transaction.
pub fn clear(tx: &Transaction, base: &Subspace) -> Result<(), Error> {
    tx.clear_range(&KeyRange::subspace(base))
}

/// The key of the version: the one to watch for a change of the state.
#[must_use]
pub fn version_key(base: &Subspace) -> Vec<u8> {
    [base.bytes(), &keys::VERSION_PATH].concat()
}

fn parse_version(value: &[u8]) -> Option<Version> {
    value.try_into().ok().map(Version)
}

fn apply(tx: &Transaction, base: &Subspace, write: &Write<'_>) -> Result<(), Error> {
    let absolute = |key: &[u8]| [base.bytes(), key].concat();
    match write {
        Write::Set { key, value } => tx.set(&absolute(key), value),
        Write::ClearRange { begin, end } => {
            tx.clear_range(&KeyRange::new(absolute(begin), absolute(end)))
        }
    }
}

fn base_text(base: &Subspace) -> String {
    KeyPreview::new(base.bytes()).to_string()
}
