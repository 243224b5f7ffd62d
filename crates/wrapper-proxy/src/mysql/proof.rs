//! Authentication methods that prove a password without revealing it.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods.html>

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// An authentication method that clients use without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    CachingSha2,
    Native,
}

impl Method {
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        [Self::CachingSha2, Self::Native].into_iter().find(|method| method.name().as_bytes() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
        }
    }

    /// Computes the proof of a password for a nonce; that of an empty password is empty.
    ///
    /// Native: `SHA1(p) ^ SHA1(nonce + SHA1(SHA1(p)))`, caching_sha2:
    /// `SHA256(p) ^ SHA256(SHA256(SHA256(p)) + nonce)`.
    pub(crate) fn prove(self, password: &[u8], nonce: &[u8]) -> Vec<u8> {
        if password.is_empty() {
            return Vec::new();
        }
        let algorithm: &'static Algorithm = match self {
            Self::CachingSha2 => &SHA256,
            Self::Native => &SHA1_FOR_LEGACY_USE_ONLY,
        };
        let once = digest(algorithm, password);
        let twice = digest(algorithm, once.as_ref());
        let bound = match self {
            Self::CachingSha2 => [twice.as_ref(), nonce].concat(),
            Self::Native => [nonce, twice.as_ref()].concat(),
        };
        let mask = digest(algorithm, &bound);
        once.as_ref().iter().zip(mask.as_ref()).map(|(a, b)| a ^ b).collect()
    }
}
