//! Answers of servers, and the kind of error that each becomes.

use super::*;

const EXPIRED: Option<&str> = Some("Signature expired: 20251126T100000Z");

#[track_caller]
fn check(answer: &LoginAnswer<'_>, kind: ErrorKind, retried: bool, code: &str) {
    let row = answer.classify(&["jane", "app"]);
    let cause = row.cause(answer.engine, "jane", Some("app"));
    let seen = (row.kind(), row.is_retried(), cause.as_ref().map(Cause::code));
    assert_eq!(seen, (kind, retried, Some(code).filter(|code| !code.is_empty())), "{answer:?}");
}

macro_rules! rows {
    ($engine:ident; $($name:ident: $($code:literal)+, $text:expr
        $(, hint $hint:expr)? $(, routine $routine:expr)? $(; $before:ident)?
        => $kind:ident, $retried:literal, $cause:literal;)*) => {
        $(
            #[test]
            fn $name() {
                for code in [$($code),+] {
                    let answer = LoginAnswer::new(Engine::$engine, code, $text);
                    $(let answer = answer.with_hint($hint);)?
                    $(let answer = answer.with_routine(Some($routine));)?
                    $(let answer = answer.$before();)?
                    check(&answer, ErrorKind::$kind, $retried, $cause);
                }
            }
        )*
    };
}

rows! { Postgres;
    pam_failure_may_be_a_stale_token: "28000", "PAM authentication failed for user \"jane\""
        => Login, true, "password-refused";
    pam_failure_in_german_may_be_a_stale_token: "28000", "PAM-Authentifizierung für Benutzer »jane« \
                                                          fehlgeschlagen",
        routine "auth_failed" => Login, true, "password-refused";
    password_failure_is_mended_by_no_token: "28P01", "password authentication failed for user \"jane\""
        => Login, false, "password-refused";
    access_rule_is_configuration: "28000", "no pg_hba.conf entry for host \"10.0.0.1\", user \"jane\""
        => Configuration, false, "no-access-rule";
    access_rule_is_known_by_its_routine: "28000", "接続が拒否されました", routine "ClientAuthentication"
        => Configuration, false, "no-access-rule";
    forbidden_login_is_configuration: "28000", "role \"jane\" is not permitted to log in"
        => Configuration, false, "login-forbidden";
    forbidden_login_is_known_by_its_routine: "28000", "Rolle »jane« hat keine Berechtigung zum Einloggen",
        routine "InitializeSessionUserId" => Configuration, false, "login-forbidden";
    role_missing_is_configuration: "28000", "role \"jane\" does not exist"
        => Configuration, false, "no-such-user";
    forbidden_database_is_configuration: "42501", "permission denied for database \"app\""
        => Configuration, false, "database-forbidden";
    forbidden_database_in_french_is_configuration: "42501", "droit refusé pour la base de données « app »"
        => Configuration, false, "database-forbidden";
    database_missing_is_configuration: "3D000", "database \"app\" does not exist"
        => Configuration, false, "no-database";
    server_that_is_not_ready_is_transient:
        "57014" "57P01" "57P02" "57P03" "57P05" "58000" "58030" "55000" "55006",
        "canceling authentication due to timeout" => Transient, false, "not-ready";
    server_without_resources_is_transient: "53000" "53100" "53200", "out of memory"
        => Transient, false, "not-ready";
    full_server_is_throttled: "53300" "53400", "sorry, too many clients already"
        => Throttled, false, "throttled";
    proxy_refusal_may_be_a_stale_token: "28000" "28P01",
        "The IAM authentication failed for the role jane. Check the IAM token for this role and try again."
        => Login, true, "password-refused";
    proxy_without_credentials_is_configuration: "28000" "28P01" "08000",
        "This RDS proxy has no credentials for the role jane. Check the credentials for this role and try \
         again."
        => Configuration, false, "proxy-secret";
    proxy_with_other_logins_is_configuration: "28000" "08P01",
        "RDS Proxy supports only IAM, MD5, or SCRAM authentication"
        => Configuration, false, "proxy-authentication";
    proxy_that_throttles_is_throttled: "28000" "53300",
        "The IAM authentication failed for the role jane because there are too many competing requests."
        => Throttled, false, "throttled";
    connection_rate_is_throttled: "28P01" "53400", "Rate of connection requests exceeded"
        => Throttled, false, "throttled";
    dsql_refusal_is_mended_by_no_token: "08006", "unable to accept connection, access denied"
        => Login, false, "password-refused";
    dsql_expiry_may_be_a_stale_token: "08006", "unable to accept connection, access denied", hint EXPIRED
        => Login, true, "password-refused";
    dsql_that_wakes_is_transient: "08006", "waking up cluster, please retry later"
        => Transient, false, "not-ready";
    digits_in_a_text_mean_nothing: "XX000", "port 28000 is odd, 53300" => Driver, false, "";
    user_with_the_name_of_a_rule_is_a_login: "28000", "PAM authentication failed for user \"app\""
        => Login, true, "password-refused";
}

