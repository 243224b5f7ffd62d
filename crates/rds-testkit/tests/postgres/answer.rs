//! Answers of the test's own, faults at statements, and what is recorded of them.

use rds_testkit::{Fault, Gate, Phase, PostgresServer, Rows, Value};
use tokio_postgres::Client;

use crate::client::{login, tls};
use crate::signer::Signer;

async fn client() -> (PostgresServer, Client) {
    let orders = Rows::new(["id", "name", "paid", "total", "note"])
        .row([1.into(), "anna".into(), true.into(), 2.5.into(), None::<&str>.into()])
        .row([2.into(), "bo; b".into(), false.into(), (-1.0).into(), "x".repeat(70_000).into()]);
    let server = PostgresServer::builder()
        .answer("SELECT id, name, paid, total, note FROM orders", orders)
        .answer("SELECT name FROM orders WHERE id = $1", Rows::new(["name"]).row(["anna".into()]))
        .start()
        .await
        .unwrap();
    let client = login(&server, &Signer::new(&server).sign()).await.unwrap();
    (server, client)
}

#[tokio::test]
async fn rows_come_typed_and_in_text_ok() {
    let (server, client) = client().await;
    let rows = client.query("select ID, name, paid,total , note from orders ;", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].get::<_, i32>(0), rows[0].get::<_, &str>(1)), (1, "anna"));
    assert_eq!((rows[0].get::<_, bool>(2), rows[0].get::<_, f64>(3)), (true, 2.5));
    assert_eq!(rows[0].get::<_, Option<&str>>(4), None);
    assert_eq!(rows[1].get::<_, &str>(4).len(), 70_000);
    let messages = client.simple_query("SELECT id, name, paid, total, note FROM orders").await.unwrap();
    let texts = messages.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some((row.get(1), row.get(2), row.get(3))),
        _ => None,
    });
    let expected = [(Some("anna"), Some("t"), Some("2.5")), (Some("bo; b"), Some("f"), Some("-1"))];
    assert_eq!(texts.collect::<Vec<_>>(), expected);
    assert_eq!(server.queries().len(), 2);
}

#[tokio::test]
async fn statement_with_a_parameter_ok() {
    let (_server, client) = client().await;
    let row = client.query_one("SELECT name FROM orders WHERE id = $1", &[&"7"]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "anna");
}

#[tokio::test]
async fn answer_can_come_later_and_be_replaced() {
    let (server, client) = client().await;
    assert_eq!(client.execute("DELETE FROM orders", &[]).await.unwrap_err().code().unwrap().code(), "0A000");
    server.answer("DELETE FROM orders", Rows::affected(2));
    assert_eq!(client.execute("DELETE FROM orders", &[]).await.unwrap(), 2);
    server.answer("DELETE FROM orders", Rows::affected(0));
    assert_eq!(client.execute("DELETE FROM orders", &[]).await.unwrap(), 0);
    server.answer("SELECT 1", Rows::new(["one"]).row([Value::Int8(7)]));
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i64>(0), 7);
    server.set_read_only(true);
    let error = client.execute("DELETE FROM orders", &[]).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().message(), "cannot execute DELETE in a read-only transaction");
}

#[tokio::test]
async fn promotion_is_reported_with_the_next_answer() {
    let (server, client) = client().await;
    drop(client);
    let config = crate::client::config(&server, &Signer::new(&server).sign());
    let (client, mut connection) = config.connect(tls(server.ca_pem())).await.unwrap();
    assert_eq!(connection.parameter("in_hot_standby"), Some("off"));
    server.set_read_only(true);
    let query = client.batch_execute("SELECT 1");
    tokio::select! {
        done = query => done.unwrap(),
        ended = &mut connection => panic!("the connection ended: {ended:?}"),
    }
    assert_eq!(connection.parameter("in_hot_standby"), Some("on"));
}

#[tokio::test]
async fn held_statement_is_cancelled() {
    let (server, client) = client().await;
    let gate = Gate::new();
    server.inject(Fault::Hang(Phase::Query, gate.clone()));
    let cancel = async {
        gate.arrived(1).await;
        client.cancel_token().cancel_query(tls(server.ca_pem())).await.unwrap();
    };
    let (answer, ()) = tokio::join!(client.query_one("SELECT 1", &[]), cancel);
    assert_eq!(answer.unwrap_err().code().unwrap().code(), "57014");
    client.query_one("SELECT 1", &[]).await.unwrap();
    let cancels = server.cancels();
    assert!(cancels.len() == 1 && cancels[0].matched, "{cancels:?}");
    assert_eq!(server.queries(), ["SELECT 1", "SELECT 1"]);
}

#[tokio::test]
async fn frozen_connection_answers_nothing_and_others_go_on() {
    let (server, client) = client().await;
    server.inject(Fault::Freeze);
    let token = Signer::new(&server).sign();
    tokio::select! {
        answer = client.query_one("SELECT 1", &[]) => panic!("answered: {answer:?}"),
        other = login(&server, &token) => {
            other.unwrap().query_one("SELECT 1", &[]).await.unwrap();
        }
    }
    assert!(!client.is_closed());
    server.drop_connections();
    assert!(client.query_one("SELECT 1", &[]).await.is_err());
}

#[tokio::test]
async fn black_hole_accepts_and_never_answers() {
    let (server, client) = client().await;
    server.inject(Fault::BlackHole);
    let token = Signer::new(&server).sign();
    tokio::select! {
        outcome = login(&server, &token) => panic!("answered: {:?}", outcome.err()),
        answer = client.query_one("SELECT 1", &[]) => drop(answer.unwrap()),
    }
    login(&server, &token).await.unwrap();
}

#[tokio::test]
async fn partial_result_ends_the_connection_in_its_middle() {
    let (server, client) = client().await;
    server.inject(Fault::PartialResult);
    let error = client.query("SELECT id, name, paid, total, note FROM orders", &[]).await.unwrap_err();
    assert!(error.as_db_error().is_none(), "{error:?}");
    assert!(client.is_closed());
    let client = login(&server, &Signer::new(&server).sign()).await.unwrap();
    assert_eq!(client.query("SELECT id, name, paid, total, note FROM orders", &[]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn server_freezes_as_a_whole_and_goes_on() {
    let (server, client) = client().await;
    server.freeze();
    let mut query = std::pin::pin!(client.query_one("SELECT 1", &[]));
    // Accepted by the system, not by the server.
    let mut other = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
    let mut byte = [0];
    let span = std::time::Duration::from_millis(100);
    tokio::time::timeout(span, async {
        tokio::select! {
            answer = &mut query => panic!("answered: {answer:?}"),
            read = tokio::io::AsyncReadExt::read(&mut other, &mut byte) => panic!("said something: {read:?}"),
        }
    })
    .await
    .unwrap_err();
    server.thaw();
    query.await.unwrap();
}

#[tokio::test]
async fn url_and_environment_name_what_a_program_needs() {
    let server = PostgresServer::builder().user("a b").database("orders").start().await.unwrap();
    let url = server.url();
    assert!(
        url.starts_with(&format!("postgres://a%20b@{}/orders?plugins=iam&iamHost=", server.addr())),
        "{url}"
    );
    let env = server.env().into_iter().collect::<std::collections::HashMap<_, _>>();
    assert_eq!((&env["DATABASE_URL"], &*env["AWS_REGION"]), (&url, "us-east-2"));
    assert_eq!(env["AWS_ACCESS_KEY_ID"], server.access_key().access_key_id());
    assert_eq!(env["AWS_SECRET_ACCESS_KEY"], server.access_key().secret_access_key());
}
