//! The statements that the PostgreSQL server answers.

use rds_testkit::PostgresServer;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::client::{config, connect, login, tls};
use crate::signer::Signer;

async fn client() -> (PostgresServer, Client) {
    let server = PostgresServer::builder().start().await.unwrap();
    let client = login(&server, &Signer::new(&server).sign()).await.unwrap();
    (server, client)
}

#[tokio::test]
async fn extended_query_ok() {
    let (_server, client) = client().await;
    let row = client.query_one("SELECT 1", &[]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.columns()[0].type_()), (1, &Type::INT4));
    let row = client.query_one("select current_user AS who;", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>("who"), row.columns()[0].type_()), ("jane", &Type::TEXT));
    let row = client
        .query_one("SELECT version(), current_database(), pg_is_in_recovery(), -7::int4", &[])
        .await
        .unwrap();
    assert!(row.get::<_, &str>(0).starts_with("PostgreSQL "));
    assert_eq!((row.get::<_, &str>(1), row.get::<_, bool>(2), row.get::<_, i32>(3)), ("app", false, -7));
}

#[tokio::test]
async fn prepared_statement_ok() {
    let (_server, client) = client().await;
    let statement = client.prepare("SELECT pg_backend_pid()").await.unwrap();
    let first = client.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0);
    assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0), first);
    assert_eq!(client.execute("SET application_name = 'x'", &[]).await.unwrap(), 0);
}

#[tokio::test]
async fn simple_query_ok() {
    let (_server, client) = client().await;
    let messages = client.simple_query("SELECT current_user; SELECT 1").await.unwrap();
    let values = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(values.collect::<Vec<_>>(), ["jane", "1"]);
}

#[tokio::test]
async fn statements_of_pools_ok() {
    let (_server, mut client) = client().await;
    client.batch_execute("").await.unwrap();
    client
        .batch_execute(
            "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
             SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES;",
        )
        .await
        .unwrap();
    client.batch_execute("DISCARD ALL").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.query_one("SELECT 1", &[]).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn unknown_statement_wrong() {
    let (_server, client) = client().await;
    for _ in 0..2 {
        let error = client.query("SELECT * FROM orders", &[]).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "0A000");
        assert!(error.message().contains("SELECT * FROM orders"));
    }
    let error = client.simple_query("BEGIN; DROP TABLE orders").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "0A000");
    client.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn reader_is_told_from_a_writer() {
    let server = PostgresServer::builder().read_only(true).start().await.unwrap();
    let mut config = config(&server, &Signer::new(&server).sign());
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    assert!(connect(&server, &config).await.is_err());
    config.target_session_attrs(TargetSessionAttrs::Any);
    let (_client, connection) = config.connect(tls(server.ca_pem())).await.unwrap();
    assert_eq!(connection.parameter("in_hot_standby"), Some("on"));
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    server.set_read_only(false);
    let client = connect(&server, &config).await.unwrap();
    let row = client.query_one("SHOW transaction_read_only", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "off");
    server.set_read_only(true);
    let row = client.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test]
async fn cancel_request_is_tolerated() {
    let (server, client) = client().await;
    client.cancel_token().cancel_query(tls(server.ca_pem())).await.unwrap();
    client.query_one("SELECT 1", &[]).await.unwrap();
    login(&server, &Signer::new(&server).sign()).await.unwrap();
    assert_eq!((server.attempts().len(), server.accepted()), (2, 2));
}
