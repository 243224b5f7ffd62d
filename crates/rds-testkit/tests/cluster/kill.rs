//! Sessions of MySQL that another session ends.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use rds_testkit::{Cluster, Deployment, Fault, Gate, Phase};

use crate::client::{connect_mysql, first};

async fn start() -> (Cluster, Conn, Conn) {
    let cluster = Cluster::builder().deployment(Deployment::InstanceMysql).writer("a").start().await.unwrap();
    let victim = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    let other = connect_mysql(&cluster, cluster.endpoint()).await.unwrap();
    (cluster, victim, other)
}

/// Returns the number of an error by the server; `None` for a connection that ended.
fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> Option<u16> {
    match answer.unwrap_err() {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

#[tokio::test]
async fn idle_session_ends_at_a_kill() {
    for statement in ["KILL {}", "kill connection {};", "KILL HARD {}", "CALL mysql.rds_kill({})"] {
        let (cluster, mut victim, mut other) = start().await;
        let id = victim.id();
        other.query_drop(statement.replace("{}", &id.to_string())).await.unwrap();
        assert_eq!(code(first(&mut victim, "SELECT 1").await), None, "{statement}");
        let cancel = cluster.node("a").cancels()[0];
        assert!(cancel.matched && cancel.ends_session && cancel.session == id, "{cancel:?}");
        assert_eq!(first(&mut other, "SELECT 1").await.unwrap().as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn session_in_a_held_statement_ends_at_a_kill() {
    let (cluster, mut victim, mut other) = start().await;
    let (gate, id) = (Gate::new(), victim.id());
    cluster.node("a").inject(Fault::Hang(Phase::Query, gate.clone()));
    let kill = async {
        gate.arrived(1).await;
        other.exec_drop("KILL ?", (id,)).await.unwrap();
    };
    let (answer, ()) = tokio::join!(first(&mut victim, "SELECT 1"), kill);
    assert_eq!(code(answer), None);
}

#[tokio::test]
async fn ended_session_is_unknown() {
    let (_cluster, mut victim, mut other) = start().await;
    let id = victim.id();
    other.exec_drop("KILL CONNECTION ?", (id,)).await.unwrap();
    assert_eq!(code(first(&mut victim, "SELECT 1").await), None);
    for statement in ["KILL {}", "KILL QUERY {}", "CALL mysql.rds_kill_query({})"] {
        assert_eq!(code(other.query_drop(statement.replace("{}", &id.to_string())).await), Some(1094));
    }
    assert_eq!(code(other.query_drop("KILL 99999999999").await), Some(1094));
    assert_eq!(code(other.query_drop("KILL everybody").await), Some(1064));
}

#[tokio::test]
async fn query_that_is_killed_leaves_its_session() {
    let (_cluster, mut victim, mut other) = start().await;
    let id = victim.id();
    other.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    assert_eq!(first(&mut victim, "SELECT CONNECTION_ID()").await.unwrap(), Some(id.to_string()));
}

#[tokio::test]
async fn session_kills_itself() {
    let (_cluster, mut victim, _other) = start().await;
    assert_eq!(code(victim.query_drop("KILL QUERY CONNECTION_ID()").await), Some(1317));
    assert_eq!(first(&mut victim, "SELECT 1").await.unwrap().as_deref(), Some("1"));
    let id = victim.id();
    assert_eq!(code(victim.query_drop(format!("KILL {id}")).await), Some(1317));
    assert_eq!(code(first(&mut victim, "SELECT 1").await), None);
}
