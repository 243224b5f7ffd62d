//! The option file that passes a password to MySQL and MariaDB clients.

use std::{
    ffi::OsString,
    io::{self, PipeReader, Write},
    os::fd::IntoRawFd,
};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use zeroize::Zeroizing;

use super::{Login, Session, client::Dialect};
use crate::failure::Failure;

/// The longest line that every client reads whole: they cut lines at 4,095 bytes, and print the
/// rest on standard error.
const LINE_LIMIT: usize = 4000;

/// The contents of the file besides the password.
#[derive(Debug)]
pub(super) struct DefaultsFile {
    settings: String,
}

/// A file ready to be read by the client.
pub(super) struct WrittenFile {
    /// The argument that names it.
    pub(super) argument: OsString,
    /// Whether the password has to be passed another way.
    pub(super) lacks_password: bool,
}

impl Session {
    /// Refuses hosts other than the certificate's name: these clients check the certificate
    /// against the name that they dial.
    pub(super) fn require_direct(&self) -> Result<(), Failure> {
        let Some(address) = self.address else { return Ok(()) };
        let name = self.target.tls_name();
        Err(Failure::usage(format!(
            "MySQL's clients check the certificate against the host that they dial: add the line `{address} \
             {name}` to /etc/hosts, and leave --hostaddr and --iam-host out"
        )))
    }
}

impl DefaultsFile {
    /// Builds the settings for a session; values that an option file cannot hold are errors.
    pub(super) fn new(dialect: Dialect, session: &Session) -> Result<Self, Failure> {
        session.require_direct()?;
        let target = &session.target;
        let Some(roots) = session.roots.as_deref().filter(|roots| roots.as_os_str() != "system") else {
            return Err(Failure::usage(
                "mysql needs a root certificate file to verify the server: pass the RDS bundle as \
                 --sslrootcert",
            ));
        };
        let roots = roots.canonicalize().map_err(|error| {
            let shown = roots.display().to_string();
            Failure::usage(format!("cannot read `{}` of --sslrootcert", shown.escape_debug())).because(error)
        })?;
        let tls = match dialect {
            Dialect::Mariadb => "ssl\nssl-verify-server-cert\n",
            Dialect::Mysql if session.request.is_none() => "ssl-mode=VERIFY_IDENTITY\n",
            Dialect::Mysql => "ssl-mode=VERIFY_IDENTITY\nenable-cleartext-plugin\n",
        };
        let settings = [
            ("ssl-ca", "the path of --sslrootcert", &*roots.to_string_lossy()),
            ("host", "the host", target.tls_name()),
            ("port", "the port", &target.port.to_string()),
        ];
        let mut text = format!("[client]\n{tls}protocol=TCP\n");
        for (name, what, value) in settings {
            text.push_str(&short_line(name, what, value)?);
        }
        // Checked before the source of credentials may ask for an MFA code.
        short_line("user", "the user", &target.user)?;
        // In its own group, since clients that do not open a database reject the option.
        if let Some(database) = &target.database {
            let line = line("database", "the database", database)?;
            text.push_str(&format!("[mysql]\n{line}"));
        }
        Ok(Self { settings: text })
    }

    /// Writes the file into a pipe and returns the argument that names it.
    ///
    /// A pipe has no path, and once the client has read it, it is empty for processes that the
    /// client starts.
    pub(super) fn write(&self, login: &Login) -> Result<WrittenFile, Failure> {
        let user = short_line("user", "the user", &login.user)?;
        // A password that does not fit into a line, or holds a quote, goes into a variable.
        let password = line("password", "the password", &login.password).ok();
        let password = password.filter(|line| line.len() <= LINE_LIMIT);
        let lacks_password = password.is_none();
        let own = format!("[client]\n{user}{}", password.unwrap_or_default());
        let text = Zeroizing::new(self.settings.replacen("[client]\n", &own, 1));
        let reader = pipe(text.as_bytes())
            .map_err(|error| Failure::new("failed to create a private file for the client").because(error))?;
        // The client inherits the descriptor and opens it by number.
        let argument = format!("--defaults-file=/dev/fd/{}", reader.into_raw_fd()).into();
        Ok(WrittenFile { argument, lacks_password })
    }
}

/// Creates a pipe that the client inherits, and writes the text into it without a reader. That
/// never blocks: the text has at most four lines of 4 kB, and the smallest pipe holds 16 kB.
fn pipe(text: &[u8]) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(text)?;
    // Pipes are close-on-exec. Only the reading end is inherited: the client must meet its end.
    let flags = fcntl_getfd(&reader)?;
    fcntl_setfd(&reader, flags.difference(FdFlags::CLOEXEC))?;
    Ok(reader)
}

/// Returns a line of the file, or an error if clients would cut it.
fn short_line(name: &str, what: &str, value: &str) -> Result<String, Failure> {
    let line = line(name, what, value)?;
    if line.len() > LINE_LIMIT {
        return Err(Failure::usage(format!("{what} is too long for an option file")));
    }
    Ok(line)
}

/// Returns a line of an option file: <https://dev.mysql.com/doc/refman/8.4/en/option-files.html>.
fn line(name: &str, what: &str, value: &str) -> Result<String, Failure> {
    if value.contains(['"', '\'']) || value.contains(char::is_control) {
        return Err(Failure::usage(format!(
            "{what} has a quote or control character, which an option file cannot hold"
        )));
    }
    Ok(format!("{name}=\"{}\"\n", value.replace('\\', "\\\\")))
}
