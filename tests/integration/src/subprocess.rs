//! Logins in a subprocess, whose environment is the case: the AWS default chain reads it.

use std::{
    io::stdin,
    net::{IpAddr, Ipv4Addr},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use rds_wrapper::{
    IamFactory, IamTokenProvider,
    host::resolver_fn,
    iam::{Clock, SystemClock},
    pg, plugins,
};
use serde_json::{Value, json};
use token_cache::ManualClock;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    Result,
    connector::{Connector, not_built, seen},
    environment::{Environment, HOST, Observation},
    output,
    sources::Variables,
};

/// The argument that starts this program as a subprocess.
pub(crate) const WORD: &str = "--log-in";

/// How far the clock of the subprocess is behind: it can be advanced by as much without tokens from
/// the future.
const BEHIND: Duration = Duration::from_secs(270);

/// A process with its own environment, ended on drop.
#[derive(Debug)]
pub(crate) struct Subprocess {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// The outcome of a login in the subprocess.
#[derive(Debug)]
pub(crate) struct LoginReport {
    pub(crate) seen: Observation,
    /// The number of tokens signed so far.
    pub(crate) signed: u64,
    /// The number of retried logins so far.
    pub(crate) retries: u64,
}

impl Subprocess {
    /// Starts a subprocess with only these environment variables.
    pub(crate) fn start(environment: &Environment, variables: &Variables) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORD, &environment.port.to_string()]).arg(environment.authority());
        // Nothing of the developer's own AWS configuration may enter the case.
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let orders = child.stdin.take().ok_or("no way to the new process")?;
        let answers = child.stdout.take().ok_or("no way back from the new process")?;
        Ok(Self { _child: child, orders, answers: BufReader::new(answers).lines() })
    }

    /// Logs in at PostgreSQL after so many seconds of its clock.
    pub(crate) async fn log_in_after(&mut self, seconds: u64) -> Result<LoginReport> {
        self.orders.write_all(format!("{seconds}\n").as_bytes()).await?;
        let answer = self.answers.next_line().await?.ok_or("the new process has ended")?;
        let answer: Value = serde_json::from_str(&answer)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(LoginReport {
            seen: Observation { text: text(&answer["text"]), details: vec![text(&answer["details"])] },
            signed: answer["signed"].as_u64().unwrap_or_default(),
            retries: answer["retries"].as_u64().unwrap_or_default(),
        })
    }
}

/// Runs the subprocess: for each line with a number of seconds it advances its clock and logs in.
pub(crate) async fn run(port: &str, authority: &str) -> Result<()> {
    let parameters = [
        ("host", HOST),
        ("port", port),
        ("user", "jane"),
        ("database", "postgres"),
        ("plugins", "iam"),
        ("sslrootcert", authority),
    ];
    let clock = ManualClock::at(SystemClock.now() - BEHIND);
    let tokens = IamTokenProvider::builder().clock(Arc::new(clock.clone())).build()?;
    let here = resolver_fn(|_| Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
    let iam = IamFactory::new(tokens.clone());
    // Built once: the cache and the clock last from one login to the next.
    let built = pg::Connector::builder(plugins().with(iam)).map(parameters).resolver(here).build();
    // Blocking is right here: the process has nothing to do between two orders.
    for line in stdin().lines() {
        clock.advance(Duration::from_secs(line?.parse()?));
        let seen = match &built {
            Ok(connector) => seen(Connector::Postgres(connector.clone()).log_in().await),
            Err(error) => not_built(error),
        };
        let stats = tokens.stats();
        let answer = json!({
            "text": seen.text,
            "details": seen.details.join("; "),
            "signed": stats.signed,
            "retries": stats.retries,
        });
        output::line(&answer.to_string());
    }
    Ok(())
}
