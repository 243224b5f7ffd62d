//! Every parameter, right and wrong: what comes of it, or the message.

use e2e::{Fixture, HOST};
use rds_wrapper::{
    Error, ErrorKind, Registry,
    pg::{Connector, PgConnection},
    plugins,
};

#[macro_use]
#[path = "../shared/parameter_table.rs"]
mod table;

use table::wrong;

fn registry() -> Registry<PgConnection> {
    plugins()
}

fn build(query: &str) -> Result<Connector, Error> {
    Connector::from_url(&format!("postgres://jane@{HOST}/app?{query}"), registry())
}

parameter!(plugins_parameter,
ok: ["plugins=iam", "plugins=%20iam%20", "application_name=x"],
wrong: [
    ("plugins=aim", "unknown plugin `aim`", "did you mean `iam`?"),
    ("plugins=iam,iam", "named twice"),
    ("plugins=iam,efm2", "`efm2`", "not available yet"),
    ("plugins=", "`plugins` must be"),
    ("plugins=iam&plugins=iam", "`plugins` is given more than once"),
]);

parameter!(auto_sort_wrapper_plugin_order,
    ok: ["plugins=iam&autoSortWrapperPluginOrder=false"],
    wrong: [("autoSortWrapperPluginOrder=no", "`autoSortWrapperPluginOrder` must be `true` or `false`, not \
                                               `no`")]);

parameter!(iam_host,
ok: [
    "plugins=iam&iamHost=db.cluster-abc123.us-east-2.rds.amazonaws.com",
    "plugins=iam&iamHost=abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws",
],
wrong: [
    ("iamHost=db.abc123.us-east-2.rds.amazonaws.com", "`iamHost` belongs to plugin `iam`", "plugins=iam"),
    ("plugins=iam&iamHost=db.example", "`iamHost` must be an RDS",
        "db-identifier.cluster-XYZ.us-east-2.rds.amazonaws.com"),
    ("plugins=iam&iamHost=10.0.0.1", "`iamHost` must be an RDS"),
    ("plugins=iam&iam_host=x", "did you mean `iamHost`?"),
    ("plugins=iam&iamHost=a%0Ab", "`iamHost` contains a control character"),
]);

parameter!(iam_default_port,
ok: ["plugins=iam&iamDefaultPort=1", "plugins=iam&iamDefaultPort=65535"],
wrong: [
    ("plugins=iam&iamDefaultPort=0", "`iamDefaultPort` must be a whole number from 1 to 65535, not `0`"),
    ("plugins=iam&iamDefaultPort=-1", "not `-1`"),
    ("plugins=iam&iamDefaultPort=65536", "not `65536`"),
    ("plugins=iam&iamDefaultPort=postgres", "not `postgres`"),
]);

parameter!(iam_region,
ok: ["plugins=iam&iamRegion=us-gov-west-1", "plugins=iam&iamRegion=%20EUSC-de-east-1"],
wrong: [
    ("plugins=iam&iamRegion=mars", "`iamRegion` does not fit", "mars"),
    ("plugins=iam&iamRegion=", "`iamRegion` must be text that is not empty"),
    ("plugins=iam&iam_region=us-east-2", "did you mean `iamRegion`?"),
]);

parameter!(iam_token_expiration,
ok: ["plugins=iam&iamTokenExpiration=0", "plugins=iam&iamTokenExpiration=900"],
wrong: [
    ("plugins=iam&iamTokenExpiration=901", "`iamTokenExpiration` must be a whole number from 0 to 900"),
    ("plugins=iam&iamExpiration=60", "did you mean `iamTokenExpiration`?"),
    ("plugins=iam&iamExpirationSec=60", "did you mean `iamTokenExpiration`?"),
]);

parameter!(iam_login_retry_timeout,
ok: ["plugins=iam&iamLoginRetryTimeoutMs=0", "plugins=iam&iamLoginRetryTimeoutMs=20000"],
wrong: [
    ("plugins=iam&iamLoginRetryTimeoutMs=-1", "`iamLoginRetryTimeoutMs` must be a whole number from 0"),
    ("plugins=iam&iamLoginRetryTimeout=1", "did you mean `iamLoginRetryTimeoutMs`?"),
]);

parameter!(aws_profile,
    ok: ["plugins=iam&awsProfile=dev"],
    wrong: [("awsProfile=dev", "add plugins=iam"), 
        ("plugins=iam&aws_profile=dev", "did you mean `awsProfile`?")]);

