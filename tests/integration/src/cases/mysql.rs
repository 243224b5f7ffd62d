//! The cases of MariaDB and MySQL alone.

use super::{Table, key};
use crate::{
    Result,
    environment::{Environment, HOST},
    login::{Login, Signer},
    report::Report,
};

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    let signer = || Signer::new(&key());
    let legacy = Login::by_password(environment, "legacy", "legacy password");
    table.login("user with a password", "in as legacy; not asked", legacy, signer()?).await?;
    let guarded = Login::by_password(environment, "guarded", "guarded password");
    let case = "password and REQUIRE SSL";
    table.login(case, "in as guarded; not asked", guarded.clone(), signer()?).await?;
    let in_clear = guarded.without("sslrootcert").without("enable_cleartext_plugin");
    let in_clear = in_clear.with("sslmode", "disable");
    table.login(&format!("{case}, no tls"), "Login; not asked", in_clear, signer()?).await?;

    // Where the server does not ask for TLS, the adapter still does.
    let lax = Login::by_token(environment, "lax");
    let case = "token without REQUIRE SSL";
    table.login(case, "in as lax; accepted", lax.clone(), signer()?).await?;
    let in_clear = lax.with("sslmode", "disable");
    table.login(&format!("{case}, no tls"), "Configuration at build; not asked", in_clear, signer()?).await?;

    let token = signer()?.tokens.rds(HOST, environment.port, "jane").await?;
    let by_hand = Login::by_password(environment, "jane", token.expose());
    let in_clear = by_hand.clone().with("sslmode", "disable");
    let expected = "Configuration at build; not asked";
    table.login("cleartext password without tls", expected, in_clear, signer()?).await?;
    let hashed = by_hand.with("enable_cleartext_plugin", "false");
    table.login("cleartext password not allowed", "Configuration; not asked", hashed, signer()?).await
}
