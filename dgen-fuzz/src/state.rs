//! Stored states: whatever rows there are below one.

use dgen_backend::{Database, tuple::Subspace};
use dgen_codec::{LoadError, Loaded, Stored};

use crate::{
    block_on, rows,
    types::{Everything, Item},
};

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
        // The one in the place of the other: a list is stored as a vector is.
        let items = std::mem::take(&mut changed.items);
        changed.items = changed.large.to_vec();
        changed.large = items.into();
        let stored = store(&db, Some(&loaded.stored), &changed).await;
        let again = load(&db).await.expect("it can be read");
        assert_eq!(again.expect("it is there").value, changed);
        // And again, by what is now known of the list.
        changed.large.push(Item::default());
        if let Some(first) = changed.large.first_mut() {
            first.text.push('!');
        }
        store(&db, Some(&stored), &changed).await;
        let again = load(&db).await.expect("it can be read");
        assert_eq!(again.expect("it is there").value, changed);
    });
}

async fn load(db: &Database) -> Result<Option<Loaded<Everything>>, LoadError> {
    dgen_codec::load::<Everything>(&db.begin().unwrap(), &base()).await
}

async fn store(db: &Database, before: Option<&Stored>, value: &Everything) -> Stored {
    let tx = db.begin().unwrap();
    let written = dgen_codec::store(&tx, &base(), before, value).expect("it can be written");
    tx.commit().await.expect("it commits");
    written.stored
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    block_on(async {
        let db = rows::store_with(b"", b"").await;
        store(&db, None, &Everything::sample()).await;
        vec![("everything", rows::dump(&db, base().bytes()).await)]
    })
}
