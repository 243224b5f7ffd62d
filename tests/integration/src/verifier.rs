//! The verifier of tokens, a Python program around botocore.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Map, Value, json};

use crate::{
    Result,
    key::Key,
    prerequisites::Prerequisites,
    service::{Plan, Service, rig},
};

/// A running verifier of one server.
#[derive(Debug)]
pub(crate) struct Verifier {
    folder: PathBuf,
    endpoint: String,
    region: &'static str,
    _service: Service,
}

impl Verifier {
    /// Starts a verifier for one endpoint, which knows no key yet.
    pub(crate) fn start(
        prerequisites: &Prerequisites,
        folder: &Path,
        host: &str,
        port: u16,
        region: &'static str,
    ) -> Result<Self> {
        let (policy, log) = (folder.join("policy.json"), folder.join("logins.log"));
        fs::write(&log, "")?;
        // The kernel ends the verifier even if the suite is killed and drops nothing.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(prerequisites.python()).arg(rig("verify.py"));
        command.args([&socket(folder), &policy, &log]);
        let said = folder.join("verifier.log");
        let plan = Plan { name: "the verifier", ready: "ready", signal: "TERM", log: &said };
        let service = Service::start(command, &plan)?;
        Ok(Self { folder: folder.to_owned(), endpoint: format!("{host}:{port}"), region, _service: service })
    }

    /// Returns the socket that the server asks at.
    pub(crate) fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// Sets the known keys, the users that each may log in as, and by how many seconds the clock is
    /// ahead.
    pub(crate) fn record(&self, keys: &[&Key], users: &[&str], ahead: i64) -> Result<()> {
        let keys: Map<String, Value> = keys
            .iter()
            .map(|key| {
                let known =
                    json!({ "secret": key.secret, "session_token": key.session_token, "users": users });
                (key.id.clone(), known)
            })
            .collect();
        let policy =
            json!({ "endpoint": self.endpoint, "region": self.region, "ahead": ahead, "keys": keys });
        // Renamed into place, since it is read at every login.
        let draft = self.folder.join("policy.draft");
        fs::write(&draft, policy.to_string())?;
        fs::rename(draft, self.folder.join("policy.json"))?;
        Ok(())
    }

    /// Returns the verdicts on all logins so far.
    pub(crate) fn verdicts(&self) -> Result<Vec<Verdict>> {
        let text = fs::read_to_string(self.folder.join("logins.log"))?;
        text.lines().map(Verdict::read).collect()
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("verifier.socket")
}

/// The verdict on one login.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// `accepted`, or the reason of the refusal in one word.
    pub(crate) word: String,
    /// The length of the token in bytes.
    pub(crate) length: u64,
    /// A longer explanation.
    pub(crate) details: String,
}

impl Verdict {
    fn read(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            word: text("word"),
            length: value["length"].as_u64().unwrap_or_default(),
            details: text("details"),
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the verifier, of {} bytes: {}: {}", self.length, self.word, self.details)
    }
}
