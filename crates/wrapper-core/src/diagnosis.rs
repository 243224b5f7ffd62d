//! The likely causes of a failure.

use crate::text::escape_control;

/// Describes one likely cause of a failure and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    code: &'static str,
    sentence: String,
    remedy: String,
}

impl Cause {
    /// The code of the cause where a server wants the password as it is, and the driver does not
    /// send it so.
    pub const PASSWORD_IN_CLEAR: &str = "password-in-clear";

    /// The code of the cause where a server asks for a password and there is none.
    pub const PASSWORD_MISSING: &str = "password-missing";

    /// The code of the cause where a login was refused and nothing more is known; a plugin that
    /// knows more replaces it.
    pub const PASSWORD_REFUSED: &str = "password-refused";

    /// The code of the cause where a file of roots is not where it was said to be.
    pub const ROOTS_MISSING: &str = "roots-missing";

    /// The code of the cause where a file of roots is trusted in place of the platform's, and lacks
    /// the authority of a certificate.
    pub const ROOTS_REPLACED: &str = "roots-replaced";

    /// The code of the cause where the platform's roots lack the authority of a certificate.
    pub const UNKNOWN_AUTHORITY: &str = "unknown-authority";

    /// The code of the cause where a certificate carries another name than the expected one.
    pub const WRONG_NAME: &str = "wrong-name";

    /// Creates a cause; the remedy may be empty.
    ///
    /// The code is in kebab case and stays the same from release to release. Control characters in
    /// the texts are escaped, so that names of users and databases may stand in them as they are.
    pub fn new(code: &'static str, sentence: &str, remedy: &str) -> Self {
        Self { code, sentence: escape_control(sentence), remedy: escape_control(remedy) }
    }

    /// Returns the code, such as `no-database`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns what is, or may be, wrong: one lower-case clause without a period.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Returns what to do about it; empty where the sentence says it all.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// Shows sentence and remedy.
impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, ": {}", self.remedy) }
    }
}
