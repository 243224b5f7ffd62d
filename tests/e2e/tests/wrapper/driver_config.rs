//! The drivers' own configurations, for programs that connect by themselves.

use std::time::Duration;

use e2e::{Fixture, HOST, USER};
use mysql_async::prelude::Queryable;
use rds_testkit::PostgresServer;
use rds_wrapper::ErrorKind;

const TOKEN_LIFE: Duration = Duration::from_secs(900);

#[tokio::test]
async fn postgres_configuration_logs_in_over_verified_tls() {
    let rig = Fixture::start().await;

    let config = rig.connector().driver_config().await.expect("a token is at hand");

    assert!(!format!("{config:?} {:?}", config.config()).contains("X-Amz"), "{config:?}");
    assert_eq!(config.good_until(), Some(rig.clock.now() + TOKEN_LIFE));
    let (config, tls) = config.into_parts();
    let (client, connection) = config.connect(tls).await.expect("is let in");
    let task = tokio::spawn(connection);
    let row = client.query_one("SELECT current_user", &[]).await.expect("answers");
    assert_eq!(row.get::<_, &str>(0), USER);
    drop(client);
    task.await.expect("ends").expect("without an error");
    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}

#[tokio::test]
async fn postgres_configuration_finds_the_server_behind_a_tunnel() {
    let rig = Fixture::start().await;
    let url = format!("postgres://{USER}@127.0.0.1:{}/app?plugins=iam&iamHost={HOST}", rig.server.port());
    let connector = rig.builder(url).build().expect("builds");

    let config = connector.driver_config().await.expect("a token is at hand");

    let connected = config.config().connect(config.tls()).await;
    assert!(connected.is_ok(), "the address is dialled and the name verified");
}

#[tokio::test]
async fn postgres_configuration_of_several_hosts_is_an_error() {
    let rig = Fixture::start().await;
    let other = "other.abc123.us-east-2.rds.amazonaws.com";
    let url = format!("postgres://{USER}@{HOST},{other}:{}/app?plugins=iam", rig.server.port());

    let error = rig.builder(url).build().expect("builds").driver_config().await.expect_err("one password");

    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("configure one host"), "{error}");
}

#[tokio::test]
async fn failing_source_is_the_error() {
    let rig = Fixture::start().await;
    rig.source.fail();

    let error = rig.connector().driver_config().await.expect_err("no credentials");

    assert!(matches!(error.kind(), ErrorKind::Credentials(_)), "{error:?}");
    assert!(rig.server.attempts().is_empty());
}

#[tokio::test]
async fn configuration_without_a_plugin_is_the_drivers() {
    let server = PostgresServer::builder().password_user("shop", "hunter2").start().await.expect("starts");
    let url = format!("postgres://shop:hunter2@localhost:{}/app?sslmode=disable", server.port());
    let connector = rds_wrapper::pg::Connector::from_url(&url, rds_wrapper::plugins()).expect("builds");

    let config = connector.driver_config().await.expect("nothing can fail");

    assert_eq!(config.good_until(), None);
    assert_eq!(config.config().get_password(), Some(b"hunter2".as_slice()));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[tokio::test]
async fn mysql_options_log_in_over_verified_tls() {
    let rig = e2e::mysql::Fixture::start().await;

    let config = rig.connector().driver_config().await.expect("a token is at hand");

    assert!(!format!("{config:?}").contains("X-Amz"), "{config:?}");
    assert_eq!(config.good_until(), Some(rig.clock.now() + TOKEN_LIFE));
    let pool = mysql_async::Pool::new(config.into_opts());
    let mut connection = pool.get_conn().await.expect("is let in");
    let user: Option<String> = connection.query_first("SELECT CURRENT_USER()").await.expect("answers");
    assert!(user.expect("one row").starts_with(USER));
    drop(connection);
    pool.disconnect().await.expect("ends");
    assert!(rig.server.attempts()[0].tls);
    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}
