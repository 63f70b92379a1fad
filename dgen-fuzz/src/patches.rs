//! Changes of a file, as bytes: one after the other, where (u32, little-endian), how many bytes (u8),
//! and these. The last may be cut.

/// Overwrites parts of `file`. A place behind its end counts from its begin again.
pub(crate) fn apply(mut patches: &[u8], file: &mut [u8]) {
    while let Some((at, rest)) = patches.split_first_chunk()
        && let Some((len, rest)) = rest.split_first()
        && !file.is_empty()
    {
        let (bytes, rest) = rest.split_at(rest.len().min((*len).into()));
        let at = u32::from_le_bytes(*at) as usize % file.len();
        for (place, byte) in file[at..].iter_mut().zip(bytes) {
            *place = *byte;
        }
        patches = rest;
    }
}

pub(crate) fn encode(at: u32, bytes: &[u8]) -> Vec<u8> {
    let mut patch = at.to_le_bytes().to_vec();
    patch.push(u8::try_from(bytes.len()).expect("a seed's patches are short"));
    patch.extend_from_slice(bytes);
    patch
}
