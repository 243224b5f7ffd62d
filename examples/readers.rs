//! Two pools over one cluster, one for the writer and one for the readers, that share its topology.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, plugins_with, tokens};
use rds_testkit::Cluster;
use rds_wrapper::{
    host::resolver_fn,
    pg::{Connector, deadpool::Pool},
    topology::FailoverPlugin,
};

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(readers()).await
}

async fn readers() -> Result {
    let cluster = Cluster::builder().writer("a").readers(["b", "c"]).start().await?;
    let (dns, tokens) = (cluster.dns(), tokens(cluster.access_key())?);
    let url =
        cluster.url().replace("plugins=iam", "plugins=failover2,iam&readerHostSelectorStrategy=roundRobin");
    let connector = Connector::builder(plugins_with(&tokens))
        .connection_string(url)
        .resolver(resolver_fn(move |host| dns.resolve(host)))
        .build()?;
    let writers = connector.writer()?.deadpool_builder().max_size(1).build()?;
    let readers = connector.reader()?.deadpool_builder().max_size(2).build()?;

    println!("the writer's pool is at {}", instances(&writers, 1).await?);
    println!("the readers' pool is at {}", instances(&readers, 2).await?);
    if let Some(plugin) = connector.plugin::<FailoverPlugin>() {
        for instance in plugin.topology().snapshot().instances() {
            println!("{}: {:?}, lag {:?}", instance.id(), instance.role(), instance.lag());
        }
    }
    Ok(())
}

/// Checks connections out and asks each which instance it reached.
async fn instances(pool: &Pool, count: usize) -> Result<String> {
    // Held until the end, so that each check-out opens another connection.
    let (mut held, mut found) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let client = pool.get().await?;
        let row = client.query_one("SELECT pg_catalog.aurora_db_instance_identifier()", &[]).await?;
        found.push(row.get::<_, String>(0));
        held.push(client);
    }
    Ok(found.join(" and "))
}
