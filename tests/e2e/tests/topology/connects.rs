//! Connects that are led to the writer or to readers of a cluster, through failovers and lies.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_credential_types::provider::SharedCredentialsProvider;
use e2e::{
    CountingSource,
    cluster::{ClusterFixture, until},
};
use rds_testkit::{Cluster, Deployment, Fault, Instance, Lie, Phase, View};
use rds_wrapper::{
    ErrorKind, Event, IamFactory, IamTokenProvider, Role, Topology,
    events::CredentialsFailure,
    iam::{Clock as _, SystemClock},
    mysql as my, pg,
    plugin::Established,
    plugins,
    topology::{FailoverFactory, FailoverPlugin, InitialConnectionPlugin},
};
use tokio::time::{Instant, timeout};

mod faults;

const CLUSTERS: [Deployment; 4] = [
    Deployment::AuroraMysql,
    Deployment::AuroraPostgres,
    Deployment::MultiAzMysql,
    Deployment::MultiAzPostgres,
];

/// A connector of whichever engine.
enum Connector {
    My(my::Connector),
    Pg(pg::Connector),
}

impl Connector {
    fn new(rig: &ClusterFixture, url: &str) -> Self {
        match url.starts_with("mysql") {
            true => Self::My(rig.my(url).build().expect("builds")),
            false => Self::Pg(rig.pg(url).build().expect("builds")),
        }
    }

    async fn connect(&self) -> rds_wrapper::Result<Established> {
        match self {
            Self::My(connector) => connector.connect_established().await.map(|c| c.established),
            Self::Pg(connector) => connector.connect_established().await.map(|c| c.established),
        }
    }

    async fn found(&self) -> (String, Option<Role>) {
        let established = self.connect().await.expect("is let in");
        (established.instance().unwrap_or("?").to_owned(), established.role())
    }

    fn topology(&self) -> Topology {
        match self {
            Self::My(connector) => connector
                .plugin::<FailoverPlugin>()
                .map(FailoverPlugin::topology)
                .or_else(|| {
                    connector.plugin::<InitialConnectionPlugin>().map(InitialConnectionPlugin::topology)
                })
                .expect("is in the chain")
                .clone(),
            Self::Pg(connector) => connector
                .plugin::<FailoverPlugin>()
                .map(FailoverPlugin::topology)
                .or_else(|| {
                    connector.plugin::<InitialConnectionPlugin>().map(InitialConnectionPlugin::topology)
                })
                .expect("is in the chain")
                .clone(),
        }
    }
}

fn writer(id: &str) -> (String, Option<Role>) {
    (id.to_owned(), Some(Role::Writer))
}

#[tokio::test]
async fn connect_is_routed_to_the_writer_while_dns_is_stale() {
    for deployment in CLUSTERS {
        for plugin in ["initialConnection", "failover2", "initialConnection,failover2"] {
            let rig = ClusterFixture::start(deployment).await;
            let connector = Connector::new(&rig, &rig.url(plugin, ""));
            assert_eq!(connector.found().await, writer("a"), "{deployment:?} {plugin}");

            rig.cluster.dns().hold();
            rig.cluster.fail_over("b");

            let begun = Instant::now();
            assert_eq!(connector.found().await, writer("b"), "{deployment:?} {plugin}");
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{deployment:?} {plugin}: {:?}",
                begun.elapsed()
            );
            assert_eq!(connector.topology().snapshot().epoch(), 2, "{deployment:?} {plugin}");
        }
    }
}

#[tokio::test]
async fn first_connect_continues_from_a_reader_to_the_writer() {
    for deployment in CLUSTERS {
        let rig = ClusterFixture::start(deployment).await;
        rig.cluster.dns().hold();
        rig.cluster.fail_over("c");
        let connector = Connector::new(&rig, &rig.url("initialConnection", ""));

        assert_eq!(connector.found().await, writer("c"), "{deployment:?}");
        assert_eq!(rig.logins(), 2, "{deployment:?}: one at the endpoint, one at the writer");
    }
}

