//! Capabilities of an application's plugin: change the user, query a connection, open its own,
//! end one.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use e2e::{Fixture, HOST, USER, local, mysql};
use mysql_async::prelude::Queryable;
use rds_testkit::{Fault, Gate, Phase};
use rds_wrapper::{
    Error, ErrorKind, Event, Registry, Result, Role, Suspicion, mysql as my, pg,
    plugin::{
        BoxFuture, ConnectRequest, Connected, Engine, Next, Opening, Password, Plugin, Requirements, Session,
        plugin_fn,
    },
};

mod aborts;

/// The user that plugins turn to, with a password of its own.
const OTHER: (&str, &str) = ("app", "own");

macro_rules! turns_to_other {
    ($connection:ty, $password:expr) => {
        plugin_fn("other", |request: ConnectRequest, next: Next<'_, $connection>| {
            Box::pin(async move {
                let request = request.with_user(OTHER.0)?;
                let password: Option<&str> = $password;
                next.run(match password {
                    Some(password) => request.with_password(Password::new(password)),
                    None => request,
                })
                .await
            })
        })
    };
}

#[tokio::test]
async fn plugin_changes_the_user_of_postgres() {
    let rig = Fixture::start_with(|server| server.password_user(OTHER.0, OTHER.1)).await;
    let url = format!("postgres://{USER}:configured@{HOST}:{}/app?sslmode=verify-full", rig.server.port());
    let builder = || {
        pg::Connector::builder(Registry::new())
            .connection_string(&url)
            .resolver(local())
            .parameter("sslrootcert", rig.server.ca_file().to_string_lossy().into_owned())
    };

    let with = builder().plugin(turns_to_other!(pg::PgConnection, Some(OTHER.1))).build().expect("builds");
    assert_eq!(e2e::log_in(&with).await.expect("is let in"), OTHER.0);

    let without = builder().plugin(turns_to_other!(pg::PgConnection, None)).build().expect("builds");
    without.connect().await.map(drop).expect_err("no password is left");
    let attempts = rig.server.attempts();
    assert!(attempts.iter().all(|attempt| attempt.password_len <= OTHER.1.len()), "{attempts:?}");
}

#[tokio::test]
async fn plugin_changes_the_user_of_mysql() {
    let rig = mysql::Fixture::start_with(|server| server.password_user(OTHER.0, OTHER.1)).await;
    let url = format!("mysql://{USER}:configured@{HOST}:{}/app?sslmode=verify-full", rig.server.port());
    let builder = || {
        my::Connector::builder(Registry::new())
            .connection_string(&url)
            .resolver(local())
            .parameter("sslrootcert", rig.server.ca_file().to_string_lossy().into_owned())
    };

    let with = builder().plugin(turns_to_other!(mysql_async::Conn, Some(OTHER.1))).build().expect("builds");
    assert_eq!(mysql::log_in(&with).await.expect("is let in"), OTHER.0);

    let without = builder().plugin(turns_to_other!(mysql_async::Conn, None)).build().expect("builds");
    let error = without.connect().await.map(drop).expect_err("no password is left");
    assert!(error.is_login(), "{error}");
    let users: Vec<_> = rig.server.attempts().into_iter().map(|attempt| attempt.user).collect();
    assert_eq!(users, [OTHER.0, OTHER.0]);
}

#[tokio::test]
async fn connection_comes_with_the_address_that_was_dialled() {
    let rig = Fixture::start().await;

    let connected = rig.connector().connect_established().await.expect("is let in");

    let established = &connected.established;
    assert_eq!((established.host(), established.port()), (HOST, rig.server.port()));
    assert_eq!(established.address(), Some(([127, 0, 0, 1], rig.server.port()).into()));
    assert_eq!(established.role(), None, "nobody asked");
}

/// Asks whether a server takes writes.
async fn role(session: &mut dyn Session) -> Result<Role> {
    let (sql, writer) = match session.engine() {
        Engine::Mysql => ("SELECT @@innodb_read_only", "0"),
        _ => ("SELECT pg_is_in_recovery()", "f"),
    };
    let is_writer = session.query(sql).await?.value() == Some(writer);
    Ok(if is_writer { Role::Writer } else { Role::Reader })
}

/// Notes the role of each new connection, and lets a pool keep those of writers.
#[derive(Debug)]
struct Roles;

impl<C: Send + 'static> Plugin<C> for Roles {
    fn code(&self) -> &str {
        "roles"
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        Box::pin(async move {
            let mut connected = next.run(request).await?;
            let role = role(&mut next.session(&mut connected)).await?;
            connected.established.set_role(role);
            Ok(connected)
        })
    }

    fn verify<'a>(
        &'a self,
        _: &'a ConnectRequest,
        session: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match role(session).await? {
                Role::Writer => Ok(()),
                Role::Reader => Err(Error::new(ErrorKind::Transient, "a reader")),
            }
        })
    }
}

