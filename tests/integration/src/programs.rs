//! Programs that a person would start: the repository's own and the databases' clients.

use std::{ffi::OsStr, fs, path::PathBuf, process::Stdio};

use tokio::process::Command;

use crate::{
    Result,
    environment::{HOST, OTHER_HOST, READER_HOST},
    prerequisites::Prerequisites,
    scratch::Scratch,
    sources::Variables,
};

/// Where programs are, and how they find the servers by their names.
#[derive(Debug)]
pub(crate) struct Programs {
    hosts: PathBuf,
    wrapper: PathBuf,
    home: PathBuf,
    built: PathBuf,
    psql: PathBuf,
}

/// What came of a program.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) succeeded: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Programs {
    /// Writes the names down.
    pub(crate) fn new(prerequisites: &Prerequisites, scratch: &Scratch) -> Result<Self> {
        let home = scratch.folder(prerequisites, "programs")?;
        let hosts = home.join("hosts");
        let names = [HOST, READER_HOST, OTHER_HOST].map(|name| format!("127.0.0.1 {name}\n"));
        fs::write(&hosts, names.concat())?;
        Ok(Self {
            hosts,
            wrapper: prerequisites.nss_wrapper().ok_or("libnss-wrapper is gone")?,
            home,
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

    /// PostgreSQL's client.
    pub(crate) fn psql(&self) -> PathBuf {
        self.psql.clone()
    }

    /// Returns the command line of sqlx, the suite's own where sqlx-cli is not installed.
    pub(crate) fn sqlx(&self) -> PathBuf {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let mut programs = std::env::split_paths(&folders).map(|folder| folder.join("sqlx"));
        programs.find(|program| program.is_file()).unwrap_or_else(|| self.built.join("sqlx"))
    }

    /// Returns a file of the programs' own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Returns a program with these variables and no others, which reaches the servers by their
    /// names; ended on drop.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, variables: &Variables) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("AWS_EC2_METADATA_DISABLED", "true")
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

/// Runs a program that prints something to be used.
pub(crate) async fn printed(command: Command) -> Result<String> {
    match run(command).await? {
        CommandOutput { succeeded: true, out, .. } => Ok(out),
        CommandOutput { err, .. } => Err(err.into()),
    }
}
