//! What is read: types of every shape that serde knows.

use std::collections::BTreeMap;

use dgen_codec::List;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A state of all encodings: entries, lists of items with an id, and terms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Everything {
    pub(crate) name: String,
    pub(crate) items: Vec<Item>,
    pub(crate) large: List<Item>,
    pub(crate) by_name: BTreeMap<String, Everything>,
    pub(crate) bytes: ByteBuf,
    pub(crate) shape: Shape,
    pub(crate) numbers: Vec<i64>,
    pub(crate) units: Vec<()>,
    pub(crate) pair: (u8, Option<Box<Everything>>),
    pub(crate) wrapped: Wrapped,
}

/// An item of a list that is stored by its ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) below: Vec<Item>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Shape {
    #[default]
    Unit,
    New(Box<Shape>),
    Tuple(u8, char),
    Struct {
        flag: bool,
        more: Vec<Shape>,
    },
}

/// Levels that take no byte.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wrapped(pub(crate) Option<Option<Box<Inner>>>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inner(pub(crate) i64);

impl Everything {
    /// One with something in each place.
    pub(crate) fn sample() -> Self {
        let item = |id: &str| Item {
            id: id.to_owned(),
            text: "text".to_owned(),
            below: Vec::new(),
        };
        Self {
            name: "name".to_owned(),
            items: vec![
                item("a"),
                Item {
                    below: vec![item("c")],
                    ..item("b")
                },
            ],
            large: ["d", "e"].map(item).into_iter().collect(),
            by_name: BTreeMap::from([("key".to_owned(), Self::default())]),
            bytes: ByteBuf::from(*b"bytes"),
            shape: Shape::Struct {
                flag: true,
                more: vec![Shape::New(Box::new(Shape::Tuple(7, 'x')))],
            },
            numbers: vec![1, -1, i64::MAX],
            units: vec![(); 3],
            pair: (1, Some(Box::default())),
            wrapped: Wrapped(Some(Some(Box::new(Inner(5))))),
        }
    }
}
