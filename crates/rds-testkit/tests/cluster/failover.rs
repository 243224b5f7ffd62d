//! Failover, split brain, kill, freeze and restart, as clients see them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use rds_testkit::{Cluster, Deployment, Rows};
use tokio::time::timeout;

use crate::client::{ask, code, connect, connect_mysql, first, instance};

const WRITE: &str = "INSERT INTO orders VALUES (1)";

async fn start(deployment: Deployment) -> Cluster {
    let builder = Cluster::builder().deployment(deployment).answer(WRITE, Rows::affected(1));
    builder.writer("a").readers(["b", "c"]).start().await.unwrap()
}

#[tokio::test]
async fn fifty_connections_over_a_failover() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let mut clients = Vec::new();
    for at in 0..50 {
        let host = if at % 5 == 0 { cluster.reader_endpoint().unwrap() } else { cluster.endpoint() };
        clients.push((at % 5 == 0, connect(&cluster, host).await.unwrap()));
    }
    for (is_reader, client) in &clients {
        assert_eq!(client.batch_execute(WRITE).await.is_err(), *is_reader);
    }

    cluster.fail_over("b");

    let mut seen = BTreeMap::new();
    for (is_reader, client) in &clients {
        let error = client.batch_execute(WRITE).await.unwrap_err();
        assert!(client.is_closed(), "{error}");
        *seen.entry((*is_reader, code(&error))).or_insert(0) += 1;
        // The writer's name leads to the new writer at once, and it takes writes.
        let host = if *is_reader { cluster.reader_endpoint().unwrap() } else { cluster.endpoint() };
        let again = connect(&cluster, host).await.unwrap();
        let outcome = again.batch_execute(WRITE).await.map_err(|error| code(&error));
        let expected = if *is_reader { Err("25006".to_owned()) } else { Ok(()) };
        assert_eq!(outcome, expected);
        *seen.entry((*is_reader, format!("then {outcome:?}"))).or_insert(0) += 1;
    }
    println!("(reader, what was seen) -> connections: {seen:#?}");
    assert_eq!((cluster.node("b").accepted(), cluster.node("a").accepted()), (5 + 40, 40 + 5));
}

#[tokio::test]
async fn stale_dns_leads_to_the_old_writer_which_is_a_reader_now() {
    let cluster = start(Deployment::AuroraPostgres).await;
    cluster.dns().hold();
    cluster.fail_over("c");
    let client = connect(&cluster, cluster.endpoint()).await.unwrap();
    assert_eq!(code(&client.batch_execute(WRITE).await.unwrap_err()), "25006");
    cluster.dns().release();
    let client = connect(&cluster, cluster.endpoint()).await.unwrap();
    client.batch_execute(WRITE).await.unwrap();
    assert_eq!(cluster.writer().id(), "c");
}

#[tokio::test]
async fn sessions_drop_as_the_deployment_drops_them() {
    for (deployment, survives) in [(Deployment::AuroraPostgres, false), (Deployment::MultiAzPostgres, true)] {
        let cluster = start(deployment).await;
        let client = connect(&cluster, &instance(&cluster, "c")).await.unwrap();
        cluster.fail_over("b");
        assert_eq!(ask(&client, "SELECT 1").await.is_ok(), survives, "{deployment:?}");
    }
}

#[tokio::test]
async fn mysql_fails_over() {
    let cluster = start(Deployment::AuroraMysql).await;
    let mut old = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    first(&mut old, WRITE).await.unwrap();
    assert_eq!(old.affected_rows(), 1);
    cluster.fail_over("b");
    assert!(first(&mut old, WRITE).await.is_err());
    let mut new = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    let id = first(&mut new, "SELECT @@aurora_server_id").await.unwrap();
    assert_eq!(id.as_deref(), Some("b"));
    first(&mut new, WRITE).await.unwrap();
    new.disconnect().await.unwrap();
}

#[tokio::test]
async fn promoted_node_claims_to_be_the_writer_alone() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let is_writer = "SELECT SERVER_ID FROM aurora_replica_status() WHERE SESSION_ID = 'MASTER_SESSION_ID' \
                     AND SERVER_ID = aurora_db_instance_identifier()";
    cluster.promote("c");
    assert!(cluster.node("c").is_writer() && cluster.node("a").is_writer() && !cluster.node("b").is_writer());
    for (id, claims) in [("a", 1), ("b", 0), ("c", 1)] {
        let client = connect(&cluster, &instance(&cluster, id)).await.unwrap();
        assert_eq!(ask(&client, is_writer).await.unwrap().len(), claims, "{id}");
        assert_eq!(client.batch_execute(WRITE).await.is_ok(), claims == 1, "{id}");
    }
    assert_eq!(cluster.writer().id(), "a");
    cluster.fail_over("b");
    assert!(
        cluster.node("b").is_writer() && !cluster.node("a").is_writer() && !cluster.node("c").is_writer()
    );
}

#[tokio::test]
async fn killed_node_refuses_connects_until_it_restarts() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let client = connect(&cluster, cluster.endpoint()).await.unwrap();
    cluster.kill("a").await;
    assert!(ask(&client, "SELECT 1").await.is_err());
    let error = tokio::net::TcpStream::connect(cluster.node("a").addr()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    connect(&cluster, &instance(&cluster, "b")).await.unwrap();
    cluster.kill("a").await;
    cluster.fail_over("b");
    cluster.restart("a").await.unwrap();
    let client = connect(&cluster, &instance(&cluster, "a")).await.unwrap();
    assert_eq!(code(&client.batch_execute(WRITE).await.unwrap_err()), "25006");
    // A node that runs is restarted too: its sessions end.
    cluster.restart("a").await.unwrap();
    assert!(ask(&client, "SELECT 1").await.is_err());
    connect(&cluster, &instance(&cluster, "a")).await.unwrap();
}

#[tokio::test]
async fn frozen_node_accepts_and_answers_only_once_thawed() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let client = connect(&cluster, cluster.endpoint()).await.unwrap();
    cluster.freeze("a");
    let endpoint = cluster.endpoint().to_owned();
    let mut query = pin!(ask(&client, "SELECT 1"));
    let mut login = pin!(connect(&cluster, &endpoint));
    tokio::net::TcpStream::connect(cluster.node("a").addr()).await.unwrap();
    // A span in which an answer would have come: the other node answers a whole login in it.
    timeout(Duration::from_millis(200), async {
        tokio::select! {
            answer = &mut query => panic!("answered: {answer:?}"),
            login = &mut login => panic!("let in: {:?}", login.err()),
            () = std::future::pending() => {}
        }
    })
    .await
    .unwrap_err();
    connect(&cluster, &instance(&cluster, "b")).await.unwrap();
    cluster.thaw("a");
    assert_eq!(query.await.unwrap(), [["1"]]);
    login.await.unwrap();
}
