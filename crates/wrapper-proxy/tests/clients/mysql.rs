//! MySQL clients through the proxy, at an embedded server that checks tokens.

mod endings;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mysql_async::{Conn, Error, OptsBuilder, prelude::Queryable};
use rds_testkit::{AuthPlugin, Fault, MysqlServer, MysqlServerBuilder, ServerError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use wrapper_adapter::resolver_fn;
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_proxy::{Limits, mysql::MysqlTarget};

use crate::support::{PASSWORD, Running, SOON, tokens, until};

struct Fixture {
    server: MysqlServer,
    proxy: Running,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Limits::default(), |builder| builder).await
    }

    async fn with(limits: Limits, set_up: impl FnOnce(MysqlServerBuilder) -> MysqlServerBuilder) -> Self {
        Self::with_parameters(limits, set_up, "").await
    }

    async fn with_parameters(
        limits: Limits,
        set_up: impl FnOnce(MysqlServerBuilder) -> MysqlServerBuilder,
        more: &str,
    ) -> Self {
        let builder = MysqlServer::builder().user("jane").database("app");
        let server = set_up(builder).start().await.expect("starts");
        let tokens = server.token_provider().expect("has a key");
        let url = format!("{}{more}", server.url());
        let target = MysqlTarget::from_url(&url, Registry::new().with(IamFactory::new(tokens)));
        let proxy = Running::start(target.expect("is right"), limits).await;
        Self { server, proxy }
    }

    fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.proxy.port)
            .prefer_socket(false)
            .user(Some("jane"))
            .pass(Some(PASSWORD))
            .db_name(Some("app"))
    }

    async fn client(&self) -> Conn {
        Conn::new(self.options()).await.expect("is let in")
    }

    /// Waits until the server has seen this many logins, failed ones included.
    async fn seen(&self, logins: usize) {
        until(|| self.server.attempts().len() >= logins).await;
    }
}

async fn refused(options: OptsBuilder) -> (u16, String) {
    match Conn::new(options).await.map(drop).expect_err("is refused") {
        Error::Server(error) => (error.code, error.message),
        error => panic!("no answer of a server: {error}"),
    }
}

#[tokio::test]
async fn client_without_iam_is_logged_in_with_every_announced_method() {
    for plugin in [AuthPlugin::CachingSha2, AuthPlugin::Native] {
        let fixture = Fixture::with(Limits::default(), |builder| builder.plugin(plugin)).await;

        for _ in 0..3 {
            let mut client = fixture.client().await;
            assert_eq!(client.query_first("SELECT 1").await.expect("answers"), Some(1));
            assert_eq!(client.exec_first("SELECT 1", ()).await.expect("answers"), Some(1));
            client.disconnect().await.expect("ends");
        }

        assert_eq!(fixture.server.accepted(), 3);
        let attempts = fixture.server.attempts();
        assert!(attempts.iter().all(|attempt| attempt.tls && attempt.database == "app"));
        assert_eq!(tokens(attempts), 1);
    }
}

#[tokio::test]
async fn database_of_the_target_is_for_clients_that_name_none() {
    let fixture = Fixture::new().await;

    drop(Conn::new(fixture.options().db_name(None::<String>)).await.expect("is let in"));

    assert_eq!(fixture.server.attempts()[0].database, "app");
}

#[tokio::test]
async fn password_of_the_proxy_wrong() {
    for plugin in [AuthPlugin::CachingSha2, AuthPlugin::Native] {
        let fixture = Fixture::with(Limits::default(), |builder| builder.plugin(plugin)).await;

        for wrong in [Some("another password"), Some(""), None] {
            let (code, text) = refused(fixture.options().pass(wrong)).await;
            assert_eq!(code, 1045);
            assert!(text.contains("local password"), "{text}");
        }

        // No token was sent, and nothing was broken off.
        fixture.seen(3).await;
        assert_eq!(fixture.server.accepted(), 0);
        assert!(fixture.server.attempts().iter().all(|attempt| attempt.user == "rds-iam-gone"));
        assert_eq!(fixture.proxy.handle.stats()[0].refused_clients, 3);
    }
}

