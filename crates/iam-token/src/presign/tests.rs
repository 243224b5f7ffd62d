//! The presigned URL: its canonical request and its size.

use std::time::UNIX_EPOCH;

use super::*;

#[test]
fn longest_scope_fits_the_string_to_sign() {
    let word = "a".repeat(16);
    let region = format!("{word}-{word}-{word}-{}-12", &word[..9]);
    assert_eq!(region.len(), MAX_SCOPE_PART);
    let presign = Presign::https("db.example")
        .service(&"a".repeat(MAX_SCOPE_PART))
        .region(&region)
        .lifetime(Duration::from_secs(1))
        .build()
        .unwrap();
    presign.sign(&Credentials::new("AKIAEXAMPLE", "secret", None, None, "tests"), UNIX_EPOCH).unwrap();
}

#[test]
fn headers_and_query_are_sorted_in_the_canonical_request() {
    let presign = Presign::http("DB.example.")
        .port(80)
        .path("/v1")
        .query("zone", "b c")
        .query("Action", "two")
        .query("Action", "one")
        .header("X-Two", "  a   b ")
        .header("accept", "*/*")
        .service("rds-db")
        .region("us-east-2")
        .lifetime(Duration::from_secs(1))
        .build()
        .unwrap();
    assert_eq!(
        presign.lead,
        "http://db.example:80/v1?zone=b%20c&Action=two&Action=one&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
    );
    let lead = "GET\n/v1\nAction=one&Action=two&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=";
    assert_eq!(presign.canonical_prefix.clone().finalize(), Sha256::digest(lead));
    assert_eq!(presign.signed_headers, "&X-Amz-SignedHeaders=accept%3Bhost%3Bx-two");
    assert_eq!(
        presign.canonical_suffix,
        "&X-Amz-SignedHeaders=accept%3Bhost%3Bx-two&zone=b%20c\naccept:*/*\nhost:db.example:80\nx-two:a \
         b\n\naccept;host;x-two\n\
         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn text_is_sized_exactly() {
    let session = Some("a/+=".to_owned());
    let signer = Signer::new(Credentials::new("AKIA/EXAMPLE", "secret", session, None, "tests"));
    let presign = Presign::https("db.example")
        .header("x-k8s-aws-id", "my-cluster")
        .unsigned_query("User-Agent", "a/1")
        .service("sts")
        .region("us-east-2")
        .lifetime(Duration::from_secs(60))
        .build()
        .unwrap();
    let token = presign.sign_with(&signer, UNIX_EPOCH).unwrap();
    assert_eq!(token.expose().len(), presign.token_len(&signer));
}

#[test]
fn unsigned_query_is_encoded() {
    let signer = Signer::new(Credentials::new("AKIA/EXAMPLE", "secret", None, None, "tests"));
    let presign = Presign::https("db.example").unsigned_query("a b", "c/d").service("sts");
    let presign = presign.region("us-east-2").lifetime(Duration::from_secs(60)).build().unwrap();

    let token = presign.sign_with(&signer, UNIX_EPOCH).unwrap();

    assert!(token.expose().contains("&a%20b=c%2Fd"), "{}", token.expose());
}
