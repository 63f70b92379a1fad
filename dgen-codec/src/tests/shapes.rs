//! What is read equals what was written.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    model::Model,
    value::{Value, any_value},
};
use crate::{List, keys};

/// Writes and reads, from nothing and over something else.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let mut model = Model::with(value);
    assert_eq!(model.load::<T>(), *value);
    assert_eq!(model.store(value), 0, "equal values are stored alike");
    model.reload();
    assert_eq!(model.store(value), 0, "and so after a reload");
    let mut model = Model::with("another");
    model.store(value);
    assert_eq!(model.load::<T>(), *value);
}

proptest! {
    /// SPEC C3: what is read equals what was written.
    #[test]
    fn any_value_round_trips(value in any_value()) {
        check(&value);
    }

    /// SPEC C2, C3: from any value to any other, by what differs.
    #[test]
    fn any_value_becomes_any_other(one in any_value(), other in any_value(), is_reloaded: bool) {
        let mut model = Model::with(&one);
        if is_reloaded {
            model.reload();
        }
        model.store(&other);
        prop_assert_eq!(model.load::<Value>(), other);
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: (),
    signed: i128,
    unsigned: u128,
    large: u64,
    letter: char,
    tuple: (u8, String, Option<bool>),
    none: Option<String>,
    some: Option<Vec<u8>>,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    by_number: BTreeMap<u32, String>,
    by_name: HashMap<String, Item>,
    items: Vec<Item>,
    no_items: Vec<Item>,
    states: Vec<State>,
    tagged: Vec<Tagged>,
    content: Content,
    flat: Flat,
    nothing: Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nothing {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    id: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    #[serde(with = "serde_bytes")]
    id: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    Off,
    On(u8),
    Moving { from: i32, to: i32 },
    Pair(u8, String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Circle { radius: f64 },
    Square { area: f32 },
}

/// Its content sorts before its tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content")]
enum Content {
    Empty,
    Wide(i128),
    Address(std::net::IpAddr),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

fn everything() -> Everything {
    let item = |id: &str| Item {
        name: format!("the {id}"),
        id: id.to_owned(),
        parts: vec![Part { id: vec![0, 255] }, Part { id: vec![] }],
    };
    Everything {
        unit: (),
        signed: i128::MIN,
        unsigned: u128::MAX,
        large: u64::MAX,
        letter: '\u{10ffff}',
        tuple: (7, String::new(), Some(true)),
        none: None,
        some: Some(vec![1, 2, 255]),
        bytes: vec![3; 300],
        by_number: BTreeMap::from([(1, "one".to_owned())]),
        by_name: ["x", "y\0z", ""]
            .map(|name| (name.to_owned(), item(name)))
            .into(),
        items: ["b", "a", "c\0"].map(item).into(),
        no_items: vec![],
        states: vec![
            State::Off,
            State::On(1),
            State::Moving { from: 1, to: -2 },
            State::Pair(1, "x".into()),
        ],
        tagged: vec![Tagged::Circle { radius: 0.5 }, Tagged::Square { area: 2.0 }],
        content: Content::Wide(-1),
        flat: Flat {
            own: 1,
            rest: BTreeMap::from([("other".to_owned(), 2)]),
        },
        nothing: Nothing {},
    }
}

/// SPEC C1, C3: serde's types come back as they were.
#[test]
fn serde_types_round_trip() {
    check(&everything());
    check(&State::Moving { from: 1, to: 2 });
    check(&Some("x".to_owned()));
    check(&None::<u8>);
    check(&vec![1, 2, 3]);
    check(&());
    check(&"x".repeat(250_000));
    check(&vec![String::from("y").repeat(100_000); 3]);
}

/// SPEC C3: a tag that was written before its content is read before it, or what serde buffers
/// until it knows the tag would not be what was written.
#[test]
fn adjacently_tagged_enums_round_trip() {
    let address = |text: &str| Content::Address(text.parse().unwrap());
    for content in [
        Content::Empty,
        Content::Wide(i128::MAX),
        address("127.0.0.1"),
        address("::1"),
    ] {
        check(&content);
    }
    let mut model = Model::with(&Content::Empty);
    for content in [
        Content::Wide(1),
        address("::1"),
        Content::Empty,
        address("10.0.0.1"),
    ] {
        model.reload();
        model.store(&content);
        assert_eq!(model.load::<Content>(), content);
    }
}

/// SPEC C1, C3: a value nested more deeply than keys can be is stored all the same.
#[test]
fn deep_values_round_trip() {
    let mut value = Value::Nil;
    for depth in 0..96 {
        value = match depth % 3 {
            0 => Value::Map(vec![(Value::str("deeper"), value)]),
            1 => Value::Array(vec![value]),
            _ => Value::Array(vec![Value::Map(vec![
                (Value::str("id"), Value::str("x")),
                (Value::str("v"), value),
            ])]),
        };
    }
    check(&value);
}

/// SPEC C1: keys stay within bounds, whatever names a value has.
#[test]
fn long_names_stay_in_the_parents_value() {
    let mut value = Value::Nil;
    for _ in 0..20 {
        value = Value::Map(vec![(Value::Str("\0".repeat(400)), value)]);
    }
    check(&value);
    let longest = Model::with(&value).keys.keys().map(Vec::len).max();
    assert!(
        longest <= Some(4_000) && longest > Some(2_000),
        "{longest:?}"
    );
}

/// SPEC C1: each entry and each item has its own key; anything else is a value.
#[test]
fn keys_are_as_documented() {
    #[derive(Clone, Serialize)]
    struct Order {
        id: &'static str,
        total: u8,
    }
    #[derive(Serialize)]
    struct Shop<L> {
        name: &'static str,
        orders: L,
        tags: [u8; 2],
    }
    let order = |id, total| Order { id, total };
    let orders = vec![order("o-1", 1), order("o-2", 2)];
    let shop = Shop {
        name: "x",
        orders: orders.clone(),
        tags: [8, 9],
    };
    let keys = Model::with(&shop).keys;
    let text: Vec<_> = keys
        .iter()
        .map(|(key, value)| {
            format!(
                "{} {} = {}",
                keys::describe(key),
                key.escape_ascii(),
                value.escape_ascii()
            )
        })
        .collect();
    assert_eq!(
        text,
        [
            r#". \x01m\x00 = \x01"#,
            r#".name \x01m\x00\x02name\x00\x01t\x00\x14 = \xa1x"#,
            r#".orders \x01m\x00\x02orders\x00\x01l\x00 = \x01"#,
            r#".orders[id="o-1"] \x01m\x00\x02orders\x00\x01l\x00\x01Zz\x00\x02o-1\x00\x01m\x00 = \x01"#,
            r#".orders[id="o-1"].total \x01m\x00\x02orders\x00\x01l\x00\x01Zz\x00\x02o-1\x00\x01m\x00\x02total\x00\x01t\x00\x14 = \x01"#,
            r#".orders[id="o-2"] \x01m\x00\x02orders\x00\x01l\x00\x01a0\x00\x02o-2\x00\x01m\x00 = \x01"#,
            r#".orders[id="o-2"].total \x01m\x00\x02orders\x00\x01l\x00\x01a0\x00\x02o-2\x00\x01m\x00\x02total\x00\x01t\x00\x14 = \x02"#,
            r#".tags \x01m\x00\x02tags\x00\x01t\x00\x14 = \x92\x08\t"#,
        ]
    );
    let with_list = Shop {
        name: "x",
        orders: List::from(orders),
        tags: [8, 9],
    };
    assert_eq!(Model::with(&with_list).keys, keys);
}
