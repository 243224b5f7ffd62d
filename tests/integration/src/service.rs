//! A background program, stopped on drop.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use crate::{Result, prerequisites::Prerequisites};

/// How long a program may take to start.
const START: Duration = Duration::from_secs(60);

/// How long a program may take to end by itself.
const END: Duration = Duration::from_secs(20);

/// How a program is started and stopped.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'static str,
    /// A part of the line on standard error that shows that the program is ready.
    pub(crate) ready: &'static str,
    /// The signal that ends it, such as `INT`.
    pub(crate) signal: &'static str,
    /// The file for its standard error.
    pub(crate) log: &'a Path,
}

/// A running program, stopped on drop.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    signal: &'static str,
    events: Receiver<Event>,
}

#[derive(Debug, PartialEq)]
enum Event {
    Ready,
    /// Standard error was closed by the program and all its children.
    Ended,
}

impl Service {
    /// Starts a program, and waits until it is ready.
    pub(crate) fn start(mut command: Command, plan: &Plan<'_>) -> Result<Self> {
        let log = File::create(plan.log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", plan.name))?;
        let (sender, events) = mpsc::channel();
        let ready = plan.ready;
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || copy(stderr, log, ready, &sender));
        }
        let service = Self { child, signal: plan.signal, events };
        match service.events.recv_timeout(START) {
            Ok(Event::Ready) => Ok(service),
            _ => Err(format!("{} did not start:\n{}", plan.name, tail(&fs::read(plan.log)?)).into()),
        }
    }
}

impl Service {
    /// Returns the id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `INT`.
    pub(crate) fn send(&self, signal: &str) -> Result<()> {
        // Only a shell has `kill` on every machine.
        let kill = ["-c", "kill -s \"$0\" \"$1\"", signal, &self.id().to_string()].map(str::to_owned);
        Command::new("sh").args(kill).stderr(Stdio::null()).status()?;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.send(self.signal);
        let ended = loop {
            match self.events.recv_timeout(END) {
                Ok(Event::Ready) => {}
                Ok(Event::Ended) => break true,
                Err(_) => break false,
            }
        };
        if !ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn copy(stderr: impl Read, mut log: File, ready: &str, events: &Sender<Event>) {
    // The receiver is dropped with the service, when nothing waits for events.
    for line in BufReader::new(stderr).split(b'\n').map_while(std::result::Result::ok) {
        let _ = log.write_all(&[&line, b"\n".as_slice()].concat());
        if String::from_utf8_lossy(&line).contains(ready) {
            let _ = events.send(Event::Ready);
        }
    }
    let _ = events.send(Event::Ended);
}

/// Returns a program that ends with this one; as `nobody` if this one is root, since databases
/// refuse to run as root.
pub(crate) fn as_server(prerequisites: &Prerequisites, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    if prerequisites.is_root() {
        command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "TERM"]).arg(program);
    command
}

/// Runs a program to its end.
pub(crate) fn finish(mut command: Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = tail(&[output.stdout, output.stderr].concat());
    Err(format!("{command:?} failed: {}\n{said}", output.status).into())
}

/// Compiles a shared library from one of the rig's sources.
pub(crate) fn compile(source: &str, library: &Path, more: &[&str]) -> Result<()> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(library)
        .arg(rig(source))
        .args(more);
    finish(gcc)
}

/// Returns the path of one of the rig's files.
pub(crate) fn rig(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rig").join(name)
}

fn tail(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
