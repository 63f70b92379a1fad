//! MessagePack: values, their text, and merging them.

use std::{collections::BTreeMap, fmt::Debug};

use dgen_codec::List;
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use crate::types::{Everything, Item, Shape, Wrapped};

pub(crate) fn run(data: &[u8]) {
    let _text = dgen_codec::to_text(data);
    read::<Everything>(data);
    read::<Vec<Item>>(data);
    read::<List<Item>>(data);
    read::<Shape>(data);
    read::<Wrapped>(data);
    read::<BTreeMap<String, Vec<u64>>>(data);
    read::<Vec<()>>(data);
    read::<ByteBuf>(data);
    read::<(i128, char, String)>(data);
    merge(data);
}

/// What can be read can be written, and is then read as the same.
fn read<T: Serialize + DeserializeOwned + Debug>(data: &[u8]) {
    let Ok(value) = dgen_codec::from_plain::<T>(data) else {
        return;
    };
    let bytes = dgen_codec::to_plain(&value).expect("what was read is not too deep");
    let again: T = dgen_codec::from_plain(&bytes).expect("what was written can be read");
    // By their text: a float may be no number.
    assert_eq!(format!("{value:?}"), format!("{again:?}"));
}

/// Three states that came from one input.
fn merge(data: &[u8]) {
    let third = data.len() / 3;
    let parts = [&data[..third], &data[third..2 * third], &data[2 * third..]];
    let [Ok(base), Ok(mine), Ok(theirs)] = parts.map(dgen_codec::from_plain::<Everything>) else {
        return;
    };
    let _merged = dgen_codec::merge(&base, &mine, &theirs);
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let plain = |value| dgen_codec::to_plain(value).expect("a seed can be written");
    let everything = plain(&Everything::sample());
    let thrice = [&everything[..]; 3].concat();
    let items = dgen_codec::to_plain(&Everything::sample().items).expect("a seed can be written");
    vec![
        ("everything", everything),
        ("thrice", thrice),
        ("items", items),
    ]
}
