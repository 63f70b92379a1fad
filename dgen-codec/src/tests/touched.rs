//! A write touches the keys that changed, and no others.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::model::Model;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    id: String,
    name: String,
    count: u32,
}

/// The keys of one item: its map's own, and two entries.
const ITEM_KEYS: usize = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shop {
    name: String,
    open: bool,
    items: Vec<Item>,
}

fn item(id: usize) -> Item {
    Item {
        id: format!("item-{id}"),
        name: "x".to_owned(),
        count: 0,
    }
}

fn shop() -> Shop {
    Shop {
        name: "shop".to_owned(),
        open: true,
        items: (0..10_000).map(item).collect(),
    }
}

/// Changes a shop of 10,000 items, before and after a reload, and returns how many keys were
/// touched.
fn touched(change: impl Fn(&mut Shop)) -> usize {
    let before = shop();
    let mut after = before.clone();
    change(&mut after);
    let mut kept = Model::with(&before);
    let touched = kept.store(&after);
    assert_eq!(kept.load::<Shop>(), after);
    let mut reloaded = Model::with(&before);
    reloaded.reload();
    assert_eq!(reloaded.store(&after), touched);
    touched
}

/// SPEC C2: one field is one key.
#[test]
fn changing_a_field_touches_one_key() {
    assert_eq!(touched(|shop| shop.open = false), 1);
    assert_eq!(touched(|shop| shop.items[5_000].count = 1), 1);
    assert_eq!(touched(|_| ()), 0);
}

/// SPEC C2: an item inserted, removed or moved is its own keys.
#[test]
fn changing_a_list_touches_that_items_keys() {
    assert_eq!(
        touched(|shop| shop.items.insert(5_000, item(10_000))),
        ITEM_KEYS
    );
    assert_eq!(
        touched(|shop| shop.items.insert(0, item(10_000))),
        ITEM_KEYS
    );
    assert_eq!(touched(|shop| shop.items.push(item(10_000))), ITEM_KEYS);
    assert_eq!(touched(|shop| drop(shop.items.remove(5_000))), ITEM_KEYS);
    let move_one = |shop: &mut Shop, from, to| {
        let item = shop.items.remove(from);
        shop.items.insert(to, item);
    };
    assert_eq!(touched(|shop| move_one(shop, 9_999, 0)), 2 * ITEM_KEYS);
    assert_eq!(touched(|shop| move_one(shop, 0, 5_000)), 2 * ITEM_KEYS);
    assert_eq!(touched(|shop| shop.items.swap(3, 7_000)), 4 * ITEM_KEYS);
    assert_eq!(
        touched(|shop| shop.items[7..].rotate_left(2)),
        4 * ITEM_KEYS
    );
}

/// SPEC C2: a change of encoding clears and rewrites that subtree alone.
#[test]
fn changing_an_encoding_touches_that_subtree() {
    let all = 10_000 * ITEM_KEYS + 1;
    assert_eq!(touched(|shop| shop.items.clear()), all + 1);
    // Two items with one id: no list of items any more, but a value of three chunks.
    assert_eq!(
        touched(|shop| shop.items[7].id = "item-8".to_owned()),
        all + 3
    );
}

/// SPEC C2: a large value of many chunks is written by the chunk.
#[test]
fn changing_a_large_value_touches_its_changed_chunks() {
    let mut bytes = serde_bytes::ByteBuf::from(vec![0; 1_000_000]);
    let mut model = Model::with(&bytes);
    assert_eq!(model.keys.len(), 11);
    bytes[555_555] = 1;
    assert_eq!(model.store(&bytes), 1);
    bytes.truncate(100_000);
    model.store(&bytes);
    assert_eq!(model.keys.len(), 2);
    assert_eq!(model.load::<serde_bytes::ByteBuf>(), bytes);
}

/// SPEC C2: hash maps come in any order; equal ones are stored alike, and one entry is one key.
#[test]
fn hash_maps_differ_by_their_entries() {
    for count in [1, 2, 3, 50] {
        let map = || {
            (0..count)
                .map(|n| (format!("key-{n}"), format!("{n}")))
                .collect::<HashMap<_, _>>()
        };
        let mut model = Model::with(&map());
        for _ in 0..50 {
            assert_eq!(model.store(&map()), 0);
        }
        model.reload();
        assert_eq!(model.store(&map()), 0);
        let mut changed = map();
        changed.insert("key-0".to_owned(), "changed".to_owned());
        assert_eq!(model.store(&changed), 1);
    }
}

/// SPEC C5: whatever is inserted one by one at one spot, keys stay within bounds, and the touched
/// ones few.
#[test]
fn a_thousand_inserts_at_one_spot_stay_short() {
    let mut items: Vec<_> = (0..10).map(item).collect();
    let mut model = Model::with(&items);
    let mut touched = 0;
    for n in 10..1_010 {
        items.insert(5 + (n - 10) / 2, item(n));
        touched += model.store(&items);
    }
    assert_eq!(model.load::<Vec<Item>>(), items);
    assert!(touched < 4_000 * ITEM_KEYS, "{touched}");
    assert!(model.keys.keys().all(|key| key.len() < 64 + 40));
}
