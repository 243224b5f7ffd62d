//! A pool that keeps writing through a failover, counted second by second, while DNS still points
//! at the former writer.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use examples::{Result, plugins_with, tokens};
use rds_testkit::{Cluster, Rows};
use rds_wrapper::{
    Event,
    host::resolver_fn,
    pg::{Connector, deadpool::Pool},
    topology::FailoverPlugin,
};
use tokio::time::{sleep, timeout};

const WRITE: &str = "INSERT INTO beats VALUES (1)";
const WRITERS: usize = 8;

/// The writes since the last report.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU32,
    failed: AtomicU32,
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(failover()).await
}

async fn failover() -> Result {
    let cluster =
        Cluster::builder().writer("a").readers(["b", "c"]).answer(WRITE, Rows::affected(1)).start().await?;
    let (dns, tokens) = (cluster.dns(), tokens(cluster.access_key())?);
    // As on AWS, where the cluster endpoint lags behind a failover by half a minute.
    dns.hold();
    let connector = Connector::builder(plugins_with(&tokens))
        .connection_string(cluster.url().replace("plugins=iam", "plugins=failover2,iam"))
        .resolver(resolver_fn(move |host| dns.resolve(host)))
        .on_event(|event| match event {
            Event::WriterChanged(change) => println!("  `{}` is the writer", change.to),
            Event::ConnectionCut(cut) => {
                println!("  {} connections to `{}` ended", cut.connections, cut.instance)
            }
            _ => {}
        })
        .build()?;
    let pool = connector.deadpool_builder().max_size(WRITERS).build()?;
    let counts = Arc::new(Counts::default());
    for _ in 0..WRITERS {
        tokio::spawn(write(pool.clone(), connector.clone(), Arc::clone(&counts)));
    }
    for second in 1..=6 {
        if second == 3 {
            println!("  the failover to `b` begins");
            cluster.fail_over("b");
        }
        sleep(Duration::from_secs(1)).await;
        let (written, failed) = (counts.written.swap(0, Relaxed), counts.failed.swap(0, Relaxed));
        println!("{second} s: {written} written, {failed} failed");
    }
    let stats = connector.plugin::<FailoverPlugin>().map(|plugin| plugin.topology().stats());
    println!("{stats:?}");
    Ok(())
}

/// Writes in a loop. Only the application knows if a failed write may be repeated; this one may.
async fn write(pool: Pool, connector: Connector, counts: Arc<Counts>) {
    loop {
        let written = async {
            let client = pool.get().await.ok()?;
            // Bounded, since a frozen writer would never answer.
            match timeout(Duration::from_secs(1), client.batch_execute(WRITE)).await.ok()? {
                Ok(()) => Some(()),
                Err(error) => {
                    // Makes the plugin check the server now, not at the monitor's next turn.
                    connector.report(&error);
                    None
                }
            }
        };
        let counter = if written.await.is_some() { &counts.written } else { &counts.failed };
        counter.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(20)).await;
    }
}
