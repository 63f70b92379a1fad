//! What segments and records share.

/// What fills the space that no record has taken: a torn write can't leave zeros there.
pub(super) const FILL: u8 = 0xFF;

pub(super) fn read_u64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}
