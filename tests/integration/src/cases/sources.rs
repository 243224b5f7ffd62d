//! The sources of credentials of the AWS default chain, each up to a login at PostgreSQL.

use super::Table;
use crate::{
    Result,
    environment::Environment,
    key::Key,
    report::Report,
    sources::{Given, Sources, Variables},
    subprocess::Subprocess,
};

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, sources: &Sources, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    sources.give(Given::FIRST)?;
    let (key, variables) = from_environment();
    let mut logins = vec![("the environment", key, variables)];
    logins.extend(sources.all().into_iter().map(|source| (source.name, source.key(1), source.variables)));
    for (name, key, variables) in logins {
        // The server knows no other key, so an accepted login has used this source.
        environment.record(&[&key])?;
        let case = format!("credentials of {name}");
        log_in(&mut table, sources, &case, "in as jane; accepted", &variables).await?;
    }
    let failures = [
        ("credentials of nowhere", "Credentials(NotConfigured); not asked", Vec::new()),
        (
            "credentials of ecs without its token",
            "Credentials(Failed); not asked",
            sources.ecs_without_its_token(),
        ),
    ];
    for (case, expected, variables) in failures {
        log_in(&mut table, sources, case, expected, &variables).await?;
    }
    Ok(())
}

async fn log_in(
    table: &mut Table<'_>,
    sources: &Sources,
    case: &str,
    expected: &str,
    variables: &Variables,
) -> Result<()> {
    let environment = table.environment;
    let mut alone = Subprocess::start(environment, &sources.environment(variables))?;
    let seen = environment.observe_fallible(async { Ok(alone.log_in_after(0).await?.seen) }).await?;
    table.row(case, expected, &seen);
    Ok(())
}

fn from_environment() -> (Key, Variables) {
    let key = Key {
        id: "ASIAENV".to_owned(),
        secret: "env-secret".to_owned(),
        session_token: Some("env-session".to_owned()),
    };
    let variables = key.variables();
    (key, variables)
}
