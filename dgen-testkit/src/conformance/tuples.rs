//! Tuple packing: FoundationDB's, byte for byte, and its order in the store.

use dgen_backend::{
    KeyRange,
    tuple::{Subspace, Versionstamp, pack, unpack},
};

use super::Outcome;
use crate::Area;

/// SPEC B6: the encodings that FoundationDB's tuple layer publishes.
pub async fn tuples_are_packed_as_by_foundationdb(_area: Area) -> Outcome {
    assert_eq!(pack(&("FÔO\0bar",)), b"\x02F\xc3\x94O\x00\xffbar\x00");
    assert_eq!(pack(&(&b"foo\x00bar"[..],)), b"\x01foo\x00\xffbar\x00");
    assert_eq!(pack(&(0_i64,)), b"\x14");
    assert_eq!(pack(&(1_i64,)), b"\x15\x01");
    assert_eq!(pack(&(-1_i64,)), b"\x13\xfe");
    assert_eq!(pack(&(-5_551_212_i64,)), b"\x11\xab\x4b\x93");
    assert_eq!(pack(&(true, false)), b"\x27\x26");
    assert_eq!(pack(&(-42_f32,)), b"\x20\x3d\xd7\xff\xff");
    assert_eq!(
        pack(&((&b"foo\x00bar"[..], None::<i64>, ()),)),
        b"\x05\x01foo\x00\xffbar\x00\x00\xff\x05\x00\x00"
    );
    assert_eq!(
        pack(&(Versionstamp::complete([7; 10], 0x0102),)),
        b"\x33\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x01\x02"
    );
    assert_eq!(
        unpack::<(i64, String)>(&pack(&(7, "seven")))?,
        (7, "seven".to_owned())
    );
    Ok(())
}

/// SPEC B6: rows of packed tuples are in the order of the tuples.
pub async fn packed_tuples_are_stored_in_tuple_order(area: Area) -> Outcome {
    let subspace = Subspace::from_bytes(area.prefix());
    let numbers = [
        i64::MIN,
        -70_000,
        -256,
        -255,
        -1,
        0,
        1,
        255,
        256,
        70_000,
        i64::MAX,
    ];
    let tx = area.begin();
    for number in numbers.iter().rev() {
        tx.set(&subspace.pack(&(*number, "x")), b"")?;
    }
    tx.commit().await?;
    let rows = area.begin().collect_range(area.all()).await?;
    let stored = rows
        .iter()
        .map(|row| subspace.unpack::<(i64, String)>(&row.key).map(|key| key.0))
        .collect::<Result<Vec<_>, _>>()?;
    assert_eq!(stored, numbers);
    Ok(())
}

/// SPEC B6: the range of a subspace holds every tuple below it and nothing beside it.
pub async fn subspace_range_holds_just_its_tuples(area: Area) -> Outcome {
    let parent = Subspace::from_bytes(area.prefix());
    let tx = area.begin();
    for name in ["a", "b", "ba", "c"] {
        tx.set(&parent.pack(&(name, 1)), b"")?;
    }
    tx.commit().await?;
    let range = KeyRange::subspace(&parent.subspace(&"b"));
    let rows = area.begin().collect_range(range).await?;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        parent.unpack::<(String, i64)>(&rows[0].key)?,
        ("b".to_owned(), 1)
    );
    Ok(())
}
