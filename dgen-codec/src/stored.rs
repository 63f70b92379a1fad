//! A state as it is stored: what a later write compares with.

use std::{error::Error as StdError, fmt};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_path_to_error::Segment;

use crate::{
    diff::{self, Write},
    encoding::{self, Encoded},
    join::{self, DamagedAt, Row},
    keys,
    plain::{PlainError, check_nesting, check_nesting_of},
    split,
    tree::{ListView, MapView, Shape, View},
};

/// The keys of a state as they were read or written, to be kept beside the state: with it, the next
/// [`store`](crate::store) reads nothing and writes what changed.
///
/// Cloning it is cheap. It holds the state's MessagePack, so it is about as large as the state.
#[derive(Clone)]
pub struct Stored {
    /// The state's MessagePack, but for the lists that have bytes of their own.
    outline: Bytes,
    shape: Shape,
    size_bytes: usize,
}

/// An outline of so many bytes is copied where else there would be room left behind it.
const SMALL_BYTES: usize = 4_096;

/// Why a value has no MessagePack that could be stored.
#[derive(Debug)]
pub(crate) enum EncodeError {
    Plain(PlainError),
    WrongLength,
}

/// Why MessagePack has no value of a type, and where in it.
#[derive(Debug)]
pub(crate) struct DecodeError {
    pub(crate) path: String,
    pub(crate) source: Box<dyn StdError + Send + Sync>,
}

impl Stored {
    /// The tree of `value`, with the places that items had in `old`.
    pub(crate) fn encode<T: Serialize + ?Sized>(
        value: &T,
        old: Option<&Self>,
    ) -> Result<Self, EncodeError> {
        // As long as the last one, most often.
        let capacity = old.map_or(0, |old| old.outline.len() + old.outline.len() / 64);
        let encoded = encoding::encode(value, capacity)
            .map_err(|error| EncodeError::Plain(PlainError::Serde(error.into())))?;
        let Encoded {
            bytes: mut outline,
            lists,
            size_bytes,
        } = encoded;
        let nesting = |number| Some(lists.get(&number)?.nesting());
        check_nesting_of(&outline, nesting).map_err(EncodeError::Plain)?;
        let shape = split::split(&mut outline, &lists, old.map(Self::view))
            .map_err(|_| EncodeError::WrongLength)?;
        Ok(Self {
            outline: fitted(outline),
            shape,
            size_bytes,
        })
    }

    pub(crate) fn from_rows(rows: &[Row<'_>]) -> Result<Self, DamagedAt> {
        let (bytes, shape) = join::join(rows)?;
        Ok(Self {
            size_bytes: bytes.len(),
            outline: fitted(bytes),
            shape,
        })
    }

    /// What to write so that the keys become this tree's.
    pub(crate) fn writes(&self, old: Option<&Self>) -> Vec<Write<'_>> {
        diff::diff(old.map(Self::view), self.view())
    }

    /// The value, of a tree [from rows](Self::from_rows), which leaves nothing out. A failure is looked for a second time, to say where it is.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        check_nesting(&self.outline).map_err(|error| DecodeError {
            path: keys::describe(&[]),
            source: error.into(),
        })?;
        rmp_serde::from_slice(&self.outline).or_else(|error| {
            let mut deserializer = rmp_serde::Deserializer::from_read_ref(&*self.outline);
            match serde_path_to_error::deserialize(&mut deserializer) {
                Ok(value) => Ok(value),
                Err(located) => Err(DecodeError {
                    path: self.describe(located.path()),
                    source: error.into(),
                }),
            }
        })
    }

    /// How many bytes of MessagePack the state is.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            bytes: &self.outline,
            shape: &self.shape,
        }
    }

    /// serde's path with list items called by their ids.
    fn describe(&self, path: &serde_path_to_error::Path) -> String {
        let mut place = Place::of(self.view());
        let mut text = String::new();
        for segment in path.iter() {
            match segment {
                Segment::Map { key } | Segment::Enum { variant: key } => {
                    text.push_str(&keys::entry_text(key));
                    place = place.entry(key);
                }
                Segment::Seq { index } => match place {
                    Place::List(list) if *index < list.len() => {
                        text.push_str(&keys::item_text(list.id(*index)));
                        place = Place::Map(list.item(*index));
                    }
                    _ => {
                        text.push_str(&format!("[{index}]"));
                        place = Place::Term;
                    }
                },
                Segment::Unknown => text.push_str(".?"),
            }
        }
        if text.is_empty() {
            text.push('.');
        }
        text
    }
}

fn fitted(mut bytes: Vec<u8>) -> Bytes {
    // Small ones are many, and large ones cost a copy.
    if bytes.len() <= SMALL_BYTES || bytes.capacity() / 2 > bytes.len() {
        bytes.shrink_to_fit();
    }
    bytes.into()
}

/// Where a path has come to.
enum Place<'a> {
    Map(MapView<'a>),
    List(ListView<'a>),
    Term,
}

impl<'a> Place<'a> {
    fn of(view: View<'a>) -> Self {
        let list = || view.as_list().map(Self::List);
        view.as_map()
            .map(Self::Map)
            .or_else(list)
            .unwrap_or(Self::Term)
    }

    fn entry(self, key: &str) -> Self {
        match self {
            Self::Map(map) => map
                .find(key)
                .map_or(Self::Term, |at| Self::of(map.value(at))),
            _ => Self::Term,
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("size_bytes", &self.size_bytes())
            .finish_non_exhaustive()
    }
}
