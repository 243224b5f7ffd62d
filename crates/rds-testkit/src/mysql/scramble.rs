//! Challenge-response proofs of a password.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::AuthPlugin;
use crate::hash;

/// Checks a client's proof of `password` for `nonce`.
pub(super) fn is_proof(plugin: AuthPlugin, password: &str, nonce: &[u8], given: &[u8]) -> bool {
    hash::equal(&mask(plugin, password, nonce), given)
}

/// Returns a client's proof of `password` for `nonce`; the proof of an empty password is empty.
pub(super) fn prove(plugin: AuthPlugin, password: &str, nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() { Vec::new() } else { mask(plugin, password, nonce) }
}

/// Native: `SHA1(p) ^ SHA1(nonce + SHA1(SHA1(p)))`, caching_sha2:
/// `SHA256(p) ^ SHA256(SHA256(SHA256(p)) + nonce)`;
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods.html>.
fn mask(plugin: AuthPlugin, password: &str, nonce: &[u8]) -> Vec<u8> {
    let (algorithm, nonce_first): (&'static Algorithm, _) = match plugin {
        AuthPlugin::CachingSha2 => (&SHA256, false),
        AuthPlugin::Native => (&SHA1_FOR_LEGACY_USE_ONLY, true),
    };
    let once = digest(algorithm, password.as_bytes());
    let twice = digest(algorithm, once.as_ref());
    let bound = if nonce_first { [nonce, twice.as_ref()].concat() } else { [twice.as_ref(), nonce].concat() };
    let mask = digest(algorithm, &bound);
    once.as_ref().iter().zip(mask.as_ref()).map(|(a, b)| a ^ b).collect()
}
