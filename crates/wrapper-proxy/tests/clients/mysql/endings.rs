//! Connections to a MySQL server that never reach a client end in order: the server counts those
//! that break off, and blocks a machine that has too many.

use mysql_async::{Conn, prelude::Queryable};
use rds_testkit::{AuthPlugin, Fault, Gate, MysqlServer, Outcome, Phase};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_proxy::{Limits, mysql::MysqlTarget};

use super::{Fixture, refused};
use crate::support::Running;

#[tokio::test]
async fn server_sees_a_refused_login_of_a_client_that_disconnects_without_one() {
    let fixture = Fixture::new().await;
    let attempts: [&[u8]; 5] =
        [b"", b"\x20\0\0\x01", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\x01", &[0x16, 3, 1, 2, 0, 1, 0, 1]];

    for sent in attempts {
        let mut stream = fixture.proxy.raw().await;
        // A greeting at least.
        stream.read_u8().await.expect("is greeted");
        stream.write_all(sent).await.expect("is sent");
        stream.shutdown().await.expect("ends");
        drop(stream.read_to_end(&mut Vec::new()).await);
    }

    fixture.seen(attempts.len()).await;
    for attempt in fixture.server.attempts() {
        assert_eq!((attempt.user.as_str(), attempt.tls), ("rds-iam-gone", false));
        assert!(matches!(attempt.outcome, Outcome::Refused(_)), "{attempt:?}");
    }
    drop(fixture.client().await);
}

#[tokio::test]
async fn unfinished_login_makes_room_and_is_ended_at_the_server_too() {
    let mut limits = Limits::default();
    limits.max_handshakes = 4;
    let fixture = Fixture::with(limits, |builder| builder).await;
    let mut idle = Vec::new();
    for _ in 0..12 {
        let mut stream = fixture.proxy.raw().await;
        stream.read_u8().await.expect("is greeted");
        idle.push(stream);
    }

    let mut client = fixture.client().await;

    assert_eq!(client.query_first("SELECT 1").await.expect("answers"), Some(1));
    fixture.seen(10).await;
    let gone = fixture.server.attempts().into_iter().filter(|attempt| attempt.user == "rds-iam-gone");
    assert!(gone.count() >= 8);
}

#[tokio::test]
async fn five_hundred_idle_clients_make_room_and_none_is_an_aborted_connection_at_the_server() {
    let fixture = Fixture::new().await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        let mut stream = fixture.proxy.raw().await;
        stream.read_u8().await.expect("is greeted");
        idle.push(stream);
    }

    let mut client = fixture.client().await;

    assert_eq!(client.query_first("SELECT 1").await.expect("answers"), Some(1));
    drop(idle);
    // Each is ended at the server by a login, so that none is counted as one that broke off.
    fixture.seen(501).await;
    assert_eq!(fixture.server.accepted(), 1);
    let gone = fixture.server.attempts().into_iter().filter(|attempt| attempt.user == "rds-iam-gone");
    assert_eq!(gone.count(), 500);
}

#[tokio::test]
async fn shutdown_ends_a_connection_in_order_at_every_point_of_its_login() {
    for phase in [Phase::Accept, Phase::Tls, Phase::Startup, Phase::Login, Phase::Ready] {
        let fixture = Fixture::new().await;
        let gate = Gate::new();
        fixture.server.inject(Fault::Hang(phase, gate.clone()));
        let client = tokio::spawn(Conn::new(fixture.options()));
        gate.arrived(1).await;

        fixture.proxy.handle.cut();
        // The client is gone before the server goes on.
        client.await.expect("ends").map(drop).expect_err("is ended");
        gate.open();

        fixture.seen(1).await;
        let attempts = fixture.server.attempts();
        assert_ne!(attempts[0].outcome, Outcome::Abandoned, "{phase:?}: {attempts:?}");
        fixture.proxy.running.await.expect("ends");
    }
}

#[tokio::test]
async fn client_displaced_before_the_greeting_is_ended_in_order_at_the_server() {
    let mut limits = Limits::default();
    limits.max_handshakes = 1;
    let fixture = Fixture::with(limits, |builder| builder).await;
    let gate = Gate::new();
    fixture.server.inject_always(Fault::Hang(Phase::Accept, gate.clone()));
    let mut clients: Vec<TcpStream> = Vec::new();
    for count in 1..=9 {
        clients.push(fixture.proxy.raw().await);
        gate.arrived(count).await;
    }
    // The ninth of eight times one.
    assert_eq!(clients[0].read(&mut [0]).await.expect("is read"), 0);

    gate.open();

    fixture.seen(1).await;
    let attempts = fixture.server.attempts();
    assert_eq!(attempts[0].user, "rds-iam-gone", "{attempts:?}");
}

#[tokio::test]
async fn user_with_a_password_is_refused_by_the_server_itself() {
    let server = MysqlServer::builder().plugin(AuthPlugin::CachingSha2).password_user("jane", "secret");
    let server = server.database("app").start().await.expect("starts");
    let other = MysqlServer::builder().user("jane").start().await.expect("starts");
    let tokens = other.token_provider().expect("has a key");
    let target = MysqlTarget::from_url(&server.url(), Registry::new().with(IamFactory::new(tokens)));
    let proxy = Running::start(target.expect("is right"), Limits::default()).await;
    let fixture = Fixture { server, proxy };

    let (code, text) = refused(fixture.options()).await;

    assert!(code == 1045 && text.contains("asks user `jane` for a password"), "{code} {text}");
    fixture.seen(1).await;
    let attempts = fixture.server.attempts();
    assert!(matches!(attempts[0].outcome, Outcome::Refused(_)), "{attempts:?}");
}
