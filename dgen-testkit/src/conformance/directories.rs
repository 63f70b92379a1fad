//! Directories: paths with prefixes of their own.

use std::sync::Arc;

use dgen_backend::{
    Database, KeyRange, Transaction,
    directory::{Directories, Directory, DirectoryError, DirectoryPath},
};
use tokio::task::JoinSet;

use super::Outcome;
use crate::Area;

/// SPEC B6: what was created can be opened, and has the prefix it had.
pub async fn created_directory_can_be_opened(area: Area) -> Outcome {
    let root = Root::new(&area);
    let created = root.create(["a"]).await?;
    let opened = root.open(["a"]).await?;
    assert_eq!(created, opened);
    assert_eq!(opened.path(), &root.path(["a"]));
    assert_eq!(root.create_or_open(["a"]).await?, created);
    root.remove_all().await
}

/// SPEC B6: parents are made where they are missing.
pub async fn parents_are_made(area: Area) -> Outcome {
    let root = Root::new(&area);
    root.create(["a", "b", "c"]).await?;
    root.open(["a", "b"]).await?;
    root.create_or_open(["x", "y"]).await?;
    root.open(["x"]).await?;
    root.remove_all().await
}

/// SPEC B6: what exists can't be created.
pub async fn create_of_an_existing_directory_fails(area: Area) -> Outcome {
    let root = Root::new(&area);
    root.create(["a"]).await?;
    assert_error!(
        root.create(["a"]).await,
        DirectoryError::AlreadyExists { .. }
    );
    root.remove_all().await
}

/// SPEC B6: what does not exist can't be opened, listed, moved or removed.
pub async fn missing_directory_is_an_error(area: Area) -> Outcome {
    let root = Root::new(&area);
    root.create(["a"]).await?;
    assert_error!(root.open(["b"]).await, DirectoryError::NotFound { .. });
    assert_error!(root.open(["a", "b"]).await, DirectoryError::NotFound { .. });
    assert_error!(root.list(["b"]).await, DirectoryError::NotFound { .. });
    assert_error!(
        root.rename(["b"], ["c"]).await,
        DirectoryError::NotFound { .. }
    );
    assert_error!(root.remove(["b"]).await, DirectoryError::NotFound { .. });
    root.remove_all().await
}

/// SPEC B6: the empty path names no directory.
pub async fn empty_path_is_an_error(area: Area) -> Outcome {
    let db = area.database();
    let empty = DirectoryPath::default();
    let directories = db.directories();
    let tx = area.begin();
    assert_error!(
        directories.create_or_open(&tx, &empty).await,
        DirectoryError::EmptyPath
    );
    assert_error!(
        directories.create(&tx, &empty).await,
        DirectoryError::EmptyPath
    );
    assert_error!(
        directories.open(&tx, &empty).await,
        DirectoryError::EmptyPath
    );
    assert_error!(
        directories.remove(&tx, &empty).await,
        DirectoryError::EmptyPath
    );
    Ok(())
}

/// SPEC B6: a directory lists the names directly below it, in order.
pub async fn list_has_the_names_directly_below(area: Area) -> Outcome {
    let root = Root::new(&area);
    for names in [["b", "x"], ["a", "y"], ["c", "z"]] {
        root.create(names).await?;
    }
    assert_eq!(root.list([]).await?, ["a", "b", "c"]);
    assert_eq!(root.list(["a"]).await?, ["y"]);
    assert!(root.list(["a", "y"]).await?.is_empty());
    root.remove_all().await
}

/// SPEC B6: the empty path lists the top.
pub async fn empty_path_lists_the_top(area: Area) -> Outcome {
    let root = Root::new(&area);
    root.create(["a"]).await?;
    let tx = area.begin();
    let directories = area.database().directories();
    let names = directories.list(&tx, &DirectoryPath::default()).await?;
    assert!(names.iter().any(|name| name == area.unique_name()));
    root.remove_all().await
}

/// SPEC B6: a name may hold any character.
pub async fn names_hold_any_character(area: Area) -> Outcome {
    let root = Root::new(&area);
    let names = ["a/b", "", "nul \0", "Ärger"];
    for name in names {
        root.create([name]).await?;
    }
    for name in names {
        root.open([name]).await?;
    }
    assert_eq!(root.list([]).await?.len(), names.len());
    root.remove_all().await
}

