//! What a connection string says of database, user and trust.

use super::{
    cause::Code,
    report::{Report, StepName},
};
use crate::{cli::Engine, target::Target};

pub(super) fn report(report: &mut Report, target: &Target) {
    let user = target.user.escape_debug();
    let database = match (target.engine, target.database.as_deref()) {
        (_, Some(database)) => format!("database `{}`", database.escape_debug()),
        (Engine::Postgres, None) if target.secret.is_some() => "the database named as the user".to_owned(),
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
            Some(_) => "add plugins=awsSecretsManager, without which a program does not ask for the secret",
            None => "add plugins=iam, without which a program sends no token",
        });
    }
    if target.has_password {
        remarks.push("leave out the password, which is ignored: a plugin gives another in its place");
    }
    match remarks.is_empty() {
        true => report.ok(StepName::Parameters, fact),
        false => report.warning(StepName::Parameters, fact, Code::Parameters, remarks.join(", and ")),
    }
}
