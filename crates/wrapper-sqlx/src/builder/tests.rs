//! Tests of the builder's errors.

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use sqlx::{MySql, Postgres, mysql::MySqlSslMode, postgres::PgSslMode};

use super::*;

const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

fn builder<D: Engine>(url: &str) -> FreshPoolBuilder<D> {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let provider = SharedCredentialsProvider::new(credentials);
    let tokens = IamTokenProvider::builder().credentials_provider(provider).build().expect("builds");
    FreshPoolBuilder::new().connection_string(url.replace("HOST", HOST)).tokens(tokens)
}

async fn refusal<D: Engine>(builder: FreshPoolBuilder<D>) -> String {
    let error = builder.build().await.expect_err("not built");
    assert!(
        matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Host | ErrorKind::Region),
        "{error}"
    );
    let text = error.to_string();
    assert!(!text.contains("hunter2"), "a password was said: {text}");
    text
}

/// One row, one test: what is refused, and what the refusal says.
macro_rules! refused {
    ($($name:ident: $driver:ty, $url:expr => $says:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let text = refusal(builder::<$driver>($url)).await;
            assert!(text.contains($says), "{text}");
        }
    )*};
}

refused! {
    scheme_of_another_engine_wrong: Postgres, "mysql://jane@HOST/app"
        => "scheme `mysql` is not PostgreSQL's: it is `postgres://`";
    scheme_missing: MySql, "jane:hunter2@HOST/app" => "mysql://user@host/database";
    url_missing: Postgres, "" => "the connection string is empty: write postgres://user@host/database";
    host_missing: Postgres, "postgres://jane@/app" => "missing host";
    user_missing: Postgres, "postgres://HOST/app" => "missing user";
    user_empty: MySql, "mysql://:hunter2@HOST/app" => "missing user";
    port_wrong: Postgres, "postgres://jane@HOST:70000/app"
        => "`port` must be a whole number from 1 to 65535, not `70000`";
    port_zero: Postgres, "postgres://jane@HOST:0/app" => "not `0`";
    hosts_many: Postgres, "postgres://jane@HOST,b.HOST/app" => "several hosts";
    hosts_with_ports_many: Postgres, "postgres://jane@HOST:5432,b.HOST:5432/app" => "several hosts";
    host_in_the_query_wrong: Postgres, "postgres://jane@HOST/app?host=elsewhere"
        => "`host` belongs before the query";
    hostaddr_wrong: Postgres, "postgres://jane@HOST/app?hostaddr=10.0.0.7"
        => "`hostaddr` would lead to another address";
    socket_wrong: MySql, "mysql://jane@HOST/app?socket=/tmp/mysql.sock"
        => "`socket` would lead to another address";
    unix_socket_wrong: Postgres, "postgres://jane@%2Fvar%2Frun/app"
        => "`host` must be a host name or an address: found a path";
    slash_in_the_password_wrong: Postgres, "postgres://jane:hunter2/x@HOST/app" => "%2F";
    at_sign_in_the_query_wrong: Postgres, "postgres://HOST/app?application_name=a@b" => "%40";
    host_without_a_token_wrong: Postgres, "postgres://jane@10.0.0.7/app"
        => "is not an endpoint that tokens can be signed for";
    host_apart_from_iam_host_wrong: Postgres, &format!("postgres://jane@localhost/app?iamHost={HOST}")
        => "`localhost` is dialled and the certificate must carry `db.";
    server_name_apart_from_host_wrong: Postgres,
        "postgres://jane@HOST/app?tlsServerName=other.abc123.us-east-2.rds.amazonaws.com"
        => "sqlx verifies the name that it dials";
    server_name_of_a_string_wrong: Postgres,
        "postgres://jane@evil.example/app?iamHost=HOST&tlsServerName=evil.example"
        => "a configuration must not send the token to another domain";
    sslmode_disable_wrong: Postgres, "postgres://jane@HOST/app?sslmode=disable"
        => "does not protect a token or a managed password";
    sslmode_of_the_driver_wrong: MySql, "mysql://jane@HOST/app?ssl-mode=DISABLED"
        => "did you mean `sslmode`?";
    root_certificate_of_the_driver_wrong: MySql, "mysql://jane@HOST/app?ssl-ca=a.pem"
        => "unknown parameter `ssl-ca`";
    bundle_missing: Postgres, "postgres://jane@HOST/app?sslrootcert=/no/such/file"
        => "cannot read `/no/such/file`";
    parameter_unknown: Postgres, "postgres://jane@HOST/app?passwrod=hunter2"
        => "unknown parameter `passwrod`";
    parameter_of_another_engine_unknown: MySql, "mysql://jane@HOST/app?application_name=x"
        => "unknown parameter `application_name`";
    parameter_misspelt: Postgres, "postgres://jane@HOST/app?iam_region=x" => "did you mean `iamRegion`?";
    parameter_repeated: Postgres, "postgres://jane@HOST/app?charset=x&charset=y" => "given more than once";
    options_with_an_open_bracket_unknown: Postgres, "postgres://jane@HOST/app?options[geqo=off"
        => "unknown parameter";
    plugin_beside_iam_wrong: Postgres, "postgres://jane@HOST/app?plugins=iam,failover2"
        => "`plugins` is set in code";
    profile_beside_tokens_wrong: Postgres, "postgres://jane@HOST/app?awsProfile=prod"
        => "`awsProfile` applies to the AWS default chain";
    timeout_of_the_wrapper_wrong: Postgres, "postgres://jane@HOST/app?wrapperConnectTimeout=5"
        => "`acquire_timeout`";
    instance_pattern_wrong: Postgres, "postgres://jane@HOST/app?clusterInstanceHostPattern=?.x"
        => "no effect";
    region_missing: Postgres, "postgres://jane@db.global-abc123.global.rds.amazonaws.com/app"
        => "set `iamRegion`";
    value_of_an_option_wrong: Postgres, "postgres://jane@HOST/app?statement-cache-capacity=hunter2"
        => "has an invalid value";
}

