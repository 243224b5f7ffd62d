//! The names in a server's certificate.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command};

use super::database::Database;
use crate::{Result, environment::Engine};

/// Reads the certificate of one of a database's endpoints by `openssl s_client`, which speaks both
/// protocols up to TLS.
pub(super) async fn names(database: &Database, host: &str) -> Result<String> {
    let protocol = if matches!(database.engine, Engine::Postgres) { "postgres" } else { "mysql" };
    let mut ask = Command::new("openssl");
    ask.args(["s_client", "-starttls", protocol, "-servername", host, "-connect"]);
    ask.arg(format!("{host}:{}", database.port()));
    let shown = output(ask, &[]).await?;

    let mut read = Command::new("openssl");
    read.args(["x509", "-noout", "-ext", "subjectAltName"]);
    let text = output(read, &shown).await?;
    let text = String::from_utf8_lossy(&text);
    let names = text.split([',', '\n']).filter_map(|part| part.trim().strip_prefix("DNS:"));
    let names = names.collect::<Vec<_>>().join(" ");
    Ok(if names.is_empty() { "none could be had".to_owned() } else { names })
}

async fn output(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("openssl cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // The program may end before it has read everything.
        let _ = stdin.write_all(input).await;
    }
    Ok(child.wait_with_output().await?.stdout)
}
