//! The cases of PostgreSQL alone.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::SinkExt;
use rds_wrapper::pg;

use super::{Table, key};
use crate::{
    Result,
    connector::Connector,
    environment::{Environment, HOST, Observation},
    login::{Login, Signer},
    postgres::Server,
    report::Report,
};

/// How long a row stays locked that a `COPY` waits for.
const LOCKED: Duration = Duration::from_secs(60);

/// Rows of a kilobyte each: more than the buffers between client and server hold, so the receive
/// window of the server closes.
const ROWS: u32 = 65_536;

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    let legacy = Login::by_password(environment, "legacy", "legacy password");
    table
        .login("user with a password", "in as legacy; not asked", legacy.clone(), Signer::new(&key())?)
        .await?;
    let in_clear = legacy.with("sslmode", "disable");
    table
        .login("user with a password, no tls", "Configuration; not asked", in_clear, Signer::new(&key())?)
        .await?;
    let token = Signer::new(&key())?.tokens.rds(HOST, environment.port, "jane").await?;
    let in_clear = Login::by_password(environment, "jane", token.expose()).with("sslmode", "disable");
    table
        .login(
            "no tls by the driver's own choice",
            "Configuration; not asked",
            in_clear,
            Signer::new(&key())?,
        )
        .await
}

/// A server that takes no data for a minute is not a dead one.
pub(crate) async fn copy_behind_a_lock(server: &Server, report: &mut Report) -> Result<()> {
    let environment = server.environment();
    server.administer(&["CREATE TABLE copied (id int PRIMARY KEY, filler text)"]).await?;
    server.administer(&["GRANT ALL ON copied TO jane"]).await?;
    let signer = Signer::new(&key())?;
    let Connector::Postgres(connector) = Login::by_token(environment, "jane").connector(&signer)? else {
        return Err("the environment is PostgreSQL's".into());
    };
    let copied = async {
        match copy(&connector).await {
            Ok(rows) => Observation { text: format!("{rows} rows"), details: Vec::new() },
            Err(error) => Observation { text: "lost".to_owned(), details: vec![error.to_string()] },
        }
    };
    let copied = environment.observe(copied).await?;
    let expected = format!("{ROWS} rows; accepted 2 times");
    Table { environment, report }.row("COPY behind a row locked for 60 s", &expected, &copied);
    server.administer(&["DROP TABLE copied"]).await.map(drop)
}

async fn copy(connector: &pg::Connector) -> Result<u64> {
    let (holder, connection) = connector.connect().await?;
    tokio::spawn(connection);
    // Another insert of the same key waits for the outcome of this one.
    holder.batch_execute("BEGIN; INSERT INTO copied VALUES (0, 'first')").await?;
    let (client, connection) = connector.connect().await?;
    tokio::spawn(connection);
    let copy = async {
        let mut sink = pin!(client.copy_in::<_, Bytes>("COPY copied FROM STDIN").await?);
        let filler = "x".repeat(1_000);
        for id in 0..ROWS {
            sink.send(Bytes::from(format!("{id}\t{filler}\n"))).await?;
        }
        sink.finish().await
    };
    let release = async {
        tokio::time::sleep(LOCKED).await;
        holder.batch_execute("ROLLBACK").await
    };
    let (rows, released) = tokio::join!(copy, release);
    released?;
    Ok(rows?)
}
