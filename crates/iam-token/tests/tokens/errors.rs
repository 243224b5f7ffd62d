//! Each kind of error, with a message that names what is wrong.

use std::time::Duration;

use aws_credential_types::Credentials;
use iam_token::{
    AuthToken, Error, ErrorKind, Presign, PresignBuilder, Recipe, dsql, dsql_admin, eks, elasticache,
    elasticache_serverless, memorydb, msk, rds,
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

#[track_caller]
fn refused(recipe: Recipe, kind: ErrorKind, named: &str) {
    check(recipe.build(), kind, named);
    check(recipe.sign(&credentials(), now()), kind, named);
}

fn request() -> PresignBuilder {
    Presign::https(HOST).service("rds-db").region("us-east-2").lifetime(Duration::from_secs(900))
}

#[test]
fn port_zero_is_refused() {
    refused(rds(HOST, 0, "jane").region("us-east-2"), ErrorKind::InvalidPort, "0");
}

#[test]
fn empty_user_is_refused() {
    for recipe in [
        rds(HOST, 5432, ""),
        elasticache("my-cache", ""),
        elasticache_serverless("my-cache", ""),
        memorydb("my-mdb", ""),
    ] {
        refused(recipe.region("us-east-2"), ErrorKind::InvalidUser, "user is empty");
    }
}

#[test]
fn malformed_cache_user_is_refused() {
    for recipe in [
        elasticache("my-cache", "jane_doe"),
        elasticache_serverless("my-cache", "jane_doe"),
        memorydb("my-mdb", "jane_doe"),
    ] {
        refused(recipe.region("us-east-2"), ErrorKind::InvalidUser, "\"jane_doe\"");
    }
}

#[test]
fn host_with_a_port_is_refused() {
    refused(
        rds("db.example:5432", 5432, "jane").region("us-east-2"),
        ErrorKind::InvalidHost,
        "\"db.example\"",
    );
    refused(dsql("db.example:5432").region("us-east-2"), ErrorKind::InvalidHost, "port");
}

#[test]
fn endpoint_in_place_of_a_name_is_refused_with_a_hint() {
    let endpoint = "master.my-cache.abc123.use1.cache.amazonaws.com";
    for (recipe, kind) in [
        (elasticache(endpoint, "jane").region("us-east-1"), ErrorKind::InvalidCache),
        (elasticache_serverless(endpoint, "jane").region("us-east-1"), ErrorKind::InvalidCache),
        (memorydb(endpoint, "jane").region("us-east-1"), ErrorKind::InvalidCluster),
        (eks(endpoint, "us-east-1"), ErrorKind::InvalidCluster),
    ] {
        refused(recipe, kind, "is given as an endpoint: give its name");
    }
}

#[test]
fn missing_region_is_refused() {
    for recipe in [
        rds(HOST, 5432, "jane"),
        dsql_admin(HOST),
        elasticache("my-cache", "jane").region(" "),
        msk(""),
        eks("my-cluster", " "),
    ] {
        refused(recipe, ErrorKind::MissingRegion, "region");
    }
}

#[test]
fn malformed_region_is_refused() {
    for region in ["us-east-2/../x", "moon", "-", "us-east-2a"] {
        for recipe in [rds(HOST, 5432, "jane").region(region), msk(region), eks("my-cluster", region)] {
            refused(recipe, ErrorKind::InvalidRegion, region);
        }
    }
}

#[test]
fn region_in_upper_case_and_blanks_signs_as_in_lower_case() {
    let sign = |recipe: Recipe| recipe.sign(&credentials(), now()).unwrap().into_secret();
    let region = " US-East-2\n";
    for (odd, plain) in [
        (rds(HOST, 5432, "jane").region(region), rds(HOST, 5432, "jane").region("us-east-2")),
        (msk(region), msk("us-east-2")),
        (eks("my-cluster", region), eks("my-cluster", "us-east-2")),
    ] {
        assert_eq!(sign(odd), sign(plain));
    }
}

#[test]
fn later_region_wins_where_the_host_has_none() {
    rds(HOST, 5432, "jane").region("Nowhere!").region("us-east-2").build().unwrap();
}

#[test]
fn second_region_beside_that_of_the_host_is_refused() {
    for recipe in [msk("us-east-1"), eks("my-cluster", "us-east-1")] {
        refused(recipe.region("eu-west-1"), ErrorKind::InvalidRegion, "region us-east-1 already");
    }
    // What was wrong first is what is said.
    refused(eks("", "us-east-1").region("eu-west-1"), ErrorKind::InvalidCluster, "empty");
}

#[test]
fn lifetime_out_of_range_is_refused() {
    for (lifetime, named) in [
        (Duration::ZERO, "0ns"),
        (Duration::from_secs(604_801), "604801s"),
        (Duration::from_millis(1_500), "1.5s"),
        (Duration::MAX, "604800"),
    ] {
        refused(dsql(HOST).region("us-east-2").lifetime(lifetime), ErrorKind::InvalidLifetime, named);
    }
    let presign = Presign::https(HOST).service("s").region("us-east-2");
    check(presign.build(), ErrorKind::InvalidLifetime, "missing");
}

#[test]
fn lifetime_above_the_limit_of_the_service_is_refused() {
    for recipe in [
        rds(HOST, 5432, "jane").region("us-east-2"),
        elasticache("my-cache", "jane").region("us-east-2"),
        elasticache_serverless("my-cache", "jane").region("us-east-2"),
        memorydb("my-mdb", "jane").region("us-east-2"),
        msk("us-east-2"),
        eks("my-cluster", "us-east-2"),
    ] {
        recipe.clone().lifetime(Duration::from_secs(900)).build().unwrap();
        let longer = recipe.lifetime(Duration::from_secs(901));
        refused(longer, ErrorKind::InvalidLifetime, "lifetime of 901s: use whole seconds from 1 to 900");
    }
}

fn signed_with(id: &str, secret: &str, session: Option<&str>) -> Result<AuthToken, Error> {
    let credentials = Credentials::new(id, secret, session.map(str::to_owned), None, "tests");
    rds(HOST, 5432, "jane").region("us-east-2").sign(&credentials, now())
}

#[test]
fn empty_keys_are_refused() {
    check(signed_with("", "secret", None), ErrorKind::InvalidCredentials, "access key id is empty");
    check(signed_with("AKIAEXAMPLE", "", None), ErrorKind::InvalidCredentials, "secret access key is empty");
}

#[test]
fn keys_with_foreign_characters_are_refused_by_the_name_of_the_part() {
    for (odd, named) in [
        (" ", "a blank"),
        ("\t", "a blank"),
        ("\u{a0}", "a blank"),
        ("\u{200b}", "a blank"),
        ("\u{feff}", "a blank"),
        ("\n", "a line break"),
        ("\r", "a line break"),
        ("\"", "a quote"),
        ("'", "a quote"),
        ("`", "a quote"),
        ("\u{201c}", "a quote"),
        ("\u{2019}", "a quote"),
        ("\0", "a control character"),
        ("\u{1b}", "a control character"),
        ("\u{7f}", "a control character"),
        ("\u{85}", "a blank"),
    ] {
        for text in [format!("{odd}key"), format!("key{odd}"), format!("k{odd}ey"), odd.to_owned()] {
            let (id, secret) = ("AKIAEXAMPLE", "secret");
            for (result, part) in [
                (signed_with(&text, secret, None), "access key id"),
                (signed_with(id, &text, None), "secret access key"),
                (signed_with(id, secret, Some(&text)), "session token"),
            ] {
                check(result, ErrorKind::InvalidCredentials, &format!("{part} holds {named}"));
            }
        }
    }
}

#[test]
fn keys_of_every_other_character_sign() {
    signed_with("test", "a+b/c=d%e&f$g#h;i(j)", Some("IQoJb3JpZ2luX2Vj//+==-_.~")).unwrap();
}

#[test]
fn errors_are_equal_by_kind_and_message() {
    let empty = |what: Recipe| what.region("us-east-2").build().unwrap_err();
    assert_eq!(empty(rds(HOST, 5432, "")), empty(rds(HOST, 3306, "")));
    assert_ne!(empty(rds(HOST, 5432, "")), empty(rds(HOST, 0, "jane")));
    assert_ne!(empty(rds("", 5432, "jane")), empty(rds("a..b", 5432, "jane")));
}

#[test]
fn malformed_cluster_is_refused() {
    for cluster in ["", "my cluster", "my\ncluster", "clüster"] {
        refused(eks(cluster, "us-east-2"), ErrorKind::InvalidCluster, "cluster");
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
    for value in ["x\ny", "\u{7f}", "\u{1f}", "ü"] {
        check(request().header("a", value).build(), ErrorKind::InvalidHeader, "\"a\"");
    }
}
