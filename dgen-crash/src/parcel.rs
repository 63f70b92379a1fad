//! What large messages hold: it follows from their number.

use serde_bytes::ByteBuf;

/// Less than a sector, some sectors, more than the smallest segment, more than one chunk of a value.
const SIZES_BYTES: [usize; 7] = [10, 700, 5_000, 90, 20_000, 2_000, 120_000];

/// One looks like a part of the log that was never written, another like a hole in a file.
const FILLS: [Option<u8>; 3] = [Some(0xFF), Some(0), None];

pub(crate) fn of(number: u64) -> ByteBuf {
    let size = SIZES_BYTES[(number % 7) as usize];
    let fill = FILLS[(number % 3) as usize].unwrap_or(number as u8);
    ByteBuf::from(vec![fill; size])
}