parameter!(assume_role,
ok: [
    "plugins=iam&assumeRoleArn=arn:aws:iam::123456789012:role/orders",
    "plugins=iam&awsProfile=dev&assumeRoleArn=arn:aws-cn:iam::123456789012:role/a/b&assumeRoleSessionName=app@1&assumeRoleExternalId=tenant:7&assumeRoleDurationSec=43200",
],
wrong: [
    ("assumeRoleArn=arn:aws:iam::123456789012:role/orders",
        "`assumeRoleArn` belongs to the plugins `iam` and `awsSecretsManager`"),
    ("plugins=iam&assumeRoleArn=orders",
        "`assumeRoleArn` must look like arn:aws:iam::123456789012:role/name"),
    ("plugins=iam&assumeRoleArn=", "`assumeRoleArn` must be text that is not empty"),
    ("plugins=iam&assumeRoleSessionName=app", "`assumeRoleSessionName` has no use without `assumeRoleArn`"),
    ("plugins=iam&assumeRoleExternalId=tenant-7",
        "`assumeRoleExternalId` has no use without `assumeRoleArn`"),
    ("plugins=iam&assumeRoleDurationSec=900", "`assumeRoleDurationSec` has no use without `assumeRoleArn`"),
    ("plugins=iam&assumeRoleArn=arn:aws:iam::123456789012:role/orders&assumeRoleSessionName=a%20b",
        "`assumeRoleSessionName` must be"),
    ("plugins=iam&assumeRoleArn=arn:aws:iam::123456789012:role/orders&assumeRoleExternalId=a%22b",
        "`assumeRoleExternalId` must be"),
    ("plugins=iam&assumeRoleArn=arn:aws:iam::123456789012:role/orders&assumeRoleDurationSec=899",
        "from 900 to 43200, not `899`"),
    ("plugins=iam&roleArn=x", "did you mean `assumeRoleArn`?"),
]);

parameter!(cluster_instance_host_pattern,
ok: ["clusterInstanceHostPattern=?.abc123.us-east-2.rds.amazonaws.com",
    "clusterInstanceHostPattern=db-?.internal.example:6432"],
wrong: [
    ("clusterInstanceHostPattern=db.internal.example", "`clusterInstanceHostPattern` does not fit"),
    ("clusterInstanceHostPattern=?.10.0.0.1", "`clusterInstanceHostPattern` does not fit"),
    ("clusterInstanceHostPattern=?.proxy-abc.us-east-2.rds.amazonaws.com",
        "`clusterInstanceHostPattern` does not fit"),
]);

parameter!(wrapper_connect_timeout,
    ok: ["wrapperConnectTimeout=1"],
    wrong: [("wrapperConnectTimeout=0", "`wrapperConnectTimeout` must be"), 
        ("wrapperConnectTimeout=30s", "not `30s`")]);

parameter!(tls_server_name,
ok: ["tlsServerName=db.example", "plugins=iam&tlsServerName=other.abc123.us-east-2.rds.amazonaws.com"],
wrong: [
    ("tlsServerName=10.0.0.1", "`tlsServerName` must be a DNS name"),
    ("plugins=iam&tlsServerName=db.evil.example", "lies outside the domain"),
]);

parameter!(sslrootcert,
ok: ["sslrootcert=system"],
wrong: [
    ("sslrootcert=/no/such.pem", "cannot read `/no/such.pem` of `sslrootcert`: No such file",
        "global-bundle.pem) to that path"),
    ("sslrootcert=System", "the word is `system`"),
    ("sslrootcert=/dev/null", "`/dev/null` in `sslrootcert` does not contain a PEM certificate"),
    ("sslrootcrt=system", "did you mean `sslrootcert`?"),
]);

parameter!(sslmode,
ok: ["plugins=iam&sslmode=verify-full", "plugins=iam&sslmode=require", "sslmode=prefer", "sslmode=disable"],
wrong: [
    ("plugins=iam&sslmode=verify-ca", "sslmode `verify-ca` does not protect a token or a managed password"),
    ("plugins=iam&sslmode=prefer", "`prefer`", "`verify-full`"),
    ("plugins=iam&sslmode=allow", "`allow`"),
    ("plugins=iam&sslmode=disable", "`disable`"),
    ("sslmode=verify-ca", "sslmode `verify-ca` is not supported"),
]);

