//! The TLS mode of `sslmode`.

use wrapper_core::{Error, ErrorKind, Options, Requirements, Result, text::is_name};

const FULL: &str = "`verify-full` or `require`, which both verify chain and name";

/// Whether a connection uses TLS, and whether it verifies the server.
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
    /// Reads `sslmode`, which must satisfy the requirements of the plugins; `None` if it is not
    /// given.
    ///
    /// # Errors
    ///
    /// A configuration error that names the value and the accepted ones.
    pub fn read(settings: &Options, needs: Requirements) -> Result<Option<Self>> {
        match settings.get(&Options::SSLMODE).map(String::as_str) {
            // Stricter than libpq, whose `require` does not verify the name.
            Some("verify-full" | "require") => Ok(Some(Self::Verify)),
            Some(mode @ ("verify-ca" | "prefer" | "allow" | "disable")) if needs.verified_tls => {
                Err(Self::insufficient_tls(&format!("sslmode `{mode}`")))
            }
            Some("prefer") => Ok(Some(Self::Prefer)),
            Some("disable") => Ok(Some(Self::Disable)),
            Some(mode) => Err(configuration(match suggestion(mode) {
                Some(meant) => format!("sslmode `{mode}` is not supported: did you mean `{meant}`?"),
                None => {
                    format!("sslmode{} is not supported: use {FULL}, or `prefer` or `disable`", shown(mode))
                }
            })),
            None => Ok(None),
        }
    }

    /// Creates the error for a setting that does not protect a plugin's password.
    pub fn insufficient_tls(setting: &str) -> Error {
        configuration(format!("{setting} does not protect a token or a managed password: use sslmode {FULL}"))
    }
}

/// Suggests the mode for one of another tool or in another spelling.
fn suggestion(mode: &str) -> Option<&'static str> {
    let folded: String =
        mode.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match folded.as_str() {
        "verifyfull" | "verifyidentity" | "full" | "true" | "on" | "yes" | "1" | "enabled" => {
            Some("verify-full")
        }
        "require" | "required" => Some("require"),
        "prefer" | "preferred" if mode != "prefer" => Some("prefer"),
        "disable" | "disabled" | "false" | "off" | "no" | "0" | "none" => Some("disable"),
        _ => None,
    }
}

/// Quotes a mode of any tool for a message; a pasted password rarely has letters alone.
fn shown(mode: &str) -> String {
    let is_mode = is_name(mode) && mode.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_'));
    if is_mode { format!(" `{mode}`") } else { String::new() }
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrapper_core::adapter::{RawParameters, WRAPPER_PARAMETERS};

    fn read(mode: &str, needs: Requirements) -> Result<Option<TlsMode>> {
        let mut given = RawParameters::new();
        given.configure("sslmode", mode)?;
        TlsMode::read(&Options::read(&given, WRAPPER_PARAMETERS)?, needs)
    }

    #[test]
    fn both_verifying_modes_verify() {
        for mode in ["verify-full", "require"] {
            assert_eq!(read(mode, Requirements::TOKEN).expect("fits"), Some(TlsMode::Verify));
        }
    }

    #[test]
    fn less_is_for_connections_without_a_token() {
        for (mode, meant) in [("prefer", TlsMode::Prefer), ("disable", TlsMode::Disable)] {
            assert_eq!(read(mode, Requirements::default()).expect("fits"), Some(meant));
            let error = read(mode, Requirements::TOKEN).expect_err("too little");
            assert!(error.to_string().contains(&format!("sslmode `{mode}` does not protect")), "{error}");
        }
    }

    #[test]
    fn mode_missing() {
        assert_eq!(TlsMode::read(&Options::default(), Requirements::TOKEN).expect("none is given"), None);
    }

    #[test]
    fn mode_wrong() {
        let error = read("verify-ca", Requirements::default()).expect_err("half a verification");
        assert!(error.to_string().contains("sslmode `verify-ca` is not supported"), "{error}");
        let error = read("jane:hunter2", Requirements::default()).expect_err("no mode");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn mode_of_another_spelling_is_suggested() {
        for (mode, meant) in [("VERIFY_IDENTITY", "verify-full"), ("REQUIRED", "require"), ("off", "disable")]
        {
            let error = read(mode, Requirements::TOKEN).expect_err("another spelling").to_string();
            assert!(error.contains(&format!("did you mean `{meant}`")), "{error}");
        }
    }
}
