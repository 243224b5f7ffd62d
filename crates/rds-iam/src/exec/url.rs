//! The URL with a password in it, for tools that take nothing else.

use wrapper_adapter::percent_encoded;
use wrapper_core::text::{bracketed, is_name};

use super::{Login, Session, client::Client};
use crate::{cli::Engine, failure::Failure};

/// Returns the name of a variable, if it is one.
pub(super) fn checked_name(name: &str) -> Result<&str, Failure> {
    let is_variable = is_name(name) && !name.contains(['.', '-']) && !name.starts_with(char::is_numeric);
    if !is_variable {
        return Err(Failure::usage("--url-env takes the name of a variable, such as DATABASE_URL"));
    }
    Ok(name)
}

/// Returns the parameters that make the tool verify the server.
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
            session.direct()?;
            match &*client.tool() {
                "sqlx" => Ok(with_roots("ssl-mode=VERIFY_IDENTITY", "ssl-ca")),
                "diesel" => Ok(with_roots("ssl_mode=VERIFY_IDENTITY", "ssl_ca")),
                _ => Err(Failure::usage(format!(
                    "it is not known which parameters make {} verify TLS at MySQL: pass them as --url-query",
                    client.shown()
                ))),
            }
        }
    }
}

/// Returns the URL, which belongs into the child's environment and nowhere else.
pub(super) fn with_login(session: &Session, login: &Login, query: &str) -> String {
    let target = &session.target;
    let scheme = target.engine.word();
    let (user, password) = (percent_encoded(&login.user), percent_encoded(&login.password));
    let (host, port) = (bracketed(target.tls_name()), target.port);
    let database = target.database.as_deref().map(percent_encoded).unwrap_or_default();
    format!("{scheme}://{user}:{password}@{host}:{port}/{database}?{query}")
}
