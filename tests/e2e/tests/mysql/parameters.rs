//! Every parameter of the MySQL adapter, right and wrong: what comes of it, or the message.

use e2e::{HOST, mysql::Fixture};
use mysql_async::{Conn, OptsBuilder, SslOpts};
use rds_wrapper::{Error, ErrorKind, Registry, Value, mysql::Connector, plugins};

#[macro_use]
#[path = "../shared/parameter_table.rs"]
mod table;

use table::wrong;

fn registry() -> Registry<Conn> {
    plugins()
}

fn build(query: &str) -> Result<Connector, Error> {
    Connector::from_url(&format!("mysql://jane@{HOST}/app?{query}"), registry())
}

parameter!(plugins_parameter,
ok: ["plugins=iam", "plugins=%20iam%20", "stmt_cache_size=0"],
wrong: [
    ("plugins=aim", "unknown plugin `aim`", "did you mean `iam`?"),
    ("plugins=iam&plugins=iam", "`plugins` is given more than once"),
    ("iamHost=db.abc123.us-east-2.rds.amazonaws.com", "add plugins=iam"),
]);

parameter!(iam_default_port,
ok: ["plugins=iam&iamDefaultPort=3306"],
wrong: [("plugins=iam&iamDefaultPort=mysql", "`iamDefaultPort` must be a whole number from 1 to 65535, not \
                                              `mysql`")]);

parameter!(sslmode,
ok: ["plugins=iam&sslmode=verify-full", "plugins=iam&sslmode=require", "sslmode=disable",
    "sslmode=verify-full"],
wrong: [
    ("plugins=iam&sslmode=verify-ca", "sslmode `verify-ca` does not protect a token or a managed password"),
    ("plugins=iam&sslmode=prefer", "`prefer`", "`verify-full`"),
    ("plugins=iam&sslmode=disable", "`disable`"),
    ("sslmode=prefer", "sslmode `prefer` is nothing that the driver can do"),
    ("sslmode=disable&require_ssl=true", "contradict"),
]);

parameter!(require_ssl,
ok: ["plugins=iam&require_ssl=true", "require_ssl=false", "require_ssl=true"],
wrong: [
    ("plugins=iam&require_ssl=false", "`require_ssl=false` does not protect a token or a managed password"),
    ("sslmode=verify-full&require_ssl=false", "`require_ssl=false`"),
    ("require_ssl=hunter2", "the value of `require_ssl`"),
    ("require_tls=true", "did you mean `require_ssl`?"),
]);

parameter!(verify_ca,
ok: ["plugins=iam&verify_ca=true", "require_ssl=true&verify_ca=false"],
wrong: [("plugins=iam&verify_ca=false", "`verify_ca=false` does not protect a token or a managed password")]);

parameter!(verify_identity,
ok: ["plugins=iam&verify_identity=true", "require_ssl=true&verify_identity=false"],
wrong: [("plugins=iam&verify_identity=false", "`verify_identity=false` does not protect a token or a \
                                               managed password")]);

parameter!(built_in_roots,
ok: ["plugins=iam&built_in_roots=true"],
wrong: [("plugins=iam&built_in_roots=false", "nothing is trusted", "`sslrootcert`")]);

parameter!(sslrootcert,
ok: ["plugins=iam&sslrootcert=system"],
wrong: [
    ("plugins=iam&sslrootcert=/no/such.pem", "cannot read `/no/such.pem` of `sslrootcert`: No such file",
        "global-bundle.pem) to that path"),
    ("plugins=iam&sslrootcert=/dev/null", "`/dev/null` in `sslrootcert` does not contain a PEM certificate"),
    ("sslrootcert=system", "no TLS is asked for", "sslmode=verify-full"),
]);

parameter!(enable_cleartext_plugin,
ok: ["plugins=iam&enable_cleartext_plugin=true", "enable_cleartext_plugin=true&sslmode=verify-full"],
wrong: [
    ("enable_cleartext_plugin=true", "requires verified TLS", "sslmode=verify-full"),
    ("enable_cleartext_plugin=true&require_ssl=true&verify_ca=false", "requires verified TLS"),
]);

parameter!(secure_auth,
ok: ["plugins=iam&secure_auth=true", "secure_auth=false"],
wrong: [("plugins=iam&secure_auth=false", "`secure_auth=false`")]);

