//! The directory layer of backends that bring none of their own, kept in the store itself.
//!
//! A directory is a number; its prefix is that number as a tuple, so no prefix is the beginning of
//! another. Below the byte 0xFE stand `("child", parent, name) -> number` and `("last",) -> number`;
//! the top is 0. Numbers are never given out twice, so what was removed leaves no trace in what
//! comes after.

use super::{Directories, Directory, DirectoryError, DirectoryFuture, DirectoryPath};
use crate::{KeyRange, Transaction, tuple::Subspace};

/// Directories kept in the store, below the byte 0xFE.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardDirectories;

const TOP: u64 = 0;

impl Directories for StandardDirectories {
    fn create_or_open<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            let number = make_path(tx, check_named(path)?).await?;
            Ok(directory(path, number))
        })
    }

    fn create<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            if find(tx, check_named(path)?).await?.is_some() {
                return Err(DirectoryError::AlreadyExists { path: path.clone() });
            }
            let number = make_path(tx, path.names()).await?;
            Ok(directory(path, number))
        })
    }

    fn open<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            check_named(path)?;
            let number = find_existing(tx, path).await?;
            Ok(directory(path, number))
        })
    }

    fn list<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Vec<String>> {
        Box::pin(async move {
            let number = find_existing(tx, path).await?;
            let children = children(tx, number, path).await?;
            Ok(children.into_iter().map(|child| child.name).collect())
        })
    }

    fn rename<'a>(
        &'a self,
        tx: &'a Transaction,
        from: &'a DirectoryPath,
        to: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            let from_names = check_named(from)?;
            let to_names = check_named(to)?;
            let number = find_existing(tx, from).await?;
            if from != to && from.contains(to) {
                return Err(DirectoryError::BelowItself {
                    from: from.clone(),
                    to: to.clone(),
                });
            }
            if find(tx, to_names).await?.is_some() {
                return Err(DirectoryError::AlreadyExists { path: to.clone() });
            }
            let (old_name, old_parent) = split(from_names);
            let (new_name, new_parent) = split(to_names);
            let old_parent = find_existing(tx, &old_parent.to_vec().into()).await?;
            let new_parent = find_existing(tx, &new_parent.to_vec().into()).await?;
            tx.clear(&child_key(old_parent, old_name))?;
            tx.set(&child_key(new_parent, new_name), &number.to_le_bytes())?;
            Ok(directory(to, number))
        })
    }

    fn remove<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, ()> {
        Box::pin(async move {
            let (name, parent) = split(check_named(path)?);
            let number = find_existing(tx, path).await?;
            let parent = find_existing(tx, &parent.to_vec().into()).await?;
            tx.clear(&child_key(parent, name))?;
            let mut doomed = vec![number];
            while let Some(number) = doomed.pop() {
                let below = children(tx, number, path).await?;
                doomed.extend(below.into_iter().map(|child| child.number));
                tx.clear_range(&KeyRange::subspace(&children_subspace(number)))?;
                tx.clear_range(&KeyRange::prefix(content(number).bytes()))?;
            }
            Ok(())
        })
    }
}

struct Child {
    name: String,
    number: u64,
}

/// The number of the directory at `names`, made with its parents where missing.
async fn make_path(tx: &Transaction, names: &[String]) -> Result<u64, DirectoryError> {
    let mut number = TOP;
    for (depth, name) in names.iter().enumerate() {
        let key = child_key(number, name);
        number = match read_number(tx, &key, &names[..depth]).await? {
            Some(child) => child,
            None => {
                let child = next_number(tx).await?;
                tx.set(&key, &child.to_le_bytes())?;
                child
            }
        };
    }
    Ok(number)
}

/// A number that no directory has or had.
async fn next_number(tx: &Transaction) -> Result<u64, DirectoryError> {
    let key = metadata().pack(&"last");
    let last = read_number(tx, &key, &[]).await?.unwrap_or(TOP);
    let next = last.checked_add(1).ok_or_else(|| DirectoryError::Damaged {
        path: DirectoryPath::default(),
        what: "no directory has the last number there is".to_owned(),
    })?;
    tx.set(&key, &next.to_le_bytes())?;
    Ok(next)
}

async fn find(tx: &Transaction, names: &[String]) -> Result<Option<u64>, DirectoryError> {
    let mut number = TOP;
    for (depth, name) in names.iter().enumerate() {
        match read_number(tx, &child_key(number, name), &names[..depth]).await? {
            Some(child) => number = child,
            None => return Ok(None),
        }
    }
    Ok(Some(number))
}

async fn find_existing(tx: &Transaction, path: &DirectoryPath) -> Result<u64, DirectoryError> {
    find(tx, path.names())
        .await?
        .ok_or_else(|| DirectoryError::NotFound { path: path.clone() })
}

async fn children(
    tx: &Transaction,
    number: u64,
    path: &DirectoryPath,
) -> Result<Vec<Child>, DirectoryError> {
    let subspace = children_subspace(number);
    let rows = tx.collect_range(KeyRange::subspace(&subspace)).await?;
    rows.iter()
        .map(|row| {
            let name = subspace
                .unpack(&row.key)
                .map_err(|error| DirectoryError::Damaged {
                    path: path.clone(),
                    what: format!("key {}: {error}", row.key.escape_ascii()),
                })?;
            let number = parse_number(&row.value, path.names())?;
            Ok(Child { name, number })
        })
        .collect()
}

async fn read_number(
    tx: &Transaction,
    key: &[u8],
    parent: &[String],
) -> Result<Option<u64>, DirectoryError> {
    tx.get(key)
        .await?
        .map(|value| parse_number(&value, parent))
        .transpose()
}

fn parse_number(value: &[u8], parent: &[String]) -> Result<u64, DirectoryError> {
    let damaged = || DirectoryError::Damaged {
        path: parent.to_vec().into(),
        what: format!("the number of a directory has 8 bytes, not {}", value.len()),
    };
    value
        .try_into()
        .map(u64::from_le_bytes)
        .map_err(|_| damaged())
}

fn check_named(path: &DirectoryPath) -> Result<&[String], DirectoryError> {
    if path.names().is_empty() {
        return Err(DirectoryError::EmptyPath);
    }
    Ok(path.names())
}

/// The last name, and those above it.
fn split(names: &[String]) -> (&str, &[String]) {
    let (name, parent) = names
        .split_last()
        .expect("the path was checked to have a name");
    (name, parent)
}

fn directory(path: &DirectoryPath, number: u64) -> Directory {
    Directory::new(path.clone(), content(number))
}

/// Where a directory's data is.
fn content(number: u64) -> Subspace {
    Subspace::from((number,))
}

fn metadata() -> Subspace {
    Subspace::from_bytes([0xfe])
}

fn children_subspace(parent: u64) -> Subspace {
    metadata().subspace(&("child", parent))
}

fn child_key(parent: u64, name: &str) -> Vec<u8> {
    children_subspace(parent).pack(&name)
}
