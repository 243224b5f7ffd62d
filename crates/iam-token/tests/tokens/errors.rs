//! Each kind of error, with a message that names what is wrong.

use std::time::Duration;

use aws_credential_types::Credentials;
use iam_token::{
    DsqlToken, EksToken, ElastiCacheToken, Error, ErrorKind, MemoryDbToken, MskToken, Presign,
    PresignBuilder, RdsToken,
};

use crate::support::{HOST, credentials, now};

#[track_caller]
fn check<T>(result: Result<T, Error>, kind: ErrorKind, named: &str) {
    let Err(error) = result else { panic!("no error") };
    assert_eq!(error.kind(), kind);
    let message = error.to_string();
    assert!(message.contains(named), "{message:?} names {named:?}");
    assert!(message.starts_with(|c: char| c.is_lowercase()) && !message.ends_with('.'), "{message}");
}

fn request() -> PresignBuilder {
    Presign::https(HOST).service("rds-db").region("us-east-2").lifetime(Duration::from_secs(900))
}

#[test]
fn port_zero_is_refused() {
    check(RdsToken::new(HOST, 0, "jane"), ErrorKind::InvalidPort, "0");
}

#[test]
fn empty_user_is_refused() {
    check(RdsToken::new(HOST, 5432, ""), ErrorKind::InvalidUser, "user");
    check(ElastiCacheToken::new("my-cache", ""), ErrorKind::InvalidUser, "user");
    check(MemoryDbToken::new("my-mdb", ""), ErrorKind::InvalidUser, "user");
}

#[test]
fn host_with_a_port_is_refused() {
    check(RdsToken::new("db.example:5432", 5432, "jane"), ErrorKind::InvalidHost, "\"db.example\"");
    check(DsqlToken::connect("db.example:5432"), ErrorKind::InvalidHost, "port");
    check(ElastiCacheToken::new("", "jane"), ErrorKind::InvalidHost, "empty");
}

#[test]
fn missing_region_is_refused() {
    let keys = credentials();
    check(RdsToken::new(HOST, 5432, "jane").unwrap().sign(&keys, now()), ErrorKind::MissingRegion, "region");
    check(DsqlToken::connect_admin(HOST).unwrap().sign(&keys, now()), ErrorKind::MissingRegion, "region");
    check(MskToken::default().sign(&keys, now()), ErrorKind::MissingRegion, "region");
    check(EksToken::new("c").unwrap().sign(&keys, now()), ErrorKind::MissingRegion, "region");
}

#[test]
fn malformed_region_is_refused() {
    let keys = credentials();
    let region = "us-east-2/../x";
    let rds = RdsToken::new(HOST, 5432, "jane").unwrap().region(region);
    check(rds.sign(&keys, now()), ErrorKind::InvalidRegion, region);
    check(MskToken::new().region(region).sign(&keys, now()), ErrorKind::InvalidRegion, region);
    check(EksToken::new("c").unwrap().region(region).sign(&keys, now()), ErrorKind::InvalidRegion, region);
}

#[test]
fn later_region_wins() {
    let rds = RdsToken::new(HOST, 5432, "jane").unwrap().region("Nowhere!").region("us-east-2");
    rds.sign(&credentials(), now()).unwrap();
}

#[test]
fn lifetime_out_of_range_is_refused() {
    let dsql = DsqlToken::connect(HOST).unwrap().region("us-east-2");
    for (lifetime, named) in [
        (Duration::ZERO, "0ns"),
        (Duration::from_secs(604_801), "604801s"),
        (Duration::from_millis(1_500), "1.5s"),
        (Duration::MAX, "604800"),
    ] {
        let token = dsql.clone().lifetime(lifetime).sign(&credentials(), now());
        check(token, ErrorKind::InvalidLifetime, named);
    }
    check(Presign::https(HOST).service("s").region("r").build(), ErrorKind::InvalidLifetime, "missing");
}

#[test]
fn empty_keys_are_refused() {
    let rds = RdsToken::new(HOST, 5432, "jane").unwrap().region("us-east-2");
    let sign = |id, secret| rds.sign(&Credentials::new(id, secret, None, None, "tests"), now());
    check(sign("", "secret"), ErrorKind::InvalidCredentials, "access key id");
    check(sign("AKIAEXAMPLE", ""), ErrorKind::InvalidCredentials, "secret access key");
}

#[test]
fn malformed_cluster_is_refused() {
    for cluster in ["", "my cluster", "my\ncluster", "clüster"] {
        check(EksToken::new(cluster), ErrorKind::InvalidCluster, "cluster");
    }
}

#[test]
fn malformed_service_is_refused() {
    check(request().service("").build(), ErrorKind::InvalidService, "rds-db");
    check(request().service("rds/db").build(), ErrorKind::InvalidService, "rds/db");
}

#[test]
fn path_that_needs_encoding_is_refused() {
    for path in ["", "v1", "/a b", "/a//b", "/a/../b", "/.", "/a%20b", "/é"] {
        check(request().path(path).build(), ErrorKind::InvalidPath, path);
    }
    for path in ["/", "/v1/", "/v1/~user/a.b"] {
        request().path(path).build().unwrap();
    }
}

#[test]
fn reserved_query_name_is_refused() {
    check(request().query("", "x").build(), ErrorKind::InvalidQuery, "empty");
    check(request().query("X-Amz-Expires", "9").build(), ErrorKind::InvalidQuery, "X-Amz-Expires");
    check(request().unsigned_query("x-amz-date", "9").build(), ErrorKind::InvalidQuery, "x-amz-date");
    request().query("X-Amz", "9").query("X-Amzn", "9").build().unwrap();
}

#[test]
fn header_that_cannot_be_signed_is_refused() {
    check(request().header("Host", "x").build(), ErrorKind::InvalidHeader, "host");
    check(request().header("a", "x").header("A", "y").build(), ErrorKind::InvalidHeader, "twice");
    check(request().header("", "x").build(), ErrorKind::InvalidHeader, "name");
    check(request().header("a:b", "x").build(), ErrorKind::InvalidHeader, "a:b");
    check(request().header("a", "x\ny").build(), ErrorKind::InvalidHeader, "\"a\"");
}