#[tokio::test]
async fn postgres_connection_reports_its_role_and_stays_usable() {
    for (read_only, expected) in [(false, Role::Writer), (true, Role::Reader)] {
        let rig = Fixture::start_with(|server| server.read_only(read_only)).await;
        let reported = plugin_fn("reported", |request: ConnectRequest, next: Next<'_, pg::PgConnection>| {
            Box::pin(async move {
                let mut connected = next.run(request).await?;
                let standby = next.session(&mut connected).parameter("in_hot_standby");
                assert!(["on", "off"].contains(&standby.as_deref().expect("is reported")), "{standby:?}");
                Ok(connected)
            })
        });
        let connector = rig.builder(rig.url()).plugin(reported).plugin(Roles).build().expect("builds");

        let connected = connector.connect_established().await.expect("is let in");

        assert_eq!(connected.established.role(), Some(expected));
        assert_eq!(e2e::log_in(&connector).await.expect("is let in"), USER);
    }
}

#[tokio::test]
async fn mysql_connection_reports_its_role_and_stays_usable() {
    for (read_only, expected) in [(false, Role::Writer), (true, Role::Reader)] {
        let rig = mysql::Fixture::start_with(|server| server.read_only(read_only)).await;
        let connector = rig.builder(rig.url()).plugin(Roles).build().expect("builds");

        let connected = connector.connect_established().await.expect("is let in");

        assert_eq!(connected.established.role(), Some(expected));
        assert!(!connected.established.abort_handle().is_held(), "the driver's stream is not ours");
        assert_eq!(mysql::log_in(&connector).await.expect("is let in"), USER);
    }
}

#[tokio::test]
async fn plugin_reads_what_a_server_refuses() {
    let (postgres, mysql) = (Fixture::start().await, mysql::Fixture::start().await);
    let connector = postgres.connector();
    let (client, connection) = connector.connect().await.expect("is let in");
    let _task = tokio::spawn(connection);
    let mut conn = mysql.connector().connect().await.expect("is let in");

    let first = pg::session(&client).query("SELECT nothing FROM nowhere").await.expect_err("unknown");
    let second = my::session(&mut conn).query("SELECT nothing FROM nowhere").await.expect_err("unknown");

    assert_eq!(first.server().expect("is kept").code(), "0A000");
    assert_eq!(second.server().expect("is kept").code(), "1064");
    assert_eq!(role(&mut pg::session(&client)).await.expect("still answers"), Role::Writer);
    assert_eq!(role(&mut my::session(&mut conn)).await.expect("still answers"), Role::Writer);
}

/// An answer of one row that exceeds what a plugin may be told.
fn too_wide() -> String {
    format!("SELECT 1{}", ", 1".repeat(3_000))
}

#[tokio::test]
async fn answer_that_is_too_large_ends_the_connection() {
    let (postgres, mysql) = (Fixture::start().await, mysql::Fixture::start().await);
    let asks = plugin_fn("asks", |request: ConnectRequest, next: Next<'_, pg::PgConnection>| {
        Box::pin(async move {
            let mut connected = next.run(request).await?;
            let answer = next.session(&mut connected).query(&too_wide()).await;
            answer.map(drop).expect_err("is too large");
            Ok(connected)
        })
    });
    let connector = postgres.builder(postgres.url()).plugin(asks).build().expect("builds");
    let (client, connection) = connector.connect().await.expect("is let in");
    let mut conn = mysql.connector().connect().await.expect("is let in");

    let error = connection.await.expect_err("was ended");
    my::session(&mut conn).query(&too_wide()).await.expect_err("is too large");

    assert!(Error::find(&error).expect("our reason").to_string().contains("too large"), "{error}");
    assert!(client.is_closed());
    assert!(conn.is_disconnected());
    let again = my::session(&mut conn).query("SELECT 1").await.expect_err("was ended");
    assert_eq!(again.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn query_on_a_closed_connection_fails_again() {
    let rig = Fixture::start().await;
    let server = Arc::new(rig);
    let drops = Arc::clone(&server);
    let asks = plugin_fn("asks", move |request: ConnectRequest, next: Next<'_, pg::PgConnection>| {
        let drops = Arc::clone(&drops);
        Box::pin(async move {
            let mut connected = next.run(request).await?;
            drops.server.drop_connections();
            let mut session = next.session(&mut connected);
            session.query("SELECT 1").await.map(drop).expect_err("has ended");
            Err(session.query("SELECT 1").await.expect_err("has ended as well"))
        })
    });
    let connector = server.builder(server.url()).plugin(asks).build().expect("builds");

    let error = connector.connect().await.map(drop).expect_err("has ended");

    assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Driver), "{error:?}");
}