parameter!(socket,
ok: ["socket=/run/mysqld/mysqld.sock"],
wrong: [
    ("plugins=iam&socket=/run/mysqld/mysqld.sock", "`socket` is a unix socket"),
    ("enable_cleartext_plugin=true&sslmode=verify-full&socket=/run/mysqld/mysqld.sock",
        "requires verified TLS"),
]);

parameter!(driver_options,
ok: [
    "plugins=iam&tcp_keepalive=1000&stmt_cache_size=10&compression=fast&wait_timeout=60&prefer_socket=true",
    "plugins=iam&pool_min=1&pool_max=5&inactive_connection_ttl=60&abs_conn_ttl=60&conn_ttl=10&ttl_check_interval=5",
],
wrong: [
    ("passwrod=hunter2", "unknown parameter `passwrod`", "did you mean `password`?"),
    ("tcp_keepalive=hunter2", "the value of `tcp_keepalive` is not one that the driver takes"),
    ("pool_mn=hunter2", "did you mean `pool_min`?"),
    ("iam_region=us-east-2", "did you mean `iamRegion`?"),
    ("pool_min=9&pool_max=1", "`pool_max` is less than `pool_min`", "pool_min (9) > pool_max (1)"),
    ("pool_max=5", "leave both out", "pool_min (10) > pool_max (5)"),
]);

#[tokio::test]
async fn user_missing() {
    wrong(Connector::from_url(&format!("mysql://{HOST}/app"), registry()), &["missing user"]);
    wrong(Connector::from_url(&format!("mysql://:hunter2@{HOST}/app"), registry()), &["missing user"]);
}

#[tokio::test]
async fn user_and_database_wrong() {
    let build = |user: &str, database: &str| {
        Connector::from_url(&format!("mysql://{user}@{HOST}/{database}?plugins=iam"), registry())
    };

    wrong(build("jane%00", "app"), &["control character"]);
    wrong(build("jane", "app%00"), &["control character"]);
    build("Jane%20Doe", "it%27s").expect("fits");
}

#[tokio::test]
async fn host_missing() {
    wrong(Connector::from_url("", registry()), &["the connection string is empty"]);
    wrong(Connector::from_url("mysql:///app", registry()), &["missing host"]);
    wrong(Connector::from_map([("user", "jane")], registry()), &["missing host"]);
}

#[tokio::test]
async fn host_wrong() {
    let build = |host: &str| Connector::from_url(&format!("mysql://jane@{host}/app?plugins=iam"), registry());

    wrong(build("10.0.0.1"), &["`10.0.0.1` is not an endpoint", "set `iamHost`"]);
    wrong(build("[::1]"), &["`[::1]` is not an endpoint", "set `iamHost`"]);
    wrong(build("db.example"), &["`db.example` is not an endpoint", "set `iamHost`"]);
}

#[tokio::test]
async fn scheme_wrong() {
    wrong(
        Connector::from_url("postgres://jane:hunter2@h/app", registry()),
        &["scheme `postgres`", "`mysql://`"],
    );
}

#[tokio::test]
async fn password_with_a_question_mark_is_never_shown() {
    for password in ["hunter2?x", "1?hunter2", "?hunter2=", "x?y=hunter2"] {
        let url = format!("mysql://jane:{password}@h/app?plugins=iam");
        wrong(Connector::from_url(&url, registry()), &["write %40, %2F, %3F and %23"]);
    }
}

#[tokio::test]
async fn port_defaults_to_mysql() {
    let hosts = |connector: &Connector| connector.hosts().map(|(_, port)| port).collect::<Vec<_>>();

    assert_eq!(hosts(&build("plugins=iam").expect("fits")), [3306]);
    let map = [("host", HOST), ("user", "jane")];
    assert_eq!(hosts(&Connector::from_map(map, registry()).expect("fits")), [3306]);
}