#[tokio::test]
async fn reader_endpoint_leads_to_readers_and_else_to_the_writer() {
    for deployment in CLUSTERS {
        let rig = ClusterFixture::start(deployment).await;
        let connector =
            Connector::new(&rig, &rig.reader_url("failover2", "&readerHostSelectorStrategy=roundRobin"));
        let mut found = Vec::new();
        for _ in 0..5 {
            let (instance, role) = connector.found().await;
            assert_eq!(role, Some(Role::Reader), "{deployment:?}");
            found.push(instance);
        }
        assert!(
            ["b", "c"].iter().all(|id| found.iter().any(|found| found == id)),
            "{deployment:?}: {found:?}"
        );

        let alone = ClusterFixture::start_with(Cluster::builder().deployment(deployment).writer("a")).await;
        let connector = Connector::new(&alone, &alone.reader_url("initialConnection", ""));
        assert_eq!(connector.found().await, writer("a"), "{deployment:?}");
    }
}

#[tokio::test]
async fn known_writer_of_postgres_costs_no_round_trip() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = Connector::new(&rig, &rig.url("initialConnection", ""));
    connector.found().await;
    let before = rig.cluster.node("a").queries().len();

    assert_eq!(connector.found().await, writer("a"));

    assert_eq!(rig.cluster.node("a").queries().len(), before);
}

#[tokio::test]
async fn known_writer_of_mysql_costs_one_round_trip() {
    let rig = ClusterFixture::start(Deployment::AuroraMysql).await;
    let connector = Connector::new(&rig, &rig.url("initialConnection", ""));
    connector.found().await;
    let before = rig.cluster.node("a").queries().len();

    assert_eq!(connector.found().await, writer("a"));

    assert_eq!(rig.cluster.node("a").queries()[before..], ["SELECT @@innodb_read_only"]);
}

#[tokio::test]
async fn demoted_writer_is_cut_when_it_reports_itself_read_only() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let connector = rig
        .pg(rig.url("failover2", ""))
        .on_event(move |event| heard.lock().expect("no panic").push(event.clone()))
        .build()
        .expect("builds");
    let (client, connection) = connector.connect().await.expect("is let in");
    tokio::spawn(connection);
    // It keeps its sessions, as a partitioned writer that comes back.
    rig.cluster.lie("a", Lie::Writer(false));
    rig.cluster.lie("a", Lie::ReadOnly(true));
    rig.cluster.lie("a", Lie::Standby(true));

    connector.plugin::<FailoverPlugin>().expect("is in the chain").topology().suspect();

    until("the client is closed", || client.is_closed()).await;
    let heard = events.lock().expect("no panic");
    let is_cut = |event: &Event| {
        let Event::ConnectionCut(cut) = event else { return false };
        cut.instance == "a" && cut.connections == 1
    };
    assert!(heard.iter().any(is_cut), "{heard:?}");
    assert!(heard.iter().any(|event| matches!(event, Event::WriterChanged(_))), "{heard:?}");
}

/// As a machine that was suspended while the cluster failed over, with every session still open:
/// its wall clock jumps, and its monotonic clock may or may not have gone on.
#[tokio::test]
async fn first_connect_after_a_clock_jump_of_two_hours_verifies_the_writer() {
    let hours = Duration::from_secs(2 * 60 * 60);
    for deployment in [Deployment::AuroraMysql, Deployment::AuroraPostgres] {
        for plugin in ["initialConnection", "failover2"] {
            for (wall, monotonic) in [(true, true), (true, false), (false, true)] {
                let case = format!("{deployment:?} {plugin}, wall {wall}, monotonic {monotonic}");
                let rig = ClusterFixture::start(deployment).await;
                let connector = Connector::new(&rig, &rig.url(plugin, ""));
                assert_eq!(connector.found().await, writer("a"), "{case}");
                let asked = rig.cluster.node("b").queries().len();
                super::pools::demote_quietly(&rig);

                if wall {
                    rig.cluster.advance(hours);
                }
                if monotonic {
                    tokio::time::pause();
                    tokio::time::advance(hours).await;
                    tokio::time::resume();
                }

                assert_eq!(connector.found().await, writer("b"), "{case}");
                assert!(rig.cluster.node("b").queries().len() > asked, "{case}: it was not asked");
            }
        }
    }
}

