//! How much TLS is asked for by `sslmode`.

use crate::{Error, ErrorKind, Needs, Result, Settings};

const FULL: &str = "`verify-full` or `require`, which both verify chain and name";

/// Says what a connection does about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it.
    Prefer,
    /// TLS with chain and name verified, or no connection.
    Verify,
}

impl TlsMode {
    /// Reads `sslmode`, which may not ask for less than the plugins need; `None` where it is not given.
    ///
    /// # Errors
    ///
    /// A configuration error that names the value and what fits.
    pub fn read(settings: &Settings, needs: Needs) -> Result<Option<Self>> {
        match settings.text("sslmode") {
            Some("verify-full" | "require") => Ok(Some(Self::Verify)),
            Some(mode @ ("verify-ca" | "prefer" | "allow" | "disable")) if needs.verified_tls => {
                Err(Self::too_little(&format!("sslmode `{mode}`")))
            }
            Some("prefer") => Ok(Some(Self::Prefer)),
            Some("disable") => Ok(Some(Self::Disable)),
            Some(mode) => Err(configuration(format!(
                "sslmode `{}` is not supported: use {FULL}, or `prefer` or `disable`",
                mode.escape_debug()
            ))),
            None => Ok(None),
        }
    }

    /// An error for a setting that is less than a token may travel over.
    pub fn too_little(setting: &str) -> Error {
        configuration(format!("{setting} is less than a token may travel over: use sslmode {FULL}"))
    }
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
