//! Servers that lie, stand still or are out of reach, and certificates and credentials that fail.

use super::*;

#[tokio::test]
async fn false_hot_standby_report_is_verified_at_every_connect() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    rig.cluster.lie("a", Lie::Standby(true));
    let connector = Connector::new(&rig, &rig.url("initialConnection", ""));
    assert_eq!(connector.found().await, writer("a"));
    let before = rig.cluster.node("a").queries().len();

    assert_eq!(connector.found().await, writer("a"));

    assert_eq!(rig.cluster.node("a").queries().len(), before + 1);
}

#[tokio::test]
async fn reader_that_claims_to_be_the_writer_is_ignored() {
    for deployment in [Deployment::AuroraMysql, Deployment::AuroraPostgres] {
        let rig = ClusterFixture::start(deployment).await;
        let connector = Connector::new(&rig, &rig.url("failover2", ""));
        let held = connector.connect().await.expect("is let in");
        let topology = connector.topology();
        rig.cluster.lie("b", Lie::Writer(true));
        rig.cluster.lie("b", Lie::ReadOnly(false));
        rig.cluster.lie("b", Lie::Standby(false));
        rig.cluster.disagree("b", View::of("b", ["a", "c"]));

        topology.suspect();
        until("the claim is heard", || topology.stats().rival_writers > 0).await;

        assert_eq!(connector.found().await, writer("a"), "{deployment:?}");
        assert_eq!((topology.snapshot().epoch(), topology.stats().cut), (1, 0), "{deployment:?}");
        drop(held);
    }
}

#[tokio::test]
async fn no_token_is_sent_to_a_host_outside_the_pattern() {
    let evil = ["evil.example", "x.y", "", "a b", "a/../evil", "evil.example#", "evil.example:1"];
    for deployment in [Deployment::AuroraMysql, Deployment::AuroraPostgres] {
        let rig = ClusterFixture::start(deployment).await;
        let mut lie = View::of("a", ["b", "c"]);
        for id in evil {
            lie = lie.with(Instance::writer(id)).with(Instance::reader(id));
        }
        ["a", "b", "c"].iter().for_each(|id| rig.cluster.disagree(id, lie.clone()));
        let connector = Connector::new(&rig, &rig.url("failover2", "&wrapperConnectTimeout=3000"));
        drop(connector.connect().await);
        connector.topology().suspect();
        drop(connector.connect().await);

        let domain = rig.cluster.instance_pattern().replace('?', "");
        for name in rig.names() {
            let id = name.strip_suffix(&domain);
            let is_instance = id.is_some_and(|id| ["a", "b", "c"].contains(&id));
            assert!(is_instance || name == rig.cluster.endpoint(), "{deployment:?}: {name}");
        }
    }
}

#[tokio::test]
async fn alien_cluster_of_the_same_domain_is_never_the_writer() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = Connector::new(&rig, &rig.url("failover2", ""));
    assert_eq!(connector.found().await, writer("a"));
    // `c` turns out to be of another cluster, whose writer it is; `b` leads there.
    rig.cluster.promote("c");
    rig.cluster.disagree("c", View::of("c", ["d"]));
    rig.cluster.lie("c", Lie::Writer(true));
    rig.cluster.lie("c", Lie::Id("c".to_owned()));
    rig.cluster.disagree("b", View::of("c", ["a", "b"]));

    let topology = connector.topology();
    topology.suspect();
    until("all were asked", || topology.stats().questions > 20).await;

    assert_eq!(connector.found().await, writer("a"));
    assert_eq!(topology.snapshot().epoch(), 1);
}

#[tokio::test]
async fn more_than_32_rows_are_no_answer() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let many =
        (0..32).fold(View::of("a", []), |view, number| view.with(Instance::reader(format!("i{number}"))));
    ["a", "b", "c"].iter().for_each(|id| rig.cluster.disagree(id, many.clone()));
    let connector = Connector::new(&rig, &rig.url("initialConnection", "&openConnectionRetryTimeoutMs=1000"));

    let error = connector.connect().await.expect_err("no member");

    assert_eq!(error.to_string(), "the answer of instance `a` was rejected: it lists more than 32 instances");
    assert!(rig.names().iter().all(|name| name == rig.cluster.endpoint()), "{:?}", rig.names());
}

