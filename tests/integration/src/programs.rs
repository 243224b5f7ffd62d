//! Programs that the suite runs: the repository's own, and clients of the databases.

use std::{ffi::OsStr, fs, path::PathBuf, process::Stdio};

use tokio::process::Command;

use crate::{
    Result,
    environment::{HOST, OTHER_HOST, READER_HOST},
    prerequisites::Prerequisites,
    scratch::Scratch,
    sources::Variables,
};

/// The paths of programs, and the names of servers for them.
#[derive(Debug)]
pub(crate) struct Programs {
    hosts: PathBuf,
    wrapper: PathBuf,
    home: PathBuf,
    built: PathBuf,
    psql: PathBuf,
}

/// The output of a program.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) succeeded: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Programs {
    /// Writes the names into a hosts file.
    pub(crate) fn new(prerequisites: &Prerequisites, scratch: &Scratch) -> Result<Self> {
        let home = scratch.folder(prerequisites, "programs")?;
        let hosts = home.join("hosts");
        let names = [HOST, READER_HOST, OTHER_HOST].map(|name| format!("127.0.0.1 {name}\n"));
        fs::write(&hosts, names.concat())?;
        Ok(Self {
            hosts,
            wrapper: prerequisites.nss_wrapper().ok_or("libnss-wrapper is gone")?,
            home,
            // Cargo puts the suite, the command line and the examples into one folder.
            built: std::env::current_exe()?.parent().ok_or("no folder of programs")?.to_owned(),
            psql: prerequisites.postgres().unwrap_or_default().join("psql"),
        })
    }

    /// Returns the repository's command line.
    pub(crate) fn rds_iam(&self) -> PathBuf {
        self.built.join("rds-iam")
    }

    /// Returns an example of the repository.
    pub(crate) fn example(&self, name: &str) -> PathBuf {
        self.built.join("examples").join(name)
    }

    /// Returns psql.
    pub(crate) fn psql(&self) -> PathBuf {
        self.psql.clone()
    }

    /// Returns sqlx-cli if it is on PATH, and else the suite's own `sqlx`.
    pub(crate) fn sqlx(&self) -> PathBuf {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let mut programs = std::env::split_paths(&folders).map(|folder| folder.join("sqlx"));
        programs.find(|program| program.is_file()).unwrap_or_else(|| self.built.join("sqlx"))
    }

    /// Returns a path in the programs' home folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Returns a program with only these variables, which resolves the servers' names; killed on
    /// drop.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, variables: &Variables) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.home)
            // Else the SDK may wait for a metadata service that this machine does not have.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Clients verify the names of AWS, which no DNS resolves to this machine.
            .env("LD_PRELOAD", &self.wrapper)
            .env("NSS_WRAPPER_HOSTS", &self.hosts)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Runs a program to its end.
pub(crate) async fn run(mut command: Command) -> Result<CommandOutput> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.output().await.map_err(|error| format!("{name} cannot be started: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ok(CommandOutput {
        succeeded: output.status.success(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    })
}

/// Runs a program, and returns its output.
pub(crate) async fn printed(command: Command) -> Result<String> {
    match run(command).await? {
        CommandOutput { succeeded: true, out, .. } => Ok(out),
        CommandOutput { err, .. } => Err(err.into()),
    }
}
