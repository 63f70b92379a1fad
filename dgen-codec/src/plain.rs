//! A value as plain MessagePack with named fields, nested no deeper than it can be read again.
//!
//! Reading recurses with the value, on a stack that ends the process when it is used up. So nothing
//! that is nested deeper than [`NESTING_MAX`] is written, and nothing deeper is read.

use std::error::Error as StdError;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    msgpack::{self, Kind, Malformed},
    outline,
};

/// How deep values are nested at most: 128 maps and arrays inside one another.
pub const NESTING_MAX: usize = 128;

/// Why a value has no MessagePack, or MessagePack no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// serde can't.
    #[error("{0}")]
    Serde(#[source] Box<dyn StdError + Send + Sync>),
    /// Nested deeper than [`NESTING_MAX`]. Keep what is nested in a list, by ids.
    #[error("nested more than {NESTING_MAX} levels deep")]
    TooDeep,
}

/// The MessagePack of `value`.
///
/// # Errors
/// [`PlainError`].
pub fn to_plain<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, PlainError> {
    let bytes = rmp_serde::to_vec_named(value).map_err(|error| PlainError::Serde(error.into()))?;
    check_nesting(&bytes)?;
    Ok(bytes)
}

/// The value of `bytes`.
///
/// # Errors
/// [`PlainError`].
pub fn from_plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PlainError> {
    check_nesting(bytes)?;
    rmp_serde::from_slice(bytes).map_err(|error| PlainError::Serde(error.into()))
}

/// Refuses what is nested too deep. What is malformed is for the decoder to say.
pub(crate) fn check_nesting(bytes: &[u8]) -> Result<(), PlainError> {
    // Each level takes a byte.
    if bytes.len() <= NESTING_MAX {
        return Ok(());
    }
    check_nesting_of(bytes, |_| None)
}

/// The same for an outline, given how deep the list of a number is nested.
pub(crate) fn check_nesting_of(
    bytes: &[u8],
    of_list: impl Fn(u64) -> Option<usize>,
) -> Result<(), PlainError> {
    match nesting(bytes, 1, of_list) {
        Ok((levels, _)) if levels > NESTING_MAX => Err(PlainError::TooDeep),
        Ok(_) | Err(Malformed) => Ok(()),
    }
}

/// Most values are nested no deeper.
const LEVELS_USUAL: usize = 16;

/// How deep the first so many values of an outline are nested, and where they end. Goes no further than
/// to what is nested too deep.
pub(crate) fn nesting(
    bytes: &[u8],
    values: u64,
    of_list: impl Fn(u64) -> Option<usize>,
) -> Result<(usize, usize), Malformed> {
    let mut at = 0;
    let mut levels_max = 0;
    // How many values are left in each container that is open.
    let mut open = Vec::with_capacity(LEVELS_USUAL);
    open.push(values);
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        // Most values are of one of these kinds, which say in one byte how long they are.
        match *bytes.get(at).ok_or(Malformed)? {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => {
                at += 1;
                continue;
            }
            fix_str @ 0xa0..=0xbf => {
                at += 1 + usize::from(fix_str & 0x1f);
                continue;
            }
            _ => {}
        }
        let rest = &bytes[at..];
        let mut levels = open.len() - 1;
        let head = match outline::mark(rest) {
            None => msgpack::head(rest)?,
            Some(number) => {
                levels += of_list(number).ok_or(Malformed)?;
                outline::head(rest)?
            }
        };
        at += head.size_bytes;
        let payload_size_bytes = match head.kind {
            Kind::Map(count) => {
                open.push(2 * u64::from(count));
                0
            }
            Kind::Array(count) => {
                open.push(count.into());
                0
            }
            Kind::Str(count) | Kind::Bin(count) => count.into(),
            Kind::Scalar(count) => count,
        };
        levels_max = levels_max.max(levels).max(open.len() - 1);
        if levels_max > NESTING_MAX {
            break;
        }
        let payload_size_bytes = usize::try_from(payload_size_bytes).map_err(|_| Malformed)?;
        at = at.checked_add(payload_size_bytes).ok_or(Malformed)?;
    }
    Ok((levels_max, at))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Chain {
        next: Option<Box<Chain>>,
    }

    fn chain(links: usize) -> Chain {
        let last = Chain { next: None };
        (1..links).fold(last, |next, _| Chain {
            next: Some(Box::new(next)),
        })
    }

    /// SPEC C3: what is written can be read, to the deepest level that is written.
    #[test]
    fn the_deepest_value_that_is_written_is_read() {
        let deepest = chain(NESTING_MAX);
        let bytes = to_plain(&deepest).unwrap();
        assert_eq!(from_plain::<Chain>(&bytes).unwrap(), deepest);
        assert!(matches!(
            to_plain(&chain(NESTING_MAX + 1)),
            Err(PlainError::TooDeep)
        ));
    }

    /// SPEC C3: bytes that are nested too deep are an error, not the end of the stack.
    #[test]
    fn bytes_nested_too_deep_are_refused() {
        let bytes = rmp_serde::to_vec_named(&chain(900)).unwrap();
        assert!(matches!(
            from_plain::<Chain>(&bytes),
            Err(PlainError::TooDeep)
        ));
        let arrays = vec![0x91; 1_000_000];
        assert!(from_plain::<Chain>(&arrays).is_err());
    }
}
