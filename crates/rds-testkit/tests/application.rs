//! An application of one's own with a ready token provider: its clock is the server's.

#![expect(clippy::unwrap_used, reason = "the fixtures stand outside of the test functions")]

use std::time::{Duration, SystemTime};

use iam_token_provider::IamTokenProvider;
use rds_testkit::{AccessKey, Cluster, Outcome, PostgresServer, Refusal, Rows};
use tokio_postgres::Config;

const ORDERS: &str = "SELECT count(*) FROM orders";

/// The application: it asks for a token for each connection.
struct App {
    config: Config,
    ca: native_tls::Certificate,
    tokens: IamTokenProvider,
    endpoint: (String, u16, String),
}

impl App {
    fn new(rds: &PostgresServer) -> Self {
        let mut config = Config::new();
        config.host(rds.host()).hostaddr(rds.addr().ip()).port(rds.port()).user(rds.user()).dbname("app");
        let ca = native_tls::Certificate::from_pem(rds.ca_pem().as_bytes()).unwrap();
        let endpoint = (rds.host().to_owned(), rds.port(), rds.user().to_owned());
        Self { config, ca, tokens: rds.token_provider().unwrap(), endpoint }
    }

    async fn orders(&self) -> Result<i64, tokio_postgres::Error> {
        let (host, port, user) = &self.endpoint;
        let token = self.tokens.rds(host, *port, user).await.unwrap();
        let tls = native_tls::TlsConnector::builder().add_root_certificate(self.ca.clone()).build().unwrap();
        let tls = postgres_native_tls::MakeTlsConnector::new(tls);
        let (client, connection) = self.config.clone().password(token.expose()).connect(tls).await?;
        tokio::spawn(connection);
        Ok(client.query_one(ORDERS, &[]).await?.get(0))
    }
}

#[tokio::test]
async fn application_survives_the_end_of_its_token() {
    let count = Rows::new(["count"]).row([7_i64.into()]);
    let rds = PostgresServer::builder().user("shop").answer(ORDERS, count).start().await.unwrap();
    let app = App::new(&rds);
    assert_eq!(app.orders().await.unwrap(), 7);
    rds.advance(Duration::from_secs(901));
    assert_eq!(app.orders().await.unwrap(), 7);
    let attempts = rds.attempts();
    assert_ne!(attempts[0].password_digest, attempts[1].password_digest);
}

#[tokio::test]
async fn valid_token_is_reused() {
    let count = Rows::new(["count"]).row([7_i64.into()]);
    let rds = PostgresServer::builder().answer(ORDERS, count).start().await.unwrap();
    let app = App::new(&rds);
    app.orders().await.unwrap();
    rds.advance(Duration::from_secs(600));
    app.orders().await.unwrap();
    let attempts = rds.attempts();
    assert_eq!(attempts[0].password_digest, attempts[1].password_digest);
}

#[tokio::test]
async fn revoked_key_is_refused_whatever_the_provider_says() {
    let key = AccessKey::new("ASIATEST", "secret").with_session_token("session");
    let rds = PostgresServer::builder().access_key(key).start().await.unwrap();
    let app = App::new(&rds);
    assert_eq!(app.orders().await.unwrap_err().code().unwrap().code(), "0A000");
    rds.token_policy().revoke_key("ASIATEST");
    assert_eq!(app.orders().await.unwrap_err().code().unwrap().code(), "28000");
    assert_eq!(rds.attempts()[1].outcome, Outcome::Refused(Refusal::UnknownKey));
}

#[tokio::test]
async fn advanced_clock_wakes_its_waiters() {
    let cluster = Cluster::builder().writer("a").start().await.unwrap();
    let tokens = cluster.token_provider().unwrap();
    let clock = tokens.clock();
    let hour = Duration::from_secs(3600);
    assert!(clock.now() <= SystemTime::UNIX_EPOCH + hour * 24 * 365 * 200);
    let mut wait = std::pin::pin!(clock.sleep_until(clock.now() + hour));
    tokio::select! {
        biased;
        () = &mut wait => panic!("an hour went by at once"),
        () = tokio::task::yield_now() => {}
    }
    cluster.advance(hour);
    wait.await;
}
