//! The cases that every engine has to pass.

pub(crate) mod aborted;
pub(crate) mod clients;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod failover;
pub(crate) mod forward;
pub(crate) mod host_counter;
pub(crate) mod mysql;
pub(crate) mod peers;
pub(crate) mod postgres;
pub(crate) mod proxied;
pub(crate) mod rotation;
pub(crate) mod secrets;
pub(crate) mod sources;
pub(crate) mod variables;

mod over_time;
mod tokens;

use crate::{
    Result,
    environment::{Environment, HOST, OTHER_HOST, Observation},
    key::Key,
    login::{Login, Signer},
    report::Report,
};

/// Returns a key that the server knows.
pub(crate) fn key() -> Key {
    Key {
        id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    }
}

/// Returns a temporary key that the server knows, with a session token that makes tokens of 1.9 kB,
/// as long as RDS sees them.
fn temporary_key() -> Key {
    let session_token = "IQoJb3JpZ2luX2VjEOLTmUuRNp/I3DZ4mDicTZVCko6bQf1wMMy+LEiQIP9=".repeat(24);
    Key { id: "ASIAIOSFODNN7EXAMPLE".to_owned(), session_token: Some(session_token), ..key() }
}

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, report: &mut Report) -> Result<()> {
    record_all(environment)?;
    let mut table = Table { environment, report };
    accepted(&mut table).await?;
    refused(&mut table).await?;
    unverified(&mut table).await?;
    tokens::run(&mut table).await?;
    over_time::over_time(&mut table).await?;
    over_time::at_once(&mut table).await
}

/// Registers the keys of most cases at the server.
pub(crate) fn record_all(environment: &Environment) -> Result<()> {
    environment.record(&[&key(), &temporary_key()])
}

struct Table<'a> {
    environment: &'a Environment,
    report: &'a mut Report,
}

impl Table<'_> {
    async fn login(&mut self, case: &str, expected: &str, login: Login, signer: Signer) -> Result<()> {
        let seen = login.run(self.environment, &signer).await?;
        self.row(case, expected, &seen);
        Ok(())
    }

    fn row(&mut self, case: &str, expected: &str, seen: &Observation) {
        self.report.row(self.environment.engine.name(), case, expected, seen);
    }
}

async fn accepted(table: &mut Table<'_>) -> Result<()> {
    let (environment, signer) = (table.environment, || Signer::new(&key()));
    let jane = Login::by_token(environment, "jane");
    table.login("good", "in as jane; accepted", jane.clone(), signer()?).await?;
    table
        .login("session token", "in as jane; accepted", jane.clone(), Signer::new(&temporary_key())?)
        .await?;
    for user in ["Jane Doe", "a@b+c/d%e"] {
        let login = Login::by_token(environment, user);
        table.login(&format!("user `{user}`"), &format!("in as {user}; accepted"), login, signer()?).await?;
    }
    let by_address = jane.clone().with("host", "127.0.0.1").with("iamHost", HOST);
    table.login("address with iamHost", "in as jane; accepted", by_address, signer()?).await?;
    let by_alias = jane.clone().with("host", "db.internal.example").with("iamHost", HOST);
    table.login("custom domain with iamHost", "in as jane; accepted", by_alias, signer()?).await?;
    // Ten seconds of a token's 15 minutes are left, for a login on a busy machine.
    table
        .login("clock 14 min 50 s behind", "in as jane; accepted", jane.clone(), Signer::behind(&key(), 890)?)
        .await?;
    table.login("clock 4 min ahead", "in as jane; accepted", jane, Signer::ahead(&key(), 240)?).await
}

async fn refused(table: &mut Table<'_>) -> Result<()> {
    let (environment, signer) = (table.environment, || Signer::new(&key()));
    let jane = Login::by_token(environment, "jane");
    table.login("expired", "Login; expired", jane.clone(), Signer::behind(&key(), 901)?).await?;
    // The verifier tolerates five minutes; both rows keep a minute from it.
    table.login("clock 6 min ahead", "Login; future", jane.clone(), Signer::ahead(&key(), 360)?).await?;
    // The name is one that the certificate covers, so that the login is reached.
    let elsewhere = jane.clone().with("iamHost", OTHER_HOST).with("tlsServerName", HOST);
    table.login("host wrong", "Login; endpoint", elsewhere, signer()?).await?;
    let alias = jane.clone().with("host", "db.internal.example");
    table.login("custom domain alone", "Host at build; not asked", alias, signer()?).await?;
    table.login("port wrong", "Login; endpoint", jane.clone().with("iamDefaultPort", "1"), signer()?).await?;
    table
        .login("region wrong", "Login; region", jane.clone().with("iamRegion", "us-east-1"), signer()?)
        .await?;
    table
        .login("user not in the policy", "Login; policy", Login::by_token(environment, "mallory"), signer()?)
        .await?;
    let secret = Key { secret: "another-secret".to_owned(), ..key() };
    table.login("secret wrong", "Login; signature", jane.clone(), Signer::new(&secret)?).await?;
    let unknown = Key { id: "AKIAUNKNOWN".to_owned(), ..key() };
    table.login("key unknown", "Login; key", jane.clone(), Signer::new(&unknown)?).await?;
    let without = Key { session_token: None, ..temporary_key() };
    table
        .login("session token missing", "Login; session token", jane.clone(), Signer::new(&without)?)
        .await?;
    table
        .login("user without rds_iam", "Login; not asked", Login::by_token(environment, "legacy"), signer()?)
        .await
}

/// Where the server is not proven to be the right one, no token may leave.
async fn unverified(table: &mut Table<'_>) -> Result<()> {
    let (environment, signer) = (table.environment, || Signer::new(&key()));
    let jane = Login::by_token(environment, "jane");
    let no_tls = jane.clone().with("sslmode", "disable");
    table.login("no tls", "Configuration at build; not asked", no_tls, signer()?).await?;
    let stranger = jane.clone().trusting_another(environment);
    table.login("authority wrong", "Tls; not asked", stranger, signer()?).await?;
    let other_name = jane.with("host", OTHER_HOST);
    table.login("name wrong", "Tls; not asked", other_name, signer()?).await
}
