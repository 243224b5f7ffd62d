//! Facts unknown outside of AWS: printed as observed, without an expectation.

use std::time::Duration;

use rds_wrapper::{
    IamTokenProvider,
    iam::{Clock, SystemClock},
};

use super::{cases::at, certificate, database::Database};
use crate::{Result, report::Report};

/// Minutes by which tokens are dated in the future, within their lifetime.
const AHEAD: [u64; 4] = [1, 4, 6, 14];

/// Runs all observations at a database.
pub(super) async fn run(database: &Database, report: &mut Report) -> Result<()> {
    let (engine, tokens) = (database.engine.name(), IamTokenProvider::from_default_chain()?);
    for (kind, endpoint) in &database.endpoints {
        match endpoint {
            Err(variable) => report.left_out(engine, &format!("{kind} endpoint"), variable),
            Ok(host) => {
                let names = certificate::names(database, host).await?;
                report.saw(engine, &format!("names in the certificate, {kind} endpoint"), &names);
            }
        }
    }
    others(database, &tokens, report).await?;

    let token = tokens.token(&database.target()?).await;
    let seen = match token {
        Ok(token) => {
            let text = in_capitals(token.expose(), database.signed_host());
            database.try_out(&database.by_text(&text), &tokens).await.text
        }
        Err(error) => error.to_string(),
    };
    report.saw(engine, "host in capitals in the token, signed in small", &seen);

    for minutes in AHEAD {
        let ahead = at(SystemClock.now() + Duration::from_secs(minutes * 60))?;
        let seen = database.try_out(&database.login, &ahead).await;
        report.saw(engine, &format!("token {minutes} min in the future"), &seen.text);
    }
    Ok(())
}

/// Observes whether a token for one endpoint is accepted at another of the same database.
async fn others(database: &Database, tokens: &IamTokenProvider, report: &mut Report) -> Result<()> {
    let named = database.host();
    // The first is the named endpoint, which is one side of every pair.
    for (kind, host) in &database.endpoints[1..] {
        let Ok(host) = host else { continue };
        let pairs = [
            (format!("named endpoint's token, {kind} endpoint"), host.as_str(), named),
            (format!("{kind} endpoint's token, named endpoint"), named, host),
        ];
        for (case, dialled, signed) in pairs {
            let login = database.login.clone().with("host", dialled).with("iamHost", signed);
            let seen = database.try_out(&login.with("tlsServerName", dialled), tokens).await;
            report.saw(database.engine.name(), &case, &seen.text);
        }
    }
    Ok(())
}

/// Returns the token with its host in upper case; the signature covers the lower-case host.
fn in_capitals(token: &str, host: &str) -> String {
    match token.strip_prefix(host) {
        Some(rest) => host.to_uppercase() + rest,
        None => token.to_owned(),
    }
}
