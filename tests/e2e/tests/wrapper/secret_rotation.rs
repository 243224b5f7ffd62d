//! Pools under load while their secret rotates: no error that the application sees, and few calls
//! of the service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use e2e::{
    HOST,
    secrets::{Database, FIRST, ID, SECOND, my, mysql_server, postgres, postgres_server, secret, service},
};
use mysql_async::prelude::Queryable;
use rds_testkit::{Fault, MysqlServer, PasswordMethod, PostgresServer, SecretsServer};
use rds_wrapper::{
    ErrorKind, Event, IamTokenProvider, SecretProvider,
    events::SecretLoaded,
    pg,
    plugin::{BoxFuture, Session},
    secrets::SecretsPlugin,
};
use token_cache::ManualClock;
use wrapper_sqlx::{Engine, FreshPool, PgFreshPool};

/// Gives a new physical connection and says who it is logged in as.
type LogIn = Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// A pool whose connections are given back and reopened all the time, as with a short life time.
fn through_deadpool(connector: &pg::Connector) -> LogIn {
    let pool = deadpool_postgres::Pool::builder(connector.deadpool_manager()).max_size(8).build();
    let pool = pool.expect("builds");
    Arc::new(move || {
        let pool = pool.clone();
        Box::pin(async move {
            let client = pool.get().await.map_err(|error| format!("{error:?}"))?;
            let row =
                client.query_one("SELECT current_user", &[]).await.map_err(|error| error.to_string())?;
            let user = row.get(0);
            // Out of the pool, so that the next one is a physical connect.
            drop(deadpool_postgres::Object::take(client));
            Ok(user)
        })
    })
}

fn through_mysql_pool(connector: &rds_wrapper::mysql::Connector) -> LogIn {
    let pool = connector.deadpool_builder().max_size(8).build();
    let pool: rds_wrapper::mysql::deadpool::Pool = pool.expect("builds");
    Arc::new(move || {
        let pool = pool.clone();
        Box::pin(async move {
            let mut connection = pool.get().await.map_err(|error| format!("{error:?}"))?;
            let user: Option<String> =
                connection.query_first("SELECT CURRENT_USER()").await.map_err(|error| error.to_string())?;
            drop(rds_wrapper::mysql::deadpool::Object::take(connection).disconnect().await);
            Ok(user.unwrap_or_default().split('@').next().unwrap_or_default().to_owned())
        })
    })
}

/// Waits for a condition, for half a minute at most: a step of a rotation takes seconds.
async fn wait_for_condition(what: &str, is_so: impl Fn() -> bool) {
    let is_so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_so).await.expect(what);
}

/// Connects all the time in eight tasks, and returns what the last of each was logged in as and
/// every error.
struct Load {
    done: Arc<AtomicUsize>,
    stops: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Result<String, String>>>>,
}

impl Load {
    fn begin(log_in: &LogIn) -> Self {
        let (done, stops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let spawn = |_| {
            let (log_in, done, stops) = (Arc::clone(log_in), Arc::clone(&done), Arc::clone(&stops));
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                while !stops.load(Ordering::SeqCst) {
                    outcomes.push(log_in().await);
                    done.fetch_add(1, Ordering::SeqCst);
                }
                outcomes
            })
        };
        let tasks = (0..8).map(spawn).collect();
        Self { done, stops, tasks }
    }

    /// Waits until so many more connects are done.
    async fn goes_on(&self, more: usize) {
        let until = self.done.load(Ordering::SeqCst) + more;
        wait_for_condition("more connects end", || self.done.load(Ordering::SeqCst) >= until).await;
    }

    async fn end(self) -> (Vec<String>, Vec<String>) {
        self.stops.store(true, Ordering::SeqCst);
        let (mut users, mut errors) = (Vec::new(), Vec::new());
        for task in self.tasks {
            for outcome in task.await.expect("does not panic") {
                match outcome {
                    Ok(user) => users.push(user),
                    Err(error) => errors.push(error),
                }
            }
        }
        (users, errors)
    }
}

