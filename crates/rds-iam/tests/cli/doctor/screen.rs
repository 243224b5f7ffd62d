//! What appears on a terminal and in a pipe, and when.

use rds_testkit::PostgresServer;
use serde_json::Value;
use tokio::{io::AsyncReadExt, process::Command};

use super::hanging;
use crate::{
    dns_server::DnsServer,
    support::{
        CommandOutput, HOST, folder, interrupt, on_a_terminal, on_a_terminal_of, program, program_with, run,
        server, url,
    },
};

#[tokio::test]
async fn terminal_gets_colours_unless_no_color_is_set() {
    for (no_color, coloured) in [("", true), ("1", false)] {
        let mut command = program();
        command.env("TERM", "xterm").env("NO_COLOR", no_color).args(["doctor", "host=nowhere"]);

        let ran = on_a_terminal(command).await;

        assert_eq!(ran.out.contains("\x1b[31mfailed \x1b[0m"), coloured, "{}", ran.out);
    }
}

#[tokio::test]
async fn steps_appear_as_they_end_and_outlive_an_interrupt() {
    let server = server().await;
    for json in [false, true] {
        // Each turn has its own: the script of the one before may still be on its way to leave a
        // note.
        let name = if json { "interrupt-json" } else { "interrupt-text" };
        let mut command = hanging(name);
        let note = folder(&format!("doctor-{name}")).join("runs");
        let dns = DnsServer::start(&[(HOST, "127.0.0.1")]).await;
        let url = url(&server, "").replace("hostaddr=127.0.0.1&", "");
        command.args(["doctor", &url, "--dns-server", &dns.address().to_string()]);
        if json {
            command.arg("--json");
        }
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("runs");
        let mut output = child.stdout.take().expect("a pipe");
        let mut text = String::new();
        if json {
            // Nothing appears: the source of credentials is asked when the script runs.
            while !note.exists() {
                tokio::task::yield_now().await;
            }
        }
        let mut bytes = [0; 4096];
        while !json && !text.contains("ok      dns") {
            let length = output.read(&mut bytes).await.expect("is read");
            assert_ne!(length, 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        interrupt(child.id().expect("runs")).await;
        output.read_to_string(&mut text).await.expect("is text");

        assert_eq!(child.wait().await.expect("ends").code(), Some(130), "{text}");
        if json {
            let report: Value = serde_json::from_str(&text).expect("json");
            assert_eq!(
                (&report["exit_code"], &report["steps"][2]["status"]),
                (&Value::from(130), &"ok".into())
            );
        } else {
            assert!(text.contains("skipped credentials  interrupted"), "{text}");
        }
    }
}

#[tokio::test]
async fn spinner_turns_on_a_terminal_alone() {
    let server = server().await;
    let gate = rds_testkit::Gate::new();
    server.inject_always(rds_testkit::Fault::Hang(rds_testkit::Phase::Login, gate));
    let url = url(&server, "");
    let arguments = ["doctor", "--timeout", "3", "--time-url", "http://127.0.0.1:1", &url];
    for (terminal, turns) in [("xterm", true), ("dumb", false)] {
        let mut command = program_with(server.access_key());
        command.env("TERM", terminal).args(arguments);

        let ran = on_a_terminal(command).await;

        assert_eq!(ran.out.contains("login …"), turns, "{}", ran.out);
        assert!(ran.out.contains("not finished within"), "{}", ran.out);
    }
    let ran = run(program_with(server.access_key()), arguments).await;
    assert!(!ran.out.contains(['\r', '\x1b']) && !ran.out.contains("login …"), "{}", ran.out);
}

/// The doctor at a server that refuses the login, for a refusal with long lines.
fn refused(server: &PostgresServer) -> Command {
    server.token_policy().deny(server.access_key().access_key_id(), "jane");
    let mut command = program_with(server.access_key());
    command.env("NO_COLOR", "1").args(["doctor", "--time-url", "http://127.0.0.1:1", &url(server, "")]);
    command
}

/// The lines of a screen that are longer than this, without those of one word.
fn long_lines(screen: &str, columns: usize) -> Vec<String> {
    // What the spinner drew is gone from the screen.
    let lines = screen.lines().map(|line| line.rsplit('\r').next().unwrap_or_default().trim_end());
    let is_long = |line: &&str| line.chars().count() > columns && line.trim().contains(' ');
    lines.filter(is_long).map(str::to_owned).collect()
}

#[tokio::test]
async fn lines_fit_the_terminal() {
    // A terminal that does not know its width says 0, as in an editor or over a serial line.
    for (kind, width, variable, columns) in [
        ("xterm", 80, "", 80),
        ("dumb", 80, "", 80),
        ("dumb", 0, "", 80),
        ("dumb", 0, "66", 66),
        ("dumb", 0, "many", 80),
        ("xterm", 70, "200", 70),
    ] {
        let server = server().await;
        let mut command = refused(&server);
        command.env("TERM", kind).env("COLUMNS", variable);

        let ran = on_a_terminal_of(width, command).await;

        let long = long_lines(&ran.out, columns);
        assert!(ran.out.contains("most likely first") && long.is_empty(), "{kind} {width}: {long:#?}");
    }
}

#[tokio::test]
async fn lines_in_a_pipe_are_whole() {
    let server = server().await;
    let mut command = refused(&server);
    command.env("COLUMNS", "80");

    let ran = CommandOutput::from(command.output().await.expect("runs"));

    let host = ran.out.lines().find(|line| line.contains("ok      host")).expect("a step");
    assert!(host.contains("the token is signed for user `jane`") && host.len() > 80, "{}", ran.out);
}
