//! The cases that can be had at a database of the reader's own, on RDS or Aurora.

use std::{env, sync::Arc, time::Duration};

use rds_wrapper::{Clock, IamTokens, SystemClock, SystemResolver};
use token_cache::ManualClock;

use crate::{
    Result,
    login::{Connector, not_built, seen},
    report::Report,
    site::{Engine, Seen},
};

/// Few enough for the smallest instance and for the limit of about 200 logins by token a second.
const AT_ONCE: usize = 20;

/// A database as the environment names it.
struct Database {
    engine: Engine,
    user: String,
    parameters: Vec<(String, String)>,
}

impl Database {
    /// Reads the variables with a prefix; without a host there is no database.
    fn read(engine: Engine, prefix: &str) -> Result<Option<Self>> {
        let variable =
            |name: &str| env::var(format!("{prefix}_{name}")).ok().filter(|value| !value.is_empty());
        let Some(host) = variable("HOST") else { return Ok(None) };
        let user = variable("USER").ok_or_else(|| format!("{prefix}_HOST is set, but not {prefix}_USER"))?;
        let mut parameters = vec![("host", host), ("user", user.clone()), ("plugins", "iam".to_owned())];
        let optional = [
            ("port", variable("PORT")),
            ("database", variable("DATABASE")),
            ("sslrootcert", variable("SSLROOTCERT")),
            ("iamHost", variable("IAM_HOST")),
            ("iamRegion", variable("IAM_REGION")),
        ];
        parameters.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Some(Self { engine, user, parameters }))
    }

    fn connector(&self, tokens: &IamTokens, more: &[(&str, &str)]) -> rds_wrapper::Result<Connector> {
        let mut parameters = self.parameters.clone();
        for (name, value) in more {
            parameters.retain(|(known, _)| known != name);
            parameters.push(((*name).to_owned(), (*value).to_owned()));
        }
        Connector::build(self.engine, parameters, tokens, SystemResolver)
    }

    async fn log_in(&self, tokens: &IamTokens, more: &[(&str, &str)]) -> Seen {
        match self.connector(tokens, more) {
            Ok(connector) => seen(connector.log_in().await),
            Err(error) => not_built(&error),
        }
    }
}

/// Runs the cases at every database that the environment names.
///
/// # Errors
///
/// If it names none, or a half one, or a case differs from what is expected.
pub(crate) async fn run() -> Result<()> {
    let databases = [
        Database::read(Engine::Postgres, "RDS_PG")?,
        // What is asked of a MySQL server here is the same for MariaDB.
        Database::read(Engine::Mysql, "RDS_MYSQL")?,
    ];
    if databases.iter().all(Option::is_none) {
        return Err(
            "no database is named: set RDS_PG_HOST and RDS_PG_USER, or RDS_MYSQL_HOST and RDS_MYSQL_USER"
                .into(),
        );
    }
    let mut report = Report::new();
    for database in databases.into_iter().flatten() {
        cases(&database, &mut report).await?;
    }
    report.finish()
}

async fn cases(database: &Database, report: &mut Report) -> Result<()> {
    let engine = database.engine.name();
    let tokens = IamTokens::from_default_chain()?;
    let inside = format!("in as {}", database.user);
    report.row(engine, "good", &inside, &database.log_in(&tokens, &[]).await);
    report.row(
        engine,
        "no tls",
        "Configuration at build",
        &database.log_in(&tokens, &[("sslmode", "disable")]).await,
    );
    report.row(engine, "port wrong", "Login", &database.log_in(&tokens, &[("iamDefaultPort", "1")]).await);
    let elsewhere = [("iamRegion", "ap-northeast-3")];
    report.row(engine, "region wrong", "Login", &database.log_in(&tokens, &elsewhere).await);
    let late = IamTokens::builder()
        .clock(Arc::new(ManualClock::at(SystemClock.now() - Duration::from_secs(16 * 60))))
        .build()?;
    report.row(engine, "expired", "Login", &database.log_in(&late, &[]).await);
    let tokens = IamTokens::from_default_chain()?;
    let seen = database.connector(&tokens, &[])?.log_in_at_once(AT_ONCE).await;
    let seen = Seen { text: format!("{}, {} signed", seen.text, tokens.stats().signed), ..seen };
    let case = format!("{AT_ONCE} connections open at once");
    report.row(engine, &case, &format!("{AT_ONCE} in, 1 signed"), &seen);
    Ok(())
}
