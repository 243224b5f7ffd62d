//! Instance patterns, right and wrong, and the names that they give.

use super::*;

#[track_caller]
fn check(pattern: &str, canonical: &str, domain: Option<&str>, host_of_a1: &str) {
    let parsed = InstancePattern::parse(pattern).unwrap();
    assert_eq!(parsed.as_str(), canonical);
    assert_eq!(parsed.domain(), domain);
    assert_eq!(parsed.host("a1").unwrap(), host_of_a1);
    assert_eq!(parsed.instance_id(host_of_a1), Some("a1"));
    assert_eq!(InstancePattern::parse(canonical).unwrap(), parsed);
}

#[track_caller]
fn check_refused(pattern: &str, kind: ErrorKind, message: &str) {
    let error = InstancePattern::parse(pattern).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
}

#[track_caller]
fn check_refused_id(id: &str, message: &str) {
    let error = InstancePattern::parse("db-?.internal.example").unwrap().host(id).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InstanceId, message));
}

#[test]
fn rds_pattern_is_accepted() {
    check(
        "?.XYZ.us-east-2.rds.amazonaws.com",
        "?.xyz.us-east-2.rds.amazonaws.com",
        Some("xyz.us-east-2.rds.amazonaws.com"),
        "a1.xyz.us-east-2.rds.amazonaws.com",
    );
}

#[test]
fn pattern_of_a_custom_domain_is_accepted() {
    check("?.my-domain.example", "?.my-domain.example", Some("my-domain.example"), "a1.my-domain.example");
}

#[test]
fn placeholder_inside_a_label_is_accepted() {
    check(
        "db-?-x.internal.example",
        "db-?-x.internal.example",
        Some("internal.example"),
        "db-a1-x.internal.example",
    );
}

#[test]
fn placeholder_in_a_later_label_is_accepted() {
    check(
        "any.?.my-domain.example",
        "any.?.my-domain.example",
        Some("my-domain.example"),
        "any.a1.my-domain.example",
    );
}

#[test]
fn single_label_is_accepted() {
    check("db-?", "db-?", None, "db-a1");
}

#[test]
fn trailing_dot_and_upper_case_are_normalised() {
    check(
        "DB-?.Internal.Example.:06432",
        "db-?.internal.example:6432",
        Some("internal.example"),
        "db-a1.internal.example",
    );
}

#[test]
fn port_is_none_by_default_and_read_behind_a_colon() {
    assert_eq!(InstancePattern::parse("?.a").unwrap().port(), None);
    assert_eq!(InstancePattern::parse("?.a:1").unwrap().port(), Some(1));
    assert_eq!(InstancePattern::parse("?.a:65535").unwrap().port(), Some(65535));
}

#[test]
fn malformed_port_is_refused() {
    for pattern in ["?.a:", "?.a:0", "?.a:65536", "?.a:-1", "?.a:hunter2", "?.a:?"] {
        check_refused(
            pattern,
            ErrorKind::Port,
            "the port behind an instance pattern is a number from 1 to 65535",
        );
    }
}

#[test]
fn second_port_is_refused() {
    for pattern in ["?.a:1:2", "?.a:+5", "[?.a]:5"] {
        let error = InstancePattern::parse(pattern).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Port, "{pattern}");
        assert!(error.to_string().contains("a port from 1 to 65535"), "{error}");
    }
}

#[test]
fn missing_placeholder_is_refused_with_the_pattern_of_the_domain() {
    let pattern = "orders.cluster-abc.us-east-2.rds.amazonaws.com";
    check_refused(
        pattern,
        ErrorKind::Placeholder,
        "no `?` in instance pattern `orders.cluster-abc.us-east-2.rds.amazonaws.com`, did you mean \
         `?.abc.us-east-2.rds.amazonaws.com`",
    );
}

#[test]
fn missing_placeholder_in_a_custom_domain_is_refused_with_a_suggestion() {
    for (pattern, meant) in [
        ("db-1.my-domain.example:5432", "?.my-domain.example"),
        ("my-domain.example", "?.my-domain.example"),
        ("localhost", "?.my-domain.example"),
    ] {
        let name = pattern.split(':').next().unwrap();
        let message = format!("no `?` in instance pattern `{name}`, did you mean `{meant}`");
        check_refused(pattern, ErrorKind::Placeholder, &message);
    }
}

#[test]
fn second_placeholder_is_refused() {
    check_refused(
        "?.?.example",
        ErrorKind::Placeholder,
        "more than one `?` in instance pattern `?.?.example`, expected exactly one",
    );
}

#[test]
fn placeholder_alone_is_refused() {
    for pattern in ["?", "?.", "?:5432"] {
        check_refused(
            pattern,
            ErrorKind::Placeholder,
            "instance pattern `?` has no domain, expected one such as `?.my-domain.example`",
        );
    }
}

