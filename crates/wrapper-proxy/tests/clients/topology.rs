//! Clients of both engines through the proxy at an embedded cluster that fails over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use rds_testkit::{Cluster, Deployment, MysqlServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{Config, NoTls};
use wrapper_adapter::resolver_fn;
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_proxy::{Limits, Target, mysql::MysqlTarget, postgres::PostgresTarget};
use wrapper_topology::{FailoverFactory, InitialConnectionFactory, Topology};

use crate::support::{PASSWORD, Running, SOON, until};

const CLUSTERS: [Deployment; 4] = [
    Deployment::AuroraPostgres,
    Deployment::MultiAzPostgres,
    Deployment::AuroraMysql,
    Deployment::MultiAzMysql,
];

/// A proxy in front of a cluster of three, whose writer is `a`.
struct Fixture {
    cluster: Cluster,
    proxy: Running,
    /// The look-ups of the writer endpoint.
    look_ups: Arc<AtomicUsize>,
}

impl Fixture {
    async fn new(deployment: Deployment, plugins: &str) -> Self {
        Self::with(deployment, plugins, "").await
    }

    async fn with(deployment: Deployment, plugins: &str, more: &str) -> Self {
        let cluster = Cluster::builder().deployment(deployment).writer("a").readers(["b", "c"]);
        let cluster = cluster.start().await.expect("starts");
        let url = cluster.url().replace(
            "plugins=iam",
            &format!(
                "plugins={}{more}",
                if plugins == "iam" { "iam".to_owned() } else { format!("{plugins},iam") }
            ),
        );
        let (dns, endpoint) = (cluster.dns(), cluster.endpoint().to_owned());
        let look_ups = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&look_ups);
        let resolver = resolver_fn(move |host| {
            if host.eq_ignore_ascii_case(&endpoint) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            dns.resolve(host)
        });
        let target: Target = match url.starts_with("mysql") {
            true => MysqlTarget::from_url_with_resolver(&url, registry(&cluster), resolver)
                .map(Into::into)
                .expect("is right"),
            false => PostgresTarget::from_url_with_resolver(&url, registry(&cluster), resolver)
                .map(Into::into)
                .expect("is right"),
        };
        let proxy = Running::start(target, Limits::default()).await;
        Self { cluster, proxy, look_ups }
    }

    fn is_mysql(&self) -> bool {
        self.cluster.url().starts_with("mysql")
    }

    async fn connect(&self) -> Result<Client, String> {
        if self.is_mysql() {
            let options = OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(self.proxy.port)
                .prefer_socket(false)
                .user(Some(self.cluster.user()))
                .pass(Some(PASSWORD))
                .compression(Some(mysql_async::Compression::default()));
            return Conn::new(options).await.map(Client::My).map_err(|error| error.to_string());
        }
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.proxy.port)
            .user(self.cluster.user())
            .password(PASSWORD)
            .dbname("app");
        let (client, connection) = config.connect(NoTls).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Client::Pg(client))
    }

    async fn client(&self) -> Client {
        self.connect().await.expect("is let in")
    }

    /// The node that has run a statement, told by its text.
    fn node_of(&self, statement: &str) -> Vec<&str> {
        let has = |node: &&rds_testkit::Node| node.queries().iter().any(|query| query.contains(statement));
        self.cluster.nodes().iter().filter(has).map(rds_testkit::Node::id).collect()
    }
}

fn registry<C: Send + 'static>(cluster: &Cluster) -> Registry<C> {
    Registry::new()
        .with(IamFactory::new(cluster.token_provider().expect("has a key")))
        .with(InitialConnectionFactory::default())
        .with(FailoverFactory::default())
}

/// A client of whichever engine.
enum Client {
    My(Conn),
    Pg(tokio_postgres::Client),
}

impl Client {
    /// Asks something that says which session asked.
    async fn ask(&mut self, name: &str) -> Result<(), String> {
        let statement = format!("SELECT 1 AS {name}");
        match self {
            Self::My(client) => client.query_drop(statement).await.map_err(|error| error.to_string()),
            Self::Pg(client) => {
                client.simple_query(&statement).await.map(drop).map_err(|error| error.to_string())
            }
        }
    }
}