parameter!(driver_options,
ok: [
    "plugins=iam&application_name=x&options=-c%20a%3Db&target_session_attrs=read-write&connect_timeout=5",
    "plugins=iam&load_balance_hosts=random&keepalives_idle=7",
],
wrong: [
    ("plugins=iam&channel_binding=require", "channel_binding `require` cannot work with a token"),
    ("passwrod=hunter2", "unknown parameter `passwrod`", "did you mean `password`?"),
    ("target_session_attrs=hunter2", "the value of `target_session_attrs`"),
    ("application_nam=hunter2", "did you mean `application_name`?"),
]);

#[tokio::test]
async fn user_missing() {
    wrong(Connector::from_url(&format!("postgres://{HOST}/app"), registry()), &["missing user"]);
    wrong(Connector::from_url(&format!("postgres://@{HOST}/app"), registry()), &["missing user"]);
}

#[tokio::test]
async fn host_missing() {
    wrong(Connector::from_url("postgres://jane@/app?plugins=iam", registry()), &["missing host"]);
    wrong(Connector::from_url("user=jane", registry()), &["missing host"]);
}

#[tokio::test]
async fn host_wrong() {
    let build =
        |host: &str| Connector::from_url(&format!("postgres://jane@{host}/app?plugins=iam"), registry());

    wrong(build("10.0.0.1"), &["`10.0.0.1` is not an endpoint", "set `iamHost`"]);
    wrong(build("db.example"), &["`db.example` is not an endpoint", "set `iamHost`"]);
    wrong(build("db.global-abc123.global.rds.amazonaws.com"), &["set `iamRegion`"]);
    wrong(build("%2Fvar%2Frun%2Fpostgresql"), &["unix socket"]);
}

#[tokio::test]
async fn iam_host_with_several_hosts_is_refused() {
    let url = format!("postgres://jane@{HOST},{HOST}/app?plugins=iam&iamHost={HOST}");

    wrong(Connector::from_url(&url, registry()), &["`iamHost` is one name, and several hosts"]);
}

#[tokio::test]
async fn scheme_wrong() {
    wrong(
        Connector::from_url("mysql://jane:hunter2@h/app", registry()),
        &["scheme `mysql`", "`postgres://`"],
    );
}

#[tokio::test]
async fn unquoted_at_sign_in_a_query_is_explained() {
    wrong(Connector::from_url("postgres://h/app?user=jane&options=a@b", registry()), &["%40"]);
}

#[tokio::test]
async fn map_accepts_strings_integers_and_booleans() {
    use rds_wrapper::Value;
    let map = |port: Value, sort: Value| {
        let entries = [
            ("host", Value::from(HOST)),
            ("port", port),
            ("user", Value::from("jane")),
            ("database", Value::from("it's")),
            ("password", Value::from("hunter2 '\\")),
            ("plugins", Value::from("iam")),
            ("autoSortWrapperPluginOrder", sort),
        ];
        Connector::from_map(entries, registry())
    };

    let connector = map(Value::from(6432), Value::from(true)).expect("fits");
    assert_eq!(connector.hosts().collect::<Vec<_>>(), [(HOST, 6432)]);
    map(Value::from("6432"), Value::from("false")).expect("fits");
    wrong(map(Value::from("hunter2"), Value::from(true)), &["the value of `port`"]);
    wrong(Connector::from_map([("hots", "hunter2")], registry()), &["did you mean `host`?"]);
}

