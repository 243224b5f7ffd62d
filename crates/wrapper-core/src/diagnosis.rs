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
    /// Code of the cause: the server asks for a cleartext password, which the driver does not send.
    pub const PASSWORD_IN_CLEAR: &str = "password-in-clear";

    /// Code of the cause: the server asks for a password, and none is configured.
    pub const PASSWORD_MISSING: &str = "password-missing";

    /// Code of the cause: the login was refused and nothing more is known; a plugin that knows more
    /// replaces it.
    pub const PASSWORD_REFUSED: &str = "password-refused";

    /// Code of the cause: a role is asked for, and no enabled plugin selects instances by role.
    pub const ROLE_PLUGIN_MISSING: &str = "role-plugin-missing";

    /// Code of the cause: the configured file of root certificates does not exist.
    pub const ROOTS_MISSING: &str = "roots-missing";

    /// Code of the cause: a file replaces the platform's roots and lacks the certificate's
    /// authority.
    pub const ROOTS_REPLACED: &str = "roots-replaced";

    /// Code of the cause: the platform's roots lack the certificate's authority.
    pub const UNKNOWN_AUTHORITY: &str = "unknown-authority";

    /// Code of the cause: the certificate is issued for another name.
    pub const WRONG_NAME: &str = "wrong-name";

    /// Creates a cause; the remedy may be empty.
    ///
    /// The code is in kebab case and stays the same from release to release. Control characters in
    /// the texts are escaped, so that names of users and databases need no escaping by the caller.
    pub fn new(code: &'static str, sentence: &str, remedy: &str) -> Self {
        Self { code, sentence: escape_control(sentence), remedy: escape_control(remedy) }
    }

    /// Returns the stable code of the cause, such as `no-database`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the possible fault: one lower-case clause without a period.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Returns the remedy; empty if the sentence implies it.
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
