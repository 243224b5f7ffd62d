//! Passwords that an adapter would never send as a token.

use super::{Table, key, temporary_key};
use crate::{
    Result,
    environment::HOST,
    login::{Login, Signer},
};

/// Modifies a valid token in several ways.
pub(super) async fn run(table: &mut Table<'_>) -> Result<()> {
    let port = table.environment.port;
    let signer = Signer::new(&key())?;
    let good = signer.tokens.rds(HOST, port, "jane").await?.expose().to_owned();
    let bobs = signer.tokens.rds(HOST, port, "bob").await?.expose().to_owned();
    let temporary = Signer::new(&temporary_key())?.tokens.rds(HOST, port, "jane").await?.expose().to_owned();

    let rows = [
        ("another user's token", "jane", "Login; user", bobs),
        ("token for another login", "bob", "Login; user", good.clone()),
        // The verifier compares the user with the login's first, and then checks the signature.
        ("tampered user", "jane", "Login; user", good.replace("DBUser=jane", "DBUser=bob")),
        (
            "tampered user, logging in as that",
            "bob",
            "Login; signature",
            good.replace("DBUser=jane", "DBUser=bob"),
        ),
        ("tampered signature", "jane", "Login; signature", with_last_digit_changed(&good)),
        ("truncated", "jane", "Login; signature", good[..good.len() - 4].to_owned()),
        ("service wrong", "jane", "Login; scope", good.replace("%2Frds-db%2F", "%2Frds%2F")),
        (
            "longer life asked for",
            "jane",
            "Login; form",
            good.replace("X-Amz-Expires=900", "X-Amz-Expires=3600"),
        ),
        ("with its scheme", "jane", "Login; form", format!("https://{good}")),
        ("with a blank", "jane", "Login; form", format!("{good} ")),
        // Refused by the adapter itself, which sends no control character.
        ("with a line's end", "jane", "Configuration at build; not asked", format!("{good}\n")),
        ("empty", "jane", "Login; not asked", String::new()),
        (
            "session token cut out",
            "jane",
            "Login; session token",
            without(&temporary, "X-Amz-Security-Token"),
        ),
    ];
    for (case, user, expected, text) in rows {
        let login = Login::by_password(table.environment, user, &text);
        table.login(case, expected, login, Signer::new(&key())?).await?;
    }
    Ok(())
}

fn with_last_digit_changed(token: &str) -> String {
    let last = if token.ends_with('0') { "1" } else { "0" };
    token[..token.len() - 1].to_owned() + last
}

fn without(token: &str, name: &str) -> String {
    let parts = token.split('&').filter(|part| !part.starts_with(name));
    parts.collect::<Vec<_>>().join("&")
}
