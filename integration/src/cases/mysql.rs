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

    let token = product()?.tokens.rds(HOST, site.port, "jane").await?;
    let by_hand = Login::by_password(site, "jane", token.expose());
    let in_clear = by_hand.clone().with("sslmode", "disable");
    let expected = "Configuration at build; not asked";
    table.login("cleartext password without tls", expected, in_clear, product()?).await?;
    let hashed = by_hand.with("enable_cleartext_plugin", "false");
    table.login("cleartext password not allowed", "Configuration; not asked", hashed, product()?).await
}
