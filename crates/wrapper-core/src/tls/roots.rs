//! The roots to trust, read from `sslrootcert`.

use std::{fmt, fs};

use crate::{Error, ErrorKind, Result};

/// The value of `sslrootcert` that means the platform's roots.
const SYSTEM: &str = "system";

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// Says which certificate authorities are trusted: the platform's, those of PEM bundles, or both.
#[derive(Clone, Debug)]
pub struct Roots {
    system: bool,
    bundles: Vec<Bundle>,
}

/// Holds the text of one PEM bundle and where it came from.
#[derive(Clone, Debug)]
pub struct Bundle {
    origin: String,
    pem: String,
}

impl Roots {
    /// The platform's roots.
    pub fn system() -> Self {
        Self { system: true, bundles: Vec::new() }
    }

    /// Reads the value of `sslrootcert`: paths and `system`, separated by commas, or PEM text itself.
    ///
    /// As in libpq a file replaces the platform's roots; `file,system` trusts both.
    ///
    /// # Errors
    ///
    /// A configuration error if a file cannot be read or holds no certificate.
    pub fn read(setting: &str) -> Result<Self> {
        if setting.contains("-----BEGIN ") {
            return Ok(Self { system: false, bundles: vec![Bundle::new("the given PEM text", setting)?] });
        }
        let mut roots = Self { system: false, bundles: Vec::new() };
        for entry in setting.split(',').map(str::trim) {
            if entry == SYSTEM {
                roots.system = true;
                continue;
            }
            let pem = fs::read_to_string(entry).map_err(|error| {
                let hint = if entry.eq_ignore_ascii_case(SYSTEM) { " (the word is `system`)" } else { "" };
                configuration(format!("cannot read `{}` of `sslrootcert`{hint}", entry.escape_debug()))
                    .with_source(error)
            })?;
            roots.bundles.push(Bundle::new(&format!("`{entry}`"), &pem)?);
        }
        Ok(roots)
    }

    /// Trusts the certificates of PEM text too.
    ///
    /// # Errors
    ///
    /// A configuration error if it holds no certificate.
    pub fn with_pem(mut self, pem: &str) -> Result<Self> {
        self.bundles.push(Bundle::new("the given PEM text", pem)?);
        Ok(self)
    }

    /// Says whether the platform's roots are trusted, whatever was said before.
    #[must_use]
    pub fn with_system(mut self, trusts: bool) -> Self {
        self.system = trusts;
        self
    }

    /// Whether the platform's roots are trusted.
    pub fn uses_system(&self) -> bool {
        self.system
    }

    /// The bundles to trust.
    pub fn bundles(&self) -> &[Bundle] {
        &self.bundles
    }
}

impl Bundle {
    fn new(origin: &str, pem: &str) -> Result<Self> {
        if !pem.contains(BEGIN) {
            return Err(configuration(format!("{origin} in `sslrootcert` holds no PEM certificate")));
        }
        Ok(Self { origin: origin.to_owned(), pem: pem.to_owned() })
    }

    /// The PEM text; every certificate in it counts.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// An error for a bundle that the TLS library does not take.
    pub fn bad(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        configuration(format!("{} in `sslrootcert` holds a certificate that cannot be read", self.origin))
            .with_source(source)
    }
}

impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<String> = Vec::new();
        for bundle in &self.bundles {
            let count = bundle.pem.matches(BEGIN).count();
            let plural = if count == 1 { "" } else { "s" };
            names.push(format!("{} ({count} certificate{plural})", bundle.origin));
        }
        if self.system {
            names.push("the platform's roots".to_owned());
        }
        f.write_str(&names.join(" and "))
    }
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_is_the_platform_alone() {
        let roots = Roots::read(" system ").expect("reads");

        assert!(roots.uses_system() && roots.bundles().is_empty());
        assert_eq!(roots.to_string(), "the platform's roots");
    }

    #[test]
    fn platform_can_be_taken_away_and_added() {
        assert!(!Roots::system().with_system(false).uses_system());
        assert!(Roots::read(BEGIN).expect("reads").with_system(true).uses_system());
    }

    #[test]
    fn pem_text_replaces_the_platform() {
        let roots = Roots::read(&format!("{BEGIN}\nMII\n{BEGIN}\nMII\n")).expect("reads");

        assert!(!roots.uses_system());
        assert_eq!(roots.to_string(), "the given PEM text (2 certificates)");
    }

    #[test]
    fn file_wrong() {
        let error = Roots::read("/no/such/file,system").expect_err("unreadable");
        assert_eq!(error.to_string(), "cannot read `/no/such/file` of `sslrootcert`");

        let error = Roots::system().with_pem("-----BEGIN PRIVATE KEY-----").expect_err("no certificate");
        assert_eq!(error.to_string(), "the given PEM text in `sslrootcert` holds no PEM certificate");
    }
}
