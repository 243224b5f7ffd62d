//! The URL with the password, for tools that read only a URL (`--url-env`).

use wrapper_adapter::percent_encoded;
use wrapper_core::text::{bracketed, is_name};

use super::{Login, Session, client::Client};
use crate::{cli::Engine, failure::Failure};

/// Checks the name of the environment variable that `--url-env` sets.
pub(super) fn checked_name(name: &str) -> Result<&str, Failure> {
    let is_variable = is_name(name) && !name.contains(['.', '-']) && !name.starts_with(char::is_numeric);
    if !is_variable {
        return Err(Failure::usage("--url-env takes the name of a variable, such as DATABASE_URL"));
    }
    Ok(name)
}

/// Returns the query of the URL: the given one, otherwise the TLS parameters by which this tool
/// verifies the server.
pub(super) fn query(client: &Client<'_>, session: &Session, given: Option<&str>) -> Result<String, Failure> {
    if let Some(query) = given {
        return Ok(query.trim_start_matches('?').to_owned());
    }
    let roots = session.roots.as_deref().map(|roots| percent_encoded(&roots.to_string_lossy()));
    let with_roots = |query: &str, name: &str| {
        let roots = roots.as_ref().map(|roots| format!("&{name}={roots}"));
        format!("{query}{}", roots.unwrap_or_default())
    };
    match session.target.engine {
        Engine::Postgres => {
            let query = with_roots("sslmode=verify-full", "sslrootcert");
            let address = session.address.map(|address| format!("&hostaddr={address}"));
            Ok(query + &address.unwrap_or_default())
        }
        Engine::Mysql => {
            session.require_direct()?;
            match &*client.tool() {
                // sqlx 0.9 sends a token only where a program asks for the plugin in code:
                // https://github.com/launchbadge/sqlx/pull/2533
                "sqlx" if session.request.is_some() => Err(Failure::usage(format!(
                    "{} cannot send a token to MySQL: its command line has no setting for the cleartext \
                     plugin; run it through `rds-iam proxy`",
                    client.shown()
                ))),
                "sqlx" => Ok(with_roots("ssl-mode=VERIFY_IDENTITY", "ssl-ca")),
                "diesel" => Ok(with_roots("ssl_mode=VERIFY_IDENTITY", "ssl_ca")),
                _ => Err(Failure::usage(format!(
                    "unknown TLS parameters of {} for MySQL: pass those that make it verify the server as \
                     --url-query",
                    client.shown()
                ))),
            }
        }
    }
}

/// Returns the URL with the password, which must only be passed in the child's environment.
pub(super) fn with_login(session: &Session, login: &Login, query: &str) -> String {
    let target = &session.target;
    let scheme = target.engine.word();
    let (user, password) = (percent_encoded(&login.user), percent_encoded(&login.password));
    let (host, port) = (bracketed(target.tls_name()), target.port);
    let database = target.database.as_deref().map(percent_encoded).unwrap_or_default();
    format!("{scheme}://{user}:{password}@{host}:{port}/{database}?{query}")
}