#[tokio::test]
async fn other_user_than_the_targets_is_refused_with_the_name_to_use() {
    let fixture = Fixture::new().await;

    let (code, text) = refused(fixture.options().user(Some("admin"))).await;

    assert_eq!(code, 1045);
    assert!(text.contains("connect as `jane`"), "{text}");
}

#[tokio::test]
async fn refusal_of_the_server_keeps_its_message_and_adds_the_causes() {
    let fixture = Fixture::new().await;
    let key = fixture.server.access_key().access_key_id().to_owned();
    fixture.server.token_policy().deny(&key, "jane");

    let (code, text) = refused(fixture.options()).await;

    assert_eq!(code, 1045);
    assert!(text.starts_with("Access denied for user 'jane'"), "{text}");
    assert!(text.contains("rds-db:connect") && !text.contains("X-Amz"), "{text}");
    assert!(text.len() <= 511);
}

#[tokio::test]
async fn throttled_and_absent_servers_have_codes_of_their_own() {
    let fixture = Fixture::new().await;
    fixture.server.inject(Fault::Refuse(ServerError::new("1040", "Too many connections")));
    assert_eq!(refused(fixture.options()).await.0, 1040);

    let options = fixture.options();
    drop(fixture.server);
    let (code, text) = refused(options).await;
    assert_eq!(code, 1105);
    assert!(text.starts_with("rds-iam: nothing listens"), "{text}");
}

#[tokio::test]
async fn client_costs_one_look_up_of_the_host() {
    let server = MysqlServer::builder().user("jane").database("app").start().await.expect("starts");
    let tokens = server.token_provider().expect("has a key");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let resolver = resolver_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)])
    });
    let url = server.url().replace("@127.0.0.1:", &format!("@{}:", server.host()));
    let registry = Registry::new().with(IamFactory::new(tokens));
    let target = MysqlTarget::from_url_with_resolver(&url, registry, resolver).expect("is right");
    let proxy = Running::start(target, Limits::default()).await;
    let fixture = Fixture { server, proxy };

    for clients in 1..=3 {
        drop(fixture.client().await);
        assert_eq!(count.load(Ordering::Relaxed), clients);
    }
}

