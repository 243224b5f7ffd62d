//! Random bytes and names.

use std::io;

/// RFC 4648 base32: the alphabet of access key ids.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the random source failed"))?;
    Ok(bytes)
}

/// Returns `N` random characters, five bits each.
pub(crate) fn name<const N: usize>() -> io::Result<String> {
    Ok(bytes::<N>()?.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}
