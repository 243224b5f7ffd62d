//! Pools through failovers: no connection to the wrong instance, and no storm of logins.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use e2e::cluster::{ClusterFixture, until};
use mysql_async::prelude::Queryable;
use rds_testkit::{Deployment, Lie, View};
use rds_wrapper::{
    Role, Topology,
    host::{Resolver, resolver_fn},
    mysql as my, pg,
    topology::{FailoverPlugin, InitialConnectionFactory},
};
use tokio::{task::JoinSet, time::Instant};

mod without_topology;

const POSTGRES_ID: &str = "SELECT pg_catalog.aurora_db_instance_identifier()";
const MYSQL_ID: &str = "SELECT @@aurora_server_id";

async fn postgres_id(client: &tokio_postgres::Client) -> String {
    asked(client).await.expect("answers")
}

/// `None`: the connection ended, which a pool hears of a moment later than its server.
async fn asked(client: &tokio_postgres::Client) -> Option<String> {
    let messages = client.simple_query(POSTGRES_ID).await.ok()?;
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Some(row.expect("has an id").to_owned())
}

/// Takes connections out until one answers, as an application does that repeats what failed.
async fn next_that_answers(pool: &pg::deadpool::Pool) -> (pg::deadpool::Client, String) {
    loop {
        let client = pool.get().await.expect("is let in");
        if let Some(id) = asked(&client).await {
            return (client, id);
        }
    }
}

async fn mysql_id(connection: &mut mysql_async::Conn) -> String {
    connection.query_first(MYSQL_ID).await.expect("answers").expect("has an id")
}

fn topology(plugin: Option<&FailoverPlugin>) -> Topology {
    plugin.expect("is in the chain").topology().clone()
}

/// Makes `b` the writer while sessions to `a` live on, as after a partition.
pub(crate) fn demote_quietly(rig: &ClusterFixture) {
    for lie in [Lie::Writer(false), Lie::ReadOnly(true), Lie::Standby(true)] {
        rig.cluster.lie("a", lie);
    }
    rig.cluster.promote("b");
}

#[tokio::test]
async fn deadpool_postgres_follows_the_writer() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let pool = connector.deadpool_builder().max_size(4).build().expect("builds");
    assert_eq!(postgres_id(&pool.get().await.expect("is let in")).await, "a");
    rig.cluster.dns().hold();

    rig.cluster.fail_over("b");

    let mut held = Vec::new();
    for _ in 0..4 {
        let (client, id) = next_that_answers(&pool).await;
        assert_eq!(id, "b");
        held.push(client);
    }
}

#[tokio::test]
async fn idle_connections_of_postgres_pools_to_a_demoted_writer_are_never_handed_out() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let deadpool = connector.deadpool_builder().max_size(2).build().expect("builds");
    let bb8 = pg::bb8::Pool::builder().max_size(2).build(connector.bb8_manager()).await.expect("builds");
    assert_eq!(postgres_id(&deadpool.get().await.expect("is let in")).await, "a");
    assert_eq!(postgres_id(&bb8.get().await.expect("is let in")).await, "a");
    let topology = topology(connector.plugin::<FailoverPlugin>());

    demote_quietly(&rig);
    topology.suspect();
    until("the writer changed", || topology.snapshot().epoch() == 2).await;

    assert_eq!(postgres_id(&deadpool.get().await.expect("is let in")).await, "b");
    assert_eq!(postgres_id(&bb8.get().await.expect("is let in")).await, "b");
    assert_eq!(topology.stats().cut, 2);
}

#[tokio::test]
async fn idle_connections_of_mysql_pools_to_a_demoted_writer_are_never_handed_out() {
    let rig = ClusterFixture::start(Deployment::AuroraMysql).await;
    let connector = rig.my(rig.url("failover2", "")).build().expect("builds");
    let deadpool = connector.deadpool_builder().max_size(2).build().expect("builds");
    let bb8 = my::bb8::Pool::builder().max_size(2).build(connector.bb8_manager()).await.expect("builds");
    assert_eq!(mysql_id(&mut deadpool.get().await.expect("is let in")).await, "a");
    assert_eq!(mysql_id(&mut bb8.get().await.expect("is let in")).await, "a");
    let topology = topology(connector.plugin::<FailoverPlugin>());

    demote_quietly(&rig);
    topology.suspect();
    until("the writer changed", || topology.snapshot().epoch() == 2).await;

    assert_eq!(mysql_id(&mut deadpool.get().await.expect("is let in")).await, "b");
    assert_eq!(mysql_id(&mut bb8.get().await.expect("is let in")).await, "b");
}

