//! The database engines, and how their SQL quotes names.

use std::fmt;

/// Names a database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// MySQL and MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// Returns the default port.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mysql => 3306,
            Self::Postgres => 5432,
        }
    }

    /// Quotes a user as a statement of this engine names it: `"o""brien"`, `'o''brien'@'%'`.
    pub fn quote_user(self, user: &str) -> String {
        match self {
            // By default a backslash escapes within a string of MySQL.
            Self::Mysql => format!("'{}'@'%'", user.replace('\\', "\\\\").replace('\'', "''")),
            Self::Postgres => self.quote_identifier(user),
        }
    }

    /// Quotes an identifier, such as the name of a database.
    pub fn quote_identifier(self, name: &str) -> String {
        match self {
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mysql => "MySQL",
            Self::Postgres => "PostgreSQL",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Engine::{Mysql, Postgres};

    #[test]
    fn names_are_quoted_as_sql_quotes_them() {
        assert_eq!(Postgres.quote_user(r#"o"brien"#), r#""o""brien""#);
        assert_eq!(Mysql.quote_user(r"o'bri\en"), r"'o''bri\\en'@'%'");
        assert_eq!(Mysql.quote_identifier("a`b"), "`a``b`");
    }
}
