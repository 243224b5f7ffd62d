//! The file by which the MySQL and MariaDB clients get a password.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, Seek, Write},
    os::{fd::IntoRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use iam_token::AuthToken;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use wrapper_iam::TokenRequest;

use crate::failure::Failure;

/// What stands in the file besides the password.
#[derive(Debug)]
pub(super) struct DefaultsFile {
    settings: String,
}

impl DefaultsFile {
    /// Settings for a client, which is asked whether it is MySQL's or MariaDB's: they name TLS differently.
    pub(super) fn new(client: &OsStr, target: &TokenRequest, roots: &Path) -> Result<Self, Failure> {
        let roots = roots.canonicalize().map_err(|error| {
            let shown = roots.display().to_string();
            Failure::new(format!("cannot read `{}` of --sslrootcert", shown.escape_debug())).because(error)
        })?;
        let roots = roots.to_string_lossy();
        let tls = if is_mariadb(client) {
            "ssl\nssl-verify-server-cert\n"
        } else {
            "ssl-mode=VERIFY_IDENTITY\nenable-cleartext-plugin\n"
        };
        let settings = format!(
            "[client]\n{tls}ssl-ca={}\nprotocol=TCP\nhost={}\nport={}\nuser={}\n",
            quoted("--sslrootcert", &roots)?,
            quoted("--host", target.host())?,
            target.port(),
            quoted("--user", target.user())?
        );
        Ok(Self { settings })
    }

    /// Writes the file and gives the argument that names it, to stand first.
    ///
    /// The file has no name by the time the password is in it: the client inherits it open, and it is gone when the last
    /// process that has it ends.
    pub(super) fn write(&self, token: &AuthToken) -> Result<OsString, Failure> {
        let text = format!("{}password={}\n", self.settings, quoted("the token", token.expose())?);
        let file = nameless()
            .and_then(|file| inherited(file, text.as_bytes()))
            .map_err(|error| Failure::new("no private file for the client could be made").because(error))?;
        // The client takes it over by its number.
        Ok(format!("--defaults-file=/dev/fd/{}", file.into_raw_fd()).into())
    }
}

fn inherited(mut file: File, text: &[u8]) -> io::Result<File> {
    file.write_all(text)?;
    // Where /dev/fd is no link to a new opening, as on macOS, the client reads on from here.
    file.rewind()?;
    let flags = fcntl_getfd(&file)?;
    fcntl_setfd(&file, flags.difference(FdFlags::CLOEXEC))?;
    Ok(file)
}

fn nameless() -> io::Result<File> {
    let path = unused_path()?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// A path that nobody else uses; `create_new` sees to it that a guess gets another nowhere.
fn unused_path() -> io::Result<PathBuf> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    Ok(folder.unwrap_or_else(std::env::temp_dir).join(format!("rds-iam-{}.cnf", std::process::id())))
}

fn is_mariadb(client: &OsStr) -> bool {
    let answer = Command::new(client).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("MariaDB"))
}

/// A value as option files have it: <https://dev.mysql.com/doc/refman/8.4/en/option-files.html>.
fn quoted(option: &str, value: &str) -> Result<String, Failure> {
    if value.contains(['"', '\'']) || value.contains(char::is_control) {
        return Err(Failure::new(format!(
            "{option} has a quote or control character, which an option file cannot hold"
        )));
    }
    Ok(format!("\"{}\"", value.replace('\\', "\\\\")))
}
