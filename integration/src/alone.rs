//! One login in a process of its own, whose environment is the case: the AWS default chain reads it.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
};

use rds_wrapper::{pg, plugins, resolver_fn};

use crate::{
    Result,
    login::{Connector, not_built, seen},
    say,
    site::{HOST, Seen, Site},
};

/// The word of the command line that asks for it.
pub(crate) const WORD: &str = "--log-in";

/// Logs in at PostgreSQL in a new process with these environment variables and no others.
pub(crate) async fn log_in(site: &Site, variables: &[(&str, String)]) -> Result<Seen> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([WORD, &site.port.to_string()]).arg(site.authority()).stdin(Stdio::null());
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(variables.iter().map(|(name, value)| (name, value)));
    let login = async {
        match tokio::task::spawn_blocking(move || command.output()).await {
            Ok(Ok(output)) => Seen {
                text: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
                details: vec![String::from_utf8_lossy(&output.stderr).trim_end().to_owned()],
            },
            other => Seen { text: "not started".to_owned(), details: vec![format!("{other:?}")] },
        }
    };
    site.observe(login).await
}

/// What the new process does: prints what came of the login, and the details on the standard error.
pub(crate) async fn run(port: &str, authority: &str) -> Result<()> {
    let parameters = [
        ("host", HOST),
        ("port", port),
        ("user", "jane"),
        ("database", "postgres"),
        ("plugins", "iam"),
        ("sslrootcert", authority),
    ];
    let here = resolver_fn(|_| Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
    let built = pg::Connector::builder(plugins()).map(parameters).resolver(here).build();
    let seen = match built {
        Ok(connector) => seen(Connector::Postgres(connector).log_in().await),
        Err(error) => not_built(&error),
    };
    say::line(&seen.text);
    seen.details.iter().for_each(|line| say::error(line));
    Ok(())
}