/// The time for the check of an idle connection: long, so that even a busy machine takes less if
/// the check is not waited for.
const CHECK: Duration = Duration::from_secs(60);

/// Lets `a` stand still and `b` be the writer; the clients of `a` hear nothing of it.
fn stand_still(rig: &ClusterFixture) {
    rig.cluster.freeze("a");
    rig.cluster.disagree("c", View::of("b", ["a", "c"]));
    rig.cluster.promote("b");
}

#[tokio::test]
async fn idle_connection_to_a_frozen_mysql_writer_does_not_keep_the_pool_waiting() {
    let rig = ClusterFixture::start(Deployment::AuroraMysql).await;
    let connector = rig.my(rig.url("failover2", "")).build().expect("builds");
    let manager = connector.deadpool_manager().deadline(CHECK);
    let pool = my::deadpool::Pool::builder(manager).runtime(deadpool::Runtime::Tokio1);
    let pool = pool.max_size(2).build().expect("builds");
    assert_eq!(mysql_id(&mut pool.get().await.expect("is let in")).await, "a");
    let topology = topology(connector.plugin::<FailoverPlugin>());
    topology.suspect();
    until("the monitor has a connection", || topology.stats().questions > 2).await;
    stand_still(&rig);
    topology.suspect();

    let begun = Instant::now();
    let mut connection = pool.get().await.expect("is let in");

    assert_eq!(mysql_id(&mut connection).await, "b");
    assert!(begun.elapsed() < CHECK / 2, "{:?}", begun.elapsed());
}

/// The check of an idle connection, such as the empty query of bb8, is answered by nobody: it ends
/// with the connection.
#[tokio::test]
async fn idle_connections_to_a_frozen_postgres_writer_do_not_keep_the_pools_waiting() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let settings = connector.deadpool().recycling_method(pg::deadpool::RecyclingMethod::Verified);
    let deadpool = settings.deadline(CHECK).builder().max_size(1).build().expect("builds");
    let bb8 = pg::bb8::Pool::builder().max_size(1).connection_timeout(CHECK);
    let bb8 = bb8.build(connector.bb8_manager().deadline(CHECK)).await.expect("builds");
    assert_eq!(postgres_id(&deadpool.get().await.expect("is let in")).await, "a");
    assert_eq!(postgres_id(&bb8.get().await.expect("is let in")).await, "a");
    let topology = topology(connector.plugin::<FailoverPlugin>());
    topology.suspect();
    until("the monitor has a connection", || topology.stats().questions > 2).await;
    stand_still(&rig);
    topology.suspect();

    let begun = Instant::now();
    let (deadpool, bb8) = tokio::join!(deadpool.get(), bb8.get());

    assert!(begun.elapsed() < CHECK / 2, "{:?}", begun.elapsed());
    assert_eq!(postgres_id(&deadpool.expect("is let in")).await, "b");
    assert_eq!(postgres_id(&bb8.expect("is let in")).await, "b");
}

#[tokio::test]
async fn reported_error_is_verified_even_without_a_monitor() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("initialConnection", "")).build().expect("builds");
    let pool = connector.deadpool_builder().max_size(1).build().expect("builds");
    assert_eq!(postgres_id(&pool.get().await.expect("is let in")).await, "a");
    demote_quietly(&rig);

    connector
        .plugin::<rds_wrapper::topology::InitialConnectionPlugin>()
        .expect("is in the chain")
        .topology()
        .suspect();

    assert_eq!(postgres_id(&pool.get().await.expect("is let in")).await, "b");
}

