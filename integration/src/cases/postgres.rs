//! The cases of PostgreSQL alone.

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
    let legacy = Login::by_password(site, "legacy", "legacy password");
    table
        .login("user with a password", "in as legacy; not asked", legacy.clone(), Product::new(&key())?)
        .await?;
    let in_clear = legacy.with("sslmode", "disable");
    table
        .login("user with a password, no tls", "Configuration; not asked", in_clear, Product::new(&key())?)
        .await?;
    let token = Product::new(&key())?.tokens.rds(HOST, site.port, "jane").await?;
    let in_clear = Login::by_password(site, "jane", token.expose()).with("sslmode", "disable");
    table
        .login(
            "no tls by the driver's own choice",
            "Configuration; not asked",
            in_clear,
            Product::new(&key())?,
        )
        .await
}