#[tokio::test]
async fn pools_hand_out_no_connection_that_a_plugin_refuses() {
    let rig = Fixture::start().await;
    let connector = rig.builder(rig.url()).plugin(Roles).build().expect("builds");
    let bb8 = bb8::Pool::builder().max_size(1).build(connector.bb8_manager()).await.expect("builds");
    let deadpool = connector.deadpool_builder().max_size(1).build().expect("builds");
    for _ in 0..2 {
        drop(bb8.get().await.expect("is served"));
        drop(deadpool.get().await.expect("is served"));
    }
    assert_eq!(rig.server.accepted(), 2, "a writer is kept");

    rig.server.set_read_only(true);
    drop(deadpool.get().await.expect("is served"));

    assert_eq!(rig.server.accepted(), 3, "a former writer is not");

    let rig = mysql::Fixture::start_with(|server| server.read_only(true)).await;
    let connector = rig.builder(rig.url()).plugin(Roles).build().expect("builds");
    let pool = deadpool::managed::Pool::<my::MysqlManager>::builder(connector.deadpool_manager());
    let pool = pool.max_size(1).build().expect("builds");
    for _ in 0..2 {
        drop(pool.get().await.expect("is served"));
    }
    assert_eq!(rig.server.accepted(), 2, "a reader is not kept");
}

#[tokio::test]
async fn warm_up_signs_without_connecting() {
    let rig = Fixture::start().await;
    let connector = rig.connector();

    connector.warm_up().await.expect("signs");

    let iam = connector.plugin::<rds_wrapper::iam::IamPlugin>().expect("is enabled");
    assert_eq!((iam.tokens().stats().signed, rig.server.attempts().len()), (1, 0));
    e2e::log_in(&connector).await.expect("is let in");
    assert_eq!(iam.tokens().stats().signed, 1);
    assert!(connector.plugin::<Roles>().is_none());
}

/// Brings the user along with the password, and hears what is suspected.
#[derive(Debug, Default)]
struct Brings(Mutex<Vec<Suspicion>>);

impl<C: Send + 'static> Plugin<C> for Brings {
    fn code(&self) -> &str {
        "brings"
    }

    fn requirements(&self) -> Requirements {
        let mut needs = Requirements::default();
        (needs.supplies_password, needs.supplies_user) = (true, true);
        needs
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        Box::pin(
            async move { next.run(request.with_user(OTHER.0)?.with_password(Password::new(OTHER.1))).await },
        )
    }

    fn suspect(&self, suspicion: Suspicion) {
        self.0.lock().expect("nobody panics").push(suspicion);
    }
}

#[tokio::test]
async fn plugin_supplies_the_user_and_is_notified_of_lost_postgres_connections() {
    let rig = Fixture::start_with(|server| server.password_user(OTHER.0, OTHER.1)).await;
    let url = format!("postgres://{HOST}:{}/app?sslmode=verify-full", rig.server.port());
    let missing = rig.builder(&url).build().expect_err("names no user");
    assert!(missing.to_string().starts_with("missing user"), "{missing}");
    let brings = Arc::new(Brings::default());
    let users = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&users);
    let connector = rig.builder(&url).plugin(Arc::clone(&brings)).on_event(move |event| {
        if let Event::ConnectFinished(finished) = event {
            heard.lock().expect("nobody panics").push(finished.user.to_string());
        }
    });
    let connector = connector.build().expect("builds");
    let (client, connection) = connector.connect().await.expect("is let in");
    let task = tokio::spawn(connection);
    let refused = client.simple_query("SELECT nothing FROM nowhere").await.expect_err("is unknown");
    assert_eq!(connector.report(&refused), None);
    assert_eq!(*users.lock().expect("nobody panics"), [OTHER.0]);

    rig.server.drop_connections();
    drop(task.await.expect("does not panic"));
    let lost = client.simple_query("SELECT 1").await.expect_err("is closed");

    assert_eq!(connector.report(&lost), Some(Suspicion::ConnectionLost));
    assert_eq!(*brings.0.lock().expect("nobody panics"), [Suspicion::ConnectionLost]);
}

#[tokio::test]
async fn plugin_supplies_the_user_and_is_notified_of_lost_mysql_connections() {
    let rig = mysql::Fixture::start_with(|server| server.password_user(OTHER.0, OTHER.1)).await;
    let url = format!("mysql://{HOST}:{}/app?sslmode=verify-full", rig.server.port());
    let missing = rig.builder(&url).build().expect_err("names no user");
    assert!(missing.to_string().starts_with("missing user"), "{missing}");
    let brings = Arc::new(Brings::default());
    let connector = rig.builder(&url).plugin(Arc::clone(&brings)).build().expect("builds");
    let mut connection = connector.connect().await.expect("is let in");
    let refused = connection.query_drop("SELECT nothing FROM nowhere").await.expect_err("is unknown");
    assert_eq!(connector.report(&refused), None);

    rig.server.drop_connections();
    let lost = connection.query_drop("SELECT 1").await.expect_err("is closed");

    assert_eq!(connector.report(&lost), Some(Suspicion::ConnectionLost));
    assert_eq!(*brings.0.lock().expect("nobody panics"), [Suspicion::ConnectionLost]);
}
