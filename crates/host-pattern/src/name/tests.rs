//! Host names that are refused, and the messages for them.

use super::*;
use crate::{Endpoint, InstancePattern};

#[track_caller]
fn check(host: &str, kind: ErrorKind, message: &str) {
    let error = Endpoint::parse(host).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
}

#[test]
fn empty_name_is_refused_with_an_example() {
    let message = "empty host name, expected one such as `db.cluster-abc123.us-east-2.rds.amazonaws.com`";
    check("", ErrorKind::Empty, message);
    check(".", ErrorKind::Empty, message);
}

#[test]
fn url_is_refused_with_its_scheme() {
    check(
        "postgres://jane:hunter2@db.example.com:5432/app?sslmode=require",
        ErrorKind::Scheme,
        "found a `postgres://` URL where a host name is expected, keep only the name between `//` or `@` \
         and the next `:` or `/`",
    );
}

#[test]
fn unknown_scheme_is_not_repeated() {
    check(
        "hunter2://x@db.example.com",
        ErrorKind::Scheme,
        "found a URL where a host name is expected, keep only the name between `//` or `@` and the next `:` \
         or `/`",
    );
}

#[test]
fn user_info_is_refused_and_not_repeated() {
    for host in ["jane:hunter2@db.example.com", "jane@db.example.com", "jane:a@b@[::1]:5432", "@", "ü@x y"] {
        check(
            host,
            ErrorKind::UserInfo,
            "found user info before `@` in a host name, keep only what follows `@` and pass the user \
             separately",
        );
    }
}

#[test]
fn path_is_refused() {
    for host in ["db.example.com/app", "db.example.com:5432/app", "/var/run/postgresql", "/"] {
        check(
            host,
            ErrorKind::Path,
            "found a path (`/…`) in a host name, keep only the name before it and pass the database and \
             options separately",
        );
    }
}

#[test]
fn query_is_refused() {
    check(
        "db.example.com?password=hunter2",
        ErrorKind::Path,
        "found a query (`?…=…`) in a host name, keep only the name before it and pass options separately",
    );
}

#[test]
fn setting_is_refused() {
    check(
        "host=db.example.com password=hunter2",
        ErrorKind::Setting,
        "found a `key=value` setting where a host name is expected, keep only the value of `host`",
    );
}

#[test]
fn list_is_refused() {
    check(
        "a.example.com:5432,b.example.com",
        ErrorKind::List,
        "found a list of hosts (`,`) where a host name is expected, pass one",
    );
}

#[test]
fn whitespace_is_refused_with_its_place() {
    check(" a.b", ErrorKind::Whitespace, "found whitespace (U+0020) at byte 0 of a host name, remove it");
    check("a.b\n", ErrorKind::Whitespace, "found whitespace (U+000A) at byte 3 of a host name, remove it");
    check(
        "a.\u{a0}b:1",
        ErrorKind::Whitespace,
        "found whitespace (U+00A0) at byte 2 of a host name, remove it",
    );
}

#[test]
fn control_character_is_refused_with_its_place() {
    check(
        "a\0b",
        ErrorKind::Character,
        "found a control character (U+0000) at byte 1 of a host name, remove it",
    );
}

#[test]
fn non_ascii_character_is_refused_with_its_place() {
    check(
        "bücher.example",
        ErrorKind::Character,
        "found a non-ASCII character (U+00FC) at byte 1 of a host name, write the name in its `xn--` form",
    );
}

#[test]
fn other_character_is_refused_with_its_place() {
    check(
        "*.example.com",
        ErrorKind::Character,
        "found `*` at byte 0 in a host name, only letters, digits, hyphens, underscores and dots are allowed",
    );
}

#[test]
fn port_is_refused_with_its_host() {
    for (host, name) in
        [("db.example.com:5432", "db.example.com"), ("10.0.0.1:5432", "10.0.0.1"), ("[::1]:5432", "[::1]")]
    {
        let message = format!("found port 5432 behind `{name}` in a host name, pass it separately");
        check(host, ErrorKind::Port, &message);
    }
}

