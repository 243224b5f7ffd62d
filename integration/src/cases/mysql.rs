//! The cases of MariaDB and MySQL alone.

use super::{Table, key};
use crate::{
    Result,
    login::{Login, Product},
    report::Report,
    site::{HOST, Site},
};

/// Runs the cases.
pub(crate) async fn run(site: &Site, report: &mut Report) -> Result<()> {
    let mut table = Table { site, report };
    let product = || Product::new(&key());
    let legacy = Login::by_password(site, "legacy", "legacy password");
    table.login("user with a password", "in as legacy; not asked", legacy, product()?).await?;
    let guarded = Login::by_password(site, "guarded", "guarded password");
    let case = "password and REQUIRE SSL";
    table.login(case, "in as guarded; not asked", guarded.clone(), product()?).await?;
    let in_clear = guarded.without("sslrootcert").without("enable_cleartext_plugin");
    let in_clear = in_clear.with("sslmode", "disable");
    table.login(&format!("{case}, no tls"), "Login; not asked", in_clear, product()?).await?;

    // Where the server does not ask for TLS, the product still does.
    let lax = Login::by_token(site, "lax");
    let case = "token without REQUIRE SSL";
    table.login(case, "in as lax; accepted", lax.clone(), product()?).await?;
    let in_clear = lax.with("sslmode", "disable");
    table
        .login(&format!("{case}, no tls"), "Configuration at build; not asked", in_clear, product()?)
        .await?;

    let token = product()?.tokens.rds(HOST, site.port, "jane").await?;
    let by_hand = Login::by_password(site, "jane", token.expose());
    let in_clear = by_hand.clone().with("sslmode", "disable");
    let expected = "Configuration at build; not asked";
    table.login("cleartext password without tls", expected, in_clear, product()?).await?;
    let hashed = by_hand.with("enable_cleartext_plugin", "false");
    table.login("cleartext password not allowed", "Configuration; not asked", hashed, product()?).await
}
