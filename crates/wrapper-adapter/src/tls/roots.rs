//! The roots to trust, read from `sslrootcert`.

use std::{fmt, fs, io, path::PathBuf, time::SystemTime};

use wrapper_core::{Cause, Error, ErrorKind, Result};

use super::path::shown_path;

/// The value of `sslrootcert` that means the platform's roots.
const SYSTEM: &str = "system";

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The trusted certificate authorities: the platform's, those of PEM bundles, or both.
#[derive(Clone, Debug)]
pub struct Roots {
    system: bool,
    platform: Platform,
    bundles: Vec<Bundle>,
}

/// Time and size of the platform's store, if it is a file, to detect a change.
#[derive(Clone, Debug, PartialEq)]
struct Platform(Option<(SystemTime, u64)>);

impl Platform {
    fn now() -> Self {
        let metadata = openssl_probe::probe().cert_file.and_then(|file| fs::metadata(file).ok());
        Self(metadata.and_then(|file| Some((file.modified().ok()?, file.len()))))
    }
}

/// Holds one PEM bundle and its origin.
///
/// It is bytes, not text: bundles contain comments in any encoding.
#[derive(Clone, Debug)]
pub struct Bundle {
    origin: String,
    file: Option<PathBuf>,
    pem: Vec<u8>,
}

impl Roots {
    /// Returns the platform's roots.
    pub fn system() -> Self {
        Self { system: true, ..Self::none() }
    }

    fn none() -> Self {
        Self { system: false, platform: Platform::now(), bundles: Vec::new() }
    }

    /// Reads the value of `sslrootcert`: paths and `system`, separated by commas, or PEM text
    /// itself.
    ///
    /// As in libpq a file replaces the platform's roots; `FILE,system` trusts both.
    ///
    /// # Errors
    ///
    /// A configuration error if a file cannot be read or contains no certificate.
    pub fn read(setting: &str) -> Result<Self> {
        // PEM text before paths: it may contain commas.
        if setting.contains("-----BEGIN ") {
            return Self::none().with_pem(setting);
        }
        let mut roots = Self::none();
        for entry in setting.split(',').map(str::trim) {
            if entry == SYSTEM {
                roots.system = true;
                continue;
            }
            roots.bundles.push(Bundle::read(PathBuf::from(entry))?);
        }
        Ok(roots)
    }

    /// Adds the certificates of PEM text.
    ///
    /// # Errors
    ///
    /// A configuration error if it contains no certificate.
    pub fn with_pem(mut self, pem: &str) -> Result<Self> {
        self.bundles.push(Bundle::new("the given PEM text".to_owned(), None, pem.into())?);
        Ok(self)
    }

    /// Reads the files again, the platform's too if its roots are trusted; `None` if they are
    /// unchanged.
    ///
    /// # Errors
    ///
    /// A configuration error if a file cannot be read or contains no certificate.
    pub fn reread(&self) -> Result<Option<Self>> {
        let mut roots = self.clone();
        // Before the store itself is read: a change in between is then noticed the next time.
        roots.platform = Platform::now();
        let mut differs = self.system && roots.platform != self.platform;
        for bundle in &mut roots.bundles {
            if let Some(file) = &bundle.file {
                let fresh = Bundle::read(file.clone())?;
                differs |= fresh.pem != bundle.pem;
                *bundle = fresh;
            }
        }
        Ok(differs.then_some(roots))
    }

    /// Sets whether the platform's roots are trusted, overriding earlier calls.
    #[must_use]
    pub fn with_system(mut self, trusts: bool) -> Self {
        self.system = trusts;
        self
    }

    /// Returns whether the platform's roots are trusted.
    pub fn uses_system(&self) -> bool {
        self.system
    }

    /// Returns the bundles to trust.
    pub fn bundles(&self) -> &[Bundle] {
        &self.bundles
    }
}

impl Bundle {
    fn new(origin: String, file: Option<PathBuf>, pem: Vec<u8>) -> Result<Self> {
        if count(&pem) == 0 {
            return Err(configuration(format!(
                "{origin} in `sslrootcert` does not contain a PEM certificate"
            )));
        }
        Ok(Self { origin, file, pem })
    }

