//! Keys: tuples, versionstamps, and the indices of lists.

use dgen_backend::tuple::{Element, Subspace, Versionstamp, pack, unpack};
use dgen_codec::FracIndex;

/// At most so many indices are asked for between two.
const BETWEEN_MAX: u32 = 300;

pub(crate) fn run(data: &[u8]) {
    if let Ok(tuple) = unpack::<Vec<Element<'_>>>(data) {
        let packed = pack(&tuple);
        let again: Vec<Element<'_>> = unpack(&packed).expect("what was packed can be unpacked");
        assert_eq!(pack(&again), packed);
    }
    let _stamp = unpack::<(Versionstamp, u64, u64)>(data);
    let _text = unpack::<(String, Vec<u8>, i64)>(data);
    let _below = Subspace::from("below").unpack::<(String, (Vec<u8>,))>(data);
    indices(data);
}

fn indices(data: &[u8]) {
    let Some((count, data)) = data.split_first() else {
        return;
    };
    let (low, high) = data.split_at(data.len() / 2);
    let low = FracIndex::from_bytes(low);
    let high = FracIndex::from_bytes(high);
    for index in [&low, &high].into_iter().flatten() {
        assert!(index.before() < *index && *index < index.after());
        let again = FracIndex::from_bytes(&index.to_bytes()).expect("it was one");
        assert_eq!(again, *index);
    }
    let (Ok(low), Ok(high)) = (low, high) else {
        return;
    };
    if let Ok(between) = FracIndex::between(&low, &high) {
        assert!(low < between && between < high);
    }
    let count = u32::from(*count) % BETWEEN_MAX;
    if let Ok(between) = FracIndex::n_between(Some(&low), Some(&high), count) {
        assert!(between.is_sorted());
    }
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let stamp = Versionstamp::complete([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 11);
    let nested = pack(&("Counter", ("demo", 7, b"id".to_vec()), "s", -5, 0.5, true));
    let mut between = vec![9];
    between.extend(FracIndex::first().to_bytes());
    between.extend(FracIndex::first().after().to_bytes());
    vec![
        ("nested", nested),
        ("chunk", pack(&(stamp, 250_000, 2))),
        ("between", between),
    ]
}
