//! The client to run, and its properties by name.

use std::{
    ffi::{OsStr, OsString},
    io::Read,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{cli::Engine, failure::Failure};

/// The placeholder for the option file in a client's arguments.
const PLACEHOLDER: &str = "{defaults-file}";

/// How long a client may take to print its version.
const VERSION_LIMIT: Duration = Duration::from_secs(2);

const OF_MYSQL: [&str; 10] = [
    "mysql",
    "mysqladmin",
    "mysqlbinlog",
    "mysqlcheck",
    "mysqldump",
    "mysqlimport",
    "mysqlpump",
    "mysqlshow",
    "mysqlslap",
    "mysql_upgrade",
];

const OF_MARIADB: [&str; 9] = [
    "mariadb",
    "mariadb-admin",
    "mariadb-binlog",
    "mariadb-check",
    "mariadb-dump",
    "mariadb-import",
    "mariadb-show",
    "mariadb-slap",
    "mariadb-upgrade",
];

const OF_POSTGRES: [&str; 17] = [
    "clusterdb",
    "createdb",
    "createuser",
    "dropdb",
    "dropuser",
    "pg_amcheck",
    "pg_basebackup",
    "pg_dump",
    "pg_dumpall",
    "pg_isready",
    "pg_receivewal",
    "pg_recvlogical",
    "pg_restore",
    "pgbench",
    "psql",
    "reindexdb",
    "vacuumdb",
];

/// The option file syntax of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Mariadb,
    Mysql,
}

/// A program with its arguments.
#[derive(Debug)]
pub(super) struct Client<'a> {
    program: &'a OsStr,
    rest: &'a [OsString],
}

/// The position of `--defaults-file` among the arguments; `None` puts it first.
#[derive(Debug)]
pub(super) struct FilePosition(Option<usize>);

impl<'a> Client<'a> {
    /// Creates a client from a program and its arguments.
    pub(super) fn of(program: &'a OsStr, rest: &'a [OsString]) -> Self {
        Self { program, rest }
    }

    /// Returns the engine that the client's name implies.
    pub(super) fn engine(&self) -> Option<Engine> {
        let name = name(self.program);
        let is_of_mysql = reads_option_files(&name) || matches!(&*name, "mycli" | "mysqlsh");
        (is_of_mysql || self.placeholder().is_some()).then_some(Engine::Mysql)
    }

    /// Returns the name of the tool, also of a cargo subcommand.
    pub(super) fn tool(&self) -> String {
        match (&*name(self.program), self.rest.first()) {
            ("cargo", Some(tool)) => name(tool),
            (name, _) => name.to_owned(),
        }
    }

    fn placeholder(&self) -> Option<usize> {
        self.rest.iter().position(|argument| argument == PLACEHOLDER)
    }

    /// Returns the position of the option file: first, as these clients require, or at the
    /// placeholder.
    pub(super) fn file_position(&self) -> Result<FilePosition, Failure> {
        match self.placeholder() {
            Some(index) => Ok(FilePosition(Some(index))),
            None if reads_option_files(&name(self.program)) => Ok(FilePosition(None)),
            // No variable makes MySQL's clients use TLS, and the token would be sent in clear.
            None => Err(Failure::usage(format!(
                "{} is not known to read an option file, which would make it verify TLS: write {PLACEHOLDER} \
                 where a client in its arguments takes --defaults-file, or pass --url-env",
                self.shown()
            ))),
        }
    }

    /// Returns the syntax of the client that reads the option file. Under MySQL's names, which
    /// MariaDB installs too, it is asked for its version.
    pub(super) fn dialect(&self) -> Dialect {
        let reader = match self.placeholder() {
            Some(0) | None => self.program,
            Some(index) => &self.rest[index - 1],
        };
        let name = name(reader);
        let is_mariadb = OF_MARIADB.contains(&&*name)
            || OF_MYSQL.contains(&&*name) && version(reader).is_some_and(|text| text.contains("MariaDB"));
        if is_mariadb { Dialect::Mariadb } else { Dialect::Mysql }
    }

    /// Asks a PostgreSQL client for its major version; `None` for other programs.
    pub(super) fn postgres_version(&self) -> Option<u32> {
        if !OF_POSTGRES.contains(&&*name(self.program)) {
            return None;
        }
        let text = version(self.program)?;
        let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// Returns the client for a message; a command line in quotes, which may hold a password, is
    /// not shown.
    pub(super) fn shown(&self) -> String {
        let program = self.program.to_string_lossy();
        let is_path = program.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
        if is_path { format!("`{program}`") } else { "with special characters in its name".to_owned() }
    }
}

impl FilePosition {
    /// Returns the arguments with the option file inserted.
    pub(super) fn arguments(&self, rest: &[OsString], file: &OsStr) -> Vec<OsString> {
        let mut arguments = rest.to_vec();
        match self.0 {
            Some(index) => arguments[index] = file.to_owned(),
            None => arguments.insert(0, file.to_owned()),
        }
        arguments
    }
}

fn reads_option_files(name: &str) -> bool {
    OF_MYSQL.contains(&name) || OF_MARIADB.contains(&name)
}

fn name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// Runs a client with `--version`, and returns the output if it comes in time.
fn version(program: &OsStr) -> Option<String> {
    let mut client = Command::new(program);
    // A program that does not know the option must not wait for standard input.
    client.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = client.spawn().ok()?;
    let mut output = child.stdout.take()?;
    let (sender, answer) = mpsc::channel();
    // Reads in a thread: a pipe cannot be read with a time limit.
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = output.by_ref().take(4096).read_to_end(&mut text);
        // The receiver is gone after the time limit.
        let _ = sender.send(read.map(|_| String::from_utf8_lossy(&text).into_owned()));
    });
    let answer = answer.recv_timeout(VERSION_LIMIT).ok();
    // Also ends a client that hangs.
    let _ = child.kill();
    let _ = child.wait();
    answer?.ok()
}
