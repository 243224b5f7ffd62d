//! Configuration files, health and metrics.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{PASSWORD, Running, connect, current_user, password_file, proxy, sockets};
use crate::support::{closed_port, folder, program, program_with, run, server};

fn written(name: &str, text: &str) -> String {
    let path = folder(&format!("proxy-{name}")).join("proxy.toml");
    fs::write(&path, text).expect("is written");
    path.to_string_lossy().into_owned()
}

/// Asks for a page of health and metrics.
async fn page(admin: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(admin).await.expect("listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("is text");
    answer
}

#[tokio::test]
async fn file_serves_several_targets_with_health_and_metrics() {
    let (one, two) = (server().await, server().await);
    let (admin, password) = (closed_port().await, password_file("targets", 0o600));
    let text = format!(
        r#"
        admin = "{admin}"
        local-password-file = "{password}"
        max-connections = 10

        [[target]]
        name = "one"
        url = "{}"
        listen = [0, "{}"]

        [[target]]
        name = "two"
        host = "127.0.0.1"
        port = {}
        user = "jane"
        database = "app"
        iamHost = "{}"
        sslrootcert = "{}"
        listen = 0
        "#,
        one.url(),
        sockets("targets-socket").display(),
        two.port(),
        crate::support::HOST,
        two.ca_file().display(),
    );
    let file = written("targets", &text);
    let mut command = program_with(one.access_key());
    command.args(["proxy", "--lazy", "--config", &file]);
    let ran = run(command, []).await;
    assert!(ran.err.contains("exclude") || ran.err.contains("cannot be used with"), "{}", ran.err);

    let mut command = program_with(one.access_key());
    command.args(["proxy", "--config", &written("targets", &format!("lazy = true\n{text}"))]);
    let running = Running::start(command, 3).await;

    let ready = run(program(), ["proxy", "--config", &file, "--wait-ready"]).await;
    assert_eq!((ready.code, ready.out.as_str(), ready.err.as_str()), (Some(0), "", ""));
    let client = connect(running.config(0).password(PASSWORD)).await.expect("is let in");
    assert_eq!(current_user(&client).await, "jane");
    assert!(connect(&running.config(1)).await.is_ok());
    // Of another authority's key.
    assert!(connect(running.config(2).password(PASSWORD)).await.is_err());
    let metrics = page(admin, "/metrics").await;
    assert!(metrics.contains("rds_iam_proxy_sessions_total{target=\"one\"} 2"), "{metrics}");
    assert!(metrics.contains("rds_iam_proxy_logins_failed_total{target=\"two\"} 1"), "{metrics}");
    assert!(page(admin, "/readiness").await.starts_with("HTTP/1.1 200"));
    drop(client);
    assert_eq!(running.end().await.code, Some(0));
}

#[tokio::test]
async fn readiness_is_awaited_within_the_limit() {
    let admin = closed_port().await.to_string();

    let ran = run(program(), ["proxy", "--admin", &admin, "--wait-ready=1"]).await;

    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(&format!("the proxy at {admin} was not ready within 1s")), "{}", ran.err);
    let ran = run(program(), ["proxy", "--wait-ready"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--admin"), "{}", ran.err);
}

#[tokio::test]
async fn file_wrong() {
    let target = "[[target]]\nname = \"a\"\nlisten = \"/run/a\"\n";
    for (text, expected) in [
        (
            format!("max-conections = 1\n{target}"),
            "`max-conections` is unknown: did you mean `max-connections`?",
        ),
        (
            format!(
                "{target}url = \
                 \"postgres://jane:geheim@db.abc123.us-east-2.rds.amazonaws.com/a?iam_region=b\""
            ),
            "did you mean `iamRegion`?",
        ),
        (format!("{target}url = \"postgres://jane:geheim@h/a"), "line 4 is not valid TOML"),
        (format!("{target}host = \"db.example.com\"\nuser = \"jane\"\n"), "`iamHost`"),
        (
            format!("{target}url='postgres://j@h/'\n{target}url='postgres://j@h/'"),
            "two targets have the name `a`",
        ),
    ] {
        let ran = run(program(), ["proxy", "--config", &written("wrong", &text)]).await;

        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(expected) && !ran.err.contains("geheim"), "{}", ran.err);
    }
    let ran = run(program(), ["proxy", "--config", "/nonexistent/proxy.toml"]).await;
    assert!(ran.err.contains("cannot read the configuration /nonexistent/proxy.toml"), "{}", ran.err);
}

#[tokio::test]
async fn password_in_a_file_that_others_can_read_causes_a_warning() {
    // The warning comes before the target is refused for its unknown parameter.
    let with = "host = 'db.example.com'\nuser = 'jane'\npassword = 'geheim'\nnonsense = 1\n";
    let in_url = "url = 'postgres://jane:geh/eim@db.example.com/app?nonsense=1'\n";
    let without = "url = 'postgres://jane@db.example.com:5432/app?nonsense=1'\n";
    for (target, mode, is_warned_of) in [
        (with, 0o644, true),
        (with, 0o604, true),
        (with, 0o640, false),
        (with, 0o600, false),
        (in_url, 0o644, true),
        (without, 0o644, false),
    ] {
        let file = written("readable", &format!("[[target]]\nname = 'a'\nlisten = '/run/a'\n{target}"));
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("is set");

        let ran = run(program(), ["proxy", "--config", &file]).await;

        let warning = format!("can read {file} (mode {mode:o}), which holds the password of target `a`");
        assert_eq!(ran.err.contains(&warning), is_warned_of, "{mode:o} {target}: {}", ran.err);
        assert!(!ran.err.contains("geheim") && !ran.err.contains("geh/eim"), "{}", ran.err);
    }
}

#[tokio::test]
async fn arguments_wrong() {
    let server = server().await;
    for (arguments, expected) in [
        (&["--listen", "localhost:1"][..], "use a port, an address"),
        (&["--listen", "1", "--listen", "2"], "--listen is given 2 times for 1 connection strings"),
        (&["--max-connections", "0"], "1..=1000000"),
        (&[], "XDG_RUNTIME_DIR is not set"),
        (&["--lazy", "--listen", "/nonexistent/a/b"], "/nonexistent/a/b"),
    ] {
        let ran = run(proxy(&server), arguments.iter().copied()).await;

        assert!(matches!(ran.code, Some(1 | 2)), "{}", ran.err);
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
    let ran = run(program(), ["proxy"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("missing database"), "{}", ran.err);
}