/// The first check-out finds the writer as it was, and no other asks again.
#[tokio::test]
async fn unfounded_suspicion_costs_later_check_outs_no_query() {
    for deployment in [Deployment::AuroraMysql, Deployment::MultiAzMysql] {
        let rig = ClusterFixture::start(deployment).await;
        let connector = rig.my(rig.url("initialConnection", "")).build().expect("builds");
        let pool = connector.deadpool_builder().max_size(1).build().expect("builds");
        drop(pool.get().await.expect("is let in"));
        let plugin =
            connector.plugin::<rds_wrapper::topology::InitialConnectionPlugin>().expect("is in the chain");
        // Without the pool's own check of the connection.
        let is_of_role = |query: &&String| query.contains("read_only");
        let asked = || rig.cluster.node("a").queries().iter().filter(is_of_role).count();
        let unsuspected = asked();

        plugin.topology().suspect();
        drop(pool.get().await.expect("is the writer"));
        let once = asked();
        assert!(once > unsuspected, "{deployment:?}: it was not asked");
        for _ in 0..3 {
            drop(pool.get().await.expect("is the writer"));
        }

        assert_eq!(asked(), once, "{deployment:?}");
    }
}

/// The same where all instances are known, and none is called by its name on a connection.
#[tokio::test]
async fn unfounded_suspicion_of_fixed_instances_costs_later_check_outs_no_query() {
    let rig = ClusterFixture::start(Deployment::InstanceMysql).await;
    let hosts = ["a", "b"].map(|id| format!("{}:{}", rig.cluster.node(id).host(), rig.cluster.port()));
    let topology = Topology::fixed(&hosts[0], [&*hosts[1]]).expect("are hosts");
    let registry = rig.registry().with(InitialConnectionFactory::new(topology.clone()));
    let builder = my::Connector::builder(registry).connection_string(rig.url("initialConnection", ""));
    let dns = rig.cluster.dns();
    let connector = builder.resolver(resolver_fn(move |host| dns.resolve(host))).build().expect("builds");
    let pool = connector.deadpool_builder().max_size(1).build().expect("builds");
    drop(pool.get().await.expect("is let in"));
    let asked = || rig.cluster.node("a").queries().iter().filter(|sql| sql.contains("read_only")).count();
    let unsuspected = asked();

    topology.suspect();
    drop(pool.get().await.expect("is the writer"));
    let once = asked();
    assert!(once > unsuspected, "it was not asked");
    for _ in 0..3 {
        drop(pool.get().await.expect("is the writer"));
    }

    assert_eq!(asked(), once);
}

#[tokio::test]
async fn two_pools_share_one_topology() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let (writer, reader) = (connector.writer().expect("is led"), connector.reader().expect("is led"));

    let established = writer.connect_established().await.expect("is let in").established;
    assert_eq!((established.instance(), established.role()), (Some("a"), Some(Role::Writer)));
    for _ in 0..3 {
        let established = reader.connect_established().await.expect("is let in").established;
        assert_eq!(established.role(), Some(Role::Reader));
    }

    let unled = rig.pg(rig.cluster.url()).build().expect("builds").reader().expect_err("nothing leads it");
    assert!(unled.to_string().contains("add plugins=failover2"), "{unled}");
}

#[tokio::test]
async fn fifty_waiting_after_a_failover_log_in_at_the_pace() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let pool = connector.deadpool_builder().max_size(50).build().expect("builds");
    drop(pool.get().await.expect("is let in"));
    let topology = topology(connector.plugin::<FailoverPlugin>());
    rig.cluster.fail_over("b");

    let mut waiting = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..50 {
        let pool = pool.clone();
        waiting.spawn(async move {
            let (_client, id) = next_that_answers(&pool).await;
            // Held, so that each of the others needs a login of its own.
            tokio::time::sleep(Duration::from_secs(4)).await;
            id
        });
    }
    // The pace begins with the change: on a busy machine that may be long before it is seen here,
    // and after the first logins that found it.
    let (mut unchanged, mut before) = (Instant::now(), 0);
    until("the writer changed", || {
        // Sampled before the look: a change in between counts as one after it.
        let now = (Instant::now(), rig.cluster.node("b").accepted());
        let is_changed = topology.snapshot().epoch() == 2;
        if !is_changed {
            (unchanged, before) = now;
        }
        is_changed
    })
    .await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let logins = rig.cluster.node("b").accepted() - before;
    let seconds = unchanged.elapsed().as_secs().min(4);

    let found = waiting.join_all().await;
    assert!(found.iter().all(|id| id == "b"), "{found:?}");
    // Five in the first second, twice as many in the next; two more are the monitor's.
    assert!(logins <= (5 << (seconds + 1)) - 5 + 2, "{logins} logins, second {seconds}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
