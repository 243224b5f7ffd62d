//! Sessions that another session cancels or ends by SQL.

use std::time::Duration;

use rds_testkit::{Fault, Gate, Phase, PostgresServer};
use tokio_postgres::{Client, Error};

use crate::client::{config, tls};
use crate::signer::Signer;

/// Returns a client and how its connection ends.
async fn open(server: &PostgresServer) -> (Client, tokio::task::JoinHandle<Result<(), Error>>, i32) {
    let config = config(server, &Signer::new(server).sign());
    let (client, connection) = config.connect(tls(server.ca_pem())).await.unwrap();
    let ended = tokio::spawn(connection);
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    (client, ended, pid)
}

fn code(error: &Error) -> &str {
    error.code().unwrap_or_else(|| panic!("{error:?}")).code()
}

/// Ends an idle session by this statement, with `{}` for its process id.
async fn terminates(statement: &str) {
    let server = PostgresServer::builder().start().await.unwrap();
    let (victim, ended, pid) = open(&server).await;
    let (other, _running, _) = open(&server).await;
    let row = other.query_one(&statement.replace("{}", &pid.to_string()), &[]).await.unwrap();
    assert!(row.get::<_, bool>(0), "{statement}");
    let error = tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap().unwrap().unwrap_err();
    assert_eq!(code(&error), "57P01", "{statement}");
    assert!(victim.is_closed() && victim.query_one("SELECT 1", &[]).await.is_err());
    let cancel = *server.cancels().last().unwrap();
    assert!(cancel.matched && cancel.ends_session && cancel.session == pid.cast_unsigned(), "{cancel:?}");
    other.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn idle_session_is_terminated() {
    for statement in [
        "SELECT pg_terminate_backend({})",
        "select PG_CATALOG.pg_terminate_backend( {}::int4 ) AS done;",
        "SELECT pg_terminate_backend({}, 5000)",
    ] {
        terminates(statement).await;
    }
}

#[tokio::test]
async fn process_id_can_be_a_parameter() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (_victim, ended, pid) = open(&server).await;
    let (other, _running, _) = open(&server).await;
    let row = other.query_one("SELECT pg_terminate_backend($1) AS done", &[&pid]).await.unwrap();
    assert!(row.get::<_, bool>("done"));
    assert_eq!(code(&ended.await.unwrap().unwrap_err()), "57P01");
    let row = other.query_one("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    assert!(!row.get::<_, bool>(0), "it is gone");
}

#[tokio::test]
async fn session_in_a_held_statement_is_terminated() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (victim, _ended, pid) = open(&server).await;
    let (other, _running, _) = open(&server).await;
    let gate = Gate::new();
    server.inject(Fault::Hang(Phase::Query, gate.clone()));
    let terminate = async {
        gate.arrived(1).await;
        other.simple_query(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(victim.query_one("SELECT 1", &[]), terminate);
    assert_eq!(code(&answer.unwrap_err()), "57P01");
    assert!(victim.query_one("SELECT 1", &[]).await.is_err());
}

#[tokio::test]
async fn held_statement_is_cancelled_by_sql_and_its_session_goes_on() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (victim, _ended, pid) = open(&server).await;
    let (other, _running, _) = open(&server).await;
    let gate = Gate::new();
    server.inject(Fault::Hang(Phase::Query, gate.clone()));
    let cancel = async {
        gate.arrived(1).await;
        other.query_one("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap().get::<_, bool>(0)
    };
    let (answer, matched) = tokio::join!(victim.query_one("SELECT 1", &[]), cancel);
    assert_eq!((code(&answer.unwrap_err()), matched), ("57014", true));
    victim.query_one("SELECT 1", &[]).await.unwrap();
    assert!(server.cancels().iter().all(|cancel| cancel.matched && !cancel.ends_session));
}

#[tokio::test]
async fn session_that_does_not_exist_is_not_signalled() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (client, _running, _) = open(&server).await;
    for function in ["pg_terminate_backend", "pg_cancel_backend"] {
        for pid in ["999999", "0", "-1"] {
            let row = client.query_one(&format!("SELECT {function}({pid})"), &[]).await.unwrap();
            assert!(!row.get::<_, bool>(0), "{function}({pid})");
        }
    }
    client.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn session_signals_itself() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (client, ended, pid) = open(&server).await;
    for argument in ["pg_backend_pid()", &pid.to_string()] {
        let error =
            client.query_one(&format!("SELECT pg_cancel_backend({argument})"), &[]).await.unwrap_err();
        assert_eq!(code(&error), "57014");
    }
    let error = client.query_one("SELECT pg_terminate_backend(pg_backend_pid())", &[]).await.unwrap_err();
    assert_eq!(code(&error), "57P01");
    assert!(ended.await.unwrap().is_err() || client.is_closed());
}

#[tokio::test]
async fn description_of_a_signal_sends_none() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (victim, _ended, pid) = open(&server).await;
    let (other, _running, _) = open(&server).await;
    other.prepare(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    victim.query_one("SELECT 1", &[]).await.unwrap();
    assert!(server.cancels().is_empty());
}
