//! A custom plugin: it connects to the instance that reports itself as the writer, while a
//! background task watches for a new one.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use examples::{Result, plugins_with, tokens};
use rds_testkit::Cluster;
use rds_wrapper::{
    Error, ErrorKind, Role,
    host::resolver_fn,
    pg::Connector,
    plugin::{Background, ConnectRequest, Next, Opener, Opening, Plugin, Session},
};
use tokio::time::sleep;

/// The plugin.
#[derive(Debug)]
struct Writer {
    known: Arc<Known>,
    probe: Background,
}

/// State that the plugin shares with its probe: the instances, and the index of the last writer.
#[derive(Debug)]
struct Known {
    instances: Vec<String>,
    writer: AtomicUsize,
}

const INTERVAL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a server for its own role, which is right even while DNS is stale.
async fn is_writer(mut session: impl Session) -> rds_wrapper::Result<bool> {
    Ok(session.query("SELECT pg_is_in_recovery()").await?.value() == Some("f"))
}

impl<C: Send + 'static> Plugin<C> for Writer {
    fn code(&self) -> &str {
        "writer"
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        Box::pin(async move {
            let (known, probed) = (Arc::clone(&self.known), request.clone());
            // Starts the probe unless it runs already: every connect comes through here.
            let start = move |opener| probe(opener, Arc::clone(&known), probed.clone());
            self.probe.ensure(next, TIMEOUT * 2, start);
            let (count, first) = (self.known.instances.len(), self.known.writer.load(Relaxed));
            // The last known writer first, since it rarely changes.
            for at in (first..first + count).map(|at| at % count) {
                let request = request.clone().with_host(&self.known.instances[at]);
                let Ok(mut connected) = next.run(request).await else { continue };
                if is_writer(next.session(&mut connected)).await? {
                    self.known.writer.store(at, Relaxed);
                    connected.established.set_role(Role::Writer);
                    return Ok(connected);
                }
            }
            Err(Error::new(ErrorKind::Transient, "no instance is the writer"))
        })
    }
}

/// Polls every instance over connections of its own, until the last connector is dropped.
async fn probe<C: Send + 'static>(opener: Opener<C>, known: Arc<Known>, request: ConnectRequest) {
    loop {
        for (at, host) in known.instances.iter().enumerate() {
            let request = request.clone().with_host(host);
            let Ok(mut connected) = opener.open(request, TIMEOUT).await else { continue };
            let Ok(session) = opener.session(&mut connected) else { return };
            if is_writer(session).await.unwrap_or(false) {
                known.writer.store(at, Relaxed);
            }
        }
        sleep(INTERVAL).await;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(custom_plugin()).await
}

async fn custom_plugin() -> Result {
    let cluster = Cluster::builder().writer("a").readers(["b", "c"]).start().await?;
    let (dns, tokens) = (cluster.dns(), tokens(cluster.access_key())?);
    let instances = ["a", "b", "c"].map(|id| cluster.node(id).host().to_owned()).to_vec();
    let known = Arc::new(Known { instances, writer: AtomicUsize::new(0) });
    let connector = Connector::builder(plugins_with(&tokens))
        .connection_string(cluster.url())
        .resolver(resolver_fn(move |host| dns.resolve(host)))
        .plugin(Writer { known: Arc::clone(&known), probe: Background::default() })
        .build()?;
    for writer in ["a", "b"] {
        if cluster.writer().id() != writer {
            cluster.fail_over(writer);
        }
        let connected = connector.connect_established().await?;
        println!("{:?}: {}", connected.established.role(), connected.established.host());
    }
    cluster.fail_over("c");
    while known.writer.load(Relaxed) != 2 {
        sleep(INTERVAL).await;
    }
    println!("the probe found {}", cluster.writer().id());
    Ok(())
}