#[tokio::test]
async fn next_session_after_a_failover_is_on_the_new_writer_while_dns_is_stale() {
    for deployment in CLUSTERS {
        for plugins in ["initialConnection", "failover2"] {
            let fixture = Fixture::new(deployment, plugins).await;
            let mut first = fixture.client().await;
            drop(first.ask("first").await);
            assert_eq!(fixture.node_of("first"), ["a"], "{deployment:?} {plugins}");

            fixture.cluster.dns().hold();
            fixture.cluster.fail_over("b");
            let before = fixture.look_ups.load(Ordering::SeqCst);
            let second = timeout(SOON, fixture.client()).await;

            let mut second = second.expect("waits for no DNS");
            let look_ups = fixture.look_ups.load(Ordering::SeqCst) - before;
            // One for a greeting, and one for a connect: who waits for DNS asks again and again.
            assert!(look_ups <= 2, "{deployment:?} {plugins}: {look_ups}");
            drop(second.ask("second").await);
            assert_eq!(fixture.node_of("second"), ["b"], "{deployment:?} {plugins}");
            assert!(first.ask("third").await.is_err(), "{deployment:?} {plugins}: its session went");
        }
    }
}

#[tokio::test]
async fn greeting_of_another_instance_is_ended_in_order_while_the_session_lasts() {
    for plugins in ["initialConnection", "failover2"] {
        let fixture = Fixture::new(Deployment::AuroraMysql, plugins).await;
        drop(fixture.client().await);
        fixture.cluster.dns().hold();
        fixture.cluster.fail_over("b");

        // The first learns of the new writer; both stay open.
        let _first = fixture.client().await;
        let mut second = fixture.client().await;

        let former = fixture.cluster.nodes().iter().find(|node| node.id() == "a").expect("is there");
        let is_ended = || former.attempts().iter().any(|attempt| attempt.user == "rds-iam-gone");
        timeout(SOON, until(is_ended)).await.expect("is ended in order");
        drop(second.ask("second").await);
        assert_eq!(fixture.node_of("second"), ["b"], "{plugins}");
    }
}

#[tokio::test]
async fn clients_are_served_after_the_writer_is_killed() {
    for deployment in [Deployment::AuroraPostgres, Deployment::AuroraMysql] {
        let fixture = Fixture::new(deployment, "failover2").await;
        let mut first = fixture.client().await;
        drop(first.ask("first").await);

        fixture.cluster.kill("a").await;
        let ended = timeout(SOON, first.ask("lost")).await;
        ended.expect("is told at once").expect_err("is gone");
        fixture.cluster.fail_over("c");

        let mut second = fixture.client().await;
        drop(second.ask("second").await);
        assert_eq!(fixture.node_of("second"), ["c"], "{deployment:?}");
    }
}

#[tokio::test]
async fn physical_replication_is_refused_where_plugins_query_the_session() {
    for (plugins, replication, expected) in [
        ("failover2", "true", "0A000"),
        ("initialConnection", "on", "0A000"),
        ("failover2", "database", "logged in"),
        ("iam", "true", "logged in"),
    ] {
        let fixture = Fixture::new(Deployment::AuroraPostgres, plugins).await;

        let answer = replicate(&fixture, replication).await;

        assert!(answer.contains(expected), "{plugins} {replication}: {answer}");
        assert_eq!(answer.contains("target without `failover2`"), expected == "0A000", "{answer}");
    }
}

/// Logs in for replication; the text of the refusal, if there is one.
async fn replicate(fixture: &Fixture, replication: &str) -> String {
    let mut stream = fixture.proxy.raw().await;
    let user = fixture.cluster.user();
    let pairs = format!("user\0{user}\0database\0app\0replication\0{replication}\0\0");
    let length = u32::try_from(8 + pairs.len()).expect("fits").to_be_bytes();
    stream.write_all(&[&length[..], &[0, 3, 0, 0], pairs.as_bytes()].concat()).await.expect("is sent");
    let length = u32::try_from(5 + PASSWORD.len()).expect("fits").to_be_bytes();
    let password = [b"p", &length[..], PASSWORD.as_bytes(), &[0]].concat();
    stream.write_all(&password).await.expect("is sent");
    loop {
        let tag = stream.read_u8().await.expect("is answered");
        let length = stream.read_u32().await.expect("is answered");
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body).await.expect("is answered");
        match tag {
            b'E' => return String::from_utf8_lossy(&body).into_owned(),
            b'Z' => return "logged in".to_owned(),
            _ => {}
        }
    }
}

