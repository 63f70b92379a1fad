//! The keys below a state's prefix: elements of FoundationDB's tuple layer, one behind the other.
//!
//! ```text
//! term   ("t", chunk number)
//! map    ("m")  and  ("m", key, ..)           key: a string
//! list   ("l")  and  ("l", index, id, ..)     index: bytes; id: a string or bytes
//! version  ("v")
//! ```
//! Tags are byte strings of one letter. Names of the user's are strings, and so are ids that are
//! strings: an id of bytes is another one than the string of the same bytes.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
};

use dgen_backend::tuple::TuplePack;

use crate::index::FracIndex;

/// A value as MessagePack, in chunks.
pub(crate) const TERM: u8 = b't';
/// A map, each entry under its own key.
pub(crate) const MAP: u8 = b'm';
/// A list, each item under its own key.
pub(crate) const LIST: u8 = b'l';
/// The state's version.
pub(crate) const VERSION: u8 = b'v';

/// The path of the state's version.
pub(crate) const VERSION_PATH: [u8; TAG_SIZE_BYTES] = tag_bytes(VERSION);

const fn tag_bytes(tag: u8) -> [u8; TAG_SIZE_BYTES] {
    [BYTES, tag, END]
}

/// What a tag adds to a key: a type byte, the letter, an end byte.
pub(crate) const TAG_SIZE_BYTES: usize = 3;

const BYTES: u8 = 0x01;
const STRING: u8 = 0x02;
const INT_ZERO: u8 = 0x14;
const INT_MAX_SIZE: u8 = 8;
const END: u8 = 0x00;
const ESCAPED: u8 = 0xff;

/// What a list item is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Id<'a> {
    Str(&'a str),
    Bin(&'a [u8]),
}

impl Id<'_> {
    pub(crate) fn hash(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(&self, &mut hasher);
        hasher.finish()
    }
}

/// A key under construction: elements are pushed on the way down and popped on the way up.
#[derive(Debug, Default)]
pub(crate) struct Path(Vec<u8>);

impl Path {
    pub(crate) fn tag(&mut self, tag: u8) {
        self.0.extend_from_slice(&tag_bytes(tag));
    }

    pub(crate) fn entry(&mut self, key: &str) {
        key.pack_into_vec(&mut self.0);
    }

    pub(crate) fn chunk(&mut self, number: u64) {
        number.pack_into_vec(&mut self.0);
    }

    pub(crate) fn item(&mut self, index: &FracIndex, id: Id<'_>) {
        index.to_bytes().as_slice().pack_into_vec(&mut self.0);
        match id {
            Id::Str(id) => id.pack_into_vec(&mut self.0),
            Id::Bin(id) => id.pack_into_vec(&mut self.0),
        };
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(crate) fn to_key(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// From the first key below this path to behind the last.
    pub(crate) fn to_range(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut begin, mut end) = (self.0.clone(), self.0.clone());
        begin.push(0x00);
        end.push(0xff);
        (begin, end)
    }
}

/// How long a string or byte string is as an element of a key.
pub(crate) fn packed_size_bytes(name: &[u8]) -> usize {
    2 + name.len() + name.iter().filter(|byte| **byte == END).count()
}

/// One element read from a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part<'a> {
    Bytes(Cow<'a, [u8]>),
    Str(Cow<'a, str>),
    Int(u64),
}

/// The element that `key` has at `at`, and where the next one begins. `None` for the end of the
/// key and for elements that no state's key has.
///
/// Reads the three kinds there are and no nested tuple, so that no key is too deep for it.
pub(crate) fn part(key: &[u8], at: usize) -> Option<(Part<'_>, usize)> {
    let (kind, rest) = key.get(at..)?.split_first()?;
    let at = at + 1;
    match *kind {
        BYTES => unescape(rest).map(|(bytes, size)| (Part::Bytes(bytes), at + size)),
        STRING => {
            let (bytes, size) = unescape(rest)?;
            let text = match bytes {
                Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
                Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
            };
            Some((Part::Str(text), at + size))
        }
        INT_ZERO.. if *kind <= INT_ZERO + INT_MAX_SIZE => {
            let digits = rest.get(..usize::from(kind - INT_ZERO))?;
            let number = digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | u64::from(*digit));
            // Shorter would do: not as the tuple layer writes it.
            (digits.first() != Some(&0)).then_some((Part::Int(number), at + digits.len()))
        }
        _ => None,
    }
}

/// The tag that `key` has at `at`.
pub(crate) fn tag(key: &[u8], at: usize) -> Option<u8> {
    match key.get(at..)?.get(..TAG_SIZE_BYTES)? {
        [BYTES, tag, END] if is_below(key, &key[..at + TAG_SIZE_BYTES]) => Some(*tag),
        _ => None,
    }
}

/// Whether `key` begins with the elements of `prefix`: a byte that makes the last end byte an
/// escape makes it another element.
pub(crate) fn is_below(key: &[u8], prefix: &[u8]) -> bool {
    let rest = key.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.first() != Some(&ESCAPED))
}