/// The password of the one user changes, and the secret a while later.
async fn rotate_one_user(database: &impl Database, service: &SecretsServer, log_in: LogIn) {
    let load = Load::begin(&log_in);
    load.goes_on(40).await;
    assert_eq!(service.requests().len(), 1, "one call for all");

    service.rotate(ID, secret("app", SECOND));
    database.set("app", SECOND);
    wait_for_condition("the secret is asked for in steps", || service.requests().len() >= 3).await;
    service.finish_rotation(ID);
    load.goes_on(40).await;
    let (users, errors) = load.end().await;

    assert_eq!(errors, Vec::<String>::new(), "the application saw the rotation");
    assert!(users.iter().all(|user| user == "app"), "{users:?}");
    let calls = service.requests().len();
    assert!((3..=4).contains(&calls), "one at first, one at the refusal, one a step: {calls}");
}

/// The secret goes over to a second user, and the first one's password changes.
async fn rotate_two_users(database: &impl Database, service: &SecretsServer, log_in: LogIn) {
    let load = Load::begin(&log_in);
    load.goes_on(40).await;
    database.set("app_clone", SECOND);
    service.rotate(ID, secret("app_clone", SECOND));
    load.goes_on(16).await;
    service.finish_rotation(ID);
    load.goes_on(16).await;
    database.set("app", "closed");
    load.goes_on(40).await;
    let (users, errors) = load.end().await;

    assert_eq!(errors, Vec::<String>::new(), "the application saw the rotation");
    assert!(users.iter().any(|user| user == "app") && users.iter().any(|user| user == "app_clone"));
    assert_eq!(service.requests().len(), 2, "one at first and one for the rotation");
}

#[tokio::test]
async fn postgres_pool_sees_nothing_of_a_rotation_by_one_user() {
    let (server, service) = (postgres_server().await, service().await);
    let connector =
        postgres(&server, &service, "&secretRotationRetryTimeoutMs=20000").build().expect("builds");

    rotate_one_user(&server, &service, through_deadpool(&connector)).await;

    let stats = connector.plugin::<SecretsPlugin>().expect("is in the chain").secrets().stats();
    assert_eq!((stats.rotations, stats.loads_failed), (1, 0));
}

#[tokio::test]
async fn postgres_pool_sees_nothing_of_a_rotation_by_two_users() {
    let (server, service) = (postgres_server().await, service().await);
    let connector = postgres(&server, &service, "").build().expect("builds");

    rotate_two_users(&server, &service, through_deadpool(&connector)).await;
}

#[tokio::test]
async fn mysql_pool_sees_nothing_of_a_rotation_by_one_user() {
    let (server, service) = (mysql_server().await, service().await);
    let connector = my(&server, &service, "&secretRotationRetryTimeoutMs=20000").build().expect("builds");

    rotate_one_user(&server, &service, through_mysql_pool(&connector)).await;
}

#[tokio::test]
async fn mysql_pool_sees_nothing_of_a_rotation_by_two_users() {
    let (server, service) = (mysql_server().await, service().await);
    let connector = my(&server, &service, "").build().expect("builds");

    rotate_two_users(&server, &service, through_mysql_pool(&connector)).await;
}

#[tokio::test]
async fn password_of_a_secret_leaves_over_verified_tls_only() {
    let (server, service) = (postgres_server().await, service().await);
    for mode in ["disable", "prefer", "verify-ca"] {
        let error = postgres(&server, &service, &format!("&sslmode={mode}")).build().expect_err("is less");
        assert!(error.to_string().contains("does not protect a token or a managed password"), "{error}");
    }
    server.inject(Fault::NoTls);
    let connector = postgres(&server, &service, "").build().expect("builds");

    let error = connector.connect().await.err().expect("there is no TLS");

    assert_eq!(error.kind(), rds_wrapper::ErrorKind::Tls, "{error:?}");
    assert!(server.attempts().iter().all(|attempt| attempt.password_len == 0), "nothing was sent");
}

