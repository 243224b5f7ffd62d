//! The credential sources of the AWS default chain, emulated on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::{
    Result,
    key::Key,
    prerequisites::Prerequisites,
    scratch::{Scratch, free_port},
    service::{Plan, Service, rig},
};

/// Where the SDKs keep the token of the SSO session `integration`: the SHA-1 of that name.
const SSO_TOKEN: &str = ".aws/sso/cache/06eff510132bf8ebef345e2ff7f06a5ea077d398.json";

const CONFIG: &str = "\
[profile keys]
aws_access_key_id = ASIAFILE<turn>
aws_secret_access_key = file-secret-<turn>
aws_session_token = file-session-<turn>

[profile process]
credential_process = <process>

[profile base]
aws_access_key_id = ASIABASE
aws_secret_access_key = base-secret

[profile role]
role_arn = arn:aws:iam::123456789012:role/role
source_profile = base
region = us-west-2

[profile sso]
sso_session = integration
sso_account_id = 123456789012
sso_role_name = role

[sso-session integration]
sso_region = us-east-1
sso_start_url = https://integration.awsapps.com/start
";

/// Environment variables of a process.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// The answer of every source from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    /// Another number is another key.
    pub(crate) turn: u32,
    /// Seconds until the key expires; negative for an expired key.
    pub(crate) ends_in: i64,
    /// Whether the sources fail.
    pub(crate) is_down: bool,
    /// By how many seconds the sources' own clock is ahead.
    pub(crate) ahead: i64,
}

impl Given {
    /// The first key, for an hour.
    pub(crate) const FIRST: Self = Self { turn: 1, ends_in: 3600, is_down: false, ahead: 0 };

    /// Another key, for an hour.
    pub(crate) const SECOND: Self = Self { turn: 2, ..Self::FIRST };
}

/// One source of the chain.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// How the table names it.
    pub(crate) name: &'static str,
    /// The prefix of its keys' ids.
    word: &'static str,
    /// Whether its keys have an expiry.
    pub(crate) has_end: bool,
    /// The variables that select it in the chain.
    pub(crate) variables: Variables,
}

impl Source {
    /// Returns its key of a round.
    pub(crate) fn key(&self, turn: u32) -> Key {
        let word = self.word;
        Key {
            id: format!("ASIA{}{turn}", word.to_uppercase()),
            secret: format!("{word}-secret-{turn}"),
            session_token: Some(format!("{word}-session-{turn}")),
        }
    }
}

/// The running sources, stopped on drop.
#[derive(Debug)]
pub(crate) struct Sources {
    address: String,
    home: PathBuf,
    process: String,
    _service: Service,
}

impl Sources {
    /// Starts the sources, with a home folder of this name.
    pub(crate) fn start(prerequisites: &Prerequisites, scratch: &Scratch, name: &str) -> Result<Self> {
        let home = scratch.folder(prerequisites, name)?;
        let (program, state, port) = (rig("credentials.py"), home.join("state.json"), free_port()?);
        give_state(&state, Given::FIRST)?;
        // The kernel ends the service even if the suite is killed and drops nothing.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(prerequisites.python()).arg(&program);
        command.arg(&state).arg(port.to_string());
        let log = home.join("credentials.log");
        let plan = Plan { name: "the sources of credentials", ready: "ready", signal: "TERM", log: &log };
        let sources = Self {
            address: format!("http://127.0.0.1:{port}"),
            process: format!(
                "\"{}\" \"{}\" \"{}\"",
                prerequisites.python().display(),
                program.display(),
                state.display()
            ),
            home,
            _service: Service::start(command, &plan)?,
        };
        sources.give(Given::FIRST)?;
        Ok(sources)
    }

    /// Sets the answer of every source.
    pub(crate) fn give(&self, given: Given) -> Result<()> {
        give_state(&self.home.join("state.json"), given)?;
        let turn = given.turn.to_string();
        let config = CONFIG.replace("<turn>", &turn).replace("<process>", &self.process);
        // Never due: a refresh would need a client registered with AWS.
        let sso_token = json!({
            "accessToken": "sso token",
            "expiresAt": "2099-01-01T00:00:00Z",
            "region": "us-east-1",
            "startUrl": "https://integration.awsapps.com/start",
        });
        let files = [
            ("config", config),
            ("web identity", format!("web identity {turn}")),
            ("eks token", format!("eks token {turn}")),
            (SSO_TOKEN, sso_token.to_string()),
        ];
        for (name, text) in files {
            let path = self.home.join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            fs::write(path, text)?;
        }
        Ok(())
    }

    /// Returns a server whose clock can be asked.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns every source whose key can change while a process runs.
    pub(crate) fn all(&self) -> Vec<Source> {
        let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/role".to_owned());
        let sts = ("AWS_ENDPOINT_URL_STS", self.address.clone());
        let container = |path| ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/{path}", self.address));
        let source =
            |name, word, variables: Variables| Source { name, word, has_end: word != "file", variables };
        vec![
            source("a file", "file", self.profile("keys")),
            source("a process", "process", self.profile("process")),
            source("an assumed role", "role", [self.profile("role"), vec![sts.clone()]].concat()),
            source(
                "a web identity",
                "web",
                vec![
                    ("AWS_WEB_IDENTITY_TOKEN_FILE", self.file("web identity")),
                    role,
                    ("AWS_REGION", "us-west-2".to_owned()),
                    sts,
                ],
            ),
            source(
                "sso",
                "sso",
                [self.profile("sso"), vec![("AWS_ENDPOINT_URL_SSO", self.address.clone())]].concat(),
            ),
            source(
                "ecs",
                "ecs",
                vec![container("ecs"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "ecs token".to_owned())],
            ),
            source(
                "eks pod identity",
                "eks",
                vec![container("eks"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", self.file("eks token"))],
            ),
            source(
                "imds",
                "imds",
                vec![
                    // In place of the `true` that every case has.
                    ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
                    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.address.clone()),
                ],
            ),
        ]
    }

    /// Returns the container source with a wrong authorization token.
    pub(crate) fn ecs_without_its_token(&self) -> Variables {
        vec![
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/ecs", self.address)),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another token".to_owned()),
        ]
    }

    /// Returns the variables that select a profile of the configuration.
    pub(crate) fn profile(&self, name: &str) -> Variables {
        vec![("AWS_CONFIG_FILE", self.file("config")), ("AWS_PROFILE", name.to_owned())]
    }

    /// Returns the variables of a case over those of all.
    pub(crate) fn environment(&self, variables: &Variables) -> Variables {
        let common = [("HOME", self.file("")), ("AWS_EC2_METADATA_DISABLED", "true".to_owned())];
        common.into_iter().chain(variables.iter().cloned()).collect()
    }

    fn file(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }
}

fn give_state(path: &Path, given: Given) -> Result<()> {
    let Given { turn, ends_in, is_down, ahead } = given;
    let state = json!({ "turn": turn, "ends_in": ends_in, "down": is_down, "ahead": ahead });
    // Read at every request: it must never be seen half written.
    let draft = path.with_extension("draft");
    fs::write(&draft, state.to_string())?;
    Ok(fs::rename(draft, path)?)
}
