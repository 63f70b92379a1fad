//! FoundationDB's own directory layer.

use dgen_backend::{
    Error, Transaction,
    directory::{Directories, Directory, DirectoryError, DirectoryFuture, DirectoryPath},
    tuple::Subspace,
};
use foundationdb::{
    Transaction as NativeTransaction,
    directory::{Directory as _, DirectoryError as NativeError, DirectoryLayer, DirectoryOutput},
    tuple::hca::HcaError,
};

use crate::{error, transaction::FdbTransaction};

/// The directories that every program sees which uses FoundationDB's directory layer on the cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NativeDirectories;

impl Directories for NativeDirectories {
    fn create_or_open<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            let native = native(tx)?;
            let layer = DirectoryLayer::default();
            let opened = layer.create_or_open(&native, named(path)?, None, None);
            directory(path, opened.await)
        })
    }

    fn create<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            let native = native(tx)?;
            let layer = DirectoryLayer::default();
            let created = layer.create(&native, named(path)?, None, None);
            directory(path, created.await)
        })
    }

    fn open<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            let native = native(tx)?;
            let layer = DirectoryLayer::default();
            let opened = layer.open(&native, named(path)?, None);
            directory(path, opened.await)
        })
    }

    fn list<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Vec<String>> {
        Box::pin(async move {
            let native = native(tx)?;
            let layer = DirectoryLayer::default();
            let names = layer.list(&native, path.names()).await;
            names.map_err(|error| failed(path, error))
        })
    }

    fn rename<'a>(
        &'a self,
        tx: &'a Transaction,
        from: &'a DirectoryPath,
        to: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory> {
        Box::pin(async move {
            let native = native(tx)?;
            let layer = DirectoryLayer::default();
            let (from_names, to_names) = (named(from)?, named(to)?);
            if !exists(&native, &layer, from).await? {
                return Err(not_found(from));
            }
            if from != to && from.contains(to) {
                return Err(DirectoryError::BelowItself {
                    from: from.clone(),
                    to: to.clone(),
                });
            }
            if exists(&native, &layer, to).await? {
                return Err(DirectoryError::AlreadyExists { path: to.clone() });
            }
            let parent: DirectoryPath = to_names[..to_names.len() - 1].to_vec().into();
            if !parent.names().is_empty() && !exists(&native, &layer, &parent).await? {
                return Err(not_found(&parent));
            }
            let moved = layer.move_to(&native, from_names, to_names);
            directory(to, moved.await)
        })
    }

    fn remove<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, ()> {
        Box::pin(async move {
            let native = native(tx)?;
            let layer = DirectoryLayer::default();
            let names = named(path)?;
            match layer.remove_if_exists(&native, names).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(not_found(path)),
                Err(error) => Err(failed(path, error)),
            }
        })
    }
}

/// The client library's transaction below `tx`.
fn native(tx: &Transaction) -> Result<std::sync::Arc<NativeTransaction>, Error> {
    match tx
        .native()
        .and_then(|native| native.downcast_ref::<FdbTransaction>())
    {
        Some(native) => native.shared(),
        None => Err(Error::Storage {
            source: std::sync::Arc::from(Box::from(
                "a transaction of another backend, used with FoundationDB's directories",
            )),
        }),
    }
}

async fn exists(
    native: &NativeTransaction,
    layer: &DirectoryLayer,
    path: &DirectoryPath,
) -> Result<bool, DirectoryError> {
    let exists = layer.exists(native, path.names()).await;
    exists.map_err(|error| failed(path, error))
}

fn named(path: &DirectoryPath) -> Result<&[String], DirectoryError> {
    match path.names() {
        [] => Err(DirectoryError::EmptyPath),
        names => Ok(names),
    }
}

fn directory(
    path: &DirectoryPath,
    found: Result<DirectoryOutput, NativeError>,
) -> Result<Directory, DirectoryError> {
    let found = found.map_err(|error| failed(path, error))?;
    let prefix = found.bytes().map_err(|error| failed(path, error))?;
    let subspace = Subspace::from_bytes(prefix);
    Ok(Directory::new(path.clone(), subspace))
}

fn not_found(path: &DirectoryPath) -> DirectoryError {
    DirectoryError::NotFound { path: path.clone() }
}

fn failed(path: &DirectoryPath, error: NativeError) -> DirectoryError {
    match error {
        NativeError::FdbError(error) | NativeError::HcaError(HcaError::FdbError(error)) => {
            DirectoryError::Transaction(error::of(error))
        }
        NativeError::DirectoryDoesNotExists
        | NativeError::PathDoesNotExists
        | NativeError::ParentDirDoesNotExists => not_found(path),
        NativeError::DirAlreadyExists => DirectoryError::AlreadyExists { path: path.clone() },
        NativeError::NoPathProvided => DirectoryError::EmptyPath,
        NativeError::PackError(error) => DirectoryError::Damaged {
            path: path.clone(),
            what: format!("{error:?}"),
        },
        other => DirectoryError::Refused {
            path: path.clone(),
            why: format!("{other:?}"),
        },
    }
}
