//! Any MessagePack value that serde can make, and random ones.

use std::fmt;

use proptest::{collection::vec, prelude::*};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

/// A value that remembers everything MessagePack does, but for the order of a map.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    UInt(u64),
    F32(u32),
    F64(u64),
    Str(String),
    Bin(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub(crate) fn str(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::UInt(one), Self::UInt(other)) => one == other,
            (Self::F32(one), Self::F32(other)) => one == other,
            (Self::F64(one), Self::F64(other)) => one == other,
            (Self::Str(one), Self::Str(other)) => one == other,
            (Self::Bin(one), Self::Bin(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Map(one), Self::Map(other)) => is_permutation(one, other),
            _ => false,
        }
    }
}

/// Whether both hold the same entries as often, in any order.
fn is_permutation(one: &[(Value, Value)], other: &[(Value, Value)]) -> bool {
    let mut left: Vec<_> = other.iter().collect();
    let mut take = |entry: &(Value, Value)| {
        let found = left.iter().position(|other| *other == entry);
        found.map(|at| left.swap_remove(at)).is_some()
    };
    one.len() == other.len() && one.iter().all(&mut take)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::UInt(value) => serializer.serialize_u64(*value),
            Self::F32(bits) => serializer.serialize_f32(f32::from_bits(*bits)),
            Self::F64(bits) => serializer.serialize_f64(f64::from_bits(*bits)),
            Self::Str(value) => serializer.serialize_str(value),
            Self::Bin(value) => serializer.serialize_bytes(value),
            Self::Array(items) => items.serialize(serializer),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::UInt(value), Value::Int))
    }

    fn visit_f32<E>(self, value: f32) -> Result<Value, E> {
        Ok(Value::F32(value.to_bits()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::F64(value.to_bits()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::str(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bin(value.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

/// Any value: nested, with lists of items, maps that look like items, keys that are numbers, and
/// keys that are there twice.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (i64::MAX as u64 + 1..).prop_map(Value::UInt),
        any::<u32>().prop_map(Value::F32),
        any::<u64>().prop_map(Value::F64),
        any_name().prop_map(Value::Str),
        vec(any::<u8>(), 0..40).prop_map(Value::Bin),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        let entries = vec((any_name(), inner.clone()), 0..6);
        let map = entries.prop_map(|entries| {
            Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (Value::Str(key), value))
                    .collect(),
            )
        });
        let any_map = vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map);
        let item = (any_id(), vec((any_name(), inner.clone()), 0..4)).prop_map(|(id, entries)| {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (Value::Str(key), value));
            let mut entries: Vec<_> = entries.collect();
            entries.insert(entries.len() / 2, (Value::str("id"), id));
            Value::Map(entries)
        });
        prop_oneof![
            4 => map,
            1 => any_map,
            2 => vec(inner, 0..6).prop_map(Value::Array),
            4 => vec(item, 0..8).prop_map(Value::Array),
        ]
    })
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-e]{0,2}",
        2 => any::<String>(),
        1 => "[a\0]{0,4}",
        1 => Just("k".repeat(1_001)),
    ]
}

fn any_id() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[a-z]{1,3}".prop_map(Value::Str),
        2 => vec(any::<u8>(), 0..3).prop_map(Value::Bin),
        1 => any::<i64>().prop_map(Value::Int),
    ]
}
