//! Answers, faults and cancels of the MySQL server.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rds_testkit::{Cluster, Deployment, Fault, Gate, Phase, Rows};

use crate::client::{connect_mysql, first};

async fn start() -> (Cluster, Conn) {
    let orders = Rows::new(["id", "name", "total"]).row([1.into(), "anna".into(), 2.5.into()]).row([
        2.into(),
        None::<&str>.into(),
        "x".repeat(70_000).into(),
    ]);
    let cluster = Cluster::builder()
        .deployment(Deployment::InstanceMysql)
        .writer("a")
        .answer("SELECT id, name, total FROM orders", orders)
        .answer(
            "SELECT name FROM orders WHERE id = ? AND note <> '?'",
            Rows::new(["name"]).row(["anna".into()]),
        )
        .answer("UPDATE orders SET paid = 1", Rows::affected(300))
        .start()
        .await
        .unwrap();
    let connection = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    (cluster, connection)
}

#[tokio::test]
async fn rows_come_in_text_and_prepared_ok() {
    let (cluster, mut connection) = start().await;
    let node = cluster.node("a");
    let sql = "select id, name, total from orders";
    let rows: Vec<(i64, Option<String>, String)> = connection.query(sql).await.unwrap();
    assert_eq!((rows[0].0, rows[0].1.as_deref(), &*rows[0].2), (1, Some("anna"), "2.5"));
    assert_eq!((rows[1].0, &rows[1].1, rows[1].2.len()), (2, &None, 70_000));
    let name: Option<String> =
        connection.exec_first("SELECT name FROM orders WHERE id = ? AND note <> '?'", (7,)).await.unwrap();
    assert_eq!(name.as_deref(), Some("anna"));
    connection.query_drop("UPDATE orders SET paid = 1").await.unwrap();
    assert_eq!(connection.affected_rows(), 300);
    node.answer("SELECT 1", Rows::new(["one"]).row([7.into()]));
    assert_eq!(first(&mut connection, "SELECT 1").await.unwrap().as_deref(), Some("7"));
    assert!(node.queries().iter().any(|query| query.contains("note <> '?'")), "{:?}", node.queries());
    connection.disconnect().await.unwrap();
}

#[tokio::test]
async fn held_statement_is_killed_by_its_thread_id() {
    let (cluster, mut connection) = start().await;
    let mut other = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    let (node, gate) = (cluster.node("a"), Gate::new());
    node.inject(Fault::Hang(Phase::Query, gate.clone()));
    let id = connection.id();
    let kill = async {
        gate.arrived(1).await;
        other.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(first(&mut connection, "SELECT 1"), kill);
    assert!(matches!(answer.unwrap_err(), mysql_async::Error::Server(error) if error.code == 1317));
    assert_eq!(first(&mut connection, "SELECT CONNECTION_ID()").await.unwrap(), Some(id.to_string()));
    let unknown = other.query_drop("KILL 999999").await.unwrap_err();
    assert!(matches!(unknown, mysql_async::Error::Server(error) if error.code == 1094));
    let cancels = node.cancels().iter().map(|cancel| (cancel.session, cancel.matched)).collect::<Vec<_>>();
    assert_eq!(cancels, [(id, true), (999_999, false)]);
    connection.disconnect().await.unwrap();
}

#[tokio::test]
async fn partial_result_and_freeze_break_one_connection() {
    let (cluster, mut connection) = start().await;
    let node = cluster.node("a");
    node.inject(Fault::PartialResult);
    let rows: Result<Vec<mysql_async::Row>, _> = connection.query("SELECT id, name, total FROM orders").await;
    assert!(!matches!(rows.unwrap_err(), mysql_async::Error::Server(_)));

    let mut frozen = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    let mut other = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    node.inject(Fault::Freeze);
    tokio::select! {
        biased;
        answer = first(&mut frozen, "SELECT 1") => panic!("answered: {answer:?}"),
        () = async {
            while node.queries().iter().filter(|query| *query == "SELECT 1").count() == 0 {
                tokio::task::yield_now().await;
            }
            first(&mut other, "SELECT 2").await.unwrap();
        } => {}
    }
    node.drop_connections();
    assert!(first(&mut frozen, "SELECT 1").await.is_err());
}
