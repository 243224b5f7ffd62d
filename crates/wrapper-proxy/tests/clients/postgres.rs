//! PostgreSQL clients through the proxy, at an embedded server that checks tokens.

use std::{path::PathBuf, time::Duration};

use rds_testkit::{Fault, PostgresServer, ServerError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_postgres::{Client, Config, NoTls, error::SqlState};
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_proxy::{Access, Limits, Listen, LocalAddress, Proxy, postgres::PostgresTarget};

use crate::support::{PASSWORD, Running, SOON, tokens, until};

struct Fixture {
    server: PostgresServer,
    proxy: Running,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        Self::with_parameters(limits, "").await
    }

    async fn with_parameters(limits: Limits, more: &str) -> Self {
        let server = PostgresServer::builder().user("jane").start().await.expect("starts");
        let proxy = Running::start(target_with(&server, more), limits).await;
        Self { server, proxy }
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.proxy.port).user("jane").password(PASSWORD).dbname("app");
        config
    }

    async fn client(&self) -> Client {
        connect(&self.config()).await.expect("is let in")
    }
}

fn target(server: &PostgresServer) -> PostgresTarget {
    target_with(server, "")
}

fn target_with(server: &PostgresServer, more: &str) -> PostgresTarget {
    let tokens = server.token_provider().expect("has a key");
    let url = format!("{}{more}", server.url());
    PostgresTarget::from_url(&url, Registry::new().with(IamFactory::new(tokens))).expect("is right")
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn refused(config: &Config) -> (SqlState, String, String) {
    let Err(error) = connect(config).await else { panic!("is let in") };
    let error = error.as_db_error().expect("is told why");
    let detail = error.detail().unwrap_or_default().to_owned();
    (error.code().clone(), error.message().to_owned(), detail)
}

#[tokio::test]
async fn client_without_iam_is_logged_in_with_one_signature_for_many() {
    let fixture = Fixture::new().await;

    for _ in 0..3 {
        let client = fixture.client().await;
        let row = client.query_one("SELECT current_user", &[]).await.expect("answers");
        assert_eq!(row.get::<_, String>(0), "jane");
    }

    assert_eq!(fixture.server.accepted(), 3);
    assert_eq!(tokens(fixture.server.attempts()), 1);
}

#[tokio::test]
async fn password_of_the_proxy_wrong() {
    let fixture = Fixture::new().await;

    let (code, message, _) = refused(fixture.config().password("another one")).await;

    assert_eq!(code, SqlState::INVALID_PASSWORD);
    assert!(message.contains("local password"), "{message}");
    assert!(fixture.server.attempts().is_empty(), "the server was not asked");
    assert_eq!(fixture.proxy.handle.stats()[0].refused_clients, 1);
}

#[tokio::test]
async fn other_user_than_the_targets_is_refused_with_the_name_to_use() {
    let fixture = Fixture::new().await;

    let (code, message, _) = refused(fixture.config().user("postgres")).await;

    assert_eq!(code, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert!(message.contains("connect as `jane`"), "{message}");
    assert!(fixture.server.attempts().is_empty());
}

#[tokio::test]
async fn refusal_of_the_server_keeps_its_message_and_adds_the_causes() {
    let fixture = Fixture::new().await;
    let key = fixture.server.access_key().access_key_id().to_owned();
    fixture.server.token_policy().deny(&key, "jane");

    let (code, message, detail) = refused(&fixture.config()).await;

    assert_eq!(code, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert_eq!(message, "PAM authentication failed for user \"jane\"");
    assert!(detail.contains("rds-db:connect"), "{detail}");
    assert!(!detail.contains("X-Amz-Signature"), "{detail}");
}

#[tokio::test]
async fn throttled_and_absent_servers_have_codes_of_their_own() {
    let fixture = Fixture::new().await;
    fixture.server.inject(Fault::Refuse(ServerError::too_many_connections()));
    assert_eq!(refused(&fixture.config()).await.0, SqlState::TOO_MANY_CONNECTIONS);

    let config = fixture.config();
    drop(fixture.server);
    let (code, message, _) = refused(&config).await;
    assert_eq!(code.code(), "08001");
    assert!(message.starts_with("rds-iam: "), "{message}");
}

#[tokio::test]
async fn stale_token_is_replaced_without_an_error() {
    let fixture = Fixture::new().await;
    drop(fixture.client().await);

    fixture.server.advance(Duration::from_secs(901));

    drop(fixture.client().await);
    assert_eq!(fixture.server.accepted(), 2);
}

#[tokio::test]
async fn cancel_reaches_the_server_of_the_session() {
    let fixture = Fixture::new().await;
    let client = fixture.client().await;

    client.cancel_token().cancel_query(NoTls).await.expect("is sent");

    // The driver does not wait for it, unlike libpq.
    until(|| fixture.proxy.handle.stats()[0].cancels > 0).await;
    assert_eq!(fixture.server.cancels().len(), 1);
}

#[tokio::test]
async fn guessed_cancel_key_reaches_no_session() {
    let fixture = Fixture::new().await;
    let _client = fixture.client().await;
    let mut guess = fixture.proxy.raw().await;

    guess.write_all(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02").await.expect("is sent");

    let mut rest = Vec::new();
    guess.read_to_end(&mut rest).await.expect("is closed");
    assert!(rest.is_empty() && fixture.server.cancels().is_empty());
}

#[tokio::test]
async fn port_scans_and_other_protocols_never_reach_the_server() {
    let fixture = Fixture::new().await;
    for bytes in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0", &[0; 64], &[0xff; 64]] {
        let mut stream = fixture.proxy.raw().await;
        stream.write_all(bytes).await.expect("is sent");
        stream.shutdown().await.expect("ends");
        drop(stream.read_to_end(&mut Vec::new()).await);
    }

    drop(fixture.client().await);

    assert_eq!(fixture.server.attempts().len(), 1);
}

#[tokio::test]
async fn oversized_packets_are_refused_before_they_are_read() {
    let mut limits = Limits::default();
    limits.handshake_timeout = Duration::from_secs(3_600);
    let fixture = Fixture::with(limits).await;
    let startup = b"\0\0\0\x13\0\x03\0\0user\0jane\0\0".as_slice();
    for sent in [
        &b"\0\x01\0\0\0\x03\0\0"[..],
        &[startup, b"p\0\x0f\xff\xff"].concat(),
        &[startup, b"p\xff\xff\xff\xff"].concat(),
    ] {
        let mut stream = fixture.proxy.raw().await;
        stream.write_all(sent).await.expect("is sent");
        let ended = timeout(SOON, stream.read_to_end(&mut Vec::new())).await;
        drop(ended.expect("is not waited for"));
    }
    assert_eq!(fixture.proxy.handle.stats()[0].refused_clients, 3);
    assert!(fixture.server.attempts().is_empty());
}

#[tokio::test]
async fn unfinished_login_makes_room() {
    let mut limits = Limits::default();
    limits.max_handshakes = 8;
    let fixture = Fixture::with(limits).await;
    idle_clients_make_room(&fixture).await;
    // As it is by default.
    idle_clients_make_room(&Fixture::new().await).await;
}

async fn idle_clients_make_room(fixture: &Fixture) {
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(fixture.proxy.raw().await);
    }

    let client = fixture.client().await;

    client.simple_query("SELECT 1").await.expect("answers");
    // The oldest had to go.
    assert_eq!(idle[0].read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn session_beyond_the_limit_is_refused() {
    let mut limits = Limits::default();
    limits.max_connections = 1;
    let fixture = Fixture::with(limits).await;
    let client = fixture.client().await;

    let (code, message, _) = refused(&fixture.config()).await;

    assert_eq!(code, SqlState::TOO_MANY_CONNECTIONS);
    assert!(message.contains("all 1 sessions"), "{message}");
    drop(client);
}

#[tokio::test]
async fn drain_lets_sessions_finish_and_cut_ends_them() {
    let fixture = Fixture::new().await;
    let client = fixture.client().await;

    fixture.proxy.handle.drain();

    client.simple_query("SELECT 1").await.expect("still served");
    assert!(!fixture.proxy.running.is_finished());
    fixture.proxy.handle.cut();
    fixture.proxy.running.await.expect("ends");
    assert!(client.simple_query("SELECT 1").await.is_err());
    assert!(TcpStream::connect(("127.0.0.1", fixture.proxy.port)).await.is_err());
}

#[tokio::test]
async fn unix_socket_needs_no_password_and_accepts_the_account_name() {
    let server = PostgresServer::builder().user("jane").start().await.expect("starts");
    let folder = std::env::temp_dir().join(format!("proxy-e2e-{}", std::process::id()));
    let mut proxy = Proxy::new(Access::without_password(), Limits::default());
    let place = proxy.listen(&Listen::Unix(folder.clone()), target(&server)).await.expect("listens");
    let LocalAddress::Unix(path) = place else { panic!("a socket") };
    let handle = proxy.handle();
    let running = tokio::spawn(proxy.run(Duration::from_secs(30)));

    let config: Config = format!("host={} port={} user=jane dbname=app", folder.display(), server.port())
        .parse()
        .expect("is right");
    let client = connect(&config).await.expect("is let in");
    client.simple_query("SELECT 1").await.expect("answers");
    assert!(UnixStream::connect(&path).await.is_ok());

    drop(client);
    handle.cut();
    running.await.expect("ends");
    assert!(!path.exists());
    remove(folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_at_once_log_in_with_one_signature() {
    let fixture = Fixture::new().await;

    let clients: Vec<_> = (0..200)
        .map(|_| {
            tokio::spawn({
                let config = fixture.config();
                async move { connect(&config).await }
            })
        })
        .collect();

    let mut inside = Vec::new();
    for client in clients {
        inside.push(client.await.expect("ends").expect("is let in"));
    }
    assert_eq!(fixture.server.accepted(), 200);
    assert_eq!(tokens(fixture.server.attempts()), 1);
}

#[tokio::test]
async fn fifty_sessions_outlive_their_token() {
    let fixture = Fixture::new().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(fixture.client().await);
    }

    fixture.server.advance(Duration::from_secs(901));

    for client in &clients {
        client.simple_query("SELECT 1").await.expect("lives on");
    }
    drop(fixture.client().await);
    assert_eq!(fixture.proxy.handle.stats()[0].opened, 51);
    assert_eq!(tokens(fixture.server.attempts()), 2, "one for the fifty, one for the last");
}

#[tokio::test]
async fn session_ends_with_its_server_and_the_next_client_is_served() {
    let fixture = Fixture::new().await;
    let client = fixture.client().await;

    fixture.server.drop_connections();

    let ended = timeout(SOON, client.simple_query("SELECT 1")).await;
    ended.expect("is told at once").expect_err("is gone");
    fixture.client().await.simple_query("SELECT 1").await.expect("answers");
    until(|| fixture.proxy.handle.stats()[0].open <= 1).await;
}

#[tokio::test]
async fn frozen_server_is_reported_in_time_and_its_sessions_continue_afterwards() {
    let fixture = Fixture::with_parameters(Limits::default(), "&wrapperConnectTimeout=2000").await;
    let client = fixture.client().await;
    fixture.server.freeze();

    let waiting = tokio::spawn(async move { client.simple_query("SELECT 1").await.map(drop) });
    let told = timeout(SOON, refused(&fixture.config())).await.expect("in time");

    assert_eq!(told.0.code(), "08001", "{told:?}");
    assert!(!waiting.is_finished());
    fixture.server.thaw();
    waiting.await.expect("ends").expect("goes on");
}

#[tokio::test]
async fn guessed_cancel_key_of_any_length_reaches_no_session() {
    let fixture = Fixture::new().await;
    let _client = fixture.client().await;
    for key in [&b""[..], &[0; 4], &[0xff; 8], &[7; 260], &[7; 9_000]] {
        let mut guess = fixture.proxy.raw().await;
        let length = u32::try_from(8 + key.len()).expect("fits").to_be_bytes();
        guess.write_all(&[&length[..], b"\x04\xd2\x16\x2e", key].concat()).await.expect("is sent");
        let mut rest = Vec::new();
        guess.read_to_end(&mut rest).await.expect("is closed");
        assert!(rest.is_empty());
    }
    assert!(fixture.server.cancels().is_empty());
    assert_eq!(fixture.proxy.handle.stats()[0].cancels, 0);
}

fn remove(folder: PathBuf) {
    std::fs::remove_dir_all(folder).expect("is removed");
}