#[tokio::test]
async fn monitor_runs_on_between_the_connects_of_clients() {
    for deployment in CLUSTERS {
        let fixture = Fixture::with(deployment, "failover2", "&clusterTopologyRefreshRateMs=100").await;
        let mut client = fixture.client().await;
        drop(client.ask("first").await);
        drop(client);
        let asked = || fixture.cluster.nodes().iter().map(|node| node.queries().len()).sum::<usize>();

        let before = asked();
        let until = Instant::now() + Duration::from_secs(10);
        while asked() < before + 10 {
            assert!(Instant::now() < until, "{deployment:?}: nobody asks");
            sleep(Duration::from_millis(10)).await;
        }
        // Its sessions are no client's.
        assert_eq!(fixture.proxy.handle.stats()[0].opened, 1, "{deployment:?}");
    }
}

/// Drains a proxy whose monitor holds sessions; how many of them its server saw closed and broken
/// off.
async fn ends_of_a_drain(deployment: Deployment, is_cut: bool) -> (usize, usize, usize) {
    let cluster = Cluster::builder().deployment(deployment).writer("a").readers(["b", "c"]);
    let cluster = cluster.start().await.expect("starts");
    let count = |of: fn(&MysqlServer) -> usize| {
        cluster.nodes().iter().filter_map(rds_testkit::Node::mysql).map(of).sum::<usize>()
    };
    let logins = || count(MysqlServer::accepted);
    let plugins = "plugins=failover2,iam&clusterTopologyRefreshRateMs=100";
    let url = cluster.url().replace("plugins=iam", plugins);
    let (dns, topology) = (cluster.dns(), Topology::default());
    let registry = registry(&cluster).with(FailoverFactory::new(topology.clone()));
    let resolver = resolver_fn(move |host| dns.resolve(host));
    let target = MysqlTarget::from_url_with_resolver(&url, registry, resolver).expect("is right");
    // A program of its own: what its runtime leaves behind breaks off.
    let program = Runtime::new().expect("starts");
    let proxy = program.spawn(Running::start(target, Limits::default())).await.expect("starts");
    let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(proxy.port);
    let options = options.prefer_socket(false).user(Some(cluster.user())).pass(Some(PASSWORD));
    let client = Conn::new(options).await.expect("is let in");
    client.disconnect().await.expect("says goodbye");
    timeout(SOON, until(|| topology.stats().questions > 2)).await.expect("the monitor has a session");

    if is_cut {
        proxy.handle.cut();
    } else {
        proxy.handle.drain();
    }
    proxy.running.await.expect("ends");
    program.shutdown_background();

    let ended = || count(MysqlServer::closed_sessions) + count(MysqlServer::aborted_sessions);
    timeout(SOON, until(|| ended() == logins())).await.expect("every session ends");
    (logins(), count(MysqlServer::closed_sessions), count(MysqlServer::aborted_sessions))
}

#[tokio::test]
async fn sessions_of_the_monitor_are_closed_in_order_when_the_proxy_ends() {
    for deployment in [Deployment::AuroraMysql, Deployment::MultiAzMysql] {
        for is_cut in [false, true] {
            let (logins, closed, aborted) = ends_of_a_drain(deployment, is_cut).await;
            assert_eq!((closed, aborted), (logins, 0), "{deployment:?}, cut: {is_cut}");
        }
    }
}

#[tokio::test]
async fn compression_is_not_offered_where_plugins_query_the_session() {
    for (plugins, is_offered) in [("failover2", false), ("initialConnection", false)] {
        let fixture = Fixture::new(Deployment::AuroraMysql, plugins).await;
        let mut stream = fixture.proxy.raw().await;
        let mut greeting = [0; 128];
        let length = stream.read(&mut greeting).await.expect("is greeted");
        // Behind the header and the protocol's version.
        let nul = 5 + greeting[5..length].iter().position(|byte| *byte == 0).expect("a version");
        let low = u16::from_le_bytes([greeting[nul + 14], greeting[nul + 15]]);
        assert_eq!(low & 1 << 5 != 0, is_offered, "{plugins}");
    }
}