#[test]
fn colon_without_a_port_is_refused_and_what_follows_not_repeated() {
    for host in
        ["jane:hunter2", "db.example.com:", ":5432", "db.example.com:+80", "db.example.com:70000", "a:0"]
    {
        check(
            host,
            ErrorKind::Port,
            "found a colon in a host name, a port is a number and passed separately",
        );
    }
}

#[test]
fn zone_id_is_refused() {
    for host in ["fe80::1%eth0", "[fe80::1%25eth0]"] {
        check(
            host,
            ErrorKind::ZoneId,
            "found a zone id (`%…`) behind an IPv6 address, only the address alone is a host",
        );
    }
}

#[test]
fn malformed_ipv6_address_is_refused() {
    for host in ["::g", "1:2:3", "[::1", "::1]", "[10.0.0.1]", "[localhost]", "::1.", "2001:db8:::1"] {
        check(
            host,
            ErrorKind::Ip,
            "malformed IPv6 address, expected one such as `2001:db8::1` or `[2001:db8::1]`",
        );
    }
}

#[test]
fn placeholder_in_a_host_name_is_refused() {
    for host in ["?", "?.abc123.us-east-2.rds.amazonaws.com", "db.example.com?"] {
        check(
            host,
            ErrorKind::Placeholder,
            "found `?` in a host name, only an instance pattern has it in place of an instance id",
        );
    }
}

#[test]
fn empty_label_is_refused() {
    for host in [".a.b", "a..b", "a.b.."] {
        let name = host.strip_suffix('.').unwrap_or(host);
        check(host, ErrorKind::Label, &format!("empty label in host name `{name}`, remove the extra dot"));
    }
}

#[test]
fn label_of_63_characters_is_accepted_and_of_64_refused() {
    let label = "a".repeat(63);
    assert!(Endpoint::parse(&format!("x.{label}.b")).is_ok());
    let name = format!("{label}a.b");
    let message = format!("label of 64 characters in host name `{name}`, at most 63 are allowed");
    check(&name, ErrorKind::Label, &message);
}

#[test]
fn name_of_253_characters_is_accepted_and_of_254_refused() {
    let name = "a.".repeat(126) + "b";
    assert!(Endpoint::parse(&(name.clone() + ".")).is_ok());
    check(&(name + "c"), ErrorKind::Length, "host name of 254 characters, at most 253 are allowed");
}

#[test]
fn long_name_is_cut_in_the_message() {
    let name = "a".repeat(100);
    let message =
        format!("label of 100 characters in host name `{}…`, at most 63 are allowed", "a".repeat(80));
    check(&name, ErrorKind::Label, &message);
}

#[test]
fn misplaced_piece_of_a_pattern_is_refused_as_such() {
    let error = InstancePattern::parse("jane:hunter2@?.example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UserInfo);
    assert_eq!(
        error.to_string(),
        "found user info before `@` in an instance pattern, keep only what follows `@` and pass the user \
         separately",
    );
}

#[test]
fn message_never_repeats_a_password() {
    let hosts = [
        "jane:hunter2@db.example.com",
        "postgres://jane:hunter2@db.example.com/app",
        "hunter2://db.example.com",
        "mysql://hunter2@x?hunter2=1",
        "db.example.com?password=hunter2",
        "db.example.com/app?password=hunter2",
        "host=a password=hunter2",
        "a,hunter2",
        "hunter2 a",
        "jane:hunter2",
        "jane:hunter2:x",
        "[hunter2]:5432",
        "hunter2%eth0",
        "hunter2ü",
        "hunter2\u{7}",
        "hunter2#",
        "jane%3ahunter2%40host",
    ];
    for host in hosts {
        for error in [Endpoint::parse(host).unwrap_err(), InstancePattern::parse(host).unwrap_err()] {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{host}: {error}");
        }
    }
}