#[tokio::test]
async fn connect_without_a_writer_names_the_instances_last_seen() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = Connector::new(&rig, &rig.url("failover2", "&openConnectionRetryTimeoutMs=1000"));
    assert_eq!(connector.found().await, writer("a"));
    rig.cluster.kill("a").await;

    let error = connector.connect().await.expect_err("there is no writer");

    assert_eq!(error.kind(), rds_wrapper::ErrorKind::WrongInstance);
    let text = error.to_string();
    assert!(text.starts_with("no verified writer for 1 s; last seen: `a` no longer answering, "), "{text}");
}

#[tokio::test]
async fn frozen_writer_is_left_as_soon_as_another_is_verified() {
    let rig = ClusterFixture::start(Deployment::MultiAzPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let (client, connection) = connector.connect().await.expect("is let in");
    let running = tokio::spawn(connection);
    rig.cluster.freeze("a");
    let topology = connector.plugin::<FailoverPlugin>().expect("is in the chain").topology().clone();
    topology.suspect();
    // The failover of the testkit drops sessions of the former writer; a frozen one's client hears
    // nothing of that.
    rig.cluster.fail_over("b");

    let begun = Instant::now();
    let established = connector.connect_established().await.expect("is let in").established;

    assert_eq!((established.instance(), established.role()), (Some("b"), Some(Role::Writer)));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    timeout(Duration::from_secs(10), running).await.expect("is cut").expect("runs").ok();
    assert!(client.is_closed());
}

#[tokio::test]
async fn frozen_writer_is_left_once_its_monitor_connection_times_out() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = Connector::new(&rig, &rig.url("failover2", ""));
    assert_eq!(connector.found().await, writer("a"));
    let topology = connector.topology();
    topology.suspect();
    until("the monitor has a connection", || topology.stats().questions > 2).await;
    rig.cluster.freeze("a");
    rig.cluster.disagree("c", View::of("b", ["a", "c"]));
    rig.cluster.promote("b");

    topology.suspect();

    until("`b` is the writer", || topology.snapshot().epoch() == 2).await;
}

#[tokio::test]
async fn connection_lost_in_the_tls_handshake_is_tried_again() {
    for deployment in CLUSTERS {
        let rig = ClusterFixture::start(deployment).await;
        let connector = Connector::new(&rig, &rig.url("initialConnection", ""));
        assert_eq!(connector.found().await, writer("a"), "{deployment:?}");
        rig.cluster.node("a").inject(Fault::Drop(Phase::Tls));

        assert_eq!(connector.found().await, writer("a"), "{deployment:?}");
    }
}

/// A source of credentials that gives no answer says nothing of an instance.
#[tokio::test]
async fn hanging_credentials_raise_no_suspicion_of_the_writer() {
    let cluster = Cluster::builder().deployment(Deployment::AuroraPostgres).writer("a").readers(["b"]);
    let rig = ClusterFixture::start_with(cluster.clock(|| SystemClock.now())).await;
    for plugin in ["initialConnection", "failover2"] {
        let source = CountingSource::new(rig.cluster.access_key());
        let tokens = IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(source.clone()))
            .build()
            .expect("builds");
        let registry = plugins().with(IamFactory::new(tokens.clone()));
        let url = rig.url(plugin, "&openConnectionRetryTimeoutMs=500");
        let connector = Connector::Pg(rig.pg_with(registry, url).build().expect("builds"));
        assert_eq!(connector.found().await, writer("a"));
        tokens.clear();
        source.hang(true);

        let error = connector.connect().await.expect_err("there are no credentials");

        assert_eq!(error.kind(), ErrorKind::Credentials(CredentialsFailure::TimedOut), "{error}");
        assert!(error.to_string().contains("still waiting for credentials"), "{error}");
        let known = connector.topology().snapshot();
        assert_eq!(known.writer().map(|writer| writer.role()), Some(Some(Role::Writer)), "{plugin}");
    }
}

#[tokio::test]
async fn certificate_of_another_authority_is_not_tried_again() {
    for deployment in CLUSTERS {
        let rig = ClusterFixture::start(deployment).await;
        let connector = Connector::new(&rig, &rig.url("initialConnection", ""));
        assert_eq!(connector.found().await, writer("a"), "{deployment:?}");
        rig.cluster.node("a").inject(Fault::CertificateExpired);

        let error = connector.connect().await.expect_err("is not trusted");

        assert_eq!(error.kind(), rds_wrapper::ErrorKind::Tls, "{deployment:?}");
    }
}
