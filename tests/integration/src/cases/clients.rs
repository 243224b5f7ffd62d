//! `psql` and `mariadb`, with tokens that the example and the command line print.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::{Table, temporary_key};
use crate::{
    Result,
    environment::{Engine, Environment, HOST, OTHER_HOST, Observation, REGION},
    key::Key,
    programs::{Programs, printed, run as ran},
    report::Report,
};

/// The command lines of all processes, printed by a client while it is logged in.
const COMMAND_LINES: &str = r"\! cat /proc/[0-9]*/cmdline | tr '\0' ' '";

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, programs: &Programs, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    environment.record(&[&temporary_key()])?;
    let key = temporary_key();
    let client = Client::at(environment.engine, environment.port, environment.authority(), &key, programs);
    let (name, inside, outside) = (client.name, "in as jane; accepted", "refused; not asked");

    let token = printed(client.example()).await?;
    let by_example = client.with_token(&token, HOST)?;
    row(&mut table, &format!("{name} by print_rds_token"), inside, by_example).await?;
    let elsewhere = client.with_token(&token, OTHER_HOST)?;
    row(&mut table, &format!("{name} by print_rds_token, name wrong"), outside, elsewhere).await?;

    let token = printed(client.token_for("jane")).await?;
    row(&mut table, &format!("{name} by rds-iam token"), inside, client.with_token(&token, HOST)?).await?;
    let by_exec = client.exec(HOST, client.question);
    row(&mut table, &format!("{name} by rds-iam exec"), inside, by_exec).await?;
    let elsewhere = client.exec(OTHER_HOST, client.question);
    row(&mut table, &format!("{name} by rds-iam exec, name wrong"), outside, elsewhere).await?;
    command_lines(&mut table, &client).await?;
    if client.name == "psql" {
        let command = client.with_token(&format!("{token}\n"), HOST)?;
        row(&mut table, "psql by a token with a line's end", "refused; form", command).await?;
    } else {
        // REQUIRE SSL is checked after the token was sent: a client without its own rule has
        // exposed it by then.
        let case = format!("{name} without tls");
        row(&mut table, &case, "refused; accepted", client.in_clear(&token, "jane")?).await?;
        let token = printed(client.token_for("lax")).await?;
        let case = format!("{case}, without REQUIRE SSL");
        row(&mut table, &case, "in as lax; accepted", client.in_clear(&token, "lax")?).await?;
    }
    Ok(())
}

/// Runs a client, and adds a row with the user that it logged in as.
pub(super) async fn row(table: &mut Table<'_>, case: &str, expected: &str, command: Command) -> Result<()> {
    let login = async {
        let ran = ran(command).await?;
        let user = ran.out.trim_end_matches("@%");
        let text = if ran.succeeded { format!("in as {user}") } else { "refused".to_owned() };
        Ok(Observation { text, details: vec![ran.err] })
    };
    let seen = table.environment.observe_fallible(login).await?;
    table.row(case, expected, &seen);
    Ok(())
}

/// Searches the command lines, which every user can read, while a client runs by `rds-iam exec`.
async fn command_lines(table: &mut Table<'_>, client: &Client<'_>) -> Result<()> {
    let looked = async {
        let ran = ran(client.exec(HOST, COMMAND_LINES)).await?;
        let own = if ran.out.contains(client.name) { "seen" } else { "not seen" };
        // Tokens of this key only: other programs on the machine may use tokens too.
        let session = temporary_key().session_token.unwrap_or_default();
        let begin = session.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let tokens = ran.out.matches(&format!("X-Amz-Security-Token={begin}")).count();
        Ok(Observation { text: format!("client {own}, {tokens} tokens"), details: vec![ran.err] })
    };
    let seen = table.environment.observe_fallible(looked).await?;
    let case = format!("command lines while {} runs", client.name);
    table.row(&case, "client seen, 0 tokens; accepted", &seen);
    Ok(())
}

