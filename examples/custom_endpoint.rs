//! Connects by IP address: `iamHost` is the name that the token is signed for and the certificate
//! must have, and `clusterInstanceHostPattern` is the form of the cluster's instance names.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{HOST, Result, USER, embedded, plugins_with};
use rds_wrapper::pg::Connector;

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(custom_endpoint()).await
}

async fn custom_endpoint() -> Result {
    let (server, tokens) = embedded().await?;
    // The same keys as the NodeJS wrapper's configuration object.
    let configuration = [
        ("host", "127.0.0.1".to_owned()),
        ("port", server.port().to_string()),
        ("user", USER.to_owned()),
        ("database", "app".to_owned()),
        ("plugins", "iam".to_owned()),
        ("iamRegion", "us-east-2".to_owned()),
        ("iamHost", HOST.to_owned()),
        ("clusterInstanceHostPattern", "?.abc123.us-east-2.rds.amazonaws.com".to_owned()),
        ("ssl.ca", server.ca_pem().to_owned()),
    ];
    let connector = Connector::from_map(configuration, plugins_with(&tokens))?;

    let (client, connection) = connector.connect().await?;
    let task = tokio::spawn(connection);
    let user: String = client.query_one("SELECT current_user", &[]).await?.get(0);
    println!("connected to 127.0.0.1 as `{user}`, verified as {HOST}");
    drop(client);
    task.await??;

    let instance = connector.instance("instance-1")?;
    for (host, port) in instance.hosts() {
        println!("instance-1 would be {host}:{port}, with a token for that name");
    }
    Ok(())
}