#[tokio::test]
async fn map_of_the_nodejs_wrapper_is_understood() {
    let rig = Fixture::start().await;
    let json = serde_json::json!({
        "host": HOST,
        "port": 5432.0,
        "user": "jane",
        "password": null,
        "plugins": ["iam"],
        "ssl": {"ca": rig.server.ca_pem()},
    });
    let map = |json: serde_json::Value| -> std::collections::BTreeMap<String, rds_wrapper::Value> {
        serde_json::from_value(json).expect("every value is read")
    };

    let connector = Connector::from_map(map(json), registry()).expect("fits");

    assert_eq!(connector.hosts().collect::<Vec<_>>(), [(HOST, 5432)]);
    let build = |more: serde_json::Value| {
        let mut json = serde_json::json!({"host": HOST, "user": "jane", "plugins": ["iam"]});
        json.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        Connector::from_map(map(json), registry())
    };
    build(serde_json::json!({"port": null})).expect("null is no entry");
    build(serde_json::json!({"host": ["a.abc123.us-east-2.rds.amazonaws.com", HOST]}))
        .expect("several hosts");
    wrong(build(serde_json::json!({"ssl": {"rejectUnauthorized": false}})), &["`ssl.rejectUnauthorized`"]);
    wrong(build(serde_json::json!({"ssl": {"key": "hunter2"}})), &["`sslkey` needs its certificate"]);
    wrong(
        build(serde_json::json!({"ssl": false})),
        &["sslmode `disable` does not protect a token or a managed password"],
    );
    wrong(build(serde_json::json!({"port": 5432.5})), &["`port`"]);
    wrong(build(serde_json::json!({"user": ["hunter2"]})), &["`user` must be a single value, not a list"]);
    wrong(build(serde_json::json!({"iamHost": {"x": "hunter2"}})), &["`iamHost` is a map"]);
}

#[tokio::test]
async fn map_chooses_the_server_name_as_code_does() {
    let map = [("host", HOST), ("user", "jane"), ("plugins", "iam"), ("tlsServerName", "db.other.example")];

    Connector::from_map(map, registry()).expect("a map is as trusted as code");
}

#[tokio::test]
async fn host_of_the_drivers_own_type_is_never_shown_unless_it_is_one() {
    let config: tokio_postgres::Config =
        "postgres://jane:hun@ter2hunter2@db.example/app".parse().expect("the driver takes it");

    wrong(Connector::from_config(config, registry()), &["found user info"]);
}

#[tokio::test]
async fn code_locks_a_parameter_against_the_string() {
    let rig = Fixture::start().await;
    let build = |query: &str| rig.builder(rig.url() + query).parameter("iamRegion", "us-east-2").build();

    build("").expect("the code alone");
    build("&iamRegion=us-east-2").expect("says the same");
    wrong(build("&iamRegion=eu-west-1"), &["`iamRegion` is set in code"]);
    wrong(rig.builder(rig.url()).parameter("iamRegon", 1).build(), &["did you mean `iamRegion`?"]);
    for name in ["hostaddr", "application_name", "options", "user"] {
        let named = format!("`{name}` is not a parameter of the wrapper");
        wrong(rig.builder(rig.url()).parameter(name, "x").build(), &[&named, "in the connection string"]);
    }
    wrong(rig.builder(rig.url()).parameter("iamTokenExpiration", 901).build(), &["from 0 to 900"]);
}

#[tokio::test]
async fn profile_beside_own_credentials_is_refused() {
    let rig = Fixture::start().await;

    let error = rig.builder(rig.url() + "&awsProfile=dev").build().expect_err("two sources");

    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`awsProfile`"), "{error}");
}

#[tokio::test]
async fn guide_knows_the_messages() {
    let guide = include_str!("../../../../crates/rds-wrapper/TROUBLESHOOTING.md");
    let messages = guide.split("## The server does not").next().expect("the section about building");
    let rows: Vec<_> =
        messages.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let errors = [
        Connector::from_url("postgres://jane@db.example/app?plugins=iam", registry()),
        Connector::from_url(
            "postgres://jane@db.global-abc123.global.rds.amazonaws.com/app?plugins=iam",
            registry(),
        ),
        build("nonsense=1"),
        build("wrapperQueryTimeout=1"),
        build("failureDetectionTime=1"),
        Connector::builder(registry()).parameter("hostaddr", "10.0.0.7").build(),
        build("iamRegion=us-east-2"),
        build("plugins=iam&sslmode=prefer"),
        build("plugins=iam&tlsServerName=db.evil.example"),
        build("plugins=iam&channel_binding=require"),
        build("plugins=iam&sslrootcert=/no/such.pem"),
        Connector::from_url(&format!("'postgres://jane@{HOST}/app'"), registry()),
        Connector::from_url(&format!("postgres://jane@corp.com@{HOST}/app"), registry()),
        Connector::from_map([("host", "db.example:5432"), ("user", "jane")], registry()),
        build("plugins=iam,efm2"),
    ];
    let said: Vec<_> = errors.into_iter().map(|error| error.expect_err("wrong").to_string()).collect();

    assert_eq!(rows.len(), said.len());
    for (row, said) in rows.iter().zip(&said) {
        assert!(said.contains(row), "the guide says {row}, the error {said}");
    }
}