/// The client of a server's engine, and the programs that print tokens for it.
pub(super) struct Client<'a> {
    port: u16,
    authority: &'a Path,
    key: &'a Key,
    programs: &'a Programs,
    pub(super) name: &'static str,
    engine: &'static str,
    pub(super) question: &'static str,
    arguments: Vec<String>,
}

impl<'a> Client<'a> {
    /// Returns the client of a server of this engine, by a key that the server knows.
    pub(super) fn at(
        engine: Engine,
        port: u16,
        authority: &'a Path,
        key: &'a Key,
        programs: &'a Programs,
    ) -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match engine {
            Engine::Mariadb | Engine::Mysql => Self {
                port,
                authority,
                key,
                programs,
                name: "mariadb",
                engine: "mysql",
                question: "SELECT CURRENT_USER()",
                arguments: words(&["--skip-column-names", "--batch", "--execute"]),
            },
            Engine::Postgres => Self {
                port,
                authority,
                key,
                programs,
                name: "psql",
                engine: "postgres",
                question: "SELECT current_user",
                arguments: words(&[
                    "--no-psqlrc",
                    "--no-align",
                    "--tuples-only",
                    "--dbname",
                    "postgres",
                    "--command",
                ]),
            },
        }
    }

    /// Prints a token by the example.
    fn example(&self) -> Command {
        let program = self.programs.example("print_rds_token");
        let mut command = self.programs.command(program, &self.key.variables());
        command.args([HOST, &self.port.to_string(), "jane", REGION]);
        command
    }

    /// Prints a token by the command line.
    pub(super) fn token_for(&self, user: &str) -> Command {
        let mut command = self.rds_iam("token", HOST, user);
        command.args(["--engine", self.engine]);
        command
    }

    /// Runs the client by the command line.
    fn exec(&self, host: &str, question: &str) -> Command {
        let mut command = self.rds_iam("exec", host, "jane");
        command.arg("--sslrootcert").arg(self.authority).arg("--").arg(self.program());
        command.args(&self.arguments).arg(question);
        command
    }

    fn rds_iam(&self, word: &str, host: &str, user: &str) -> Command {
        let program = self.programs.rds_iam();
        let mut command = self.programs.command(program, &self.key.variables());
        command.args([word, "--host", host, "--port", &self.port.to_string(), "--user", user]);
        command
    }

    /// Runs the client with a token, which is never on its command line.
    pub(super) fn with_token(&self, token: &str, host: &str) -> Result<Command> {
        if self.name == "mariadb" {
            let tls = format!("ssl-verify-server-cert\nssl-ca={}\n", self.authority.display());
            return self.with_file(token, host, "jane", &tls);
        }
        let mut command = self.programs.command(self.program(), &Vec::new());
        command.env("PGPASSWORD", token).env("PGHOST", host).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "jane").env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", self.authority);
        command.args(&self.arguments).arg(self.question);
        Ok(command)
    }

    /// Returns the same without TLS, on request of its option file.
    fn in_clear(&self, token: &str, user: &str) -> Result<Command> {
        self.with_file(token, HOST, user, "skip-ssl\n")
    }

    /// Runs `mariadb` with everything in a file that others cannot read.
    fn with_file(&self, token: &str, host: &str, user: &str, tls: &str) -> Result<Command> {
        let (file, port) = (self.programs.file("client.cnf"), self.port);
        let settings = format!(
            "[client]\nhost={host}\nport={port}\nprotocol=TCP\nuser={user}\npassword=\"{token}\"\n{tls}"
        );
        // Closed to other accounts before the token is in it.
        fs::write(&file, "")?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        fs::write(&file, settings)?;
        let mut command = self.programs.command(self.program(), &Vec::new());
        command.arg(format!("--defaults-file={}", file.display())).args(&self.arguments).arg(self.question);
        Ok(command)
    }

    fn program(&self) -> PathBuf {
        if self.name == "psql" { self.programs.psql() } else { self.name.into() }
    }
}
