//! States in the transactions of a real store.

use std::error::Error as StdError;

use dgen_backend::{Database, Error, KeyRange, tuple::Subspace};
use dgen_codec::{LoadError, Loaded, StoreError, Stored, Version, Written};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

type Outcome = Result<(), Box<dyn StdError>>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Shop {
    name: String,
    orders: Vec<Order>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: String,
    total: u32,
    note: String,
}

fn order(id: usize) -> Order {
    Order {
        id: format!("o-{id}"),
        total: 1,
        note: "n".repeat(200),
    }
}

fn shop(orders: usize) -> Shop {
    Shop {
        name: "shop".to_owned(),
        orders: (0..orders).map(order).collect(),
    }
}

fn base() -> Subspace {
    Subspace::from(("Shop", "demo", "state"))
}

/// Stores in a transaction of its own; the version is the commit's.
async fn store<T: Serialize>(
    db: &Database,
    old: Option<&Stored>,
    value: &T,
) -> Result<(Written, Option<Version>), StoreError> {
    let tx = db.begin()?;
    let written = dgen_codec::store(&tx, &base(), old, value)?;
    let stamp = tx.versionstamp();
    tx.commit().await?;
    let version = if written.is_changed {
        Some(Version::new(stamp.await?))
    } else {
        None
    };
    Ok((written, version))
}

async fn load<T: DeserializeOwned>(db: &Database) -> Result<Option<Loaded<T>>, LoadError> {
    dgen_codec::load(&db.begin()?, &base()).await
}

async fn keys(db: &Database) -> Result<usize, Error> {
    let rows = db
        .begin()?
        .collect_range(KeyRange::subspace(&base()))
        .await?;
    Ok(rows.len())
}

/// SPEC C3, C4: what is read is what was written last, and its version is the commit's.
#[tokio::test]
async fn a_state_and_its_version_are_read_back() -> Outcome {
    let db = crate::database();
    assert!(load::<Shop>(&db).await?.is_none());
    assert_eq!(dgen_codec::version(&db.begin()?, &base()).await?, None);

    let mut value = shop(3);
    let (first, first_version) = store(&db, None, &value).await?;
    let loaded = load::<Shop>(&db).await?.expect("it was stored");
    assert_eq!(
        (&loaded.value, Some(loaded.version)),
        (&value, first_version)
    );

    value.orders.swap(0, 2);
    value.orders[1].total = 7;
    let (second, second_version) = store(&db, Some(&first.stored), &value).await?;
    assert!(second.is_changed && second_version > first_version);
    let loaded = load::<Shop>(&db).await?.expect("it was stored");
    assert_eq!(
        (loaded.value, Some(loaded.version)),
        (value, second_version)
    );
    assert_eq!(
        dgen_codec::version(&db.begin()?, &base()).await?,
        second_version
    );
    Ok(())
}

/// SPEC C2, C4: where nothing changed, nothing is written, and the version stays.
#[tokio::test]
async fn an_equal_state_writes_nothing() -> Outcome {
    let db = crate::database();
    let (_, version) = store(&db, None, &shop(3)).await?;
    let loaded = load::<Shop>(&db).await?.expect("it was stored");
    let tx = db.begin()?;
    let written = dgen_codec::store(&tx, &base(), Some(&loaded.stored), &shop(3))?;
    assert!(!written.is_changed && !tx.has_writes());
    assert_eq!(dgen_codec::version(&db.begin()?, &base()).await?, version);
    Ok(())
}

/// SPEC C3: states of megabytes are read in pages, and any of their parts can change.
#[tokio::test]
async fn a_state_of_megabytes_round_trips() -> Outcome {
    let db = crate::database();
    let mut value = shop(5_000);
    value.orders[17].note = "x".repeat(1_000_000);
    let (written, _) = store(&db, None, &value).await?;
    assert!(written.stored.size_bytes() > 2_000_000);
    assert_eq!(
        load::<Shop>(&db).await?.expect("it was stored").value,
        value
    );

    value.orders[17].note.truncate(150_000);
    value.orders.remove(3_000);
    value.orders.insert(9, order(9_999));
    store(&db, Some(&written.stored), &value).await?;
    assert_eq!(
        load::<Shop>(&db).await?.expect("it was stored").value,
        value
    );
    Ok(())
}

/// SPEC C2: without an old state, whatever was below the prefix goes; neighbours stay.
#[tokio::test]
async fn a_first_write_replaces_what_was_there() -> Outcome {
    let db = crate::database();
    let neighbour = Subspace::from(("Shop", "demo", "statement")).pack(&1);
    db.transact(|tx| {
        let neighbour = neighbour.clone();
        async move { tx.set(&neighbour, b"stays") }
    })
    .await?;
    store(&db, None, &shop(50)).await?;
    store(&db, None, &7_u8).await?;
    assert_eq!(load::<u8>(&db).await?.map(|loaded| loaded.value), Some(7));
    assert_eq!(keys(&db).await?, 2, "the value and its version");

    let tx = db.begin()?;
    dgen_codec::clear(&tx, &base())?;
    tx.commit().await?;
    assert_eq!(keys(&db).await?, 0);
    assert!(db.begin()?.get(&neighbour).await?.is_some());
    Ok(())
}

