//! The environment variables of libpq.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

use super::{Login, Session, client::Client};
use crate::failure::Failure;

/// The first version whose `sslrootcert=system` means the roots of the platform.
const KNOWS_SYSTEM: u32 = 16;

/// Returns the trusted roots: the given ones, those of the environment, or the platform's.
pub(super) fn roots(client: &Client<'_>, given: Option<&Path>) -> Result<OsString, Failure> {
    if let Some(roots) = given {
        return Ok(roots.as_os_str().to_owned());
    }
    if let Some(roots) = env::var_os("PGSSLROOTCERT").filter(|roots| !roots.is_empty()) {
        return Ok(roots);
    }
    match client.postgres_version() {
        // Its own error message advises turning verification off.
        Some(version) if version < KNOWS_SYSTEM => Err(Failure::usage(format!(
            "{} {version} needs a root certificate file to verify the server: pass the RDS bundle as \
             --sslrootcert (https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem)",
            client.shown()
        ))),
        _ => Ok(OsString::from("system")),
    }
}

/// Sets the variables of libpq, and removes those that would weaken them.
pub(super) fn set(command: &mut Command, session: &Session, login: &Login, roots: &OsStr) {
    let Session { target, address, .. } = session;
    command
        .env("PGHOST", target.tls_name())
        .env("PGPORT", target.port.to_string())
        .env("PGUSER", &login.user)
        .env("PGPASSWORD", &*login.password)
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", roots)
        // With a Kerberos ticket the client would use GSSAPI encryption instead of TLS.
        .env("PGGSSENCMODE", "disable")
        // A service file could send this password to another server.
        .env_remove("PGSERVICE");
    if login.is_token {
        // The server asks for the token in clear text, which these variables can forbid.
        command.env_remove("PGCHANNELBINDING").env_remove("PGREQUIREAUTH");
    }
    if let Some(address) = address {
        command.env("PGHOSTADDR", address.to_string());
    }
    if let Some(database) = &target.database {
        command.env("PGDATABASE", database);
    }
    for (name, value) in &target.settings {
        command.env(name, value);
    }
}
