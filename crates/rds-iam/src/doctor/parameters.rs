//! Reports user, database and trusted roots of the connection string.

use super::{
    cause::Code,
    report::{Report, StepName},
};
use crate::{cli::Engine, target::Target};

/// Reports user, database and roots, and warns of a missing plugin or an ignored password.
pub(super) fn report(report: &mut Report, target: &Target) {
    let user = target.user.escape_debug();
    let database = match (target.engine, target.database.as_deref()) {
        (_, Some(database)) => format!("database `{}`", database.escape_debug()),
        (Engine::Postgres, None) if target.secret.is_some() => {
            "the database of the same name as the user".to_owned()
        }
        (Engine::Postgres, None) => format!("database `{user}`"),
        (Engine::Mysql, None) => "no database".to_owned(),
    };
    let who = match &target.secret {
        Some(id) => format!("user and password of secret `{}`", id.escape_debug()),
        None => format!("user `{user}`"),
    };
    let fact = format!("{who}, {database}, trusting {}", target.roots);
    let mut remarks = Vec::new();
    if target.parameter("plugins").is_none() {
        remarks.push(match target.secret {
            Some(_) => "add plugins=awsSecretsManager: a program does not load the secret without it",
            None => "add plugins=iam: a program sends no token without it",
        });
    }
    if target.has_password {
        remarks.push("remove the password: the plugin provides another");
    }
    match remarks.is_empty() {
        true => report.ok(StepName::Parameters, fact),
        false => report.warning(StepName::Parameters, fact, Code::Parameters, remarks.join(", and ")),
    }
}
