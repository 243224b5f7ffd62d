//! Cases with a known outcome, with those of the reference's integration tests.

use std::{sync::Arc, time::Duration};

use rds_wrapper::{
    IamTokenProvider,
    host::SystemResolver,
    iam::{Clock, SystemClock},
};
use token_cache::ManualClock;

use super::database::Database;
use crate::{Result, environment::Observation, login::Login, report::Report};

/// Few enough for the smallest instance and for the limit of about 200 logins by token a second.
const AT_ONCE: usize = 20;

/// Runs the cases at a database.
pub(super) async fn run(database: &Database, report: &mut Report) -> Result<()> {
    let tokens = IamTokenProvider::from_default_chain()?;
    let (engine, login) = (database.engine.name(), || database.login.clone());
    let inside = format!("in as {}", database.user);
    // Only the signature is for another name: the certificate is verified by the right one.
    let elsewhere = format!("nobody-{}", database.signed_host());
    let rows: [(&str, &str, Login); 10] = [
        ("no password given", &inside, login()),
        ("a dummy password given", &inside, login().with("password", "anything")),
        ("address with iamHost", &inside, database.by_address().await?),
        ("user wrong", "Login", login().with("user", format!("wrong_{}", database.user))),
        ("no user", "Configuration at build", login().without("user")),
        ("iamHost invalid", "Host at build", login().with("iamHost", "<>")),
        (
            "iamHost of another",
            "Login",
            login().with("iamHost", elsewhere).with("tlsServerName", database.signed_host()),
        ),
        ("no tls", "Configuration at build", login().with("sslmode", "disable")),
        ("port wrong", "Login", login().with("iamDefaultPort", "1")),
        ("region wrong", "Login", login().with("iamRegion", "ap-northeast-3")),
    ];
    for (case, expected, login) in rows {
        report.row(engine, case, expected, &database.try_out(&login, &tokens).await);
    }
    // A minute past the 15 that a token lasts.
    let late = at(SystemClock.now() - Duration::from_secs(16 * 60))?;
    report.row(engine, "expired", "Login", &database.try_out(&login(), &late).await);

    // A provider of its own, so that its count is that of these logins.
    let tokens = IamTokenProvider::from_default_chain()?;
    let seen = login().build(&tokens, SystemResolver)?.log_in_at_once(AT_ONCE).await;
    let seen = Observation { text: format!("{}, {} signed", seen.text, tokens.stats().signed), ..seen };
    let case = format!("{AT_ONCE} connections open at once");
    report.row(engine, &case, &format!("{AT_ONCE} in, 1 signed"), &seen);
    Ok(())
}

/// Tokens of the default chain, signed by a chosen clock.
pub(super) fn at(time: std::time::SystemTime) -> Result<IamTokenProvider> {
    Ok(IamTokenProvider::builder().clock(Arc::new(ManualClock::at(time))).build()?)
}