#[tokio::test]
async fn password_of_a_secret_proves_itself_by_scram_ok() {
    let (server, service) =
        (PostgresServer::builder().host(HOST).password_user("app", FIRST), service().await);
    let server =
        server.password_method(PasswordMethod::ScramSha256).start().await.expect("the server starts");
    let connector = postgres(&server, &service, "").build().expect("builds");

    assert_eq!(e2e::log_in(&connector).await.expect("is let in"), "app");
}

#[tokio::test]
async fn connector_reports_loaded_secrets_as_long_as_it_lives() {
    let (server, service) = (postgres_server().await, service().await);
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let connector = postgres(&server, &service, "")
        .on_event(|_| panic!("a callback of a test panics"))
        .on_event(move |event| {
            if let Event::SecretLoaded(loaded) = event {
                let SecretLoaded { secret, user, is_changed, .. } = loaded.clone();
                ear.lock().expect("nobody panics").push((secret, user, is_changed));
            }
        })
        .build()
        .expect("builds");
    e2e::log_in(&connector).await.expect("is let in");
    server.set("app", SECOND);
    service.put(ID, secret("app", SECOND));
    e2e::log_in(&connector).await.expect("is let in");
    let secrets = connector.plugin::<SecretsPlugin>().expect("is in the chain").secrets().clone();
    drop(connector);
    secrets.clear();
    secrets.warm_up().await.expect("is there");

    let expected = [false, true].map(|is_changed| (ID.to_owned(), "app".to_owned(), is_changed));
    assert_eq!(*heard.lock().expect("nobody panics"), expected);
    assert_eq!(service.requests().len(), 3);
}

/// The provider of the secret in a program that makes its own, by a clock that tests move.
fn provider(service: &SecretsServer, clock: &ManualClock) -> SecretProvider {
    let key = service.access_key();
    let credentials = Credentials::new(key.access_key_id(), key.secret_access_key(), None, None, "e2e");
    let tokens =
        IamTokenProvider::builder().credentials_provider(SharedCredentialsProvider::new(credentials));
    SecretProvider::builder(ID)
        .region("us-east-2")
        .endpoint(service.url())
        .credentials(tokens.build().expect("builds").credentials())
        .clock(Arc::new(clock.clone()))
        .build()
        .expect("builds")
}

/// A pool of sqlx, which verifies the name that it dials.
async fn sqlx_pool<D: Engine>(
    (scheme, port, ca): (&str, u16, &str),
    service: &SecretsServer,
    clock: &ManualClock,
) -> FreshPool<D> {
    FreshPool::builder()
        .connection_string(format!("{scheme}://localhost:{port}/app?plugins=secretsManager"))
        .secret(provider(service, clock))
        .root_certificates(ca)
        .build()
        .await
        .expect("builds")
}

/// Opens a physical connection, and says who it is logged in as.
async fn user_of<D: Engine>(pool: &FreshPool<D>) -> Result<String, sqlx::Error> {
    let mut connection = pool.pool().acquire().await?.detach();
    let rows = wrapper_sqlx::session::<D>(&mut connection).query("SELECT current_user").await;
    let user = rows.expect("answers").value().unwrap_or_default().to_owned();
    sqlx::Connection::close(connection).await?;
    Ok(user.trim_end_matches("@%").to_owned())
}

async fn sqlx_follows<D: Engine>(server: &impl Database, address: (&str, u16, &str)) {
    let (service, clock) = (service().await, e2e::clock());
    let pool = sqlx_pool::<D>(address, &service, &clock).await;
    assert_eq!(user_of(&pool).await.expect("is let in"), "app");

    // A rotation by one user, then one by two.
    for (round, (user, password)) in [("app", SECOND), ("app_clone", FIRST)].into_iter().enumerate() {
        server.set(user, password);
        service.put(ID, secret(user, password));
        clock.advance(Duration::from_secs(870));
        let is_renewed = async {
            while pool.freshness().renewals == round as u64 {
                pool.ensure_fresh().await.expect("is there");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), is_renewed).await.expect("the pool has the new login");

        assert_eq!(user_of(&pool).await.expect("is let in"), user);
    }

    assert_eq!(service.requests().len(), 3, "one call at the start and one for each rotation");
}