/// SPEC B6: no prefix is the beginning of another, whether directories are beside, below or after
/// each other.
pub async fn directories_never_share_a_prefix(area: Area) -> Outcome {
    let root = Root::new(&area);
    let mut all = vec![root.create(["a"]).await?, root.create(["a", "b"]).await?];
    for number in 0..30 {
        all.push(root.create([&format!("{number}")]).await?);
    }
    let removed = root.create(["gone"]).await?;
    root.remove(["gone"]).await?;
    all.push(root.create(["gone"]).await?);
    all.push(removed);
    assert_disjoint(&all);
    root.remove_all().await
}

/// SPEC B6: moving a directory keeps its prefix and its data, and all below it.
pub async fn rename_keeps_prefix_and_data(area: Area) -> Outcome {
    let root = Root::new(&area);
    let directory = root.create(["a"]).await?;
    let below = root.create(["a", "below"]).await?;
    root.create(["b"]).await?;
    let tx = area.begin();
    tx.set(&directory.subspace().pack(&"key"), b"value")?;
    tx.commit().await?;
    let moved = root.rename(["a"], ["b", "c"]).await?;
    assert_eq!(moved.subspace(), directory.subspace());
    assert_eq!(moved.path(), &root.path(["b", "c"]));
    assert_eq!(root.open(["b", "c"]).await?, moved);
    let below_moved = root.open(["b", "c", "below"]).await?;
    assert_eq!(below_moved.subspace(), below.subspace());
    assert_error!(root.open(["a"]).await, DirectoryError::NotFound { .. });
    let value = area.begin().get(&moved.subspace().pack(&"key")).await?;
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
    root.remove_all().await
}

/// SPEC B6: a directory can't be moved onto another, below itself, or where there is no parent.
pub async fn rename_to_a_wrong_path_fails(area: Area) -> Outcome {
    let root = Root::new(&area);
    root.create(["a"]).await?;
    root.create(["b"]).await?;
    assert_error!(
        root.rename(["a"], ["b"]).await,
        DirectoryError::AlreadyExists { .. }
    );
    assert_error!(
        root.rename(["a"], ["a", "c"]).await,
        DirectoryError::BelowItself { .. }
    );
    assert_error!(
        root.rename(["a"], ["missing", "c"]).await,
        DirectoryError::NotFound { .. }
    );
    root.open(["a"]).await?;
    root.remove_all().await
}

/// SPEC B6: removing a directory removes its data and everything below it, and nothing beside it.
pub async fn remove_takes_data_and_children(area: Area) -> Outcome {
    let root = Root::new(&area);
    let doomed = [
        root.create(["a"]).await?,
        root.create(["a", "b"]).await?,
        root.create(["a", "b", "c"]).await?,
    ];
    let kept = root.create(["kept"]).await?;
    let tx = area.begin();
    for directory in doomed.iter().chain([&kept]) {
        tx.set(&directory.subspace().pack(&"key"), b"value")?;
    }
    tx.commit().await?;
    root.remove(["a"]).await?;
    let tx = area.begin();
    for directory in &doomed {
        let range = KeyRange::prefix(directory.subspace().bytes());
        assert!(tx.collect_range(range).await?.is_empty());
    }
    assert!(tx.get(&kept.subspace().pack(&"key")).await?.is_some());
    assert_error!(root.open(["a", "b"]).await, DirectoryError::NotFound { .. });
    assert_eq!(root.list([]).await?, ["kept"]);
    root.remove_all().await
}

/// SPEC B6: what a transaction did to directories happens with its commit, or not at all.
pub async fn uncommitted_directory_does_not_exist(area: Area) -> Outcome {
    let root = Root::new(&area);
    root.create(["a"]).await?;
    let tx = area.begin();
    let path = root.path(["b"]);
    root.directories.create(&tx, &path).await?;
    root.directories.open(&tx, &path).await?;
    tx.cancel();
    assert_error!(root.open(["b"]).await, DirectoryError::NotFound { .. });
    root.remove_all().await
}

