//! URLs in a variable of the client's environment.

use super::{exec, noting};
use crate::support::{HOST, USER, program_with, run, server, session_key};

#[tokio::test]
async fn url_with_a_token_stands_in_one_variable_alone() {
    let server = server().await;
    let (port, roots) = (server.port().to_string(), server.ca_file().display().to_string());
    let mut command = program_with(server.access_key());
    command.env("PGPASSWORD", "geheim");
    let arguments = [
        "exec",
        "--host",
        HOST,
        "--user",
        USER,
        "--port",
        &port,
        "--database",
        "app",
        "--hostaddr",
        "127.0.0.1",
        "--sslrootcert",
        &roots,
        "--url-env",
        "MY_URL",
        "--",
        "printenv",
        "MY_URL",
    ];

    let ran = run(command, arguments).await;

    let url = ran.out.trim();
    assert!(
        url.starts_with("postgres://jane:") && url.contains("?sslmode=verify-full&sslrootcert="),
        "{}",
        ran.err
    );
    let connector = wrapper_pg::Connector::from_url(url, wrapper_core::Registry::new());
    let (client, connection) = connector.expect("fits").connect().await.expect("the token is taken");
    drop(client);
    connection.await.expect("ends well");
    let (before, _) = url.split_once('@').expect("a host");
    let show = "env | grep -c X-Amz-Signature; env | grep -c '^PGHOST='; true";
    let mut again = arguments.to_vec();
    again.truncate(again.len() - 2);
    again.extend(["sh", "-c", show]);
    let ran = run(program_with(server.access_key()), again).await;
    assert_eq!(ran.out, "1\n0\n", "{before}");
}

#[tokio::test]
async fn url_for_mysql_asks_for_tls_in_the_words_of_the_tool() {
    let (diesel, _) = noting("diesel");
    std::fs::write(&diesel, "#!/bin/sh\nprintenv MY_URL\nprintenv LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN\n")
        .expect("is written");
    let (diesel, atlas) = (diesel.to_string_lossy().into_owned(), noting("atlas").0);
    let given = ["--engine", "mysql", "--url-env", "MY_URL"];

    let of_diesel =
        exec(program_with(&session_key()), &[&given[..], &["--", &diesel, "migration", "run"]].concat())
            .await;
    let unknown =
        exec(program_with(&session_key()), &[&given[..], &["--", &atlas.to_string_lossy()]].concat()).await;
    let unverified = ["--url-query", "charset=utf8mb4", "--", &diesel, "migration", "run"];
    let unverified = exec(program_with(&session_key()), &[&given[..], &unverified].concat()).await;
    let query = ["--url-query", "tls=true&allowCleartextPasswords=true", "--", "printenv", "MY_URL"];
    let ran = exec(program_with(&session_key()), &[&given[..], &query].concat()).await;

    let shown = &of_diesel.out;
    assert!(shown.contains("?ssl_mode=VERIFY_IDENTITY&ssl_ca=%2F"), "{shown}{}", of_diesel.err);
    assert!(shown.ends_with("\n1\n"), "libmysqlclient sends a token only if told: {shown}");
    let shown = &unverified.out;
    assert!(shown.trim().ends_with("?charset=utf8mb4"), "cleartext to an unverified server: {shown}");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("--url-query"), "{}", unknown.err);
    assert!(
        ran.out
            .trim()
            .ends_with("@db.abc123.us-east-2.rds.amazonaws.com:3306/?tls=true&allowCleartextPasswords=true"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn sqlx_at_mysql_is_refused_before_it_starts() {
    let (sqlx, noted) = noting("sqlx");
    let sqlx = sqlx.to_string_lossy();
    let given = ["--engine", "mysql", "--url-env", "DATABASE_URL"];

    let refused =
        exec(program_with(&session_key()), &[&given[..], &["--", &sqlx, "migrate", "run"]].concat()).await;

    assert_eq!((refused.code, noted.exists()), (Some(2), false), "{}", refused.err);
    assert!(
        refused.err.contains("cleartext plugin") && refused.err.contains("rds-iam proxy"),
        "{}",
        refused.err
    );
    let query = ["--url-query", "ssl-mode=VERIFY_IDENTITY", "--", &sqlx];
    let insisted = exec(program_with(&session_key()), &[&given[..], &query].concat()).await;
    assert_eq!((insisted.code, noted.exists()), (Some(0), true), "{}", insisted.err);
}
