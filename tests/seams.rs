//! What a plugin of an application can do: change the user, ask a connection, open one of its own, end one.

use e2e::{HOST, Rig, USER, local, mysql};
use rds_wrapper::{ConnectRequest, Next, Password, Registry, mysql as my, pg, plugin_fn};

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
    let rig = Rig::start_with(|server| server.password_user(OTHER.0, OTHER.1)).await;
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
    let rig = mysql::Rig::start_with(|server| server.password_user(OTHER.0, OTHER.1)).await;
    let url = format!("mysql://{USER}:configured@{HOST}:{}/app?sslmode=verify-full", rig.server.port());
    let builder = || {
        my::Connector::builder(Registry::new())
            .url(&url)
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
    let rig = Rig::start().await;

    let connected = rig.connector().connect_established().await.expect("is let in");

    let established = &connected.established;
    assert_eq!((established.host(), established.port()), (HOST, rig.server.port()));
    assert_eq!(established.address(), Some(([127, 0, 0, 1], rig.server.port()).into()));
    assert_eq!(established.role(), None, "nobody asked");
}
