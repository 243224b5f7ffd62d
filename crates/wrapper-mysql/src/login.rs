//! What a refusal of a MySQL or MariaDB server means.

use wrapper_core::ErrorKind;

/// Says what kind of refusal this is, and whether a newer token may mend it.
///
/// Numbers: <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>. The rows of RDS Proxy (1040 with
/// its text, 3159, 9501) come from public reports.
pub(crate) fn classify(code: u16, text: &str) -> (ErrorKind, bool) {
    let says = |part: &str| text.to_lowercase().contains(part);
    let kind = match code {
        1045 | 1698 => return (ErrorKind::Login, true),
        // The account is locked.
        3118 | 4151 => ErrorKind::Login,
        1040 if says("iam authentication rate limit exceeded") => ErrorKind::Throttled,
        // Too many connections: of the server, of the user, of the user within an hour.
        1040 | 1203 | 1226 => ErrorKind::Throttled,
        // No such database, or none that this user may use; the client's host is blocked, or not allowed.
        1044 | 1049 | 1129 | 1130 => ErrorKind::Configuration,
        // The server shuts down, or a primary turns into a replica.
        1053 | 1077 | 1079 => ErrorKind::Transient,
        3159 => ErrorKind::Tls,
        9501 => ErrorKind::Timeout,
        _ => ErrorKind::Driver,
    };
    (kind, false)
}

/// What a person can do about a refusal that has one well-known reason.
pub(crate) fn remedy(kind: ErrorKind, code: u16) -> &'static str {
    match (kind, code) {
        (ErrorKind::Login, 3118 | 4151) => ": the account is locked",
        (ErrorKind::Configuration, 1049) => ": there is no such database",
        (ErrorKind::Configuration, 1044) => ": the user has no privileges on the database",
        (ErrorKind::Configuration, _) => ": it takes no connections from this machine's address",
        (ErrorKind::Throttled, _) => {
            ": it limits new connections for now, so trying again at once makes it worse"
        }
        (ErrorKind::Tls, _) => ": it asks for tls, add sslmode=verify-full",
        (ErrorKind::Timeout, _) => ": the proxy waited too long for a connection to the database",
        (ErrorKind::Transient, _) => ": it is not ready yet, try again in a moment",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u16, text: &str, kind: ErrorKind, stale: bool) {
        assert_eq!(classify(code, text), (kind, stale), "{code} {text}");
    }

    #[test]
    fn access_denied_may_be_a_stale_token() {
        let text = "Access denied for user 'jane'@'10.0.0.1' (using password: YES)";
        check(1045, text, ErrorKind::Login, true);
        check(1045, "Benutzer 'jane'@'10.0.0.1' hat keine Zugriffsberechtigung", ErrorKind::Login, true);
        check(1698, "Access denied for user 'jane'@'10.0.0.1'", ErrorKind::Login, true);
    }

    #[test]
    fn locked_account_is_a_login_that_no_token_mends() {
        check(3118, "Access denied for user 'jane'@'%'. Account is locked.", ErrorKind::Login, false);
    }

    #[test]
    fn proxy_refusals_are_told_apart() {
        check(1040, "IAM authentication rate limit exceeded", ErrorKind::Throttled, false);
        check(3159, "This RDS Proxy requires TLS connections", ErrorKind::Tls, false);
        check(9501, "Timed-out waiting to acquire database connection", ErrorKind::Timeout, false);
    }

    #[test]
    fn limits_databases_and_restarts_are_no_logins() {
        check(1040, "Too many connections", ErrorKind::Throttled, false);
        check(1049, "Unknown database 'nope'", ErrorKind::Configuration, false);
        check(1130, "Host '10.0.0.1' is not allowed to connect", ErrorKind::Configuration, false);
        check(1053, "Server shutdown in progress", ErrorKind::Transient, false);
        check(1105, "port 1045 is odd", ErrorKind::Driver, false);
    }
}
