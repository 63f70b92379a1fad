//! Stored rows that are not what was written: typed errors, no panic, nothing lost.

use dgen_backend::{
    KeyPreview,
    tuple::{Subspace, TuplePack, Versionstamp},
};
use dgen_queue::{Damage, Error, Limits};
use proptest::prelude::*;

use crate::fixture::{Fixture, bytes, pattern};

impl Fixture {
    /// Pops everything, in one read, and says what is wrong.
    async fn try_consume(&self) -> Result<usize, Error> {
        let tx = self.begin();
        let limits = Limits::default().size_max_bytes(usize::MAX);
        let consumed = self.queue.consume_k(&tx, limits).await;
        if consumed.is_err() {
            assert!(!tx.has_writes());
        }
        tx.commit().await?;
        Ok(consumed?.items.len())
    }

    /// Asserts that popping fails with `damage` at `key`, again and again, and changes nothing.
    async fn assert_damaged(&self, key: &[u8], damage: Damage) {
        let rows = self.rows().await;
        for _ in 0..2 {
            let error = self.try_consume().await.unwrap_err();
            assert!(!error.is_retryable() && !error.maybe_executed());
            let Error::Damaged {
                key: found_key,
                damage: found,
            } = error
            else {
                panic!("another error: {error}");
            };
            assert_eq!(found, damage);
            assert_eq!(found_key, KeyPreview::new(key));
        }
        assert!(self.rows().await == rows);
    }
}

fn items() -> Subspace {
    Fixture::subspace().subspace(&"i")
}

fn row(tuple: &impl TuplePack) -> Vec<u8> {
    items().pack(tuple)
}

/// The stamp of the first item.
async fn head_stamp(f: &Fixture) -> Versionstamp {
    let items = f.queue.peek(&f.begin(), 1).await.unwrap();
    items[0].stamp().clone()
}

/// SPEC Q3, S12: whichever chunk is gone, the error names it.
#[tokio::test]
async fn a_missing_chunk_is_named() {
    for index in 0..4_u64 {
        let f = Fixture::new();
        f.push([pattern(350_000), pattern(5)]).await;
        let key = row(&(head_stamp(&f).await, 350_000, index));
        f.clear(&key).await;
        let damage = Damage::ChunkMissing {
            index: index as usize,
            count: 4,
        };
        f.assert_damaged(&key, damage).await;
    }
}

/// SPEC Q3, S12: at the end of the queue too, where no row behind it tells.
#[tokio::test]
async fn a_missing_last_chunk_of_the_last_item_is_named() {
    let f = Fixture::new();
    f.push([pattern(350_000)]).await;
    let key = row(&(head_stamp(&f).await, 350_000, 3));
    f.clear(&key).await;
    let damage = Damage::ChunkMissing { index: 3, count: 4 };
    f.assert_damaged(&key, damage).await;
}

/// SPEC Q3, S12.
#[tokio::test]
async fn a_chunk_of_another_length_is_named() {
    for (index, stored, expected) in [(0, 99_999, 100_000), (1, 100_000, 50_000), (1, 0, 50_000)] {
        let f = Fixture::new();
        f.push([pattern(150_000)]).await;
        let key = row(&(head_stamp(&f).await, 150_000, index));
        f.set(&key, &pattern(stored)).await;
        let damage = Damage::ChunkSize {
            size_bytes: stored,
            expected_bytes: expected,
        };
        f.assert_damaged(&key, damage).await;
    }
}

