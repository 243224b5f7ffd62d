//! What a refusal of a PostgreSQL server means.

use wrapper_core::ErrorKind;

/// Says what kind of refusal this is, and whether a newer token may mend it.
///
/// Code and text decide together, because RDS, RDS Proxy and DSQL share codes; texts of RDS may be translated, so where a
/// code alone is telling, the text is not asked. The rows of RDS Proxy and DSQL come from public reports.
pub(crate) fn classify(code: &str, text: &str, hint: Option<&str>) -> (ErrorKind, bool) {
    let lower = text.to_lowercase();
    let says = |part: &str| lower.contains(part);
    let stale = (ErrorKind::Login, true);
    let refused = (ErrorKind::Login, false);
    match code {
        _ if says("too many competing requests") => (ErrorKind::Throttled, false),
        _ if says("rate of connection") && says("exceeded") => (ErrorKind::Throttled, false),
        _ if says("waking up cluster") => (ErrorKind::Transient, false),
        "28000" if says("pg_hba.conf") => (ErrorKind::Configuration, false),
        "28000" => stale,
        "28P01" if says("the iam authentication failed for the role") => stale,
        "28P01" => refused,
        "08006" if says("access denied") => match hint {
            Some(hint) if hint.to_lowercase().contains("signature expired") => stale,
            _ => refused,
        },
        "53300" | "53400" => (ErrorKind::Throttled, false),
        // admin_shutdown, crash_shutdown, cannot_connect_now: a server that restarts or fails over.
        "57P01" | "57P02" | "57P03" => (ErrorKind::Transient, false),
        // invalid_catalog_name: no such database.
        "3D000" => (ErrorKind::Configuration, false),
        _ => (ErrorKind::Driver, false),
    }
}

/// What a person can do about a refusal that has one well-known reason.
pub(crate) fn remedy(kind: ErrorKind, code: &str) -> &'static str {
    match (kind, code) {
        (ErrorKind::Login, "28P01") => {
            ": it asked for a password and not for a token, so the user lacks the role rds_iam, or does not exist"
        }
        (ErrorKind::Configuration, "28000") => {
            ": its access rules know no such user, database and kind of connection (is it tls?)"
        }
        (ErrorKind::Configuration, "3D000") => ": there is no such database",
        (ErrorKind::Throttled, _) => {
            ": it limits new connections for now, so trying again at once makes it worse"
        }
        (ErrorKind::Transient, _) => ": it is not ready yet, try again in a moment",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, text: &str, hint: Option<&str>, kind: ErrorKind, stale: bool) {
        assert_eq!(classify(code, text, hint), (kind, stale), "{code} {text}");
    }

    #[test]
    fn pam_failure_may_be_a_stale_token() {
        check("28000", "PAM authentication failed for user \"jane\"", None, ErrorKind::Login, true);
        check(
            "28000",
            "PAM-Authentifizierung für Benutzer »jane« fehlgeschlagen",
            None,
            ErrorKind::Login,
            true,
        );
    }

    #[test]
    fn password_failure_is_a_login_that_no_token_mends() {
        check("28P01", "password authentication failed for user \"jane\"", None, ErrorKind::Login, false);
    }

    #[test]
    fn access_rule_is_configuration() {
        let text =
            "no pg_hba.conf entry for host \"10.0.0.1\", user \"jane\", database \"app\", no encryption";
        check("28000", text, None, ErrorKind::Configuration, false);
    }

    #[test]
    fn proxy_refusals_are_told_apart() {
        let text = "The IAM authentication failed for the role jane. Check the IAM token for this role and try again.";
        check("28000", text, None, ErrorKind::Login, true);
        check("28P01", text, None, ErrorKind::Login, true);
        let text = "The IAM authentication failed because of too many competing requests.";
        check("28000", text, None, ErrorKind::Throttled, false);
        check("28P01", "Rate of connection requests exceeded", None, ErrorKind::Throttled, false);
    }

    #[test]
    fn dsql_refusals_are_told_apart() {
        let text = "unable to accept connection, access denied";
        check("08006", text, None, ErrorKind::Login, false);
        check("08006", text, Some("Signature expired: 2025"), ErrorKind::Login, true);
        check("08006", "waking up cluster, please retry later", None, ErrorKind::Transient, false);
        check("08006", "something else", None, ErrorKind::Driver, false);
    }

    #[test]
    fn limits_and_restarts_are_no_logins() {
        check("53300", "sorry, too many clients already", None, ErrorKind::Throttled, false);
        check("57P03", "the database system is starting up", None, ErrorKind::Transient, false);
        check("3D000", "database \"nope\" does not exist", None, ErrorKind::Configuration, false);
        check("XX000", "port 28000 is odd", None, ErrorKind::Driver, false);
    }
}
