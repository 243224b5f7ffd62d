//! What the nodes say of the cluster, truthfully and not.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use rds_testkit::{Cluster, Deployment, Instance, Lie, Rows, View};

use crate::client::{ask, code, connect, connect_mysql, first, instance, open};

const TOPOLOGY: &str = "SELECT SERVER_ID, CASE WHEN SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' \
    THEN TRUE ELSE FALSE END, CPU, COALESCE(REPLICA_LAG_IN_MSEC, 0), LAST_UPDATE_TIMESTAMP \
    FROM pg_catalog.aurora_replica_status() \
    WHERE EXTRACT(EPOCH FROM(pg_catalog.NOW() OPERATOR(pg_catalog.-) LAST_UPDATE_TIMESTAMP)) \
    OPERATOR(pg_catalog.<=) 300 OR SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' \
    OR LAST_UPDATE_TIMESTAMP IS NULL";
const IS_WRITER: &str = "SELECT SERVER_ID FROM aurora_replica_status() WHERE SESSION_ID = \
                         'MASTER_SESSION_ID' AND SERVER_ID = aurora_db_instance_identifier()";

async fn start(deployment: Deployment) -> Cluster {
    Cluster::builder().deployment(deployment).writer("a").readers(["b", "c"]).start().await.unwrap()
}

/// Returns the ids of the rows, with a star at the writer's.
fn ids(rows: &[Vec<String>]) -> Vec<String> {
    rows.iter().map(|row| if row[1] == "t" { format!("{}*", row[0]) } else { row[0].clone() }).collect()
}

#[tokio::test]
async fn postgres_statements_in_one_round_trip_ok() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let client = connect(&cluster, &instance(&cluster, "b")).await.unwrap();
    let rows = ask(&client, &format!("SELECT pg_catalog.pg_is_in_recovery();{IS_WRITER};{TOPOLOGY}")).await;
    let rows = rows.unwrap();
    assert_eq!(rows[0], ["t"]);
    assert_eq!(ids(&rows[1..]), ["a*", "b", "c"]);
    assert_eq!(rows[2][4], "NULL");
}

#[tokio::test]
async fn postgres_statements_prepared_ok() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let client = connect(&cluster, cluster.endpoint()).await.unwrap();
    let rows = client.query(TOPOLOGY, &[]).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!((rows[0].get::<_, &str>(0), rows[0].get::<_, bool>(1)), ("a", true));
    assert_eq!((rows[1].get::<_, f64>(2), rows[1].get::<_, i32>(3)), (1.25, 12));
    assert_eq!(client.query(IS_WRITER, &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn killed_node_leaves_the_topology_after_five_minutes() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let client = connect(&cluster, cluster.endpoint()).await.unwrap();
    cluster.kill("c").await;
    cluster.advance(Duration::from_secs(290));
    assert_eq!(ids(&ask(&client, TOPOLOGY).await.unwrap()), ["a*", "b", "c"]);
    cluster.advance(Duration::from_secs(11));
    assert_eq!(ids(&ask(&client, TOPOLOGY).await.unwrap()), ["a*", "b"]);
    cluster.restart("c").await.unwrap();
    assert_eq!(ids(&ask(&client, TOPOLOGY).await.unwrap()), ["a*", "b", "c"]);
}

#[tokio::test]
async fn node_disagrees_until_it_agrees() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let client = connect(&cluster, &instance(&cluster, "b")).await.unwrap();
    cluster.disagree("b", View::of("b", ["a"]).with(Instance::writer("elsewhere")));
    assert_eq!(ids(&ask(&client, TOPOLOGY).await.unwrap()), ["b*", "a", "elsewhere*"]);
    assert_eq!(ask(&client, IS_WRITER).await.unwrap(), [["b"]]);
    cluster.disagree("b", View::default());
    assert!(ask(&client, TOPOLOGY).await.unwrap().is_empty());
    cluster.agree("b");
    assert_eq!(ids(&ask(&client, TOPOLOGY).await.unwrap()), ["a*", "b", "c"]);
    let other = connect(&cluster, &instance(&cluster, "c")).await.unwrap();
    assert_eq!(ids(&ask(&other, TOPOLOGY).await.unwrap()), ["a*", "b", "c"]);
}

