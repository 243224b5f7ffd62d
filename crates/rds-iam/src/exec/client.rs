//! Which client is to run, and what is known of it by its name.

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

/// Stands in a client's arguments where the option file belongs.
const PLACEHOLDER: &str = "{defaults-file}";

/// How long a client may take to say its version.
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

/// The words that an option file of this client has for TLS.
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

/// Where the argument that names the option file goes.
#[derive(Debug)]
pub(super) struct Place(Option<usize>);

impl<'a> Client<'a> {
    pub(super) fn of(program: &'a OsStr, rest: &'a [OsString]) -> Self {
        Self { program, rest }
    }

    /// Returns the engine that a client of this name is for; none where the name says nothing.
    pub(super) fn engine(&self) -> Option<Engine> {
        let name = name(self.program);
        let is_of_mysql = reads_option_files(&name) || matches!(&*name, "mycli" | "mysqlsh");
        (is_of_mysql || self.placeholder().is_some()).then_some(Engine::Mysql)
    }

    /// Returns the tool's own name, behind `cargo` too.
    pub(super) fn tool(&self) -> String {
        match (&*name(self.program), self.rest.first()) {
            ("cargo", Some(tool)) => name(tool),
            (name, _) => name.to_owned(),
        }
    }

    fn placeholder(&self) -> Option<usize> {
        self.rest.iter().position(|argument| argument == PLACEHOLDER)
    }

    /// Returns where the option file is named: first, as these clients want it, or where the person
    /// says.
    pub(super) fn place_of_file(&self) -> Result<Place, Failure> {
        match self.placeholder() {
            Some(place) => Ok(Place(Some(place))),
            None if reads_option_files(&name(self.program)) => Ok(Place(None)),
            // The variables of MySQL's clients cannot ask for TLS, without which the token would go
            // in clear.
            None => Err(Failure::usage(format!(
                "{} is not known to read an option file, without which nothing makes it verify TLS: write \
                 {PLACEHOLDER} where a client in its arguments takes --defaults-file, or pass --url-env",
                self.shown()
            ))),
        }
    }

    /// Returns how the client that reads the option file names TLS; it is asked for its version
    /// only where its name is MySQL's, which MariaDB uses too.
    pub(super) fn dialect(&self) -> Dialect {
        let reader = match self.placeholder() {
            Some(0) | None => self.program,
            Some(place) => &self.rest[place - 1],
        };
        let name = name(reader);
        let is_mariadb = OF_MARIADB.contains(&&*name)
            || OF_MYSQL.contains(&&*name) && version(reader).is_some_and(|text| text.contains("MariaDB"));
        if is_mariadb { Dialect::Mariadb } else { Dialect::Mysql }
    }

    /// Returns the major version of a client of PostgreSQL, which is asked for it; none of another
    /// client.
    pub(super) fn postgres_version(&self) -> Option<u32> {
        if !OF_POSTGRES.contains(&&*name(self.program)) {
            return None;
        }
        let text = version(self.program)?;
        let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// Returns the client for a message: a whole command line in quotes may hold a password.
    pub(super) fn shown(&self) -> String {
        let program = self.program.to_string_lossy();
        let is_path = program.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
        if is_path { format!("`{program}`") } else { "with blanks or signs in its name".to_owned() }
    }
}

impl Place {
    pub(super) fn arguments(&self, rest: &[OsString], file: &OsStr) -> Vec<OsString> {
        let mut arguments = rest.to_vec();
        match self.0 {
            Some(place) => arguments[place] = file.to_owned(),
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

/// Returns what a client says to `--version`, if it does so in time.
fn version(program: &OsStr) -> Option<String> {
    let mut client = Command::new(program);
    client.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = client.spawn().ok()?;
    let mut output = child.stdout.take()?;
    let (sender, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = output.by_ref().take(4096).read_to_end(&mut text);
        // The receiver is gone if the time was up.
        let _ = sender.send(read.map(|_| String::from_utf8_lossy(&text).into_owned()));
    });
    let answer = answer.recv_timeout(VERSION_LIMIT).ok();
    // Whether it has ended or hangs.
    let _ = child.kill();
    let _ = child.wait();
    answer?.ok()
}
