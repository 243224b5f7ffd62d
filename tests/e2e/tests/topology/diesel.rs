//! Pools of diesel-async, whose connections come from the connector, through failovers.

use diesel::{dsl::sql, select, sql_types::Text};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, deadpool::Pool},
};
use e2e::cluster::{ClusterFixture, until};
use rds_testkit::Deployment;
use rds_wrapper::{pg::Connector, topology::FailoverPlugin};

use crate::pools::demote_quietly;

fn pool(connector: &Connector) -> Pool<AsyncPgConnection> {
    let mut config = ManagerConfig::default();
    let connector = connector.clone();
    config.custom_setup = Box::new(move |_url| {
        let connector = connector.clone();
        Box::pin(async move {
            let bad = |error: rds_wrapper::Error| diesel::ConnectionError::BadConnection(error.to_string());
            let (client, connection) = connector.connect().await.map_err(bad)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        })
    });
    let manager = AsyncDieselConnectionManager::new_with_config("", config);
    Pool::builder(manager).max_size(2).build().expect("builds")
}

/// Returns which instance answers.
async fn instance(pool: &Pool<AsyncPgConnection>) -> Result<String, diesel::result::Error> {
    let mut connection = pool.get().await.expect("is let in");
    select(sql::<Text>("pg_catalog.aurora_db_instance_identifier()")).get_result(&mut connection).await
}

#[tokio::test]
async fn idle_connections_of_diesel_to_a_demoted_writer_are_never_handed_out() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let pool = pool(&connector);
    assert_eq!(instance(&pool).await, Ok("a".to_owned()));
    let topology = connector.plugin::<FailoverPlugin>().expect("is in the chain").topology().clone();

    demote_quietly(&rig);
    topology.suspect();
    until("the writer changed", || topology.stats().cut == 1).await;

    assert_eq!(instance(&pool).await, Ok("b".to_owned()));
    assert_eq!(topology.snapshot().epoch(), 2);
}

#[tokio::test]
async fn diesel_follows_the_writer_while_dns_is_stale() {
    let rig = ClusterFixture::start(Deployment::AuroraPostgres).await;
    let connector = rig.pg(rig.url("failover2", "")).build().expect("builds");
    let pool = pool(&connector);
    assert_eq!(instance(&pool).await, Ok("a".to_owned()));
    rig.cluster.dns().hold();

    rig.cluster.fail_over("b");

    // The connection that has just ended may still be handed out: its pool learns it by using it.
    let id = loop {
        if let Ok(id) = instance(&pool).await {
            break id;
        }
    };
    assert_eq!(id, "b");
}
