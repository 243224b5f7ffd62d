//! Options of the program, the URL and the environment.

use super::*;

/// Run with an environment of its own by the two tests below, which tell by their exit what became
/// of it.
#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn pool_in_an_environment() {
    let rig = postgres().await;
    let pool: Result<PgFreshPool, _> =
        builder(&rig, "postgres", rig.server.port(), rig.server.ca_pem()).build().await;
    let pool = pool.unwrap_or_else(|error| panic!("not built: {error}"));
    log_in(&pool, 1).await;
    let options = pool.pool().connect_options();
    assert_eq!((options.get_host(), options.get_port()), ("localhost", rig.server.port()));
    assert_eq!((options.get_username(), options.get_database()), (USER, Some("app")));
    assert_eq!(options.get_application_name(), Some(""));
    assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
}

fn in_environment(variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().expect("a test is a program"))
        .args(["--ignored", "--exact", "pools::options::pool_in_an_environment"])
        .envs(variables.iter().copied())
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

#[test]
fn environment_does_not_count() {
    let (success, said) = in_environment(&[
        ("PGAPPNAME", "surprise"),
        ("PGDATABASE", "surprise"),
        ("PGHOST", "192.0.2.1"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGPASSWORD", "surprise"),
        ("PGPORT", "1"),
        ("PGSSLMODE", "disable"),
        ("PGSSLROOTCERT", "/no/such/file"),
        ("PGUSER", "surprise"),
    ]);

    assert!(success && said.contains("1 passed"), "{said}");
}

#[test]
fn environment_that_cannot_be_undone_is_an_error() {
    for name in ["PGOPTIONS", "PGSSLCERT", "PGSSLKEY"] {
        let (success, said) = in_environment(&[(name, "surprise")]);

        assert!(!success && said.contains(&format!("`{name}` of the environment")), "{said}");
    }
}

#[tokio::test]
async fn options_of_the_program_and_of_the_url_reach_the_driver() {
    let rig = postgres().await;
    let url = format!(
        "postgres://{USER}:ignored@localhost:{}/app?application_name=shop%20floor&iamHost={HOST}&options=-c%20geqo%3Doff",
        rig.server.port()
    );
    let pool: PgFreshPool = builder(&rig, "postgres", 0, rig.server.ca_pem())
        .connection_string(url)
        .connect_options(|options: PgConnectOptions| options.host("elsewhere").ssl_mode(PgSslMode::Disable))
        .pool_options(PgPoolOptions::new().max_connections(3))
        .build()
        .await
        .expect("builds");

    let options = pool.pool().connect_options();
    assert_eq!(options.get_application_name(), Some("shop floor"));
    assert_eq!(options.get_options(), Some("-c geqo=off"));
    assert_eq!(options.get_host(), "localhost");
    assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    assert_eq!(pool.pool().options().get_max_connections(), 3);
    log_in(&pool, 1).await;

    let rig = mysql().await;
    let map = [
        ("host", "localhost".to_owned()),
        ("port", rig.server.port().to_string()),
        ("user", USER.to_owned()),
        ("iamHost", HOST.to_owned()),
        ("charset", "latin1".to_owned()),
        ("ssl.ca", rig.server.ca_pem().to_owned()),
    ];
    let pool: MySqlFreshPool = FreshPool::builder()
        .map(map)
        .parameter("tlsServerName", "localhost")
        .tokens(rig.tokens.clone())
        .pool_options(MySqlPoolOptions::new().max_connections(3))
        .build()
        .await
        .expect("builds");

    let options = pool.pool().connect_options();
    assert_eq!((options.get_charset(), options.get_database()), ("latin1", None));
    log_in(&pool, 1).await;
}
