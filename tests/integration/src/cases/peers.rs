//! Tokens of other signers, which show that the rig itself judges correctly.

use std::process::{Command, Stdio};

use super::{Table, key, temporary_key};
use crate::{
    Result,
    environment::{Environment, HOST, REGION},
    key::Key,
    login::{Login, Signer},
    prerequisites::Prerequisites,
    report::Report,
    service::rig,
};

/// Runs the cases, on request also with the JavaScript SDK's signer.
pub(crate) async fn run(
    environment: &Environment,
    prerequisites: &Prerequisites,
    with_javascript: bool,
    report: &mut Report,
) -> Result<()> {
    let mut table = Table { environment, report };
    let mut botocore = || {
        let mut command = Command::new(prerequisites.python());
        command.arg(rig("sign.py"));
        command
    };
    peer(&mut table, "botocore", &mut botocore).await?;
    // botocore signs for any name, while RDS knows its endpoint only.
    let alias = token(botocore(), "db.internal.example", environment.port, "jane", &key())?;
    let login = Login::by_password(environment, "jane", &alias);
    table.login("botocore's token for an alias", "Login; endpoint", login, Signer::new(&key())?).await?;
    if with_javascript {
        let mut signer = || {
            let mut command = Command::new("node");
            command.arg(rig("sign.js")).env("NODE_PATH", prerequisites.node_modules());
            command
        };
        peer(&mut table, "rds-signer", &mut signer).await?;
    }
    Ok(())
}

async fn peer(table: &mut Table<'_>, name: &str, command: &mut dyn FnMut() -> Command) -> Result<()> {
    for user in ["jane", "Jane Doe", "a@b+c/d%e"] {
        for key in [key(), temporary_key()] {
            let token = token(command(), HOST, table.environment.port, user, &key)?;
            let login = Login::by_password(table.environment, user, &token);
            let case = format!("{name}'s token for `{user}`, {} B", token.len());
            table.login(&case, &format!("in as {user}; accepted"), login, Signer::new(&key)?).await?;
        }
    }
    Ok(())
}

fn token(mut command: Command, host: &str, port: u16, user: &str, key: &Key) -> Result<String> {
    command.args([host, &port.to_string(), user, REGION]).stdin(Stdio::null());
    command.env("AWS_ACCESS_KEY_ID", &key.id).env("AWS_SECRET_ACCESS_KEY", &key.secret);
    match &key.session_token {
        Some(token) => command.env("AWS_SESSION_TOKEN", token),
        // The session of the developer who runs this would become part of the token.
        None => command.env_remove("AWS_SESSION_TOKEN"),
    };
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed: {}\n{said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
