//! Connects, refreshes, failovers and handshakes of the proxy that are given up at every await: the
//! next caller succeeds, and nothing is left.
#![cfg(target_os = "linux")]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use e2e::{
    Fixture, FixtureOf, HOST, USER, at_every_await,
    cluster::ClusterFixture,
    leftovers::{SeparateRuntime, nothing_is_left},
    log_in, mysql,
};
use mysql_async::prelude::Queryable;
use rds_testkit::{Deployment, MysqlServer, PostgresServer};
use rds_wrapper::{Error, IamFactory, plugins};
use tokio_postgres::NoTls;
use wrapper_proxy::{Access, Limits, Listen, LocalAddress, LocalPassword, Proxy, TcpPort};
use wrapper_sqlx::{FreshPool, PgFreshPool};

/// A connect over a network takes at least this many polls.
const FEWEST: usize = 4;

/// Gives up connects at every await, after each of which the next caller logs in.
async fn connects<S, C>(
    rig: &FixtureOf<S>,
    connect: impl AsyncFn() -> Result<C, Error>,
    log_in: impl AsyncFn() -> Result<String, Error>,
) {
    // Without credentials and token, so that fetching and signing are given up too.
    let begin = async || {
        rig.tokens.clear();
        connect().await.map(drop)
    };
    let polls = at_every_await(begin, async |polls| {
        assert_eq!(log_in().await.ok().as_deref(), Some(USER), "after {polls} polls");
    })
    .await;

    assert!(polls >= FEWEST, "{polls} polls");
}

#[tokio::test]
async fn postgres_connect_cancelled_anywhere_affects_no_other() {
    let site = SeparateRuntime::start(Fixture::start()).await;
    let connector = site.fixture.connector();

    connects(&site.fixture, async || connector.connect().await, async || log_in(&connector).await).await;

    drop(connector);
    nothing_is_left(site.fixture.server.port(), "connect").await;
}

#[tokio::test]
async fn mysql_connect_cancelled_anywhere_affects_no_other() {
    let site = SeparateRuntime::start(mysql::Fixture::start()).await;
    let connector = site.fixture.connector();

    connects(&site.fixture, async || connector.connect().await, async || mysql::log_in(&connector).await)
        .await;

    drop(connector);
    nothing_is_left(site.fixture.server.port(), "connect").await;
}

#[tokio::test]
async fn check_out_cancelled_anywhere_leaves_the_pool_its_capacity() {
    let site = SeparateRuntime::start(Fixture::start()).await;
    let connector = site.fixture.connector();
    let pool = connector.deadpool_builder().max_size(1).build().expect("builds");

    let begin = async || {
        pool.retain(|_, _| false);
        pool.get().await.map(drop)
    };
    let polls = at_every_await(begin, async |polls| {
        let client = pool.get().await.expect("there is room");
        let row = client.query_one("SELECT current_user", &[]).await.expect("answers");
        assert_eq!(row.get::<_, String>(0), USER, "after {polls} polls");
    })
    .await;

    assert!(polls >= FEWEST, "{polls} polls");
    drop((pool, connector));
    nothing_is_left(site.fixture.server.port(), "check-out").await;
}

#[tokio::test]
async fn refresh_cancelled_anywhere_is_resumed_by_the_next() {
    let site = SeparateRuntime::start(Fixture::start_with(|server| server.host("localhost"))).await;
    let port = site.fixture.server.port();
    let pool: PgFreshPool = FreshPool::builder()
        .connection_string(format!("postgres://{USER}@localhost:{port}/app?plugins=iam&iamHost={HOST}"))
        .parameter("tlsServerName", "localhost")
        .root_certificates(site.fixture.server.ca_pem())
        .tokens(site.fixture.tokens.clone())
        .build()
        .await
        .expect("builds");

    let begin = async || {
        site.fixture.tokens.clear();
        site.fixture.clock.advance(Duration::from_secs(1));
        pool.ensure_fresh().await
    };
    let polls = at_every_await(begin, async |polls| {
        pool.ensure_fresh().await.expect("is refreshed");
        let signed_at = pool.freshness().signed_at;
        assert_eq!(signed_at, site.fixture.clock.now(), "after {polls} polls");
    })
    .await;

    assert!(polls > 0, "the source is asked");
    pool.pool().close().await;
    drop(pool);
    nothing_is_left(port, "refresh").await;
}

/// Starts a cluster whose endpoint goes on pointing to the first writer.
async fn cluster(deployment: Deployment) -> SeparateRuntime<ClusterFixture> {
    let site = SeparateRuntime::start(ClusterFixture::start(deployment)).await;
    site.fixture.cluster.dns().hold();
    site
}

/// Makes the next node the writer.
fn fail_over(site: &SeparateRuntime<ClusterFixture>, turn: &AtomicUsize) {
    let turn = turn.fetch_add(1, Ordering::Relaxed) + 1;
    site.fixture.cluster.fail_over(["a", "b", "c"][turn % 3]);
}

