//! Stored states: whatever rows there are below one.

use dgen_backend::{Database, tuple::Subspace};
use dgen_codec::{LoadError, Loaded, StoreError};

use crate::{block_on, rows, types::Everything};

fn base() -> Subspace {
    Subspace::from("state")
}

pub(crate) fn run(data: &[u8]) {
    block_on(async {
        let db = rows::store_with(base().bytes(), data).await;
        let tx = db.begin().unwrap();
        let _version = dgen_codec::version(&tx, &base()).await;
        let _chunks = dgen_codec::read_chunks(&tx, &base()).await;
        let Ok(Some(loaded)) = load(&db).await else {
            return;
        };
        // What can be read can be changed, and is then read as it was written.
        let mut changed = loaded.value.clone();
        changed.items.reverse();
        changed.name.push('!');
        changed.items.retain(|item| item.id != "b");
        store(&db, Some(&loaded), &changed)
            .await
            .expect("it can be written");
        let again = load(&db).await.expect("it can be read");
        assert_eq!(again.expect("it is there").value, changed);
    });
}

async fn load(db: &Database) -> Result<Option<Loaded<Everything>>, LoadError> {
    dgen_codec::load::<Everything>(&db.begin().unwrap(), &base()).await
}

async fn store(
    db: &Database,
    before: Option<&Loaded<Everything>>,
    value: &Everything,
) -> Result<(), StoreError> {
    let tx = db.begin().unwrap();
    let before = before.map(|before| &before.stored);
    dgen_codec::store(&tx, &base(), before, value)?;
    tx.commit().await.expect("it commits");
    Ok(())
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    block_on(async {
        let db = rows::store_with(b"", b"").await;
        store(&db, None, &Everything::sample())
            .await
            .expect("a seed can be written");
        vec![("everything", rows::dump(&db, base().bytes()).await)]
    })
}
