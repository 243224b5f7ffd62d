//! Texts in the token's place that the product would never send.

use super::{Table, key, temporary_key};
use crate::{
    Result,
    login::{Login, Product},
    site::HOST,
};

/// Bends a good token in one way after the other.
pub(super) async fn run(table: &mut Table<'_>) -> Result<()> {
    let port = table.site.port;
    let product = Product::new(&key())?;
    let good = product.tokens.rds(HOST, port, "jane").await?.expose().to_owned();
    let bobs = product.tokens.rds(HOST, port, "bob").await?.expose().to_owned();
    let temporary = Product::new(&temporary_key())?.tokens.rds(HOST, port, "jane").await?.expose().to_owned();

    let rows = [
        ("another user's token", "Login; user", bobs),
        ("tampered user", "Login; user", good.replace("DBUser=jane", "DBUser=bob")),
        ("tampered signature", "Login; signature", with_last_digit_changed(&good)),
        ("truncated", "Login; signature", good[..good.len() - 4].to_owned()),
        ("longer life asked for", "Login; form", good.replace("X-Amz-Expires=900", "X-Amz-Expires=3600")),
        ("with its scheme", "Login; form", format!("https://{good}")),
        ("with a blank", "Login; form", format!("{good} ")),
        ("session token cut out", "Login; session token", without(&temporary, "X-Amz-Security-Token")),
    ];
    for (case, expected, text) in rows {
        let login = Login::by_password(table.site, "jane", &text);
        table.login(case, expected, login, Product::new(&key())?).await?;
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
