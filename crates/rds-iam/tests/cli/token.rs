//! `rds-iam token`.

use crate::support::{HOST, USER, log_in, program, program_with, run, server, server_with, session_key};

#[tokio::test]
async fn plain_token_logs_in() {
    let server = server_with(|builder| builder.access_key(session_key())).await;
    let port = server.port().to_string();

    let ran =
        run(program_with(server.access_key()), ["token", "--host", HOST, "--user", USER, "--port", &port])
            .await;

    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let token = ran.out.strip_suffix('\n').expect("one line");
    assert!(!token.contains(char::is_whitespace));
    log_in(&server, token).await;
}

#[tokio::test]
async fn token_of_a_shell_logs_in() {
    let server = server().await;
    let script = format!(
        "eval \"$({} token --host {HOST} --user {USER} --port {} --format env)\"; printf %s \
         \"$PGPASSWORD|$PGHOST|$PGPORT|$PGUSER|$PGSSLMODE\"",
        env!("CARGO_BIN_EXE_rds-iam"),
        server.port()
    );
    let mut shell = tokio::process::Command::new("/bin/sh");
    shell.env_clear().envs(server.access_key().env()).args(["-c", &script]);

    let ran = run(shell, []).await;

    let (token, rest) = ran.out.split_once('|').expect("token and the others");
    assert_eq!(rest, format!("{HOST}|{}|{USER}|verify-full", server.port()));
    log_in(&server, token).await;
}

#[tokio::test]
async fn env_is_quoted() {
    let key = session_key();

    let ran =
        run(program_with(&key), ["token", "--host", HOST, "--user", "o'hara $x", "--format", "env"]).await;

    assert!(ran.out.contains("export PGUSER='o'\\''hara $x'\n"), "{}", ran.out);
}

#[tokio::test]
async fn mysql_has_its_own_port() {
    let arguments = ["token", "-h", HOST, "-U", USER, "--engine", "mysql"];

    let ran = run(program_with(&session_key()), arguments).await;

    assert!(ran.out.starts_with(&format!("{HOST}:3306/?Action=connect")), "{}", ran.out);
}

#[tokio::test]
async fn variables_that_would_send_a_token_in_cleartext_are_refused() {
    let cache = ["--service", "elasticache", "--name", "orders", "--user", USER, "--region", "us-east-2"];
    let url = format!("mysql://jane@{HOST}/app");
    for (arguments, says) in [
        (vec!["--host", HOST, "--user", USER, "--engine", "mysql"], "rds-iam exec"),
        (vec!["--url", &url], "rds-iam exec"),
        (cache.to_vec(), "--tls"),
    ] {
        let all = ["token", "--format", "env"].into_iter().chain(arguments);

        let ran = run(program_with(&session_key()), all).await;

        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
        assert!(ran.err.contains(says), "{}", ran.err);
    }
}

#[tokio::test]
async fn connection_string_determines_the_signed_host_and_user() {
    let url =
        format!("postgres://jane@localhost:15432/app?iamHost={HOST}&iamDefaultPort=6000&sslrootcert=system");

    for command in [run(program_with(&session_key()), ["token", "--url", &url]).await, {
        let mut command = program_with(&session_key());
        command.env("DATABASE_URL", &url);
        run(command, ["token"]).await
    }] {
        assert!(
            command.out.starts_with(&format!("{HOST}:6000/?Action=connect&DBUser=jane&")),
            "{}",
            command.err
        );
    }
}

#[tokio::test]
async fn host_is_not_taken_for_help() {
    let ran = run(program_with(&session_key()), ["token", "-h"]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("--host"), "{}", ran.err);
}

#[tokio::test]
async fn json_describes_the_token() {
    let key = session_key();

    let ran = run(program_with(&key), ["token", "--host", HOST, "--user", USER, "--format", "json"]).await;

    let json: serde_json::Value = serde_json::from_str(&ran.out).expect("json");
    assert_eq!(json["host"], HOST);
    assert_eq!(json["port"], 5432);
    assert_eq!(json["region"], "us-east-2");
    assert_eq!(json["user"], USER);
    assert!(json["token"].as_str().expect("text").starts_with(&format!("{HOST}:5432/?Action=connect")));
    assert!(json["expires_at"].as_str().expect("text").ends_with('Z'));
}

macro_rules! service {
    ($name:ident, [$($argument:expr),*], $begins:expr, $holds:expr) => {
        #[tokio::test]
        async fn $name() {
            let ran = run(program_with(&session_key()), ["token", "--service", $($argument),*]).await;

            assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
            assert!(ran.out.starts_with($begins), "{}", ran.out);
            assert!(ran.out.contains($holds), "{}", ran.out);
        }
    };
}

const DSQL: &str = "foo0bar1baz2quux3quuux4abc.dsql.us-east-1.on.aws";

