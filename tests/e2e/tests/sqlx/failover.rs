//! Pools that are led to the writer: one connection pool, and a monitor over connections of sqlx.

use std::time::Duration;

use e2e::{
    cluster::until,
    secrets::{FIRST, ID, service},
};
use rds_testkit::{CertificateAuthority, Fault, Gate, MysqlServer, Phase, PostgresServer, SecretsServer};
use rds_wrapper::{
    ErrorKind, IamTokenProvider, SecretProvider,
    plugin::{BoxFuture, Session as _},
};
use tokio::time::timeout;
use wrapper_sqlx::{Engine, FreshPool, Topology};

/// The names by which this machine has two servers; sqlx resolves names by itself.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Operations of both servers.
trait Server: Sized {
    fn start(
        name: &'static str,
        authority: &CertificateAuthority,
        is_reader: bool,
    ) -> BoxFuture<'static, Self>;
    fn port(&self) -> u16;
    fn set_read_only(&self, is_reader: bool);
    fn accepted(&self) -> usize;
    fn inject_always(&self, fault: Fault);

    fn freeze(&self) {
        let gate = Gate::new();
        for phase in [Phase::Accept, Phase::Command] {
            self.inject_always(Fault::Hang(phase, gate.clone()));
        }
    }
}

macro_rules! servers {
    ($($server:ty),*) => {$(
        impl Server for $server {
            fn start(
                name: &'static str,
                authority: &CertificateAuthority,
                is_reader: bool,
            ) -> BoxFuture<'static, Self> {
                let builder = <$server>::builder().host(name).ca(authority).password_user("app", FIRST);
                let builder = builder.read_only(is_reader);
                Box::pin(async move { builder.start().await.expect("the server starts") })
            }

            fn port(&self) -> u16 {
                self.port()
            }

            fn set_read_only(&self, is_reader: bool) {
                self.set_read_only(is_reader);
            }

            fn accepted(&self) -> usize {
                self.accepted()
            }

            fn inject_always(&self, fault: Fault) {
                self.inject_always(fault);
            }
        }
    )*};
}

servers!(PostgresServer, MysqlServer);

/// Two servers, of which the first takes writes, and a pool that is led.
struct Fixture<D: Engine, S> {
    servers: [S; 2],
    pool: FreshPool<D>,
    topology: Topology,
    _service: SecretsServer,
}

impl<D: Engine, S: Server> Fixture<D, S> {
    async fn start(scheme: &str) -> Self {
        let authority = CertificateAuthority::generate().expect("is issued");
        let [first, second] = NAMES;
        let servers = [S::start(first, &authority, false).await, S::start(second, &authority, true).await];
        let places = [0, 1].map(|at| format!("{}:{}", NAMES[at], servers[at].port()));
        let topology = Topology::fixed(&places[0], [&*places[1]]).expect("are hosts");
        let service = service().await;
        let pool = FreshPool::builder()
            .connection_string(format!("{scheme}://{}/app?plugins=failover2,secretsManager", places[0]))
            .secret(provider(&service))
            .topology(topology.clone())
            .root_certificates(authority.pem())
            .build()
            .await
            .expect("builds");
        Self { servers, pool, topology, _service: service }
    }

    /// Makes the second server the writer, and waits until the monitor has seen it.
    async fn fail_over(&self) {
        self.servers[0].set_read_only(true);
        self.servers[1].set_read_only(false);
        self.topology.suspect();
        until("the writer changed", || self.topology.snapshot().epoch() == 2).await;
    }

    /// Takes a connection out of the pool that has to lead to the writer, and gives it back.
    async fn write(&self) {
        let mut connection = self.pool.pool().acquire().await.expect("is let in");
        let mut session = wrapper_sqlx::session::<D>(&mut connection);
        let (sql, writes) = match session.engine() {
            rds_wrapper::plugin::Engine::Mysql => ("SELECT @@read_only", "0"),
            _ => ("SELECT pg_is_in_recovery()", "f"),
        };
        let answer = session.query(sql).await.expect("answers");
        assert_eq!(answer.value(), Some(writes));
    }
}

/// The provider of the secret, with the credentials that the service takes.
fn provider(service: &SecretsServer) -> SecretProvider {
    let key = service.access_key();
    let credentials = aws_credential_types::Credentials::new(
        key.access_key_id(),
        key.secret_access_key(),
        None,
        None,
        "e2e",
    );
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(credentials);
    let tokens = IamTokenProvider::builder().credentials_provider(provider).build().expect("builds");
    SecretProvider::builder(ID)
        .region("us-east-2")
        .endpoint(service.url())
        .credentials(tokens.credentials())
        .build()
        .expect("builds")
}

async fn pool_follows_the_writer<D: Engine, S: Server>(scheme: &str) {
    let fixture = Fixture::<D, S>::start(scheme).await;
    fixture.write().await;
    until("the writer is known", || fixture.topology.snapshot().epoch() == 1).await;

    fixture.fail_over().await;
    let known = timeout(Duration::from_secs(5), fixture.topology.changed_since(1)).await;
    assert_eq!(known.expect("a change before the call counts").epoch(), 2);
    for _ in 0..3 {
        fixture.write().await;
    }

    assert!(fixture.servers[1].accepted() >= 2, "the monitor, and the pool");
}

async fn pool_leaves_a_frozen_writer<D: Engine, S: Server>(scheme: &str) {
    let fixture = Fixture::<D, S>::start(scheme).await;
    fixture.write().await;
    until("the monitor has its connections", || fixture.topology.stats().questions > 2).await;

    fixture.servers[0].freeze();
    fixture.servers[1].set_read_only(false);
    fixture.topology.suspect();
    // sqlx would wait for the goodbye of a server that stands still.
    until("the pool's connections are gone", || fixture.pool.pool().size() == 0).await;

    // A login at the writer that stands still would use up the `acquire_timeout`, and fail.
    fixture.write().await;
}

#[tokio::test]
async fn postgres_pool_follows_the_writer() {
    pool_follows_the_writer::<sqlx::Postgres, PostgresServer>("postgres").await;
}

#[tokio::test]
async fn mysql_pool_follows_the_writer() {
    pool_follows_the_writer::<sqlx::MySql, MysqlServer>("mysql").await;
}

#[tokio::test]
async fn postgres_pool_leaves_a_frozen_writer() {
    pool_leaves_a_frozen_writer::<sqlx::Postgres, PostgresServer>("postgres").await;
}

#[tokio::test]
async fn mysql_pool_leaves_a_frozen_writer() {
    pool_leaves_a_frozen_writer::<sqlx::MySql, MysqlServer>("mysql").await;
}

#[tokio::test]
async fn failed_handshake_names_the_instance_that_the_pool_was_routed_to() {
    let fixture = Fixture::<sqlx::Postgres, PostgresServer>::start("postgres").await;
    fixture.write().await;
    until("the writer is known", || fixture.topology.snapshot().epoch() == 1).await;
    fixture.fail_over().await;
    let host = || fixture.pool.pool().connect_options().get_host().to_owned();
    until("the pool is led to the writer", || host() == NAMES[1]).await;
    fixture.servers[1].inject_always(Fault::CertificateExpired);
    until("no connection is left", || fixture.pool.pool().size() == 0).await;

    let error = fixture.pool.pool().acquire().await.map(drop).expect_err("cannot be verified");
    let error = fixture.pool.explain(error);

    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains(&format!("the certificate of `{}`", NAMES[1])), "{error}");
    let in_a_check = fixture.pool.explain(sqlx::Error::config(error.clone()));
    assert_eq!(in_a_check.to_string(), error.to_string());
}