#[tokio::test]
async fn parameter_of_code_unknown() {
    let text = refusal(builder::<Postgres>("postgres://jane@HOST/app").parameter("iamHots", "x")).await;

    assert_eq!(text, "unknown parameter `iamHots`: did you mean `iamHost`?");
}

#[tokio::test]
async fn certificate_of_code_wrong() {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

    let text = refusal(builder::<Postgres>("postgres://jane@HOST/app").root_certificates(pem)).await;

    assert!(text.contains("a certificate that cannot be read"), "{text}");
}

#[tokio::test]
async fn socket_of_code_wrong() {
    let builder = builder::<MySql>("mysql://jane@HOST/app");

    let text = refusal(builder.connect_options(|options| options.socket("/tmp/mysql.sock"))).await;

    assert!(text.contains("unix socket"), "{text}");
}

#[tokio::test]
async fn url_is_read_ok() {
    let pool = builder::<Postgres>("postgres://j%40ne:p@w@HOST:6432/a%2Fb?plugins=iam&sslmode=require");
    let pool = pool.build().await.expect("builds");

    let options = pool.pool().connect_options();
    assert_eq!((options.get_host(), options.get_port()), (HOST, 6432));
    assert_eq!((options.get_username(), options.get_database()), ("j@ne", Some("a/b")));
    assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
}

#[tokio::test]
async fn url_without_port_and_database_takes_the_engines_defaults_ok() {
    let pool = builder::<Postgres>("postgresql://jane@HOST").build().await.expect("builds");
    let options = pool.pool().connect_options();
    assert_eq!((options.get_port(), options.get_database()), (5432, Some("jane")));

    let pool = builder::<MySql>("mysql://jane@HOST/").build().await.expect("builds");
    let options = pool.pool().connect_options();
    assert_eq!((options.get_port(), options.get_database()), (3306, None));
    assert!(matches!(options.get_ssl_mode(), MySqlSslMode::VerifyIdentity));
}

#[tokio::test]
async fn map_is_read_ok() {
    let map = [("host", HOST), ("user", "jane"), ("port", "6432"), ("options[geqo]", "off & on")];
    let pool = builder::<Postgres>("").map(map).build().await.expect("builds");

    let options = pool.pool().connect_options();
    assert_eq!((options.get_host(), options.get_port(), options.get_username()), (HOST, 6432, "jane"));
    assert_eq!(options.get_options(), Some("-c geqo=off\\ &\\ on"));
}

#[test]
fn pool_can_be_shared_between_tasks() {
    fn is_shared<T: Send + Sync + Clone>() {}

    is_shared::<FreshPool<Postgres>>();
    is_shared::<FreshPool<MySql>>();
    is_shared::<crate::Freshness>();
}
