//! The authentication plugins that a greeting can name.

/// The authentication plugin in a server's greeting; for tokens the server switches to another one
/// later.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AuthPlugin {
    /// `caching_sha2_password`, the default of MySQL 8.
    #[default]
    CachingSha2,
    /// `mysql_native_password`, the default of MySQL 5.7 and MariaDB.
    Native,
}

impl AuthPlugin {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::CachingSha2, Self::Native].into_iter().find(|plugin| plugin.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
        }
    }
}
