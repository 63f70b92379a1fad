//! The directory layer: whatever rows there are below the byte `FE`.

use dgen_backend::{
    Database, Tenant,
    directory::{DirectoryError, DirectoryPath},
};

use crate::{block_on, rows};

const PREFIX: &[u8] = b"\xfe";

pub(crate) fn run(data: &[u8]) {
    block_on(async {
        let db = rows::store_with(PREFIX, data).await;
        let _used: Result<(), DirectoryError> = use_all(&db).await;
    });
}

async fn use_all(db: &Database) -> Result<(), DirectoryError> {
    let layer = db.directories();
    let tx = db.begin()?;
    let _top = layer.list(&tx, &DirectoryPath::from([])).await;
    let _list = layer.list(&tx, &"shop".into()).await;
    let _opened = layer.open(&tx, &["shop", "orders"].into()).await;
    drop(tx);
    let _made = Tenant::open(db, ["shop", "orders", "new"]).await?;
    let _other = Tenant::open(db, "bank").await?;
    let tx = db.begin()?;
    let to = ["bank", "shop"].into();
    let _renamed = layer.rename(&tx, &"shop".into(), &to).await;
    let _removed = layer.remove(&tx, &"bank".into()).await;
    Ok(())
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    block_on(async {
        let db = rows::store_with(b"", b"").await;
        for path in [["shop", "orders"], ["shop", "carts"], ["bank", "else"]] {
            Tenant::open(&db, path).await.expect("a seed is sound");
        }
        vec![("directories", rows::dump(&db, PREFIX).await)]
    })
}
