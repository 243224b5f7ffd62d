//! The check of a host name before it is signed.

use std::net::Ipv6Addr;

use crate::{Error, ErrorKind, region::shown};

// RFC 1035, section 2.3.4: 255 octets on the wire, less the first length and the root.
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;

/// Returns `host` as it is signed: lower case, without one trailing dot, IPv6 in brackets.
///
/// Where the reference signers disagree about upper case, the lower-case name is what a server's
/// verification sees.
pub(crate) fn canonical(host: &str) -> Result<String, Error> {
    // Text that is not a name may hold a secret after `@`, `:`, `=`, a path or a blank, so no
    // message repeats it.
    if host.contains('@') {
        return invalid("host carries user information: give the name alone");
    }
    if host.contains("://") {
        return invalid("host starts with a scheme: give the name alone");
    }
    if let Some((name, _)) = host.split_once(['/', '?', '#']) {
        return invalid(format!("{} carries a path or query: give the name alone", named(name)));
    }
    // Before the check for a port: an IPv6 address is the only host with a colon.
    if let Some(address) = ipv6(host) {
        return Ok(format!("[{}]", address.to_ascii_lowercase()));
    }
    if let Some((name, _)) = host.split_once([':', '[', ']']) {
        return invalid(format!(
            "{} carries a port or is not an IPv6 address: give the port on its own",
            named(name)
        ));
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return invalid("host holds blanks or control characters: give the name alone");
    }
    if let Some(odd) = host.chars().find(|&c| !is_name_character(c)) {
        return invalid(format!(
            "host holds {odd:?}, which a DNS name cannot: use letters, digits, hyphens and dots"
        ));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return invalid("host is empty: give the name of the endpoint");
    }
    if name.len() > MAX_HOST {
        return invalid(format!("host has {} characters: a DNS name has at most {MAX_HOST}", name.len()));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL {
            return invalid(format!(
                "host {} has an empty label or one over {MAX_LABEL} characters",
                shown(host)
            ));
        }
    }
    Ok(name.to_ascii_lowercase())
}

pub(crate) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Names the host in a message by the text before the piece that does not belong there, if that is
/// a name.
fn named(before: &str) -> String {
    match !before.is_empty() && before.chars().all(is_name_character) {
        true => format!("host {}", shown(before)),
        false => "host".to_owned(),
    }
}

/// Returns the address inside an IPv6 host, with or without brackets.
fn ipv6(host: &str) -> Option<&str> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<Ipv6Addr>().ok().map(|_| bare)
}

fn invalid(message: impl Into<String>) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidHost, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(host: &str) -> String {
        let error = canonical(host).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidHost);
        error.to_string()
    }

    #[test]
    fn host_is_lower_cased() {
        assert_eq!(
            canonical("Db.Abc.US-East-2.rds.amazonaws.com").unwrap(),
            "db.abc.us-east-2.rds.amazonaws.com"
        );
    }

    #[test]
    fn one_trailing_dot_is_stripped() {
        assert_eq!(canonical("db.example.").unwrap(), "db.example");
        refused("db.example..");
        refused(".");
    }

    #[test]
    fn addresses_are_accepted() {
        assert_eq!(canonical("10.0.0.12").unwrap(), "10.0.0.12");
        assert_eq!(canonical("[2001:DB8::1]").unwrap(), "[2001:db8::1]");
        assert_eq!(canonical("2001:db8::1").unwrap(), "[2001:db8::1]");
    }

    #[test]
    fn user_information_is_never_printed() {
        for host in ["jane:hunter2@db.example", "postgres://jane:hunter2@db.example:5432/app"] {
            let message = refused(host);
            assert!(message.contains("user information") && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn secrets_in_malformed_names_are_never_printed() {
        for host in [
            "jane:hunter2/app",
            "jane:hunter2?x",
            "jane:hunter2#f",
            "redis password=hunter2",
            "db.example;Password=hunter2",
            "jane=hunter2",
            "jane=hunter2/app",
            "jane,hunter2",
        ] {
            let message = refused(host);
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn scheme_is_refused() {
        assert!(refused("https://db.example").contains("scheme"));
    }

    #[test]
    fn path_and_query_are_refused_without_their_text() {
        for host in ["db.example/hunter2", "db.example?password=hunter2", "db.example#hunter2"] {
            let message = refused(host);
            assert!(message.contains("db.example") && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn port_is_refused() {
        for host in ["db.example:5432", "[2001:db8::1]:5432", "fe80::1%eth0", "[db.example]"] {
            assert!(refused(host).contains("port"), "{host}");
        }
    }

    #[test]
    fn blanks_and_control_characters_are_refused() {
        for host in [" ", "db example", "db.example\n", "\u{a0}db", "db\0"] {
            assert!(refused(host).contains("blanks"), "{host:?}");
        }
    }

    #[test]
    fn empty_host_is_refused() {
        assert!(refused("").contains("empty"));
    }

    #[test]
    fn lengths_are_bounded() {
        let label = "a".repeat(MAX_LABEL);
        canonical(&label).unwrap();
        refused(&format!("{label}a"));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(canonical(&longest).unwrap().len(), MAX_HOST);
        refused(&format!("{longest}a"));
    }

    #[test]
    fn foreign_characters_are_refused() {
        for (host, odd) in
            [("dä.example", "ä"), ("db%2e.example", "%"), ("db,example", ","), ("*.example", "*")]
        {
            let message = refused(host);
            assert!(message.contains(&format!("host holds '{odd}'")), "{message}");
        }
    }

    #[test]
    fn empty_label_is_refused() {
        assert!(refused("db..example").contains("db..example"));
    }
}
