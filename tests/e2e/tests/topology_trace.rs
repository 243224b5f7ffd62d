//! No secret in anything that is said through failovers, at TRACE, by any crate.

use e2e::{
    TraceCapture,
    cluster::{ClusterFixture, until},
    forms,
};
use rds_testkit::{AccessKey, Cluster, Deployment, Fault, Lie, View};
use rds_wrapper::{Topology, mysql as my, pg, topology::FailoverPlugin};
use tracing_subscriber::fmt::format::FmtSpan;

/// Formats everything about an outcome.
fn say<T>(outcome: rds_wrapper::Result<T>) {
    let Err(error) = outcome else { return };
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        tracing::info!(%error, ?error, "refused");
        cause = error.source();
    }
}

enum Connector {
    My(my::Connector),
    Pg(pg::Connector),
}

impl Connector {
    async fn connect(&self) {
        match self {
            Self::My(connector) => say(connector.connect_established().await),
            Self::Pg(connector) => say(connector.connect_established().await),
        }
    }

    fn topology(&self) -> Topology {
        let plugin = match self {
            Self::My(connector) => connector.plugin::<FailoverPlugin>(),
            Self::Pg(connector) => connector.plugin::<FailoverPlugin>(),
        };
        let plugin = plugin.expect("is in the chain");
        tracing::info!(?plugin, snapshot = ?plugin.topology().snapshot(), "topology");
        plugin.topology().clone()
    }
}

/// A failover, a reader that lies, strangers, a token that is echoed, and nobody left.
async fn live_through_everything(deployment: Deployment, key: AccessKey) {
    let builder = Cluster::builder().deployment(deployment).writer("a").readers(["b", "c"]);
    let rig = ClusterFixture::start_with(builder.access_key(key)).await;
    let url = rig.url("failover2", "&wrapperConnectTimeout=1500");
    tracing::info!(url, "configured");
    let connector = match url.starts_with("mysql") {
        true => Connector::My(rig.my(&url).build().expect("builds")),
        false => Connector::Pg(rig.pg(&url).build().expect("builds")),
    };
    connector.connect().await;
    let topology = connector.topology();
    for lie in [Lie::Writer(true), Lie::ReadOnly(false), Lie::Id("x\u{1b}".to_owned())] {
        rig.cluster.lie("c", lie);
    }
    rig.cluster.disagree("b", View::of("evil.example", ["a", "b"]));
    rig.cluster.node("a").inject(Fault::EchoPassword);
    connector.connect().await;
    rig.cluster.agree("b");
    rig.cluster.fail_over("b");
    topology.suspect();
    until("the writer changed", || topology.snapshot().epoch() == 2).await;
    connector.connect().await;
    for id in ["a", "b", "c"] {
        rig.cluster.kill(id).await;
    }
    connector.connect().await;
    drop(connector.topology());
}

#[tokio::test]
async fn no_secret_is_logged_at_trace_through_failovers() {
    let capture = TraceCapture::install(FmtSpan::FULL);
    let secrets = ["the-secret-Kx7/key+of", "the-session-Qm3/token+of"];
    for deployment in [
        Deployment::AuroraMysql,
        Deployment::AuroraPostgres,
        Deployment::MultiAzMysql,
        Deployment::MultiAzPostgres,
    ] {
        let key = AccessKey::new("ASIAQQQQWWWWEEEERRRR", secrets[0]).with_session_token(secrets[1]);
        live_through_everything(deployment, key).await;
    }

    let said = capture.take();
    for heard in [
        "the cluster has a new writer",
        "answer rejected",
        "asked instance=",
        "topology found deployment=",
        "tokio_postgres",
        "no verified writer for",
    ] {
        assert!(said.contains(heard), "nothing was heard of {heard}");
    }
    // A signature is what makes a token of what everybody knows.
    let found = said.find("X-Amz-Signature=").map(|at| &said[at.saturating_sub(300)..]);
    assert!(found.is_none(), "a token was said: {:.600}", found.unwrap_or_default());
    for secret in secrets {
        for form in forms(secret) {
            let found = said.find(&form).map(|at| &said[at.saturating_sub(200)..]);
            assert!(found.is_none(), "a secret was said: {:.600}", found.unwrap_or_default());
        }
    }
}