#[tokio::test]
async fn sqlx_postgres_pool_follows_both_kinds_of_rotation() {
    let server = PostgresServer::builder().host("localhost").password_user("app", FIRST);
    let server = server.start().await.expect("the server starts");

    sqlx_follows::<sqlx::Postgres>(&server, ("postgres", server.port(), server.ca_pem())).await;

    assert_eq!(server.refused(), 0);
}

#[tokio::test]
async fn sqlx_mysql_pool_follows_both_kinds_of_rotation() {
    let server = MysqlServer::builder().host("localhost").password_user("app", FIRST);
    let server = server.start().await.expect("the server starts");

    sqlx_follows::<sqlx::MySql>(&server, ("mysql", server.port(), server.ca_pem())).await;

    assert_eq!(server.refused(), 0);
}

#[tokio::test]
async fn sqlx_login_that_is_refused_with_a_secret_is_explained() {
    let server = PostgresServer::builder().host("localhost").password_user("app", SECOND);
    let server = server.start().await.expect("the server starts");
    let (service, clock) = (service().await, e2e::clock());
    let pool =
        sqlx_pool::<sqlx::Postgres>(("postgres", server.port(), server.ca_pem()), &service, &clock).await;
    server.inject(Fault::EchoPassword);

    let error = pool.explain(user_of(&pool).await.expect_err("is refused"));

    assert!(error.is_login(), "{error:?}");
    assert!(error.message().contains("secret `prod/app` was loaded 0 s ago"), "{error}");
    let causes: Vec<_> = error.diagnosis().iter().map(|cause| cause.code()).collect();
    assert_eq!(causes, ["secret-rotation", "secret-out-of-step"]);
    let said = format!("{error:?} {error:#} {pool:?} {:?}", pool.freshness());
    assert!(!said.contains(FIRST), "{said}");
}

/// One row: the text beside the secret in a URL of sqlx, and what the error says.
#[tokio::test]
async fn sqlx_configuration_that_cannot_work_with_a_secret_wrong() {
    let secret = "plugins=awsSecretsManager&secretId=a&secretRegion=us-east-2";
    for (rest, says) in [
        (format!("?{secret}"), "missing database: name one"),
        (format!("app?{secret}&iamHost={HOST}"), "`iamHost` belongs to plugin `iam`"),
        (format!("app?plugins=iam,secretsManager&{}", &secret[26..]), "`iam`"),
        ("app?plugins=secretsManager".to_owned(), "needs `secretId`"),
        (format!("app?{secret}&secretRotationRetryTimeoutMs=1000"), "set `secretExpirationSec=60`"),
        (format!("app?{secret}&sslmode=prefer"), "sslmode `prefer` does not protect"),
    ] {
        let builder = PgFreshPool::builder().connection_string(format!("postgres://{HOST}/{rest}"));

        let error = builder.build().await.expect_err("cannot work");

        assert_eq!(error.kind(), ErrorKind::Configuration, "{rest}: {error}");
        assert!(error.to_string().contains(says), "{rest}: {error}");
    }
}

#[tokio::test]
async fn sqlx_user_that_is_not_the_secrets_wrong() {
    let (service, clock) = (service().await, e2e::clock());
    let builder = PgFreshPool::builder()
        .connection_string(format!("postgres://jane@{HOST}/app?plugins=secretsManager"))
        .secret(provider(&service, &clock));

    let error = builder.build().await.expect_err("is another");

    assert!(
        error.to_string().starts_with("user `jane` is configured, but secret `prod/app` is for `app`"),
        "{error}"
    );
}
