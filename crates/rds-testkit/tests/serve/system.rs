//! The program under signals, without its parent, and without a free file descriptor.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use super::{Served, Value};

/// How long a condition may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "the time of another process")]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "{what}");
        std::thread::yield_now();
    }
}

impl Served {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Lets the program open no more files; returns its limit before.
    fn allow_no_more_files(&self) -> Rlimit {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let number = |entry: std::io::Result<fs::DirEntry>| {
            entry.unwrap().file_name().to_string_lossy().parse::<u64>().unwrap()
        };
        let taken: HashSet<u64> = folder.map(number).collect();
        // The limit is on numbers, of which the lowest free one is taken next.
        let current = (0..).find(|number| !taken.contains(number));
        prlimit(Some(self.pid()), Resource::Nofile, Rlimit { current, ..getrlimit(Resource::Nofile) })
            .unwrap()
    }

    /// Returns what a file of each thread says about it.
    fn threads(&self, file: &str) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join(file)).ok()).collect()
    }

    /// Returns whether no thread is running or ready to run.
    fn is_asleep(&self) -> bool {
        // The state stands after the name, which is in parentheses.
        self.threads("stat").iter().all(|stat| stat.rsplit_once(") ").unwrap().1.starts_with('S'))
    }

    /// Counts how often its threads went to sleep.
    fn waits(&self) -> u64 {
        let line = |status: &String| {
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            count.trim().parse::<u64>().unwrap()
        };
        self.threads("status").iter().map(line).sum()
    }
}

fn ends_on(signal: Signal) {
    let mut served = Served::start(&["--engine", "postgres"]);
    let folder = Path::new(served.text("ca_file")).parent().unwrap().to_owned();
    assert!(folder.is_dir());
    kill_process(served.pid(), signal).unwrap();
    assert!(served.child.wait().unwrap().success());
    assert!(!folder.exists(), "{folder:?}");
}

#[test]
fn sigterm_ends_the_program_and_leaves_no_folder() {
    ends_on(Signal::TERM);
}

#[test]
fn sigint_ends_the_program_and_leaves_no_folder() {
    ends_on(Signal::INT);
}

#[test]
fn sighup_ends_the_program_and_leaves_no_folder() {
    ends_on(Signal::HUP);
}

#[test]
fn program_whose_parent_was_killed_ends_and_leaves_no_folder() {
    let fifo = std::env::temp_dir().join(format!("serve-{}", std::process::id()));
    // The shell alone holds the pipe's other end: the program is forked before it is opened.
    let script = r#"mkfifo "$1"; "$0" serve --engine mysql <"$1" & exec 4>"$1"; rm "$1"; wait"#;
    let mut parent = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_rds-testkit")])
        .arg(&fifo)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(parent.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let says: Value = serde_json::from_str(&line).unwrap();
    let folder = Path::new(says["ca_file"].as_str().unwrap()).parent().unwrap().to_owned();
    assert!(folder.is_dir());
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The program's output closes as it ends.
    assert_eq!(out.read_line(&mut line).unwrap(), 0);
    assert!(!folder.exists(), "{folder:?}");
}

#[tokio::test]
async fn client_without_a_free_descriptor_waits_for_one_and_the_program_sleeps() {
    let served = Served::start(&["--engine", "postgres"]);
    let limit = served.allow_no_more_files();
    wait_until("the program never sleeps", || served.is_asleep());
    let waits = served.waits();
    // Into the backlog, where it stays until the program can open a descriptor for it.
    let client = std::net::TcpStream::connect(("127.0.0.1", served.port())).unwrap();
    // It has noticed the client, failed to accept it, and sleeps again.
    wait_until("the program spins", || served.waits() > waits && served.is_asleep());
    prlimit(Some(served.pid()), Resource::Nofile, limit).unwrap();
    assert_eq!(served.login(&served.sign()).await.unwrap(), "jane");
    drop(client);
}
