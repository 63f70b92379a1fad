//! Ranges as sets of keys.

use dgen_backend::{KeyRange, KeyValue, RangePage, RangeRead};
use dgen_testkit::Random;

/// A short key over the bytes at which ranges go wrong.
fn key(random: &mut Random) -> Vec<u8> {
    let bytes = [0x00, 0x01, 0x7f, 0xfe, 0xff];
    (0..random.below(5))
        .map(|_| bytes[random.below(bytes.len())])
        .collect()
}

fn contains(range: &KeyRange, key: &[u8]) -> bool {
    range.begin.as_slice() <= key && key < range.end.as_slice()
}

/// Of all keys that a store can hold, the range of a prefix has just those that begin with it.
#[test]
fn prefix_range_holds_just_the_keys_that_begin_with_it() {
    let mut random = Random::new(1);
    for _ in 0..100_000 {
        let (prefix, key) = (key(&mut random), key(&mut random));
        if key.first() == Some(&0xff) {
            continue;
        }
        let range = KeyRange::prefix(&prefix);
        assert_eq!(
            contains(&range, &key),
            key.starts_with(&prefix),
            "prefix {prefix:02x?}, key {key:02x?}, {range:02x?}"
        );
    }
}

/// The range of a key has that key and no other.
#[test]
fn key_range_holds_just_its_key() {
    let mut random = Random::new(2);
    for _ in 0..100_000 {
        let (one, other) = (key(&mut random), key(&mut random));
        assert_eq!(contains(&KeyRange::key(&one), &other), one == other);
    }
}

/// What is left behind a page begins where the page ended, in both directions, with what is left of
/// the limit.
#[test]
fn rest_of_a_page_goes_on_behind_it() {
    let read = RangeRead::from(KeyRange::new(*b"a", *b"z")).limit(10);
    let row = |name: &'static str| KeyValue {
        key: name.into(),
        value: "".into(),
    };
    let mut page = RangePage {
        rows: vec![row("c"), row("f")],
        has_more: true,
    };
    let rest = page.rest(&read).unwrap();
    assert_eq!(rest.range, KeyRange::new(*b"f\0", *b"z"));
    assert_eq!(rest.limit, Some(8));
    page.rows.reverse();
    let rest = page.rest(&read.clone().reverse()).unwrap();
    assert_eq!(rest.range, KeyRange::new(*b"a", *b"c"));
    page.has_more = false;
    assert_eq!(page.rest(&read), None);
}