/// SPEC S12: keys that a queue never writes, each of them before the first item.
#[tokio::test]
async fn a_row_that_no_item_has_is_named() {
    let stamp = || Versionstamp::complete([0; 10], 0);
    let too_large = row(&(stamp(), 10_000_001, 0));
    let too_small = row(&(stamp(), 100_000, 0));
    let too_far = row(&(stamp(), 150_000, 2));
    let too_long = row(&(stamp(), 150_000, 0, 0));
    let negative = row(&(stamp(), -150_000, 0));
    let bad_keys = [
        row(&"stray"),
        row(&0),
        too_large,
        too_small,
        too_far,
        too_long,
        negative,
        [items().bytes(), b"\x33\0\0"].concat(),
        // 150,000 and 0, the first with a zero too many.
        [&row(&(stamp(),))[..], b"\x18\0\x02\x49\xf0\x14"].concat(),
    ];
    for key in bad_keys {
        let f = Fixture::new();
        f.push(["a"]).await;
        f.set(&key, b"value").await;
        f.assert_damaged(&key, Damage::UnknownRow).await;
    }
}

/// SPEC S12: items before the damage can still be popped; then it is met, and what is behind it stays.
#[tokio::test]
async fn damage_stops_at_the_damaged_item() {
    let f = Fixture::new();
    f.push([pattern(3), pattern(150_000)]).await;
    f.push([pattern(250_000)]).await;
    f.push(["behind"]).await;
    let items = f.queue.peek(&f.begin(), 3).await.unwrap();
    let damaged = row(&(items[2].stamp(), 250_000, 1));
    f.clear(&damaged).await;

    let head = f.queue.head(&f.begin(), Limits::default()).await.unwrap();
    assert!(bytes(head.items()) == [pattern(3), pattern(150_000)]);
    assert!(head.may_have_more() && !head.found_empty());

    assert_eq!(f.try_consume().await.unwrap(), 2);
    let damage = Damage::ChunkMissing { index: 1, count: 3 };
    f.assert_damaged(&damaged, damage).await;

    // Mended, everything is there.
    f.set(&damaged, &pattern(250_000)[100_000..200_000]).await;
    assert_eq!(f.try_consume().await.unwrap(), 2);
    assert_eq!(f.len().await, 0);
}

/// SPEC Q1, S12.
#[tokio::test]
async fn counters_that_are_none_are_typed_errors() {
    let f = Fixture::new();
    f.push(["a"]).await;
    let pushed = Fixture::subspace().pack(&"pushed");
    let popped = Fixture::subspace().pack(&"popped");
    let length = async || f.queue.len(&f.begin()).await;

    f.set(&pushed, b"short").await;
    let error = length().await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Damaged { key, damage: Damage::CounterSize { size_bytes: 5 } }
                if *key == KeyPreview::new(&pushed)
        ),
        "{error}"
    );

    f.set(&pushed, &1_i64.to_le_bytes()).await;
    f.set(&popped, &2_i64.to_le_bytes()).await;
    let error = length().await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Damaged {
                damage: Damage::NegativeLength {
                    pushed: 1,
                    popped: 2
                },
                ..
            }
        ),
        "{error}"
    );
    // Counters are for the length alone.
    assert_eq!(f.consume(10).await, ["a"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// SPEC S12: no row among the items makes a read panic, and none that is read as an item was
    /// changed on the way.
    #[test]
    fn any_rows_can_be_read(
        rows in prop::collection::vec(
            (0..3_u8, prop::sample::select(vec![0_u64, 100_001, 200_000, 250_000, u64::MAX]), 0..4_u64, any::<bool>()),
            0..12,
        ),
        limit in 1_usize..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = Fixture::new();
            for (stamp, size_bytes, index, is_full) in rows {
                let stamp = Versionstamp::complete([stamp; 10], 0);
                let value = pattern(if is_full { 100_000 } else { 50_000 });
                if size_bytes == 0 {
                    f.set(&row(&(stamp,)), &value).await;
                } else {
                    f.set(&row(&(stamp, size_bytes, index)), &value).await;
                }
            }
            let limits = Limits::items(limit).size_max_bytes(usize::MAX);
            if let Ok(head) = f.queue.head(&f.begin(), limits).await {
                assert!(head.items().len() <= limit);
                for item in head.items() {
                    assert!([50_000, 100_000, 200_000, 250_000].contains(&item.bytes().len()));
                }
            }
        });
    }
}