/// SPEC B6: directories made at the same time have prefixes of their own.
pub async fn concurrent_creates_have_distinct_prefixes(area: Area) -> Outcome {
    let root = Root::new(&area);
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let root = root.clone();
        tasks.spawn(async move { root.create([&format!("{number}")]).await });
    }
    let mut all = Vec::new();
    while let Some(directory) = tasks.join_next().await {
        all.push(directory??);
    }
    assert_disjoint(&all);
    assert_eq!(root.list([]).await?.len(), 8);
    root.remove_all().await
}

/// SPEC B6: a directory that several open at the same time is made once.
pub async fn concurrent_opens_get_one_directory(area: Area) -> Outcome {
    let root = Root::new(&area);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let root = root.clone();
        tasks.spawn(async move { root.create_or_open(["a", "b"]).await });
    }
    let mut all = Vec::new();
    while let Some(directory) = tasks.join_next().await {
        all.push(directory??);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    root.remove_all().await
}

fn assert_disjoint(directories: &[Directory]) {
    for (at, one) in directories.iter().enumerate() {
        for other in &directories[at + 1..] {
            let (one, other) = (one.subspace(), other.subspace());
            assert!(!one.is_start_of(other.bytes()), "{one:?} {other:?}");
            assert!(!other.is_start_of(one.bytes()), "{one:?} {other:?}");
        }
    }
}

/// Removes the directory called `name` at the top.
pub(super) async fn remove(area: &Area, name: &str) -> Outcome {
    let path = DirectoryPath::from(name);
    let directories = area.database().directories();
    area.database()
        .transact(async |tx| directories.remove(&tx, &path).await)
        .await?;
    Ok(())
}

/// The directories below one whose name no other test has, each call in a transaction.
#[derive(Clone)]
struct Root {
    db: Database,
    directories: Arc<dyn Directories>,
    name: String,
}

impl Root {
    fn new(area: &Area) -> Self {
        Self {
            db: area.database().clone(),
            directories: area.database().directories(),
            name: area.unique_name().to_owned(),
        }
    }

    fn path<const N: usize>(&self, names: [&str; N]) -> DirectoryPath {
        let mut path = vec![self.name.clone()];
        path.extend(names.map(str::to_owned));
        path.into()
    }

    async fn create<const N: usize>(&self, names: [&str; N]) -> Result<Directory, DirectoryError> {
        let path = &self.path(names);
        self.transact(move |tx| async move { self.directories.create(&tx, path).await })
            .await
    }

    async fn create_or_open<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<Directory, DirectoryError> {
        let path = &self.path(names);
        self.transact(move |tx| async move { self.directories.create_or_open(&tx, path).await })
            .await
    }

    async fn open<const N: usize>(&self, names: [&str; N]) -> Result<Directory, DirectoryError> {
        let path = &self.path(names);
        self.transact(move |tx| async move { self.directories.open(&tx, path).await })
            .await
    }

    async fn list<const N: usize>(&self, names: [&str; N]) -> Result<Vec<String>, DirectoryError> {
        let path = &self.path(names);
        self.transact(move |tx| async move { self.directories.list(&tx, path).await })
            .await
    }

    async fn rename<const N: usize, const M: usize>(
        &self,
        from: [&str; N],
        to: [&str; M],
    ) -> Result<Directory, DirectoryError> {
        let (from, to) = (&self.path(from), &self.path(to));
        self.transact(move |tx| async move { self.directories.rename(&tx, from, to).await })
            .await
    }

    async fn remove<const N: usize>(&self, names: [&str; N]) -> Result<(), DirectoryError> {
        let path = &self.path(names);
        self.transact(move |tx| async move { self.directories.remove(&tx, path).await })
            .await
    }

    async fn remove_all(&self) -> Outcome {
        self.remove([]).await?;
        Ok(())
    }

    async fn transact<T, F, Fut>(&self, work: F) -> Result<T, DirectoryError>
    where
        F: Fn(Transaction) -> Fut,
        Fut: Future<Output = Result<T, DirectoryError>>,
    {
        self.db.transact(work).await
    }
}
