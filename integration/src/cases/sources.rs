//! The sources of credentials of the AWS default chain, each up to a login at PostgreSQL.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Table;
use crate::{
    Result, alone,
    key::Key,
    machine::Machine,
    report::Report,
    scratch::{Scratch, free_port},
    service::{Plan, Service, rig},
    site::Site,
};

/// Where the SDKs keep the token of the SSO session `integration`: the SHA-1 of that name.
const SSO_TOKEN: &str = ".aws/sso/cache/06eff510132bf8ebef345e2ff7f06a5ea077d398.json";

const CONFIG: &str = "\
[profile keys]
aws_access_key_id = ASIAFILE
aws_secret_access_key = file secret
aws_session_token = file session

[profile process]
credential_process = cat HOME/process.json

[profile role]
role_arn = arn:aws:iam::123456789012:role/role
source_profile = keys
region = us-west-2

[profile sso]
sso_session = integration
sso_account_id = 123456789012
sso_role_name = role

[sso-session integration]
sso_region = us-east-1
sso_start_url = https://integration.awsapps.com/start
";

const PROCESS: &str = r#"{
    "Version": 1,
    "AccessKeyId": "ASIAPROCESS",
    "SecretAccessKey": "process secret",
    "SessionToken": "process session",
    "Expiration": "2099-01-01T00:00:00Z"
}"#;

/// Runs the cases.
pub(crate) async fn run(
    site: &Site,
    machine: &Machine,
    scratch: &Scratch,
    report: &mut Report,
) -> Result<()> {
    let home = scratch.folder(machine, "home")?;
    let port = free_port()?;
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM"])
        .arg(machine.python())
        .arg(rig("credentials.py"))
        .arg(port.to_string());
    let log = home.join("credentials.log");
    let plan = Plan { name: "the source of credentials", ready: "ready", signal: "TERM", log: &log };
    let _service = Service::start(command, &plan)?;
    let set_up = SetUp { server: format!("http://127.0.0.1:{port}"), home };
    set_up.write_files()?;

    let mut table = Table { site, report };
    for (name, key, variables) in set_up.sources() {
        // No other key is known, so that who comes in has used this very source.
        site.know(&[&key])?;
        let seen = alone::log_in(site, &set_up.environment(&variables)).await?;
        table.row(&format!("credentials of {name}"), "in as jane; accepted", &seen);
    }
    for (name, expected, variables) in set_up.failures() {
        let seen = alone::log_in(site, &set_up.environment(&variables)).await?;
        table.row(&format!("credentials of {name}"), &format!("{expected}; not asked"), &seen);
    }
    Ok(())
}

type Variables = Vec<(&'static str, String)>;

struct SetUp {
    server: String,
    home: PathBuf,
}

impl SetUp {
    fn write_files(&self) -> Result<()> {
        let config = CONFIG.replace("HOME", self.file("").trim_end_matches('/'));
        let token = format!(
            r#"{{"accessToken": "sso token", "expiresAt": "2099-01-01T00:00:00Z", "region": "us-east-1", "startUrl": "{}"}}"#,
            "https://integration.awsapps.com/start"
        );
        let files = [
            ("config", config.as_str()),
            ("process.json", PROCESS),
            ("web identity", "web identity"),
            ("ecs token", "ecs token"),
            (SSO_TOKEN, &token),
        ];
        for (name, text) in files {
            let path = self.home.join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            fs::write(path, text)?;
        }
        Ok(())
    }

    fn sources(&self) -> Vec<(&'static str, Key, Variables)> {
        let ecs = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/ecs", self.server));
        let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/role".to_owned());
        let sts = ("AWS_ENDPOINT_URL_STS", self.server.clone());
        vec![
            (
                "the environment",
                key("ASIAENV", "env secret", "env session"),
                vec![
                    ("AWS_ACCESS_KEY_ID", "ASIAENV".to_owned()),
                    ("AWS_SECRET_ACCESS_KEY", "env secret".to_owned()),
                    ("AWS_SESSION_TOKEN", "env session".to_owned()),
                ],
            ),
            ("a file", key("ASIAFILE", "file secret", "file session"), self.profile("keys")),
            ("a process", key("ASIAPROCESS", "process secret", "process session"), self.profile("process")),
            (
                "an assumed role",
                key("ASIAROLE", "role secret", "role session"),
                [self.profile("role"), vec![sts.clone()]].concat(),
            ),
            (
                "a web identity",
                key("ASIAWEB", "web secret", "web session"),
                vec![
                    ("AWS_WEB_IDENTITY_TOKEN_FILE", self.file("web identity")),
                    role,
                    ("AWS_REGION", "us-west-2".to_owned()),
                    sts,
                ],
            ),
            (
                "sso",
                key("ASIASSO", "sso secret", "sso session"),
                [self.profile("sso"), vec![("AWS_ENDPOINT_URL_SSO", self.server.clone())]].concat(),
            ),
            (
                "ecs",
                key("ASIAECS", "ecs secret", "ecs session"),
                vec![ecs.clone(), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "ecs token".to_owned())],
            ),
            (
                "eks pod identity",
                key("ASIAECS", "ecs secret", "ecs session"),
                vec![ecs, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", self.file("ecs token"))],
            ),
            (
                "imds",
                key("ASIAIMDS", "imds secret", "imds session"),
                vec![
                    ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
                    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.server.clone()),
                ],
            ),
        ]
    }

    fn failures(&self) -> Vec<(&'static str, &'static str, Variables)> {
        let ecs = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/ecs", self.server));
        vec![
            ("nowhere", "Credentials(NotConfigured)", Vec::new()),
            (
                "ecs without its token",
                "Credentials(Failed)",
                vec![ecs, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another token".to_owned())],
            ),
        ]
    }

    fn profile(&self, name: &str) -> Variables {
        vec![("AWS_CONFIG_FILE", self.file("config")), ("AWS_PROFILE", name.to_owned())]
    }

    /// The variables of a case over those of all.
    fn environment(&self, variables: &Variables) -> Variables {
        let common = [("HOME", self.file("")), ("AWS_EC2_METADATA_DISABLED", "true".to_owned())];
        common.into_iter().chain(variables.iter().cloned()).collect()
    }

    fn file(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }
}

fn key(id: &'static str, secret: &'static str, session_token: &str) -> Key {
    Key { id, secret, session_token: Some(session_token.to_owned()) }
}
