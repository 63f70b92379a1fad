//! A state with a list wherever one can be.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

use crate::tests::edits::Random;

/// Lists in all places where one can be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "L: Default + DeserializeOwned"))]
pub(super) struct Places<L> {
    pub(super) plain: L,
    maybe: Option<L>,
    by_name: BTreeMap<String, L>,
    by_hash: HashMap<String, L>,
    by_number: BTreeMap<u32, L>,
    pair: (u8, L),
    items: Vec<Holder<L>>,
    no_items: Vec<L>,
    one_of: OneOf<L>,
    tagged: Tagged<L>,
    inside: Inside<L>,
    flat: Flat<L>,
    json: Json<L>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Holder<L> {
    pub(super) before: L,
    pub(super) id: String,
    pub(super) after: L,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum OneOf<L> {
    #[default]
    Nothing,
    Newtype(L),
    Tuple(L, L),
    Struct {
        items: L,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content")]
enum Tagged<L> {
    #[default]
    Nothing,
    Items(L),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Inside<L> {
    #[default]
    Nothing,
    Struct {
        items: L,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Flat<L> {
    #[serde(flatten)]
    rest: BTreeMap<String, L>,
}

/// Another format inside: a text, and bytes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Json<L>(L);

impl<L: Serialize> Serialize for Json<L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        let bytes = rmp_serde::to_vec(&self.0).map_err(serde::ser::Error::custom)?;
        (text, serde_bytes::ByteBuf::from(bytes)).serialize(serializer)
    }
}

impl<'de, L: DeserializeOwned> Deserialize<'de> for Json<L> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (text, _) = <(String, serde_bytes::ByteBuf)>::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

impl<L: Clone + Default> Places<L> {
    /// Edits what is in one place of those there are, or makes another.
    pub(super) fn edit(&mut self, random: &mut Random, edit: impl FnOnce(&mut L)) {
        let number = random.below(3);
        let name = || "abc".repeat(1 + number);
        match random.below(18) {
            0 => edit(self.maybe.get_or_insert_default()),
            1 => edit(self.by_name.entry(name()).or_default()),
            2 => edit(self.by_hash.entry(name()).or_default()),
            3 => edit(self.by_number.entry(number as u32).or_default()),
            4 => edit(&mut self.pair.1),
            5 | 6 => {
                if self.items.len() < 3 || random.below(3) == 0 {
                    self.items.push(Holder {
                        before: self.plain.clone(),
                        id: format!("{}", random.0),
                        after: L::default(),
                    });
                }
                let at = random.below(self.items.len());
                let holder = &mut self.items[at];
                match random.below(2) {
                    0 => edit(&mut holder.before),
                    _ => edit(&mut holder.after),
                }
            }
            7 => {
                self.no_items.resize_with(3, L::default);
                edit(&mut self.no_items[random.below(3)]);
            }
            8 => {
                let mut items = self.plain.clone();
                edit(&mut items);
                self.one_of = match random.below(4) {
                    0 => OneOf::Nothing,
                    1 => OneOf::Newtype(items),
                    2 => OneOf::Tuple(items, self.pair.1.clone()),
                    _ => OneOf::Struct { items },
                };
            }
            9 => {
                let mut items = self.plain.clone();
                edit(&mut items);
                self.tagged = Tagged::Items(items.clone());
                self.inside = Inside::Struct { items };
            }
            10 => edit(self.flat.rest.entry(name()).or_default()),
            11 => edit(&mut self.json.0),
            12 => self.maybe = Some(self.plain.clone()),
            _ => edit(&mut self.plain),
        }
    }
}