#[tokio::test]
async fn one_monitor_serves_all_connectors_and_ends_with_the_last() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let topology = Topology::default();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let servers = tasks();
    let registry = || rig.registry().with(FailoverFactory::new(topology.clone()));
    let build = || rig.pg_with(registry(), rig.url("failover2", "")).build().expect("builds");
    let (first, second) = (build(), build());
    for connector in [&first, &second, &first] {
        drop(connector.connect().await.expect("is let in"));
    }
    until("the monitor asks", || topology.stats().questions > 3).await;
    assert!(topology.stats().monitor_logins <= 3, "{:?}", topology.stats());

    drop(first);
    let before = topology.stats().questions;
    topology.suspect();
    until("it moved to the other connector", || topology.stats().questions > before + 3).await;

    drop(second);
    until("its task and its sessions are gone", || tasks() == servers).await;
    topology.suspect();
    assert_eq!(tasks(), servers, "a suspicion starts none");
}

#[tokio::test]
async fn topology_of_another_cluster_is_refused() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let other = ClusterFixture::start_with(Cluster::builder().domain_id("other").writer("a")).await;
    let topology = Topology::default();
    let registry = || rig.registry().with(FailoverFactory::new(topology.clone()));
    rig.pg_with(registry(), rig.url("failover2", "")).build().expect("builds");

    let error = other.pg_with(registry(), other.url("failover2", "")).build().expect_err("another cluster");

    assert!(
        error.to_string().starts_with("the given topology belongs to the cluster with instances"),
        "{error}"
    );
}

#[tokio::test]
async fn read_replicas_are_a_fixed_topology() {
    let rig = ClusterFixture::start(Deployment::InstancePostgres).await;
    let hosts = ["a", "b", "c"].map(|id| format!("{}:{}", rig.cluster.node(id).host(), rig.cluster.port()));
    let topology = Topology::fixed(&hosts[0], [&*hosts[1], &*hosts[2]]).expect("are hosts");
    let registry = rig.registry().with(FailoverFactory::new(topology.clone()));
    let connector = rig.pg_with(registry, rig.url("failover2", "")).build().expect("builds");
    let established = connector.connect_established().await.expect("is let in").established;
    assert_eq!((established.host(), established.role()), (rig.cluster.node("a").host(), Some(Role::Writer)));

    rig.cluster.kill("a").await;
    rig.cluster.promote("b");

    let established = connector.connect_established().await.expect("is let in").established;
    assert_eq!((established.host(), established.role()), (rig.cluster.node("b").host(), Some(Role::Writer)));
    assert_eq!(topology.snapshot().epoch(), 2);
}

#[tokio::test]
async fn server_without_a_cluster_is_connected_to_as_configured() {
    let rig = ClusterFixture::start(Deployment::InstancePostgres).await;
    let pattern = rig.cluster.instance_pattern();
    let more = format!(
        "&clusterInstanceHostPattern={}&verifyOpenedConnectionType=writer",
        pattern.replace('?', "%3F")
    );
    let connector = Connector::new(&rig, &rig.url("failover2", &more));

    for _ in 0..2 {
        let established = connector.connect().await.expect("is let in");
        assert_eq!((established.host(), established.role()), (rig.cluster.endpoint(), None));
    }
}

#[tokio::test]
async fn unreachable_instances_are_reached_by_the_endpoint() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let dns = rig.cluster.dns();
    let endpoint = rig.cluster.endpoint().to_owned();
    let connector = pg::Connector::builder(rig.registry())
        .connection_string(rig.url("failover2", ""))
        .resolver(rds_wrapper::host::resolver_fn(move |host| match host == endpoint {
            true => dns.resolve(host),
            false => Err(std::io::ErrorKind::NotFound.into()),
        }))
        .build()
        .expect("builds");

    for _ in 0..3 {
        let established = connector.connect_established().await.expect("is let in").established;
        assert_eq!((established.host(), established.instance()), (rig.cluster.endpoint(), Some("a")));
    }
}
