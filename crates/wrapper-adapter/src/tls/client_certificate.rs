//! The client's own certificate, from `sslcert` and `sslkey` or from code.

use std::{fmt, fs, sync::Arc};

use zeroize::Zeroizing;

use wrapper_core::{Error, ErrorKind, Options, Result};

use super::path::shown_path;

/// Holds a client's certificate chain and its private key, both PEM.
///
/// `Debug` prints no part of the key, and the memory is zeroized when the last clone is dropped;
/// the TLS libraries keep copies of their own.
#[derive(Clone)]
pub struct ClientCertificate {
    chain: Arc<[u8]>,
    key: Arc<Zeroizing<Vec<u8>>>,
}

impl ClientCertificate {
    /// Creates it from a certificate chain, the client's own first, and its key.
    ///
    /// # Errors
    ///
    /// A configuration error if one of them is not PEM of its kind, or the key is encrypted.
    pub fn new(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Result<Self> {
        let (chain, key) = (chain.into(), Zeroizing::new(key.into()));
        if !holds(&chain, "-----BEGIN CERTIFICATE-----") {
            return Err(configuration("`sslcert` does not contain a PEM certificate"));
        }
        // Before the next check, which the label of an encrypted key passes as well.
        if holds(&key, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(&key, "Proc-Type: 4,ENCRYPTED") {
            return Err(configuration("the key in `sslkey` is encrypted: decrypt it beforehand"));
        }
        if !holds(&key, "PRIVATE KEY-----") {
            return Err(configuration("`sslkey` does not contain a PEM private key"));
        }
        Ok(Self { chain: chain.into(), key: Arc::new(key) })
    }

    /// Reads the files of `sslcert` and `sslkey`; the map form may hold PEM text in place of a
    /// path.
    ///
    /// # Errors
    ///
    /// A configuration error if one is missing or cannot be read, and as [`new`](Self::new).
    pub fn read(settings: &Options) -> Result<Option<Self>> {
        match (settings.get(&Options::SSLCERT), settings.get(&Options::SSLKEY)) {
            (None, None) => Ok(None),
            (Some(chain), Some(key)) => {
                Self::new(content("sslcert", chain)?, content("sslkey", key)?).map(Some)
            }
            (Some(_), None) => Err(configuration("`sslcert` needs its private key: add `sslkey`")),
            (None, Some(_)) => Err(configuration("`sslkey` needs its certificate: add `sslcert`")),
        }
    }

    /// Returns the certificates, PEM.
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    /// Returns the private key, PEM; never to be printed.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Returns an error for a certificate or key that the TLS library rejects, with its reason.
    pub fn invalid(reason: &str) -> Error {
        configuration(&format!("the client certificate (`sslcert`, `sslkey`) cannot be used: {reason}"))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(redacted)")
    }
}

fn content(name: &str, setting: &str) -> Result<Vec<u8>> {
    if setting.contains("-----BEGIN ") {
        return Ok(setting.into());
    }
    fs::read(setting).map_err(|error| {
        configuration(&format!("cannot read {} of `{name}`", shown_path(setting))).with_source(error)
    })
}

fn holds(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: &str = "-----BEGIN CERTIFICATE-----";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nhunter2";

    #[track_caller]
    fn wrong(chain: &str, key: &str, says: &str) {
        let error = ClientCertificate::new(chain, key).expect_err("does not fit");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn certificate_and_key_ok() {
        let certificate = ClientCertificate::new(CHAIN, KEY).expect("fits");

        assert_eq!((certificate.chain(), certificate.key()), (CHAIN.as_bytes(), KEY.as_bytes()));
        assert!(!format!("{certificate:?}").contains("hunter2"));
    }

    #[test]
    fn certificate_and_key_wrong() {
        wrong(KEY, KEY, "`sslcert` does not contain a PEM certificate");
        wrong(CHAIN, CHAIN, "`sslkey` does not contain a PEM private key");
        wrong(CHAIN, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2", "is encrypted");
        wrong(
            CHAIN,
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: hunter2",
            "is encrypted",
        );
    }
}
