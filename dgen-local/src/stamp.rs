//! Versionstamps: where a commit's ten bytes go, and what they are.

use bytes::Bytes;
use dgen_backend::{CommitVersionstamp, limits::VERSIONSTAMP_SIZE_BYTES};

use crate::{arena::Arena, span::after};

/// The bytes behind a template that hold the stamp's offset.
const OFFSET_SIZE_BYTES: usize = 4;

/// The stamp of transaction `index` in the group committed as `version`.
pub(crate) fn stamp(version: u64, index: u16) -> CommitVersionstamp {
    let mut stamp = [0; VERSIONSTAMP_SIZE_BYTES];
    stamp[..8].copy_from_slice(&version.to_be_bytes());
    stamp[8..].copy_from_slice(&index.to_be_bytes());
    stamp
}

/// A template with its stamp in place and its offset cut off, in `copies`. The template was checked to have
/// room for it.
pub(crate) fn fill(template: &[u8], stamp: &CommitVersionstamp, copies: &mut Arena) -> Bytes {
    let (stamped, offset) = template
        .split_last_chunk::<OFFSET_SIZE_BYTES>()
        .expect("a template ends with its offset: checked when it was written");
    let begin = u32::from_le_bytes(*offset) as usize;
    let end = begin + VERSIONSTAMP_SIZE_BYTES;
    copies.concat([&stamped[..begin], stamp, &stamped[end..]])
}

/// Where a stamped key may land, seen from a transaction that read `read_version`: every stamp of a
/// later commit.
pub(crate) fn landing(
    template: &[u8],
    read_version: Option<u64>,
    copies: &mut Arena,
) -> (Bytes, Bytes) {
    let first = stamp(read_version.map_or(0, |version| version + 1), 0);
    let begin = fill(template, &first, copies);
    let end = after(&fill(template, &[0xff; VERSIONSTAMP_SIZE_BYTES], copies));
    (begin, end)
}