/// SPEC C4: a cached state is current while its version is; a change in between is a conflict.
#[tokio::test]
async fn a_version_read_guards_a_blind_write() -> Outcome {
    let db = crate::database();
    let (first, version) = store(&db, None, &shop(1)).await?;
    let tx = db.begin()?;
    assert_eq!(dgen_codec::version(&tx, &base()).await?, version);
    dgen_codec::store(&tx, &base(), Some(&first.stored), &shop(2))?;
    store(&db, Some(&first.stored), &shop(3)).await?;
    assert!(matches!(tx.commit().await, Err(Error::Conflict)));
    assert_eq!(
        load::<Shop>(&db).await?.map(|loaded| loaded.value),
        Some(shop(3))
    );
    Ok(())
}

/// SPEC C4: a value that doesn't decode is an error naming the key path, and nothing is overwritten.
#[tokio::test]
async fn a_value_that_does_not_decode_names_its_place() -> Outcome {
    #[derive(Debug, Deserialize)]
    struct OtherShop {
        #[serde(rename = "orders")]
        _orders: Vec<OtherOrder>,
    }
    #[derive(Debug, Deserialize)]
    struct OtherOrder {
        #[serde(rename = "total")]
        _total: String,
    }
    let db = crate::database();
    store(&db, None, &shop(1)).await?;
    let error = load::<OtherShop>(&db)
        .await
        .expect_err("a number is no string");
    let text = error.to_string();
    assert!(
        text.contains(r#".orders[id="o-0"].total"#) && text.contains("demo"),
        "{text}"
    );
    assert!(!error.is_retryable() && !error.maybe_executed());
    assert_eq!(
        load::<Shop>(&db).await?.map(|loaded| loaded.value),
        Some(shop(1))
    );
    Ok(())
}

/// SPEC C4: a state or a version that is not there alone is damage, not a missing state.
#[tokio::test]
async fn half_a_state_is_an_error() -> Outcome {
    let db = crate::database();
    store(&db, None, &7_u8).await?;
    let tx = db.begin()?;
    tx.clear(&dgen_codec::version_key(&base()))?;
    tx.commit().await?;
    assert!(matches!(
        load::<u8>(&db).await,
        Err(LoadError::Damaged { .. })
    ));

    store(&db, None, &7_u8).await?;
    let tx = db.begin()?;
    dgen_codec::clear_chunks(&tx, &base())?;
    tx.commit().await?;
    assert!(matches!(
        load::<u8>(&db).await,
        Err(LoadError::Damaged { .. })
    ));

    let tx = db.begin()?;
    tx.set(&dgen_codec::version_key(&base()), b"short")?;
    tx.commit().await?;
    assert!(matches!(
        load::<u8>(&db).await,
        Err(LoadError::Damaged { .. })
    ));
    let version = dgen_codec::version(&db.begin()?, &base()).await;
    assert!(matches!(version, Err(Error::Damaged { .. })));
    Ok(())
}

/// SPEC S4: a reply of any size is chunks under one prefix.
#[tokio::test]
async fn chunks_round_trip() -> Outcome {
    let db = crate::database();
    for size in [0, 1, 100_000, 100_001, 1_234_567, 3] {
        let bytes = vec![7; size];
        let tx = db.begin()?;
        dgen_codec::write_chunks(&tx, &base(), &bytes)?;
        tx.commit().await?;
        let tx = db.begin()?;
        assert_eq!(
            dgen_codec::read_chunks(&tx, &base()).await?.as_deref(),
            Some(&bytes[..])
        );
        assert!(
            tx.get(&dgen_codec::first_chunk_key(&base()))
                .await?
                .is_some()
        );
    }
    let tx = db.begin()?;
    dgen_codec::write_chunks(&tx, &base(), &[7; 300_000])?;
    tx.clear(&base().pack(&(&b"t"[..], 1)))?;
    tx.commit().await?;
    assert!(matches!(
        dgen_codec::read_chunks(&db.begin()?, &base()).await,
        Err(LoadError::Damaged { .. })
    ));
    let tx = db.begin()?;
    dgen_codec::clear_chunks(&tx, &base())?;
    tx.commit().await?;
    assert_eq!(dgen_codec::read_chunks(&db.begin()?, &base()).await?, None);
    Ok(())
}

/// Futures and values can be sent to other threads.
#[test]
fn everything_is_send() -> Outcome {
    fn is_send<T: Send>(_: &T) {}
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<(Stored, Version, LoadError, StoreError)>();
    let db = crate::database();
    let (tx, base) = (db.begin()?, base());
    is_send(&dgen_codec::load::<Shop>(&tx, &base));
    is_send(&dgen_codec::read_chunks(&tx, &base));
    Ok(())
}