#[test]
fn ip_address_is_refused() {
    for pattern in
        ["?.10.0.0.1", "10.0.0.1", "db-?.x.10.0.0.1", "10.0.0.?", "?0.0.0.1", "::1", "[::1]", "[::1]:5432"]
    {
        check_refused(
            pattern,
            ErrorKind::Ip,
            "found an IP address in an instance pattern, names below one never resolve, expected a domain \
             as in `?.abc123.us-east-2.rds.amazonaws.com`",
        );
    }
}

#[test]
fn pattern_of_another_kind_is_refused_with_that_of_its_domain() {
    for (prefix, kind) in [
        ("cluster-", "cluster writer endpoint"),
        ("cluster-ro-", "cluster reader endpoint"),
        ("cluster-custom-", "custom cluster endpoint"),
        ("endpoint.proxy-", "proxy endpoint"),
        ("proxy-", "proxy"),
        ("shardgrp-", "shard group endpoint"),
    ] {
        let pattern = format!("?.{prefix}abc.us-east-2.rds.amazonaws.com");
        let message = format!(
            "instance pattern `{pattern}` names a {kind}, did you mean `?.abc.us-east-2.rds.amazonaws.com`"
        );
        check_refused(&pattern, ErrorKind::PatternKind, &message);
    }
}

#[test]
fn pattern_of_another_kind_without_a_domain_is_refused_with_an_example() {
    for (pattern, kind) in [
        ("?.global-abc.global.rds.amazonaws.com", "global database writer endpoint"),
        ("db.proxy-?.us-east-2.rds.amazonaws.com", "proxy"),
        ("abcdefghijklmnopqrstuvwxy?.dsql.us-east-1.on.aws", "DSQL cluster endpoint"),
    ] {
        let message = format!(
            "instance pattern `{pattern}` names a {kind}, expected one such as \
             `?.abc123.us-east-2.rds.amazonaws.com`"
        );
        check_refused(pattern, ErrorKind::PatternKind, &message);
    }
}

#[test]
fn empty_pattern_is_refused_with_an_example() {
    check_refused(
        "",
        ErrorKind::Empty,
        "empty instance pattern, expected one such as `?.abc123.us-east-2.rds.amazonaws.com`",
    );
}

#[test]
fn host_of_an_upper_case_id_is_lower_case() {
    let pattern = InstancePattern::parse("?.my-domain.example").unwrap();
    assert_eq!(pattern.host("Instance_1").unwrap(), "instance_1.my-domain.example");
}

#[test]
fn invalid_id_is_refused() {
    let other = "instance id with other characters than letters, digits, hyphens and underscores";
    check_refused_id("", "empty instance id, expected one such as `instance-1`");
    check_refused_id(
        "a1.example.com",
        "instance id `a1.example.com` has a dot, expected one label such as `a1`",
    );
    check_refused_id("..", "instance id `..` of 2 characters makes no valid host name");
    for id in ["?", "a b", "a/b", "a@b", "ä", "a:1"] {
        check_refused_id(id, other);
    }
}

#[test]
fn id_of_the_longest_label_is_accepted_and_of_one_more_refused() {
    let pattern = InstancePattern::parse("db-?.internal.example").unwrap();
    let id = "a".repeat(60);
    assert_eq!(pattern.instance_id(&pattern.host(&id).unwrap()), Some(id.as_str()));
    let id = id + "a";
    check_refused_id(&id, &format!("instance id `{id}` of 61 characters makes no valid host name"));
}

#[test]
fn id_that_makes_the_name_too_long_is_refused() {
    let pattern = InstancePattern::parse(&format!("?{}", ".a".repeat(124))).unwrap();
    assert!(pattern.host("abcde").is_ok());
    assert_eq!(pattern.host("abcdef").unwrap_err().kind(), ErrorKind::InstanceId);
    assert_eq!(pattern.instance_id(&format!("abcdef{}", ".a".repeat(124))), None);
}

#[test]
fn instance_id_keeps_the_case_of_the_host() {
    let pattern = InstancePattern::parse("db-?.internal.example").unwrap();
    assert_eq!(pattern.instance_id("DB-A1.Internal.Example."), Some("A1"));
}

#[test]
fn host_that_the_pattern_cannot_build_has_no_instance_id() {
    let pattern = InstancePattern::parse("db-?.internal.example").unwrap();
    for host in [
        "",
        "db-.internal.example",
        "db-a.b.internal.example",
        "xx-a.internal.example",
        "db-a.internal.examples",
        "db-ä.internal.example",
        "ädb-a.internal.example",
        "db-a.internal.example:6432",
        "internal.example",
        "db-?.internal.example",
    ] {
        assert_eq!(pattern.instance_id(host), None, "{host}");
    }
}