#[tokio::test]
async fn login_begins_at_the_address_that_sent_the_greeting() {
    let server = MysqlServer::builder().user("jane").database("app").start().await.expect("starts");
    let tokens = server.token_provider().expect("has a key");
    let silent = IpAddr::from(Ipv4Addr::new(127, 0, 0, 2));
    let dead = TcpListener::bind((silent, server.port())).await.expect("listens");
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    tokio::spawn(async move {
        while let Ok((stream, _)) = dead.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    let resolver = resolver_fn(move |_| Ok(vec![silent, IpAddr::from(Ipv4Addr::LOCALHOST)]));
    let url = server.url().replace("@127.0.0.1:", &format!("@{}:", server.host()));
    let registry = Registry::new().with(IamFactory::new(tokens));
    let target = MysqlTarget::from_url_with_resolver(&url, registry, resolver).expect("is right");
    let proxy = Running::start(target, Limits::default()).await;
    let fixture = Fixture { server, proxy };

    for clients in 1..=3 {
        drop(fixture.client().await);
        assert_eq!(tries.load(Ordering::Relaxed), clients);
    }
}

#[tokio::test]
async fn stale_token_is_replaced_without_an_error() {
    let fixture = Fixture::new().await;
    drop(fixture.client().await);

    fixture.server.advance(Duration::from_secs(901));

    let mut client = fixture.client().await;
    assert_eq!(client.query_first("SELECT 1").await.expect("answers"), Some(1));
    assert_eq!(fixture.server.accepted(), 2);
}

#[tokio::test]
async fn oversized_login_is_refused_before_it_is_read() {
    let mut limits = Limits::default();
    limits.handshake_timeout = Duration::from_secs(3_600);
    let fixture = Fixture::with(limits, |builder| builder).await;
    for sent in [b"\xff\xff\x0f\x01", b"\xff\xff\xff\x01"] {
        let mut stream = fixture.proxy.raw().await;
        stream.write_all(sent).await.expect("is sent");
        let ended = timeout(SOON, stream.read_to_end(&mut Vec::new())).await;
        drop(ended.expect("is not waited for"));
    }
    fixture.seen(2).await;
    assert_eq!(fixture.proxy.handle.stats()[0].refused_clients, 2);
    assert!(fixture.server.attempts().iter().all(|attempt| attempt.user == "rds-iam-gone"));
}

#[tokio::test]
async fn session_beyond_the_limit_is_refused() {
    let mut limits = Limits::default();
    limits.max_connections = 1;
    let fixture = Fixture::with(limits, |builder| builder).await;
    let client = fixture.client().await;

    let (code, text) = refused(fixture.options()).await;

    assert_eq!(code, 1040);
    assert!(text.contains("all 1 sessions"), "{text}");
    drop(client);
}

#[tokio::test]
async fn certificate_of_another_authority_gets_no_token() {
    let fixture = Fixture::new().await;
    let other = MysqlServer::builder().user("jane").start().await.expect("starts");
    let tokens = fixture.server.token_provider().expect("has a key");
    let url = fixture.server.url().replace(
        &fixture.server.ca_file().to_string_lossy().replace('/', "%2F"),
        &other.ca_file().to_string_lossy().replace('/', "%2F"),
    );
    let target =
        MysqlTarget::from_url(&url, Registry::new().with(IamFactory::new(tokens))).expect("is right");

    let error = target.check().await.expect_err("is not trusted");

    assert_eq!(error.kind(), wrapper_core::ErrorKind::Tls, "{error}");
    assert!(fixture.server.attempts().iter().all(|attempt| attempt.password_digest.is_none()));
}

#[tokio::test]
async fn kill_query_by_the_number_of_the_greeting_reaches_the_session() {
    let fixture = Fixture::new().await;
    let (client, mut other) = (fixture.client().await, fixture.client().await);

    other.query_drop(format!("KILL QUERY {}", client.id())).await.expect("is there");

    let cancels = fixture.server.cancels();
    assert_eq!((cancels.len(), cancels[0].session), (1, client.id()));
    assert!(cancels[0].matched && !cancels[0].ends_session);
}

#[tokio::test]
async fn refusal_of_the_server_keeps_its_sqlstate() {
    let fixture = Fixture::new().await;
    for (code, state) in [("1049", "42000"), ("1203", "42000"), ("3159", "HY000")] {
        fixture.server.inject(Fault::Refuse(ServerError::new(code, "no")));
        match Conn::new(fixture.options()).await.map(drop).expect_err("is refused") {
            Error::Server(error) => {
                assert_eq!((error.code.to_string().as_str(), &*error.state), (code, state))
            }
            error => panic!("no answer of a server: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_at_once_log_in_with_one_signature() {
    let fixture = Fixture::new().await;

    let clients: Vec<_> = (0..200).map(|_| tokio::spawn(Conn::new(fixture.options()))).collect();

    let mut inside = Vec::new();
    for client in clients {
        inside.push(client.await.expect("ends").expect("is let in"));
    }
    assert_eq!((fixture.server.accepted(), fixture.server.refused()), (200, 0));
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

    for client in &mut clients {
        assert_eq!(client.query_first("SELECT 1").await.expect("lives on"), Some(1));
    }
    drop(fixture.client().await);
    assert_eq!(fixture.proxy.handle.stats()[0].opened, 51);
}

#[tokio::test]
async fn session_ends_with_its_server_and_the_next_client_is_served() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;

    fixture.server.drop_connections();

    let ended = timeout(SOON, client.query_drop("SELECT 1")).await;
    ended.expect("is told at once").expect_err("is gone");
    let mut next = fixture.client().await;
    assert_eq!(next.query_first("SELECT 1").await.expect("answers"), Some(1));
}

#[tokio::test]
async fn frozen_server_is_reported_in_time_and_its_sessions_continue_afterwards() {
    let more = "&wrapperConnectTimeout=2000";
    let fixture = Fixture::with_parameters(Limits::default(), |builder| builder, more).await;
    let mut client = fixture.client().await;
    fixture.server.freeze();

    let waiting = tokio::spawn(async move { client.query_first::<u8, _>("SELECT 1").await });
    let told = timeout(SOON, refused(fixture.options())).await.expect("in time");

    assert!(told.0 == 1105 && told.1.contains("did not send its greeting"), "{told:?}");
    assert!(!waiting.is_finished());
    fixture.server.thaw();
    assert_eq!(waiting.await.expect("ends").expect("goes on"), Some(1));
}
