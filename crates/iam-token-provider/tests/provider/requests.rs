//! The services that tokens are for.

use iam_token_provider::{Error, ErrorKind, TokenRequest};

use crate::*;

#[tokio::test]
async fn every_service_is_cached_but_eks() {
    let provider = Source::new(&clock(), 0).provider();
    let requests = [
        TokenRequest::database("abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws", 5432, "admin"),
        TokenRequest::database("abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws", 5432, "jane"),
        TokenRequest::database(HOST, 5432, "jane"),
        TokenRequest::elasticache("orders", "app", "us-east-2"),
        TokenRequest::elasticache_serverless("orders", "app", "us-east-2"),
        TokenRequest::memorydb("orders", "app", "us-east-2"),
        TokenRequest::msk("us-east-2"),
        TokenRequest::rds_at_any_host("localhost", 5432, "jane", "us-east-2"),
    ];
    for (signed, request) in (1..).zip(requests) {
        let request = request.expect("fits");
        assert!(provider.token(&request).await.expect("is signed").is_fresh());
        assert!(!provider.token(&request).await.expect("is signed").is_fresh(), "{request}");
        assert_eq!(provider.stats().signed, signed, "{request} shares no token");
    }
    let eks = TokenRequest::eks("blue", "us-east-2").expect("fits");
    assert!(provider.token(&eks).await.expect("is signed").expose().starts_with("k8s-aws-v1."));
    assert!(provider.token(&eks).await.expect("is signed").is_fresh());
}

#[tokio::test]
async fn user_with_line_breaks_is_one_user() {
    let provider = Source::new(&clock(), 0).provider();
    let users = ["jane", "jane\n", "us-east-2\njane", "\n"];
    for (signed, user) in (1..).zip(users) {
        let request = TokenRequest::database(HOST, 5432, user).expect("fits");
        assert_eq!((request.host(), request.region(), request.user()), (HOST, "us-east-2", user));
        provider.token(&request).await.expect("is signed");
        assert_eq!(provider.stats().signed, signed, "{request} shares no token");
    }
}

#[test]
fn invalid_request_names_the_fault_and_the_alternative() {
    let said = |request: Result<TokenRequest, Error>| request.expect_err("does not fit").to_string();

    let region = said(TokenRequest::elasticache("orders", "app", "Ohio"));
    assert!(region.contains("malformed region name `Ohio`, expected one such as `us-east-1`"), "{region}");
    let region = said(TokenRequest::msk(""));
    assert_eq!(region, "empty region, expected one such as `us-east-1`");
    let with_port = said(TokenRequest::database(&format!("{HOST}:5432"), 5432, "jane"));
    assert!(with_port.starts_with("no token can be signed for this host: "), "{with_port}");
    assert!(with_port.contains("port"), "{with_port}");
}

#[test]
fn endpoint_of_another_service_names_the_request_that_fits() {
    for (host, says) in [
        (
            "master.orders.abc123.use1.cache.amazonaws.com",
            "ElastiCache, which takes another kind of token: ask for one by \
             `TokenRequest::elasticache` with the replication group's id",
        ),
        ("orders-abc123.serverless.use1.cache.amazonaws.com", "`TokenRequest::elasticache_serverless`"),
        ("orders.abc123.cache.cn-north-1.amazonaws.com.cn", "`TokenRequest::elasticache` "),
        (
            "clustercfg.orders.abc123.memorydb.us-east-1.amazonaws.com",
            "MemoryDB, which takes another kind of token: ask for one by `TokenRequest::memorydb`",
        ),
        ("b-1.orders.abc123.c2.kafka.us-east-1.amazonaws.com", "`TokenRequest::msk`"),
        ("ABC123.gr7.us-east-1.eks.amazonaws.com", "`TokenRequest::eks`"),
        ("orders.cache.example", "is not an endpoint that tokens can be signed for"),
    ] {
        let error = TokenRequest::database(host, 6379, "app").expect_err("no database");
        assert_eq!(error.kind(), ErrorKind::Host);
        assert!(error.to_string().contains(says), "{error}");
    }
}
