//! The command line.

use std::{collections::BTreeSet, path::PathBuf};

use crate::Result;

const USAGE: &str = "\
usage: cargo xtask integration --local [--install] [--with NAME]… [--without NAME]…

  --local           run against servers started here, on loopback, in a temporary folder
  --install         install what is missing on this machine first (apt-get, pip, npm)
  --with NAME       add a server, mysql57, the tokens of the JavaScript SDK's signer, rds-signer, or
                    connects for BENCHMARKS.md, bench
  --without NAME    leave a server out: cluster (of PostgreSQL), mariadb, postgresql

or: cargo xtask integration --rds [--install]

  --rds             run against databases of yours, with the credentials of the AWS default chain:
                    RDS_PG_HOST or RDS_MYSQL_HOST or both, and RDS_DB_USER; the README has the rest";

/// The servers that run unless they are left out.
const SERVERS: [&str; 3] = ["cluster", "mariadb", "postgresql"];

/// Parts that run on request only.
const MORE: [&str; 3] = ["bench", "mysql57", "rds-signer"];

/// The options of the command line.
#[derive(Debug)]
pub(crate) struct Options {
    /// Whether to install what is missing.
    pub(crate) install: bool,
    /// The folder of installed packages, kept between runs.
    pub(crate) cache: PathBuf,
    parts: BTreeSet<String>,
    is_rds: bool,
}

impl Options {
    /// Reads the words of the command line.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let parts = SERVERS.map(str::to_owned).into();
        let mut options = Self { install: false, cache: PathBuf::new(), parts, is_rds: false };
        let mut is_local = false;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--local" => is_local = true,
                "--rds" => options.is_rds = true,
                "--install" => options.install = true,
                "--cache" => options.cache = words.next().ok_or(USAGE)?.into(),
                "--with" => {
                    let name = words.next().ok_or(USAGE)?;
                    if !MORE.contains(&name.as_str()) {
                        return Err(format!("unknown part `{name}`\n{USAGE}").into());
                    }
                    options.parts.insert(name);
                }
                "--without" => {
                    let name = words.next().ok_or(USAGE)?;
                    if !options.parts.remove(&name) {
                        return Err(format!("unknown server `{name}`\n{USAGE}").into());
                    }
                }
                _ => return Err(format!("unknown argument `{word}`\n{USAGE}").into()),
            }
        }
        if is_local == options.is_rds || options.cache.as_os_str().is_empty() {
            return Err(USAGE.into());
        }
        Ok(options)
    }

    /// Returns whether to run against the reader's own databases instead of servers started here.
    pub(crate) fn is_rds(&self) -> bool {
        self.is_rds
    }

    /// Returns whether a server or another part is to be run.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.parts.contains(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn server_left_out_does_not_run() {
        assert!(read("--local --cache c").unwrap().has("postgresql"));
        assert!(!read("--local --cache c --without postgresql").unwrap().has("postgresql"));
    }

    #[test]
    fn server_added_runs() {
        assert!(!read("--local --cache c").unwrap().has("mysql57"));
        assert!(read("--local --cache c --with mysql57").unwrap().has("mysql57"));
    }

    #[test]
    fn server_unknown_is_named() {
        let error = read("--local --cache c --without oracle").unwrap_err();
        assert!(error.to_string().contains("unknown server `oracle`"), "{error}");
        let error = read("--local --cache c --with oracle").unwrap_err();
        assert!(error.to_string().contains("unknown part `oracle`"), "{error}");
    }

    #[test]
    fn unknown_argument_is_named() {
        let error = read("--local --cache c --remote").unwrap_err();
        assert!(error.to_string().starts_with("unknown argument `--remote`"), "{error}");
    }

    #[test]
    fn exactly_one_mode_is_required() {
        assert!(read("--cache c").is_err());
        assert!(read("--cache c --local --rds").is_err());
        assert!(read("--cache c --rds").unwrap().is_rds());
    }
}
