//! Parameters that a driver or another tool knows, and the hints for them.

use std::sync::Arc;

use super::*;
use wrapper_core::{BuildContext, Factory, Parameter, ParameterKind, Plugin};

struct Auth;

impl Factory<()> for Auth {
    fn code(&self) -> &str {
        "auth"
    }

    fn parameters(&self) -> &[Parameter] {
        const AUTH: &[Parameter] =
            &[Parameter::new("authHost", ParameterKind::Text, "", "").aliases(&["loginDomain"])];
        AUTH
    }

    fn absence(&self, code: &str) -> Option<String> {
        (code == "related").then(|| "not written yet".to_owned())
    }

    fn owner_elsewhere(&self, parameter: &str) -> Option<&'static str> {
        [("relatedRate", "related"), ("authRate", "auth")]
            .iter()
            .find(|row| row.0 == parameter)
            .map(|row| row.1)
    }

    fn build(&self, _: &BuildContext<'_>) -> Result<Arc<dyn Plugin<()>>> {
        unreachable!("nothing is built")
    }
}

fn registry() -> Registry<()> {
    Registry::new().with(Auth)
}

#[test]
fn unknown_parameter_names_the_nearest_and_no_value() {
    let driver = DriverNames {
        names: &["password", "user"],
        known_elsewhere: &[("kennwort", "password")],
        engine: None,
    };
    let message = |name| driver.unknown(&registry(), name).to_string();

    assert_eq!(message("passwrod"), "unknown parameter `passwrod`: did you mean `password`?");
    assert_eq!(message("auth_host"), "unknown parameter `auth_host`: did you mean `authHost`?");
    assert_eq!(message("loginDomain"), "unknown parameter `loginDomain`: did you mean `authHost`?");
    assert_eq!(message("colour"), "unknown parameter `colour`");
    assert_eq!(message("Kennwort"), "unknown parameter `Kennwort`: did you mean `password`?");
    assert_eq!(message("user_name"), "unknown parameter `user_name`: did you mean `user`?");
    assert_eq!(message("useSSL"), "unknown parameter `useSSL`: did you mean `sslmode=verify-full`?");
    assert!(message("jane:hunter2@h").starts_with("unknown parameter, whose name is not shown"));
}

#[test]
fn text_that_begins_as_a_name_of_no_use_is_not_shown() {
    let driver = DriverNames { names: &["user"], known_elsewhere: &[], engine: Some(Engine::Postgres) };
    for name in ["telemetry=hunter2", "telemetry\u{1}", "telemetryX hunter2", "auth\nhunter2"] {
        let entries = [(name.to_owned(), Value::from("hunter2"))];
        for error in [
            driver.check_elsewhere(&registry(), &entries).err(),
            Some(driver.unknown(&registry(), name)),
            given_in_code(&registry(), entries.clone()).err(),
        ] {
            let shown = error.map(|error| format!("{error:?}")).unwrap_or_default();
            assert!(!shown.contains("hunter2") && !shown.contains("telemetry"), "{shown}");
        }
    }
}

#[test]
fn name_in_doubt_is_shown_only_if_it_is_near() {
    let driver = DriverNames { names: &["password", "user"], known_elsewhere: &[], engine: None };
    let message = |name| driver.unknown_in_doubt(&registry(), name).to_string();

    assert_eq!(message("usr"), "unknown parameter `usr`: did you mean `user`?");
    assert!(!message("hunter2").contains("hunter2"));
}

#[test]
fn name_in_code_that_is_the_drivers_names_its_place() {
    let error = |name: &str| given_in_code(&registry(), [(name.to_owned(), Value::from("x"))]).err();

    assert!(error("authHost").is_none());
    let text = error("keepalives_idle").expect("unknown").to_string();
    assert!(text.contains("set the driver's own in the connection string or the map"), "{text}");
    let text = error("auth_host").expect("unknown").to_string();
    assert_eq!(text, "unknown parameter `auth_host`: did you mean `authHost`?");
}

#[test]
fn parameter_of_a_related_plugin_says_why_it_is_of_no_use() {
    let driver = DriverNames { names: &["host"], ..DriverNames::NONE };
    let check = |name: &str, says: &str| {
        let text = driver.unknown(&registry(), name).to_string();
        assert_eq!(text, says);
        let entry = [(name.to_owned(), Value::from("hunter2"))];
        assert_eq!(driver.check_elsewhere(&registry(), &entry).expect_err(name).to_string(), text);
        assert_eq!(unknown_in_code(&registry(), name).to_string(), text);
        assert!(!driver.unknown_in_doubt(&registry(), name).to_string().contains(name), "{name}");
        assert!(driver.check_elsewhere(&registry(), &[(name.to_owned(), Value::Null)]).is_ok());
    };
    check("relatedRate", "`relatedRate` belongs to plugin `related`, which is not written yet");
    check("authRate", "`authRate` has no effect here: leave it out");
    check("maxPoolSize", &format!("`maxPoolSize` has no effect here, leave it out: {POOL}"));
}

const POOL: &str = "sizes and time limits of a pool are set where the pool is built";

#[test]
fn parameter_that_the_driver_has_is_left_to_it() {
    let driver = DriverNames { names: &["charset"], known_elsewhere: &[], engine: Some(Engine::Mysql) };
    let entries = ["charset", "pool"].map(|name| (name.to_owned(), Value::from("x")));
    assert!(driver.check_elsewhere(&registry(), &entries[..1]).is_ok());
    assert!(driver.check_elsewhere(&registry(), &entries).expect_err("pool").to_string().contains("`pool`"));
}

#[test]
fn common_names_of_other_drivers_lead_to_what_is_written_here() {
    let message = |engine, name| {
        let names = &["connect_timeout", "enable_cleartext_plugin", "options"];
        let driver = DriverNames { names, known_elsewhere: &[], engine: Some(engine) };
        driver.unknown(&registry(), name).to_string()
    };
    let check = |engine, name, says: &str| {
        let text = message(engine, name);
        assert!(text.contains(says) && !text.contains("enable_cleartext_plugin"), "{text}");
    };
    check(Engine::Postgres, "connectTimeout", "did you mean `wrapperConnectTimeout`?");
    check(Engine::Mysql, "connectTimeout", "did you mean `wrapperConnectTimeout`?");
    check(Engine::Postgres, "statement_timeout", "did you mean `options=-cstatement_timeout=…`?");
    check(Engine::Postgres, "statementTimeout", "did you mean `options=-cstatement_timeout=…`?");
    check(Engine::Postgres, "TimeZone", "did you mean `options=-ctimezone=…`?");
    check(Engine::Mysql, "statement_timeout", "run it as a statement");
    check(Engine::Mysql, "charset", "utf8mb4");
    check(Engine::Postgres, "client_encoding", "UTF-8");
    check(Engine::Mysql, "allowCleartextPasswords", "a token needs no switch");
    check(Engine::Mysql, "useSSL", "`sslmode=verify-full`");
    check(Engine::Postgres, "connection_limit", "where the pool is built");
}