#[tokio::test]
async fn postgres_connect_cancelled_anywhere_in_a_failover_affects_no_other() {
    let site = cluster(Deployment::AuroraPostgres).await;
    let connector = site.fixture.pg(site.fixture.url("failover2", "")).build().expect("builds");
    let ask = async || {
        let (client, connection) = connector.connect().await.expect("leads to the writer");
        let connection = tokio::spawn(connection);
        let sql = "SELECT pg_catalog.aurora_db_instance_identifier()";
        let row = client.query_one(sql, &[]).await.expect("answers");
        drop(client);
        drop(connection.await);
        row.get::<_, String>(0)
    };
    ask().await;
    let turn = AtomicUsize::new(0);

    let begin = async || {
        fail_over(&site, &turn);
        connector.connect().await.map(drop)
    };
    let polls = at_every_await(begin, async |polls| {
        assert_eq!(ask().await, site.fixture.cluster.writer().id(), "after {polls} polls");
    })
    .await;

    assert!(polls >= FEWEST, "{polls} polls");
    drop(connector);
    nothing_is_left(site.fixture.cluster.port(), "failover").await;
}

#[tokio::test]
async fn mysql_connect_cancelled_anywhere_in_a_failover_affects_no_other() {
    let site = cluster(Deployment::AuroraMysql).await;
    let connector = site.fixture.my(site.fixture.url("failover2", "")).build().expect("builds");
    let ask = async || {
        let mut connection = connector.connect().await.expect("leads to the writer");
        let instance: Option<String> =
            connection.query_first("SELECT @@aurora_server_id").await.expect("answers");
        connection.disconnect().await.expect("leaves");
        instance
    };
    ask().await;
    let turn = AtomicUsize::new(0);

    let begin = async || {
        fail_over(&site, &turn);
        connector.connect().await.map(drop)
    };
    let polls = at_every_await(begin, async |polls| {
        assert_eq!(ask().await.as_deref(), Some(site.fixture.cluster.writer().id()), "after {polls} polls");
    })
    .await;

    assert!(polls >= FEWEST, "{polls} polls");
    drop(connector);
    nothing_is_left(site.fixture.cluster.port(), "failover").await;
}

const PASSWORD: &str = "a local password";

fn proxy() -> Proxy {
    Proxy::new(Access::new(LocalPassword::new(PASSWORD).expect("long enough")), Limits::default())
}

/// Gives up clients of a proxy at every await of their login, and ends the proxy.
async fn through_proxy<T>(
    mut proxy: Proxy,
    target: impl Into<wrapper_proxy::Target>,
    server: u16,
    connect: impl AsyncFn(u16) -> Option<T>,
) {
    let place = proxy.listen(&Listen::Tcp(TcpPort::loopback(0)), target).await.expect("listens");
    let LocalAddress::Tcp(address) = place else { panic!("a port") };
    let handle = proxy.handle();
    let running = tokio::spawn(proxy.run(Duration::from_secs(5)));

    let begin = async || connect(address.port()).await;
    let polls = at_every_await(begin, async |polls| {
        assert!(connect(address.port()).await.is_some(), "after {polls} polls");
    })
    .await;

    assert!(polls >= FEWEST, "{polls} polls");
    handle.drain();
    running.await.expect("ends");
    assert_eq!(handle.stats()[0].open, 0);
    nothing_is_left(server, "handshake").await;
}

#[tokio::test]
async fn postgres_client_of_the_proxy_cancelled_anywhere_affects_no_other() {
    let site =
        SeparateRuntime::start(async { PostgresServer::builder().start().await.expect("starts") }).await;
    let tokens = site.fixture.token_provider().expect("has a key");
    let registry = plugins().with(IamFactory::new(tokens));
    let target = wrapper_proxy::postgres::PostgresTarget::from_url(&site.fixture.url(), registry);
    let connect = async |port| {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user(site.fixture.user()).password(PASSWORD).dbname("app");
        config.connect(NoTls).await.map(drop).ok()
    };

    through_proxy(proxy(), target.expect("is right"), site.fixture.port(), connect).await;
}

#[tokio::test]
async fn mysql_client_of_the_proxy_cancelled_anywhere_affects_no_other() {
    let site = SeparateRuntime::start(async { MysqlServer::builder().start().await.expect("starts") }).await;
    let tokens = site.fixture.token_provider().expect("has a key");
    let registry = plugins().with(IamFactory::new(tokens));
    let target = wrapper_proxy::mysql::MysqlTarget::from_url(&site.fixture.url(), registry);
    let connect = async |port| {
        let opts = mysql_async::OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port);
        let opts = opts.user(Some(site.fixture.user())).pass(Some(PASSWORD)).prefer_socket(false);
        let connection = mysql_async::Conn::new(opts).await.ok()?;
        connection.disconnect().await.ok()
    };

    through_proxy(proxy(), target.expect("is right"), site.fixture.port(), connect).await;
}