#[tokio::test]
async fn map_accepts_strings_integers_and_booleans() {
    let map = |port: Value, verify: Value| {
        let entries = [
            ("host", Value::from(HOST)),
            ("port", port),
            ("user", Value::from("jane")),
            ("database", Value::from("it's")),
            ("password", Value::from("hunter2 '\\")),
            ("plugins", Value::from("iam")),
            ("tcp_nodelay", Value::from(true)),
            ("verify_ca", verify),
        ];
        Connector::from_map(entries, registry())
    };

    let connector = map(Value::from(6033), Value::from(true)).expect("fits");
    assert_eq!(connector.hosts().collect::<Vec<_>>(), [(HOST, 6033)]);
    assert_eq!(connector.user(), "jane");
    map(Value::from("6033"), Value::from("true")).expect("fits");
    wrong(map(Value::from(0), Value::from(true)), &["`port` must be a whole number from 1 to 65535"]);
    wrong(map(Value::from(6033), Value::from(false)), &["`verify_ca=false`"]);
    wrong(Connector::from_map([("hots", "hunter2")], registry()), &["did you mean `host`?"]);
    wrong(Connector::from_map([("host", "a"), ("host", "b")], registry()), &["more than once"]);
}

#[tokio::test]
async fn pem_in_a_map_ok() {
    let rig = Fixture::start().await;
    let map = [("host", HOST), ("user", "jane"), ("plugins", "iam"), ("ssl.ca", rig.server.ca_pem())];

    Connector::from_map(map, registry()).expect("fits");
}

#[tokio::test]
async fn map_of_the_nodejs_wrapper_is_understood() {
    let rig = Fixture::start().await;
    let build = |ssl: serde_json::Value| {
        let json = serde_json::json!({
            "host": HOST, "port": 3306.0, "user": "jane", "password": null, "plugins": ["iam"], "ssl": ssl,
        });
        let map: std::collections::BTreeMap<String, Value> = serde_json::from_value(json).expect("is read");
        Connector::from_map(map, registry())
    };

    let connector = build(serde_json::json!({"ca": [rig.server.ca_pem()]})).expect("fits");

    assert_eq!(connector.hosts().collect::<Vec<_>>(), [(HOST, 3306)]);
    wrong(build(serde_json::json!({"rejectUnauthorized": false})), &["`ssl.rejectUnauthorized`"]);
    wrong(
        build(serde_json::json!(false)),
        &["sslmode `disable` does not protect a token or a managed password"],
    );
}

#[tokio::test]
async fn pem_wrong() {
    let broken = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n";
    let url = format!("mysql://jane@{HOST}/app?plugins=iam");

    let builder = Connector::builder(registry()).connection_string(url).root_certificates(broken);

    wrong(builder.build(), &["contains a certificate that cannot be read"]);
}

#[tokio::test]
async fn options_of_the_driver_ok() {
    let opts =
        OptsBuilder::default().ip_or_hostname(HOST).tcp_port(6033).user(Some("jane")).init(vec!["SET x"]);

    let connector =
        Connector::builder(registry()).opts(opts).parameter("plugins", "iam").build().expect("fits");

    assert_eq!(connector.hosts().collect::<Vec<_>>(), [(HOST, 6033)]);
}

#[tokio::test]
async fn options_of_the_driver_wrong() {
    let build = |ssl: SslOpts| {
        let opts = OptsBuilder::default().ip_or_hostname(HOST).user(Some("jane")).pass(Some("hunter2"));
        Connector::builder(registry()).opts(opts.ssl_opts(ssl)).parameter("plugins", "iam").build()
    };

    wrong(build(SslOpts::default().with_danger_accept_invalid_certs(true)), &["`verify_ca=false`"]);
    wrong(build(SslOpts::default().with_danger_skip_domain_validation(true)), &["`verify_identity=false`"]);
    wrong(build(SslOpts::default().with_danger_tls_hostname_override(Some("x"))), &["`tlsServerName`"]);
    wrong(build(SslOpts::default().with_disable_built_in_roots(true)), &["nothing is trusted"]);
    build(SslOpts::default()).expect("verifies");
}

#[tokio::test]
async fn code_locks_a_parameter_against_the_url() {
    let rig = Fixture::start().await;
    let build = |query: &str| rig.builder(rig.url() + query).parameter("iamRegion", "us-east-2").build();

    build("").expect("the code alone");
    wrong(build("&iamRegion=eu-west-1"), &["`iamRegion` is set in code"]);
    let error = rig.builder(rig.url()).parameter("iamRegon", 1).build().expect_err("misspelt");
    assert_eq!(error.kind(), ErrorKind::Configuration);
}