    fn read(file: PathBuf) -> Result<Self> {
        let name = file.display().to_string();
        let pem = fs::read(&file).map_err(|error| {
            let hint = if name.eq_ignore_ascii_case(SYSTEM) { " (the word is `system`)" } else { "" };
            let message = format!("cannot read {} of `sslrootcert`{hint}: {error}", shown_path(&name));
            let is_missing = error.kind() == io::ErrorKind::NotFound && hint.is_empty();
            let cause = is_missing.then(|| {
                Cause::new(
                    Cause::ROOTS_MISSING,
                    "a path without a leading slash is relative to the program's working directory",
                    "",
                )
            });
            configuration(message).with_source(error).with_diagnosis(cause)
        })?;
        Self::new(format!("`{name}`"), Some(file), pem)
    }

    /// Returns the PEM text, which need not be UTF-8; every certificate in it counts.
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// Returns an error for a bundle that the TLS library rejects.
    pub fn invalid_certificate(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        configuration(format!("{} in `sslrootcert` contains a certificate that cannot be read", self.origin))
            .with_source(source)
    }
}

impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<String> = Vec::new();
        for bundle in &self.bundles {
            let count = count(&bundle.pem);
            let plural = if count == 1 { "" } else { "s" };
            names.push(format!("{} ({count} certificate{plural})", bundle.origin));
        }
        if self.system {
            names.push("the platform's roots".to_owned());
        }
        f.write_str(&names.join(" and "))
    }
}

fn count(pem: &[u8]) -> usize {
    pem.windows(BEGIN.len()).filter(|window| *window == BEGIN).count()
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

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
    fn file_with_a_comment_that_is_not_utf8_ok() {
        let file = std::env::temp_dir().join(format!("roots-latin1-{}.pem", std::process::id()));
        fs::write(&file, [b"# Z\xfcrich\n", BEGIN.as_bytes()].concat()).expect("can be written");

        let roots = Roots::read(&file.display().to_string()).expect("reads");

        fs::remove_file(&file).expect("can be removed");
        assert!(roots.bundles()[0].pem().starts_with(b"# Z\xfcrich"));
        assert!(roots.to_string().contains("(1 certificate)"), "{roots}");
    }

    #[test]
    fn files_alone_are_reread_and_only_when_they_differ() {
        let file = std::env::temp_dir().join(format!("roots-reread-{}.pem", std::process::id()));
        fs::write(&file, BEGIN).expect("can be written");
        let roots = Roots::read(&file.display().to_string()).expect("reads").with_pem(BEGIN).expect("reads");
        assert!(roots.reread().expect("reads").is_none());

        fs::write(&file, format!("{BEGIN}{BEGIN}")).expect("can be written");
        let fresh = roots.reread().expect("reads").expect("differs");
        assert!(fresh.to_string().contains("(2 certificates) and the given PEM text (1"), "{fresh}");

        fs::write(&file, "half").expect("can be written");
        let error = roots.reread().expect_err("no certificate");
        assert!(error.to_string().contains("does not contain a PEM certificate"), "{error}");
        fs::remove_file(&file).expect("can be removed");
    }

    #[test]
    fn platform_counts_as_changed_only_where_its_file_is_another() {
        let mut roots = Roots::system();
        assert!(roots.reread().expect("reads").is_none());

        roots.platform = Platform(Some((SystemTime::UNIX_EPOCH, 1)));

        assert!(roots.reread().expect("reads").is_some());
        assert!(roots.with_system(false).reread().expect("reads").is_none());
    }

    #[test]
    fn file_wrong() {
        let error = Roots::read("/no/such/file,system").expect_err("unreadable");
        assert_eq!(
            error.message(),
            "cannot read `/no/such/file` of `sslrootcert`: No such file or directory (os error 2)"
        );
        assert_eq!(error.diagnosis()[0].code(), Cause::ROOTS_MISSING);

        let error = Roots::read("jane:hunter2@host").expect_err("no path");
        assert_eq!(
            error.message(),
            "cannot read a file of `sslrootcert`: No such file or directory (os error 2)"
        );

        let error = Roots::system().with_pem("-----BEGIN PRIVATE KEY-----").expect_err("no certificate");
        assert_eq!(
            error.to_string(),
            "the given PEM text in `sslrootcert` does not contain a PEM certificate"
        );
    }
}
