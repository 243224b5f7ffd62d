//! A proxy that may open only so many files.

use std::{collections::HashSet, fs};

use rds_testkit::AuthPlugin;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tokio::{io::AsyncReadExt, net::TcpStream, process::Command};

use super::{
    Running, connect, current_user,
    life::proxy_after,
    mysql::{self, RawClient},
    proxy, sockets,
};
use crate::support::server;

impl Running {
    /// Reads standard error up to the line that contains a text.
    async fn line_with(&mut self, text: &str) -> String {
        let stderr = self.child.stderr.as_mut().expect("is piped");
        let mut line = Vec::new();
        // Byte by byte: what follows is read at the end.
        loop {
            line.push(stderr.read_u8().await.unwrap_or_else(|_| panic!("ended without `{text}`")));
            if line.ends_with(b"\n") {
                let sent = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
                if sent.contains(text) {
                    return sent;
                }
            }
        }
    }

    /// Lets the proxy open so many more files and no others; returns its limit before.
    fn allow_files(&self, more: usize) -> Rlimit {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.child.id().expect("runs"))).expect("is read");
        let taken: HashSet<u64> = folder
            .map(|entry| entry.expect("is read").file_name().to_string_lossy().parse().expect("a number"))
            .collect();
        // A limit counts numbers, of which the lowest free one is taken next.
        let current = (0..).filter(|number| !taken.contains(number)).nth(more);
        self.limit_files(Rlimit { current, ..getrlimit(Resource::Nofile) })
    }

    /// Counts its open files, and the KiB of memory that it holds.
    fn open_files_and_memory(&self) -> (usize, usize) {
        let process = format!("/proc/{}", self.child.id().expect("runs"));
        let files = fs::read_dir(format!("{process}/fd")).expect("is read").count();
        let status = fs::read_to_string(format!("{process}/status")).expect("is read");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("is there");
        (files, line.split_whitespace().nth(1).expect("a number").parse().expect("a number"))
    }

    fn limit_files(&self, limit: Rlimit) -> Rlimit {
        prlimit(Some(self.id()), Resource::Nofile, limit).expect("is set")
    }
}

/// Runs a client while the proxy may open no file for it, and then none for its connection to the
/// server; it is served as soon as the limit is raised.
async fn survives_lack_of_files<F>(command: impl Fn() -> Command, client: impl Fn(&Running) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for (free, expected) in [(0, "clients cannot be accepted"), (1, "waiting for a free file descriptor")] {
        let mut command = command();
        command.args(["--lazy", "--verbose"]);
        let mut running = Running::start(command, 1).await;
        loop {
            let before = running.allow_files(free);
            let mut served = tokio::spawn(client(&running));
            tokio::select! {
                line = running.line_with(expected) => {
                    assert!(line.contains("os error 24"), "{line}");
                    running.limit_files(before);
                    break served.await.expect("is served");
                }
                // The proxy closed a file between the count and this client.
                served = &mut served => served.expect("is served"),
            }
            running.limit_files(before);
        }
        running.end().await;
    }
}

#[tokio::test]
async fn postgres_clients_are_taken_again_after_no_file_could_be_opened() {
    let server = server().await;
    let command = || {
        let mut command = proxy(&server);
        command.args(["--listen", &sockets("emfile").to_string_lossy()]);
        command
    };
    survives_lack_of_files(command, |running| {
        let config = running.config(0);
        async move {
            let client = connect(&config).await.expect("is let in");
            assert_eq!(current_user(&client).await, "jane");
        }
    })
    .await;
}

#[tokio::test]
async fn limit_of_open_files_is_raised_as_far_as_sessions_need() {
    let server = server().await;
    let folder = sockets("files");
    let command = proxy_after("ulimit -Sn 64", &server, &folder, "--max-connections 300");

    let running = Running::start(command, 1).await;

    let id = running.child.id().expect("runs");
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).expect("is read");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("is there");
    assert_eq!(files.split_whitespace().nth(3), Some("1880"), "{files}");
    running.end().await;
}

#[tokio::test]
async fn mysql_clients_are_taken_again_after_no_file_could_be_opened() {
    let server = mysql::server(AuthPlugin::Native).await;
    let command = || {
        let mut command = mysql::proxy(&server);
        command.args(["--listen", "0"]);
        command
    };
    survives_lack_of_files(command, |running| {
        let port = mysql::port(running);
        async move {
            let mut client = TcpStream::connect(("127.0.0.1", port)).await.expect("listens");
            let mut greeting = [0; 5];
            client.read_exact(&mut greeting).await.expect("is greeted");
            assert_eq!(greeting[4], 10, "the version of a greeting, not 255 of an error");
        }
    })
    .await;
}

/// Opens many idle sessions through a proxy: each takes two files, and little memory.
async fn idle_sessions_are_cheap<C, F>(mut command: Command, connect: impl Fn(&Running) -> F)
where
    F: Future<Output = C> + Send + 'static,
    C: Send + 'static,
{
    /// Twice the target of 40 KB for the optimised program.
    const MOST_KIB: usize = 80;
    // Clients and server are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("is set");
    command.args(["--max-connections", &SESSIONS.to_string()]);
    let running = Running::start(command, 1).await;
    let mut sessions = vec![connect(&running).await];
    let (files, memory) = running.open_files_and_memory();

    while sessions.len() < SESSIONS {
        let more: Vec<_> = (0..37).map(|_| tokio::spawn(connect(&running))).collect();
        for session in more {
            sessions.push(session.await.expect("is let in"));
        }
    }

    let (files_after, memory_after) = running.open_files_and_memory();
    assert_eq!(files_after - files, 2 * (SESSIONS - 1));
    let each = (memory_after - memory) / SESSIONS;
    assert!(each < MOST_KIB, "{each} KiB for each session");
    drop(sessions);
    running.end().await;
}

/// 1 + 27 * 37.
const SESSIONS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_sessions_that_idle_are_cheap() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--listen", &sockets("idle").to_string_lossy()]);
    idle_sessions_are_cheap(command, |running| {
        let config = running.config(0);
        async move { connect(&config).await.expect("is let in") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_sessions_that_idle_are_cheap() {
    let server = mysql::server(AuthPlugin::Native).await;
    let folder = sockets("mysql-idle");
    let mut command = mysql::proxy(&server);
    command.args(["--listen", &folder.to_string_lossy()]);
    let socket = folder.join("mysql.sock");
    idle_sessions_are_cheap(command, |_| {
        let socket = socket.clone();
        async move { RawClient::connect(&socket).await.expect("listens") }
    })
    .await;
}
