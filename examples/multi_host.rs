//! Several hosts in one connection string: each gets its own token, and the first writable wins.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{HOST, Result, USER, embedded, plugins_with};
use rds_wrapper::pg::Connector;

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(multi_host()).await
}

async fn multi_host() -> Result {
    let (reader, tokens) = embedded().await?;
    let (writer, _) = embedded().await?;
    reader.set_read_only(true);
    writer.token_policy().add_key(reader.access_key().clone());

    // Each embedded server has its own CA; for a real cluster one bundle covers all hosts.
    let roots = format!("{}{}", reader.ca_pem(), writer.ca_pem());
    let url = format!(
        "postgres://{USER}@{HOST}:{},{HOST}:{}/app?hostaddr=127.0.0.1,127.0.0.1&plugins=iam&target_session_attrs=read-write",
        reader.port(),
        writer.port()
    );
    let connector = Connector::builder(plugins_with(&tokens))
        .connection_string(url)
        .parameter("sslrootcert", roots)
        .build()?;

    let (client, connection) = connector.connect().await?;
    let task = tokio::spawn(connection);
    println!(
        "reader on port {}: {} login, turned down because it is read-only",
        reader.port(),
        reader.accepted()
    );
    println!("writer on port {}: {} login", writer.port(), writer.accepted());
    println!("{} tokens signed, one for each host and port", tokens.stats().signed);
    drop(client);
    task.await??;
    Ok(())
}
