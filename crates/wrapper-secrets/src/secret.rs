//! User and password of a secret.

use std::{fmt, sync::Arc, time::SystemTime};

use serde_json::Value;
use token_cache::Lease;
use wrapper_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::secret_id::SecretId;

/// The properties of a secret that hold user and password.
#[derive(Clone, Debug)]
pub(crate) struct Properties {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Default for Properties {
    fn default() -> Self {
        Self { user: "username".to_owned(), password: "password".to_owned() }
    }
}

/// The contents of a secret.
pub(crate) struct Content {
    pub(crate) user: String,
    pub(crate) password: Arc<Zeroizing<String>>,
    /// The database host, in secrets created by RDS.
    pub(crate) host: Option<String>,
    pub(crate) version: String,
}

impl Content {
    /// Parses the text of a secret; errors show nothing of it.
    pub(crate) fn read(text: &str, version: &str, properties: &Properties, id: &SecretId) -> Result<Self> {
        let json: Value = serde_json::from_str(text).map_err(|_| {
            wrong(format!(
                "secret {id} is not JSON: store user and password as {{\"{}\": …, \"{}\": …}}",
                properties.user, properties.password
            ))
        })?;
        let Value::Object(fields) = json else {
            return Err(wrong(format!(
                "secret {id} is JSON but not an object: store user and password in one"
            )));
        };
        let missing: Vec<_> =
            [(&properties.user, "secretUsernameProperty"), (&properties.password, "secretPasswordProperty")]
                .into_iter()
                .filter(|(name, _)| !fields.contains_key(*name))
                .map(|(name, parameter)| format!("`{name}` (named by `{parameter}`)"))
                .collect();
        if !missing.is_empty() {
            return Err(wrong(format!(
                "secret {id} lacks property {}: add it to the secret, or name the existing one",
                missing.join(" and ")
            )));
        }
        let text = |name: &str| match fields.get(name) {
            Some(Value::String(text)) if text.is_empty() => {
                Err(wrong(format!("property `{name}` of secret {id} is empty: store a value")))
            }
            // Checked like configured users and passwords: the protocols end both with a NUL.
            Some(Value::String(text)) if text.contains(char::is_control) => Err(wrong(format!(
                "property `{name}` of secret {id} contains a control character: store it without, often a \
                 newline at its end"
            ))),
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(wrong(format!("property `{name}` of secret {id} is not text: store it in quotes"))),
        };
        Ok(Self {
            user: text(&properties.user)?,
            password: Arc::new(Zeroizing::new(text(&properties.password)?)),
            host: fields.get("host").and_then(Value::as_str).map(str::to_owned),
            version: version.to_owned(),
        })
    }

    /// Returns whether both hold the same user and password.
    pub(crate) fn is_same_login(&self, other: &Self) -> bool {
        self.user == other.user && self.password == other.password
    }
}

/// Returns the error of an unusable secret.
pub(crate) fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Credentials(wrapper_core::events::CredentialsFailure::Failed), message)
}

/// Holds a user and a password of Secrets Manager; clones share both.
///
/// `Debug` prints no part of the password.
#[derive(Clone)]
pub struct DatabaseSecret(pub(crate) Lease<Content>);

impl DatabaseSecret {
    /// Returns the database user.
    pub fn user(&self) -> &str {
        &self.0.value().user
    }

    /// Returns the password.
    ///
    /// # Security
    ///
    /// Anyone who has it can log in until the next rotation: pass it only to a driver, over
    /// verified TLS.
    pub fn expose_password(&self) -> &str {
        &self.0.value().password
    }

    /// Returns the id of the secret's version.
    pub fn version_id(&self) -> &str {
        &self.0.value().version
    }

    /// Returns the host that the secret names; it is never connected to.
    pub fn host(&self) -> Option<&str> {
        self.0.value().host.as_deref()
    }

    /// Returns when the secret was loaded.
    pub fn loaded_at(&self) -> SystemTime {
        self.0.issued_at()
    }

    /// Returns when a server last accepted the secret, as reported.
    pub fn last_accepted(&self) -> Option<SystemTime> {
        self.0.last_accepted()
    }

    /// Returns whether the secret was loaded for the call that returned it, and not served from the
    /// cache.
    pub fn is_fresh(&self) -> bool {
        self.0.is_fresh()
    }
}

impl fmt::Debug for DatabaseSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSecret")
            .field("user", &self.user())
            .field("version_id", &self.version_id())
            .field("loaded_at", &self.loaded_at())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use host_pattern::Region;

    use super::*;

    fn read(text: &str, properties: &Properties) -> Result<Content> {
        let id = SecretId::parse("prod/app", Region::parse("us-east-2").ok()).expect("an id");
        Content::read(text, "v1", properties, &id)
    }

    #[test]
    fn content_ok() {
        let content = read(
            r#"{"username":"app","password":"päss \"1\"","host":"db.example","port":5432}"#,
            &Properties::default(),
        )
        .expect("fits");
        assert_eq!((&*content.user, content.password.as_str()), ("app", "päss \"1\""));
        assert_eq!(content.host.as_deref(), Some("db.example"));

        let own = Properties { user: "u".to_owned(), password: "p".to_owned() };
        assert_eq!(read(r#"{"u":"app","p":"x","username":1}"#, &own).expect("fits").user, "app");
    }

    /// One row: what is stored, and what the error says.
    macro_rules! wrong {
        ($($name:ident: $text:expr => $says:expr;)*) => {$(
            #[test]
            fn $name() {
                let error = read($text, &Properties::default()).err().expect("cannot be used");
                let text = format!("{error:?} {error:#}");
                assert!(error.message().contains($says), "{text}");
                assert!(!text.contains("hunter2"), "{text}");
            }
        )*};
    }

    wrong! {
        text_that_is_not_json_wrong: "hunter2" => "is not JSON: store user and password as {\"username\"";
        json_that_is_cut_off_wrong: r#"{"username":"app","password":"hunter2"# => "is not JSON";
        json_that_is_no_object_wrong: r#"["app","hunter2"]"# => "is JSON but not an object";
        user_missing: r#"{"user":"app","password":"hunter2"}"#
            => "lacks property `username` (named by `secretUsernameProperty`): add it";
        password_missing: r#"{"username":"app","pass":"hunter2"}"#
            => "lacks property `password` (named by `secretPasswordProperty`): add it";
        both_missing: "{}" => "`username` (named by `secretUsernameProperty`) and `password`";
        user_empty_wrong: r#"{"username":"","password":"hunter2"}"#
            => "property `username` of secret `prod/app` is empty";
        password_empty_wrong: r#"{"username":"app","password":""}"#
            => "property `password` of secret `prod/app` is empty";
        password_null_wrong: r#"{"username":"app","password":null}"# => "is not text: store it in quotes";
        password_number_wrong: r#"{"username":"app","password":1}"# => "is not text";
        user_nested_wrong: r#"{"username":{"a":"hunter2"},"password":"b"}"#
            => "property `username` of secret `prod/app` is not text";
        password_with_a_newline_wrong: r#"{"username":"app","password":"hunter2\n"}"#
            => "a newline at its end";
        user_with_a_nul_wrong: r#"{"username":"a\u0000hunter2","password":"b"}"#
            => "contains a control character";
    }
}