rows! { Mysql;
    denied_access_may_be_a_stale_token: "1045" "1698", "Access denied for user 'jane'@'10.0.0.1' (using \
                                                        password: YES)"
        => Login, true, "password-refused";
    denied_access_in_german_may_be_a_stale_token: "1045", "Benutzer 'jane'@'10.0.0.1' hat keine \
                                                           Zugriffsberechtigung"
        => Login, true, "password-refused";
    refusal_in_place_of_the_greeting_is_no_matter_of_the_token: "1045" "1698", "Access denied"; before_login
        => Login, false, "refused-before-login";
    locked_account_is_mended_by_no_token: "3118" "3955" "4151", "Access denied. Account is locked."
        => Login, false, "account-locked";
    expired_password_is_mended_by_no_token: "1820" "1862", "Your password has expired."
        => Login, false, "password-expired";
    limits_are_throttled: "1040" "1203" "1226", "Too many connections" => Throttled, false, "throttled";
    limit_before_the_greeting_is_throttled: "1040", "Too many connections"; before_login
        => Throttled, false, "throttled";
    proxy_limit_is_throttled: "1040", "IAM authentication rate limit exceeded"
        => Throttled, false, "throttled";
    database_without_privileges_is_configuration: "1044", "Access denied for user 'jane'@'%' to database \
                                                           'app'"
        => Configuration, false, "database-forbidden";
    mysql_database_missing_is_configuration: "1049", "Unknown database 'app'"
        => Configuration, false, "no-database";
    blocked_machine_is_configuration: "1129" "1130", "Host '10.0.0.1' is not allowed"
        => Configuration, false, "no-access-rule";
    plugin_missing_is_configuration: "1524", "Plugin 'AWSAuthenticationPlugin' is not loaded"
        => Configuration, false, "login-plugin-missing";
    proxy_that_asks_for_tls_is_tls: "3159", "This RDS Proxy requires TLS connections"
        => Tls, false, "tls-required";
    proxy_that_waited_is_a_timeout: "9501", "Timed-out waiting to acquire database connection"
        => Timeout, false, "not-ready";
    mysql_without_resources_is_transient: "1135" "1041", "Can't create a new thread"
        => Transient, false, "not-ready";
    mysql_that_is_not_ready_is_transient: "1053" "1158" "1159" "1836" "3032",
        "The server is currently in offline mode"
        => Transient, false, "not-ready";
    mysql_digits_in_a_text_mean_nothing: "1105", "port 1045 is odd" => Driver, false, "";
}

#[test]
fn names_in_a_text_mean_nothing() {
    let user = "pg_hba.conf";
    for text in [
        "PAM authentication failed for user \"pg_hba.conf\"",
        "PAM-Authentifizierung für Benutzer »pg_hba.conf« fehlgeschlagen",
    ] {
        let row = LoginAnswer::new(Engine::Postgres, "28000", text).classify(&[user, ""]);
        assert_eq!((row.kind(), row.is_retried()), (ErrorKind::Login, true), "{text}");
    }
}

#[test]
fn remedies_are_sql() {
    let cause = |engine, code, user, database| {
        let row = LoginAnswer::new(engine, code, "role is not permitted to log in").classify(&[]);
        row.cause(engine, user, Some(database)).expect("has one").remedy().to_owned()
    };

    assert_eq!(cause(Engine::Postgres, "28000", r#"o"brien"#, ""), r#"ALTER ROLE "o""brien" LOGIN"#);
    assert_eq!(
        cause(Engine::Postgres, "42501", "{database}", "{user}"),
        r#"GRANT CONNECT ON DATABASE "{user}" TO "{database}""#
    );
    assert_eq!(cause(Engine::Mysql, "3118", "o'brien", ""), "ALTER USER 'o''brien'@'%' ACCOUNT UNLOCK");
}

#[test]
fn every_row_is_reached_by_its_own_answer() {
    for (engine, table) in [(Engine::Postgres, POSTGRES_ANSWERS), (Engine::Mysql, MYSQL_ANSWERS)] {
        for row in table {
            for code in row.codes.iter().chain([&"XX000"].into_iter().filter(|_| row.codes.is_empty())) {
                let code = if code.len() == 2 { format!("{code}999") } else { (*code).to_owned() };
                let text = row.text.join(" ");
                let mut answer =
                    LoginAnswer::new(engine, &code, &text).with_hint(row.hint).with_routine(row.routine);
                answer.is_before_login = row.before_login;
                assert!(std::ptr::eq(answer.classify(&[]), row), "{engine} {code} {text}: {row:?}");
            }
        }
    }
}