/// Undoes the escapes up to the end byte, which it counts.
fn unescape(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, usize)> {
    let mut owned = None::<Vec<u8>>;
    let mut from = 0;
    loop {
        let end = from + bytes.get(from..)?.iter().position(|byte| *byte == END)?;
        if bytes.get(end + 1) != Some(&ESCAPED) {
            let rest = &bytes[from..end];
            let all = match owned {
                Some(mut owned) => {
                    owned.extend_from_slice(rest);
                    Cow::Owned(owned)
                }
                None => Cow::Borrowed(rest),
            };
            return Some((all, end + 1));
        }
        owned
            .get_or_insert_default()
            .extend_from_slice(&bytes[from..=end]);
        from = end + 2;
    }
}

/// A key in words, as far as it can be read: `.orders[id="o-17"].total`, or `.` for the whole.
pub(crate) fn describe(key: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(found) = tag(key, at) {
        at += TAG_SIZE_BYTES;
        let step = match found {
            MAP => part(key, at).and_then(|(key, next)| match key {
                Part::Str(key) => Some((entry_text(&key), next)),
                _ => None,
            }),
            LIST => part(key, at)
                .and_then(|(_, next)| part(key, next))
                .and_then(|(id, next)| match id {
                    Part::Str(id) => Some((item_text(Id::Str(&id)), next)),
                    Part::Bytes(id) => Some((item_text(Id::Bin(&id)), next)),
                    Part::Int(_) => None,
                }),
            _ => None,
        };
        let Some((step, next)) = step else { break };
        text.push_str(&step);
        at = next;
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// A map's entry in words.
pub(crate) fn entry_text(key: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_';
    if !key.is_empty() && key.chars().all(is_plain) {
        format!(".{key}")
    } else {
        format!("[{key:?}]")
    }
}

/// A list's item in words.
pub(crate) fn item_text(id: Id<'_>) -> String {
    match id {
        Id::Str(id) => format!("[id={id:?}]"),
        Id::Bin(id) => {
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("[id=0x{hex}]")
        }
    }
}

#[cfg(test)]
mod tests {
    use dgen_backend::tuple::{Element, pack, unpack};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// SPEC B6: what is pushed is what the tuple layer reads, and reads back here.
        #[test]
        fn keys_are_tuples(
            key in any::<String>(), id in vec(prop_oneof![Just(0), Just(255), any::<u8>()], 0..20), number in 0..=i64::MAX as u64,
        ) {
            let mut path = Path::default();
            path.tag(MAP);
            path.entry(&key);
            path.tag(LIST);
            path.item(&FracIndex::first(), Id::Bin(&id));
            path.tag(TERM);
            path.chunk(number);
            let packed = path.to_key();
            let tuple = (&b"m"[..], key.as_str(), &b"l"[..], &b"a0"[..], &id[..], &b"t"[..], number);
            prop_assert_eq!(&packed, &pack(&tuple));
            let elements: Vec<Element<'_>> = unpack(&packed).unwrap();
            prop_assert_eq!(elements.len(), 7);

            let (mut at, mut parts) = (0, Vec::new());
            while let Some((part, next)) = part(&packed, at) {
                parts.push(part);
                at = next;
            }
            prop_assert_eq!(at, packed.len());
            prop_assert_eq!(&parts[1], &Part::Str(key.as_str().into()));
            prop_assert_eq!(&parts[4], &Part::Bytes(id.as_slice().into()));
            prop_assert_eq!(&parts[6], &Part::Int(number));
            prop_assert_eq!(packed_size_bytes(&id), pack(&&id[..]).len());
        }

        /// SPEC C4: no stored key panics.
        #[test]
        fn arbitrary_keys_are_described(key in vec(prop_oneof![0_u8..3, 0x14_u8..0x1e, Just(255), Just(b'm'), Just(b'l')], 0..30)) {
            describe(&key);
        }
    }

    /// SPEC C4: errors name the key path.
    #[test]
    fn paths_read_well() {
        let mut path = Path::default();
        assert_eq!(describe(&path.to_key()), ".");
        path.tag(MAP);
        path.entry("orders");
        path.tag(LIST);
        path.item(&FracIndex::first(), Id::Str("o-17"));
        path.tag(MAP);
        path.entry("unit price");
        path.tag(TERM);
        path.chunk(0);
        assert_eq!(
            describe(&path.to_key()),
            r#".orders[id="o-17"]["unit price"]"#
        );
    }
}
