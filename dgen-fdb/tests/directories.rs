//! The directory layer is FoundationDB's own: other programs see what dgen makes, and the other way
//! round.

mod support;

use std::collections::BTreeSet;

use dgen_backend::{
    Tenant,
    directory::{DirectoryError, DirectoryPath},
};
use foundationdb::{
    Database,
    directory::{Directory as _, DirectoryLayer},
};
use futures_util::future::join_all;
use support::directory;

/// Another program: the crate `foundationdb`, without dgen.
struct Other {
    db: Database,
    layer: DirectoryLayer,
}

impl Other {
    /// dgen has started the client library's network.
    fn new() -> Self {
        let file = std::env::var("FDB_CLUSTER_FILE").ok();
        let db = Database::new(file.as_deref());
        Self {
            db: db.expect("there is a cluster file"),
            layer: DirectoryLayer::default(),
        }
    }

    /// The prefix of the directory at `path`, which exists.
    async fn open(&self, path: &DirectoryPath) -> Option<Vec<u8>> {
        let tx = self.db.create_trx().expect("a transaction can be begun");
        let opened = self.layer.open(&tx, path.names(), None).await;
        Some(opened.ok()?.bytes().expect("it is no partition").to_vec())
    }

    async fn create(&self, path: &DirectoryPath) -> Vec<u8> {
        let created = self.db.run(|tx, _| async move {
            let created = self.layer.create_or_open(&tx, path.names(), None, None);
            let created = created.await?;
            Ok(created.bytes().expect("it is no partition").to_vec())
        });
        created.await.expect("it is committed")
    }

    async fn remove(&self, path: &DirectoryPath) {
        let removed = self
            .db
            .run(|tx, _| async move { Ok(self.layer.remove_if_exists(&tx, path.names()).await?) });
        removed.await.expect("it is committed");
    }

    async fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let tx = self.db.create_trx().expect("a transaction can be begun");
        let value = tx.get(key, false).await.expect("it can be read");
        value.map(|value| value.to_vec())
    }
}

fn below(path: &DirectoryPath, name: &str) -> DirectoryPath {
    let mut names = path.names().to_vec();
    names.push(name.to_owned());
    names.into()
}

fn prefix(tenant: &Tenant) -> &[u8] {
    tenant.subspace().bytes()
}

/// SPEC F1, B6: a directory of dgen's has the same prefix for another program, which finds its data.
#[tokio::test]
async fn other_programs_see_directories_of_ours() {
    let top = directory::unused("ours");
    let tenant = directory::open(&top).await;
    let other = Other::new();
    assert_eq!(other.open(&top).await.as_deref(), Some(prefix(&tenant)));

    let key = tenant.subspace().pack(&"milk");
    let set = tenant.transact(async |tx| tx.set(&key, b"two"));
    let _: Result<(), dgen_backend::Error> = set.await;
    assert_eq!(other.get(&key).await.as_deref(), Some(&b"two"[..]));

    // Its name goes, its prefix stays.
    let moved = directory::unused("moved");
    let directories = tenant.database().directories();
    let rename = tenant.database().transact(|tx| {
        let (directories, top, moved) = (&directories, &top, &moved);
        async move { directories.rename(&tx, top, moved).await }
    });
    rename.await.expect("it can be moved");
    assert_eq!(other.open(&top).await, None);
    assert_eq!(other.open(&moved).await.as_deref(), Some(prefix(&tenant)));

    directory::remove(&tenant, &moved).await;
    assert_eq!(other.open(&moved).await, None);
    assert_eq!(other.get(&key).await, None, "its data is gone too");
}

/// SPEC F1, B6: a directory of another program's is opened by its path, with its prefix.
#[tokio::test]
async fn we_see_directories_of_other_programs() {
    let top = directory::unused("theirs");
    let tenant = directory::open(&top).await;
    let other = Other::new();
    let child = below(&top, "child");
    let theirs = other.create(&child).await;
    assert_eq!(prefix(&directory::open(&child).await), theirs);

    let db = tenant.database();
    let directories = db.directories();
    let tx = db.begin().expect("a transaction can be begun");
    let names = directories.list(&tx, &top).await;
    assert_eq!(names.expect("it can be listed"), ["child"]);
    other.remove(&child).await;
    let tx = db.begin().expect("a transaction can be begun");
    let error = directories.open(&tx, &child).await.expect_err("it is gone");
    assert!(matches!(error, DirectoryError::NotFound { .. }), "{error}");
    directory::remove(&tenant, &top).await;
}

/// SPEC F1, B6: however many programs make directories at once, none lies in another, and who makes
/// the same path gets the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directories_never_share_a_prefix() {
    const EACH: usize = 20;
    let top = directory::unused("prefixes");
    let tenant = directory::open(&top).await;
    let (other, top) = (&Other::new(), &top);
    let ours = (0..EACH).map(|number| async move {
        let made = directory::open(&below(top, &format!("ours {number}"))).await;
        prefix(&made).to_vec()
    });
    let theirs = (0..EACH)
        .map(|number| async move { other.create(&below(top, &format!("theirs {number}"))).await });
    let shared = (0..EACH).map(|number| async move {
        let path = below(top, &format!("shared {number}"));
        let (ours, theirs) =
            futures_util::future::join(directory::open(&path), other.create(&path)).await;
        assert_eq!(prefix(&ours), theirs, "{path}");
        theirs
    });
    let (ours, (theirs, shared)) = futures_util::future::join(
        join_all(ours),
        futures_util::future::join(join_all(theirs), join_all(shared)),
    )
    .await;

    let mut prefixes: Vec<_> = [ours, theirs, shared].concat();
    prefixes.push(prefix(&tenant).to_vec());
    let distinct: BTreeSet<_> = prefixes.iter().collect();
    assert_eq!(distinct.len(), prefixes.len());
    for (one, next) in distinct.iter().zip(distinct.iter().skip(1)) {
        assert!(!next.starts_with(one), "{one:?} is a prefix of {next:?}");
    }
    directory::remove(&tenant, top).await;
}