#[tokio::test]
async fn node_lies_in_each_way_and_only_there() {
    let cluster = start(Deployment::AuroraPostgres).await;
    cluster.lie("b", Lie::Standby(false));
    let (client, connection) = open(&cluster, &instance(&cluster, "b")).await.unwrap();
    assert_eq!(connection.parameter("in_hot_standby"), Some("off"));
    drop((client, connection));

    let client = connect(&cluster, &instance(&cluster, "b")).await.unwrap();
    let role = "SELECT pg_is_in_recovery()";
    assert_eq!(
        (ask(&client, IS_WRITER).await.unwrap().len(), ask(&client, role).await.unwrap()),
        (0, vec![vec!["t".to_owned()]])
    );
    cluster.lie("b", Lie::Writer(true));
    assert_eq!(ask(&client, IS_WRITER).await.unwrap(), [["b"]]);
    assert_eq!(ask(&client, role).await.unwrap(), [["t"]]);
    cluster.lie("b", Lie::ReadOnly(false));
    assert_eq!(ask(&client, role).await.unwrap(), [["f"]]);
    cluster.lie("b", Lie::Id("staging".to_owned()));
    assert_eq!(ask(&client, "SELECT aurora_db_instance_identifier()").await.unwrap(), [["staging"]]);
    cluster.agree("b");
    assert_eq!(ask(&client, "SELECT aurora_db_instance_identifier()").await.unwrap(), [["b"]]);
    assert_eq!(ask(&client, role).await.unwrap(), [["t"]]);
}

#[tokio::test]
async fn write_on_a_reader_is_refused() {
    let cluster = Cluster::builder()
        .writer("a")
        .readers(["b"])
        .answer("INSERT INTO orders VALUES ($1)", Rows::affected(1))
        .start()
        .await
        .unwrap();
    let writer = connect(&cluster, cluster.endpoint()).await.unwrap();
    assert_eq!(writer.execute("INSERT INTO orders VALUES ($1)", &[&"x"]).await.unwrap(), 1);
    let reader = connect(&cluster, cluster.reader_endpoint().unwrap()).await.unwrap();
    let error = reader.execute("INSERT INTO orders VALUES ($1)", &[&"x"]).await.unwrap_err();
    assert_eq!(code(&error), "25006");
    assert_eq!(code(&ask(&reader, "CREATE TABLE t ()").await.unwrap_err()), "25006");
}

#[tokio::test]
async fn mysql_statements_ok() {
    let cluster = start(Deployment::AuroraMysql).await;
    let mut reader = connect_mysql(&cluster, cluster.reader_endpoint().unwrap()).await.unwrap();
    assert_eq!(first(&mut reader, "SELECT @@innodb_read_only").await.unwrap().as_deref(), Some("1"));
    let statement = "SELECT SERVER_ID, CASE WHEN SESSION_ID = 'MASTER_SESSION_ID' THEN TRUE ELSE FALSE END, \
        CPU, REPLICA_LAG_IN_MILLISECONDS, LAST_UPDATE_TIMESTAMP FROM information_schema.replica_host_status \
        WHERE time_to_sec(timediff(now(), LAST_UPDATE_TIMESTAMP)) <= 300 OR SESSION_ID = 'MASTER_SESSION_ID'";
    let rows: Vec<(String, i64, f64, Option<i64>)> = reader
        .query_map(statement, |(id, role, cpu, lag, _): (_, _, _, _, String)| (id, role, cpu, lag))
        .await
        .unwrap();
    assert_eq!(rows[0], ("a".to_owned(), 1, 3.5, None));
    assert_eq!(rows[1], ("b".to_owned(), 0, 1.25, Some(12)));
    let prepared: Vec<(String, i64, f64, Option<i64>, String)> = reader.exec(statement, ()).await.unwrap();
    assert_eq!(prepared.len(), 3);
    let version: Option<(String, String)> =
        reader.query_first("SHOW VARIABLES LIKE 'aurora_version'").await.unwrap();
    assert!(version.is_some());
    let error = first(&mut reader, "INSERT INTO orders VALUES (1)").await.unwrap_err();
    assert!(matches!(error, mysql_async::Error::Server(error) if error.code == 1290));
    reader.disconnect().await.unwrap();
}

#[tokio::test]
async fn multi_az_mysql_statements_ok() {
    let cluster = start(Deployment::MultiAzMysql).await;
    let mut reader = connect_mysql(&cluster, &instance(&cluster, "c")).await.unwrap();
    let rows: Vec<(i64, String, u16)> =
        reader.query("SELECT id, endpoint, port FROM mysql.rds_topology").await.unwrap();
    assert_eq!((rows.len(), &*rows[0].1, rows[0].2), (3, &*instance(&cluster, "a"), cluster.port()));
    let status: mysql_async::Row = reader.query_first("SHOW REPLICA STATUS").await.unwrap().unwrap();
    assert_eq!(status.get::<i64, _>("Source_Server_Id"), Some(rows[0].0));
    reader.disconnect().await.unwrap();
}
