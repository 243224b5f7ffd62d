//! `rds-iam token`.

use std::{process::ExitCode, time::SystemTime};

use iam_token::AuthToken;
use serde::Serialize;
use time::{UtcDateTime, format_description::well_known::Rfc3339};

use crate::{
    cli::{Engine, Format, Service, TokenArguments},
    failure::Failure,
    signing::Purpose,
    terminal,
};

/// The output of `--format json`.
#[derive(Serialize)]
struct JsonToken<'a> {
    token: &'a str,
    expires_at: String,
    signed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

/// Signs a token, and prints it in the requested format.
pub(crate) async fn run(arguments: &TokenArguments) -> Result<ExitCode, Failure> {
    let purpose = Purpose::of(arguments)?;
    if arguments.format == Format::Env {
        has_safe_variables(&purpose)?;
    }
    let token = purpose.sign(&arguments.connection).await?;
    if terminal::is_terminal() {
        terminal::print_note(
            "warning: this is a password; use it in $(…) instead of showing it on the screen",
        );
    }
    let text = match arguments.format {
        Format::Plain => format!("{}\n", token.expose()),
        Format::Json => json(arguments, &purpose, &token)?,
        Format::Env => environment(&purpose, &token),
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn json(arguments: &TokenArguments, purpose: &Purpose, token: &AuthToken) -> Result<String, Failure> {
    let request = match purpose {
        Purpose::Database(_, request) => Some(request),
        _ => None,
    };
    let connection = &arguments.connection;
    let printed = JsonToken {
        token: token.expose(),
        expires_at: timestamp(token.expires_at()),
        signed_at: timestamp(token.signed_at()),
        host: request.map(|request| request.host()).or(arguments.name.as_deref()),
        port: request.map(|request| request.port()).filter(|_| arguments.service == Service::Rds),
        region: request.map(|request| request.region()).or(connection.region.as_deref()),
        user: request.map(|request| request.user()).or(connection.user.as_deref()),
    };
    let text = serde_json::to_string(&printed)
        .map_err(|error| Failure::new("the token cannot be written as JSON").because(error))?;
    Ok(text + "\n")
}

/// Refuses variables for clients that would send the token in clear, since none of their variables
/// asks for TLS.
fn has_safe_variables(purpose: &Purpose) -> Result<(), Failure> {
    match purpose {
        Purpose::Database(target, _) if target.engine == Engine::Mysql => Err(Failure::usage(
            "no variable makes a MySQL client use TLS, and the token would be sent in clear: use \
             `rds-iam exec … -- mysql`",
        )),
        Purpose::Cache(..) => Err(Failure::usage(
            "no variable makes redis-cli use TLS, and the token would be sent in clear: use the plain \
             format, as in REDISCLI_AUTH=\"$(rds-iam token …)\" redis-cli --tls",
        )),
        Purpose::Database(..) | Purpose::Bearer(..) => Ok(()),
    }
}

fn environment(purpose: &Purpose, token: &AuthToken) -> String {
    let mut variables = Vec::new();
    let mut password = "IAM_TOKEN";
    if let Purpose::Database(target, _) = purpose {
        password = "PGPASSWORD";
        variables.push(("PGHOST", target.tls_name().to_owned()));
        if let Some(address) = target.address {
            variables.push(("PGHOSTADDR", address.to_string()));
        }
        variables.push(("PGPORT", target.port.to_string()));
        variables.push(("PGUSER", target.user.clone()));
        variables.push(("PGSSLMODE", "verify-full".to_owned()));
        if let Some(roots) = target.parameter("sslrootcert") {
            variables.push(("PGSSLROOTCERT", roots.to_owned()));
        }
    }
    variables.push((password, token.expose().to_owned()));
    variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect()
}

/// Quotes a value for every POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Formats a time as RFC 3339, to the second.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = i64::try_from(seconds).ok().and_then(|seconds| UtcDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{seconds} s after 1970"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn quotes_survive_a_shell() {
        assert_eq!(quoted("a'b $c"), r"'a'\''b $c'");
    }

    #[test]
    fn timestamp_is_rfc3339() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_736_944_496_700);
        assert_eq!(timestamp(time), "2025-01-15T12:34:56Z");
    }
}
