//! What a connection string says of database, user and trust.

use super::report::{Code, Report, StepName};
use crate::{cli::Engine, target::Target};

pub(super) fn report(report: &mut Report, target: &Target) {
    let user = target.user.escape_debug();
    let database = match (target.engine, target.database.as_deref()) {
        (_, Some(database)) => format!("database `{}`", database.escape_debug()),
        (Engine::Postgres, None) => format!("database `{user}`"),
        (Engine::Mysql, None) => "no database".to_owned(),
    };
    let fact = format!("user `{user}`, {database}, trusting {}", target.roots);
    let mut remarks = Vec::new();
    if target.parameter("plugins").is_none() {
        remarks.push("add plugins=iam, without which a program sends no token");
    }
    if target.has_password {
        remarks.push("leave out the password, which is ignored beside iam");
    }
    match remarks.is_empty() {
        true => report.ok(StepName::Parameters, fact),
        false => report.warning(StepName::Parameters, fact, Code::Parameters, remarks.join(", and ")),
    }
}
