//! Stored bytes that are not what was written.

use proptest::{collection::vec, prelude::*, sample::Index};
use serde::{Deserialize, Serialize};

use super::{
    model::{Keys, Model, tree},
    value::{Value, any_value},
};
use crate::{
    diff::Write,
    error::Damage,
    index::FracIndex,
    keys::{self, Id, Path},
    stored::Stored,
};

#[derive(Debug, Clone)]
enum Harm {
    Remove(Index),
    KeyByte(Index, Index, u8),
    KeyCut(Index, Index),
    ValueByte(Index, Index, u8),
    ValueCut(Index, Index),
    Insert(Vec<u8>, Vec<u8>),
    CopyBelow(Index, Index),
}

fn any_harm() -> impl Strategy<Value = Harm> {
    let byte = || {
        prop_oneof![
            any::<u8>(),
            Just(0),
            Just(1),
            Just(2),
            Just(0x14),
            Just(255),
            Just(b't'),
            Just(b'm'),
            Just(b'l')
        ]
    };
    prop_oneof![
        any::<Index>().prop_map(Harm::Remove),
        (any::<Index>(), any::<Index>(), byte())
            .prop_map(|(row, at, byte)| Harm::KeyByte(row, at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(row, at)| Harm::KeyCut(row, at)),
        (any::<Index>(), any::<Index>(), byte())
            .prop_map(|(row, at, byte)| Harm::ValueByte(row, at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(row, at)| Harm::ValueCut(row, at)),
        (vec(byte(), 0..20), vec(byte(), 0..10)).prop_map(|(key, value)| Harm::Insert(key, value)),
        (any::<Index>(), any::<Index>()).prop_map(|(row, other)| Harm::CopyBelow(row, other)),
    ]
}

fn harm(keys: &mut Keys, harm: &Harm) {
    let rows: Vec<_> = keys.clone().into_iter().collect();
    if rows.is_empty() {
        return;
    }
    match harm {
        Harm::Remove(row) => drop(keys.remove(&row.get(&rows).0)),
        Harm::KeyByte(row, at, byte) => {
            let (mut key, value) = row.get(&rows).clone();
            keys.remove(&key);
            if !key.is_empty() {
                *at.get_mut(&mut key) = *byte;
            }
            keys.insert(key, value);
        }
        Harm::KeyCut(row, at) => {
            let (mut key, value) = row.get(&rows).clone();
            keys.remove(&key);
            key.truncate(at.index(key.len() + 1));
            keys.insert(key, value);
        }
        Harm::ValueByte(row, at, byte) => {
            let (key, mut value) = row.get(&rows).clone();
            if !value.is_empty() {
                *at.get_mut(&mut value) = *byte;
            }
            keys.insert(key, value);
        }
        Harm::ValueCut(row, at) => {
            let (key, mut value) = row.get(&rows).clone();
            value.truncate(at.index(value.len() + 1));
            keys.insert(key, value);
        }
        Harm::Insert(key, value) => drop(keys.insert(key.clone(), value.clone())),
        Harm::CopyBelow(row, other) => {
            let (key, value) = row.get(&rows);
            keys.insert([&other.get(&rows).0[..], key].concat(), value.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// SPEC C4: whatever is stored is a value or an error; nothing panics, and what is read can be
    /// written again.
    #[test]
    fn harmed_keys_are_a_value_or_an_error(value in any_value(), harms in vec(any_harm(), 1..5), next in any_value()) {
        let mut keys = Model::with(&value).keys;
        harms.iter().for_each(|one| harm(&mut keys, one));
        if keys.is_empty() {
            return Ok(());
        }
        match tree(&keys) {
            Ok(stored) => {
                if let Ok(value) = stored.decode::<Value>() {
                    let mut model = Model { keys, stored: Some(stored) };
                    model.store(&value);
                    model.store(&next);
                    prop_assert_eq!(model.load::<Value>(), next);
                }
            }
            Err(error) => drop(keys::describe(&error.key)),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shop {
    orders: Vec<Order>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    total: u32,
    note: String,
}

fn shop_keys() -> Keys {
    let order = |id: &str| Order {
        id: id.to_owned(),
        total: 300,
        note: "n".repeat(150_000),
    };
    Model::with(&Shop {
        orders: vec![order("o-1"), order("o-17")],
    })
    .keys
}

/// The path and the damage that a harm to the shop is reported as.
fn damage(harm: impl FnOnce(&mut Keys)) -> (String, Damage) {
    let mut keys = shop_keys();
    harm(&mut keys);
    let error = tree(&keys).unwrap_err();
    (keys::describe(&error.key), error.damage)
}

fn key_of(place: impl FnOnce(&mut Path)) -> Vec<u8> {
    let mut path = Path::default();
    path.tag(keys::MAP);
    path.entry("orders");
    path.tag(keys::LIST);
    place(&mut path);
    path.to_key()
}

fn order_key(name: Option<&str>, chunk: u64) -> Vec<u8> {
    key_of(|path| {
        path.item(&FracIndex::first(), Id::Str("o-17"));
        path.tag(keys::MAP);
        if let Some(name) = name {
            path.entry(name);
            path.tag(keys::TERM);
            path.chunk(chunk);
        }
    })
}

/// SPEC C4: damage is an error that names the key path.
#[test]
fn damage_names_its_place() {
    let path = |rest: &str| format!(r#".orders[id="o-17"]{rest}"#);
    let removed = |key: Vec<u8>| damage(|keys| assert!(keys.remove(&key).is_some(), "not there"));
    assert_eq!(
        removed(order_key(Some("note"), 0)),
        (path(".note"), Damage::MissingChunk { expected: 0 })
    );
    assert_eq!(
        removed(order_key(Some("note"), 1)),
        (
            path(".note"),
            Damage::NotOneValue {
                size_bytes: 100_000
            }
        )
    );
    assert_eq!(
        removed(order_key(None, 0)),
        (path(".note"), Damage::MissingMarker)
    );
    assert_eq!(removed(key_of(|_| ())).1, Damage::MissingMarker);
    let set = |key: Vec<u8>, value: &[u8]| damage(|keys| drop(keys.insert(key, value.to_vec())));
    assert_eq!(
        set(order_key(Some("total"), 0), b""),
        (path(".total"), Damage::NotOneValue { size_bytes: 0 })
    );
    assert_eq!(
        set(order_key(Some("total"), 0), b"\x01\x01"),
        (path(".total"), Damage::NotOneValue { size_bytes: 2 })
    );
    assert_eq!(
        set(order_key(None, 0), b"\x02"),
        (
            path(""),
            Damage::UnknownMarker {
                value: r"\x02".into()
            }
        )
    );
    assert_eq!(
        set(order_key(Some("id"), 0), b"\xa1x"),
        (path(".id"), Damage::DuplicateId)
    );
    let item = |index: FracIndex, id: &'static str, tag| {
        set(
            key_of(|path| {
                path.item(&index, Id::Str(id));
                path.tag(tag);
            }),
            b"\x01",
        )
    };
    let first = FracIndex::first();
    assert!(matches!(
        item(first.clone(), "o-2", keys::MAP),
        (_, Damage::DuplicateIndex { .. })
    ));
    assert_eq!(
        item(first.after(), "o-17", keys::MAP),
        (path(""), Damage::DuplicateId)
    );
    assert_eq!(
        item(first.after(), "o-18", keys::TERM).1,
        Damage::ItemNotAMap
    );
    assert_eq!(
        set(b"\x01m\x00\x02orders\x00\x01t\x00\x14".to_vec(), b"\x01"),
        (".orders".into(), Damage::MixedEncodings)
    );
    assert_eq!(set(b"\x01x\x00".to_vec(), b"").1, Damage::MixedEncodings);
}

/// SPEC C4: no depth of stored maps overflows the stack.
#[test]
fn depth_is_an_error() {
    let mut keys = Keys::new();
    let mut path = Path::default();
    for _ in 0..1_500 {
        path.tag(keys::MAP);
        keys.insert(path.to_key(), vec![1]);
        path.entry("");
    }
    assert!(matches!(
        tree(&keys).unwrap_err().damage,
        Damage::TooDeep { .. }
    ));
}

/// SPEC C4: a value that the type does not read is an error that names the key path.
#[test]
fn a_value_of_another_type_names_its_place() {
    #[derive(Debug, Deserialize)]
    struct Shop {
        #[serde(rename = "orders")]
        _orders: Vec<Order>,
    }
    #[derive(Debug, Deserialize)]
    struct Order {
        #[serde(rename = "total")]
        _total: String,
    }
    let error = tree(&shop_keys()).unwrap().decode::<Shop>().unwrap_err();
    assert_eq!(error.path, r#".orders[id="o-1"].total"#);
    assert!(
        error.source.to_string().contains("string"),
        "{}",
        error.source
    );
}

/// SPEC C4: schema evolution follows serde.
#[test]
fn fields_come_go_and_are_renamed() {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Next {
        #[serde(default)]
        added: u8,
        #[serde(alias = "orders")]
        sales: Vec<Sale>,
    }
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Sale {
        id: String,
        total: u32,
    }
    let keys = shop_keys();
    let stored = tree(&keys).unwrap();
    let mut next: Next = stored.decode().unwrap();
    assert_eq!(
        (next.sales[1].id.as_str(), next.sales[1].total, next.added),
        ("o-17", 300, 0)
    );
    next.added = 1;
    let mut model = Model {
        keys,
        stored: Some(stored),
    };
    model.store(&next);
    assert_eq!(model.load::<Next>(), next);
}

/// SPEC C3: a `Serialize` that lies about its length is an error, and writes nothing.
#[test]
fn a_wrong_length_is_an_error() {
    struct Liar;
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = serializer.serialize_seq(Some(3))?;
            seq.serialize_element(&1)?;
            seq.end()
        }
    }
    assert!(Stored::encode(&Liar, None).is_err());
    let one = Stored::encode(&1, None).unwrap();
    assert!(matches!(&one.writes(None)[..], [Write::Set { .. }]));
}