service!(dsql_admin, ["dsql", "--host", DSQL, "--user", "admin"], DSQL, "Action=DbConnectAdmin&");
service!(dsql_role, ["dsql", "--host", DSQL, "--user", "jane"], DSQL, "Action=DbConnect&");
service!(
    elasticache_serverless,
    ["elasticache", "--name", "Orders", "--user", "jane", "--region", "us-east-2", "--serverless"],
    "orders/?Action=connect",
    "ResourceType=ServerlessCache"
);
service!(
    memorydb,
    ["memorydb", "--name", "orders", "--user", "jane", "--region", "us-east-2"],
    "orders/?Action=connect&User=jane",
    "%2Fmemorydb%2F"
);
service!(msk, ["msk", "--region", "us-east-2"], "aHR0cHM6Ly9rYWZrYS51cy1lYXN0LTI", "");
service!(eks, ["eks", "--name", "blue", "--region", "us-east-2"], "k8s-aws-v1.", "");

macro_rules! refused {
    ($name:ident, $code:expr, [$($argument:expr),*], $says:expr) => {
        #[tokio::test]
        async fn $name() {
            let ran = run(program_with(&session_key()), ["token", $($argument),*]).await;

            assert_eq!((ran.code, ran.out.as_str()), (Some($code), ""));
            assert!(ran.err.contains($says), "{}", ran.err);
        }
    };
}

refused!(host_missing, 2, ["--user", USER], "--service rds needs --host");
refused!(scheme_wrong, 2, ["--url", "oracle://jane@db.example/app"], "postgres://");
refused!(
    parameter_unknown,
    2,
    ["--url", "postgres://jane@db.example/app?iamhost=x"],
    "did you mean `iamHost`"
);
refused!(user_missing, 2, ["--host", HOST], "--service rds needs --user");
refused!(region_missing, 2, ["--service", "msk"], "--service msk needs --region");
refused!(port_wrong, 2, ["--host", HOST, "--user", USER, "--port", "0"], "0 is not in 1..");
refused!(
    region_wrong,
    2,
    ["--host", HOST, "--user", USER, "--region", "mars"],
    "malformed region name `mars`"
);
refused!(host_custom, 2, ["--host", "db.example", "--user", USER], "the endpoint's own name as --host");
refused!(
    user_unused,
    2,
    ["--service", "msk", "--region", "us-east-2", "--user", USER],
    "does not take --user"
);
refused!(
    cache_name_wrong,
    2,
    ["--service", "elasticache", "--name", "a b", "--user", USER, "--region", "us-east-2"],
    ""
);
refused!(name_unused, 2, ["--host", HOST, "--user", USER, "--name", "db"], "does not take --name");
refused!(dsql_elsewhere, 2, ["--service", "dsql", "--host", HOST, "--user", USER], "is not a DSQL cluster");
refused!(
    global_writer_without_region,
    2,
    ["--host", "db.global-abc123.global.rds.amazonaws.com", "--user", USER],
    "(--region)"
);

#[tokio::test]
async fn credentials_missing() {
    let ran = run(program(), ["token", "--host", HOST, "--user", USER]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(
        ran.err.starts_with("error: no AWS credentials found in the AWS default chain: set AWS_PROFILE"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn profile_misspelt() {
    let ran = run(program(), ["token", "--host", HOST, "--user", USER, "--profile", "prodd"]).await;

    assert_eq!(ran.code, Some(1));
    let expected = "error: profile `prodd` not found in ~/.aws/config or ~/.aws/credentials: check its name";
    assert!(ran.err.starts_with(expected), "{}", ran.err);
}

#[tokio::test]
async fn keys_expired() {
    let mut command = program_with(&session_key());
    command.env("AWS_CREDENTIAL_EXPIRATION", "2025-01-15T12:34:56Z");

    let ran = run(command, ["token", "--host", HOST, "--user", USER]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("as `AWS_CREDENTIAL_EXPIRATION` says: renew them"), "{}", ran.err);
}

#[tokio::test]
async fn keys_quoted() {
    let mut command = program();
    command.env("AWS_ACCESS_KEY_ID", "\"AKIAIOSFODNN7EXAMPLE\"").env("AWS_SECRET_ACCESS_KEY", "secret");

    let ran = run(command, ["token", "--host", HOST, "--user", USER]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.starts_with("error: access key id holds a quote: remove it"), "{}", ran.err);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn roots_missing() {
    let mut command = program();
    // Keys of the environment would be found before anything is asked over HTTPS.
    command.env("SSL_CERT_FILE", "/dev/null");

    let ran = run(command, ["token", "--host", HOST, "--user", USER]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("install ca-certificates"), "{}", ran.err);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn terminal_is_warned() {
    let mut command = program_with(&session_key());
    command.args(["token", "--host", HOST, "--user", USER]);

    let ran = crate::support::on_a_terminal(command).await;

    assert!(ran.out.starts_with(HOST), "{}", ran.out);
    assert_eq!(ran.err.lines().count(), 1);
    assert!(ran.err.starts_with("warning: this is a password"), "{}", ran.err);
}
