//! One test for each token of another signer.

use std::{sync::LazyLock, time::Duration};

use aws_credential_types::Credentials;
use base64_simd::URL_SAFE_NO_PAD;
use iam_token::{
    AuthToken, ErrorKind, Presign, Signer, dsql, dsql_admin, eks, elasticache, elasticache_serverless,
    memorydb, msk, rds,
};
use serde_json::Value;

use crate::support::{Parts, now};

static VECTORS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let file: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    file["vectors"].as_array().unwrap().clone()
});

/// The Python signer for MSK of that version names itself so.
const PYTHON_USER_AGENT: &str = "aws-msk-iam-sasl-signer-python%2F1.0.2";

macro_rules! vectors {
    ($($kind:ident { $($name:ident)+ })+) => {
        $(mod $kind {
            $(#[test]
            fn $name() {
                super::check(stringify!($kind), stringify!($name));
            })+
        })+

        /// The rows that have a test of their own, by kind and name.
        const COVERED: &[(&str, &str)] = &[$($((stringify!($kind), stringify!($name)),)+)+];
    };
}

vectors! {
    rds {
        plain
        port_443
        port_443_session
        port_80
        port_65535
        host_mixed_session
        host_ipv4
        host_ipv6
        china_nw_session
        iso
        user_slash
        user_percent_escape
        user_amp_eq
        user_squote
        user_dquote
        user_emoji
        user_backslash
        user_semicolon_comma_dollar
        user_brackets
        user_long63
        user_space_session
    }
    dsql { connect session admin_session_3600 }
    elasticache { session serverless }
    memorydb { memorydb }
    msk { us session eu }
    eks { session }
}

#[test]
fn every_vector_has_a_test() {
    let own = [("rds", "host_trailing_dot"), ("rds", "empty_user"), ("rds", "secret_odd")];
    for vector in &*VECTORS {
        let id = (text(vector, "kind"), text(vector, "name"));
        assert!(COVERED.contains(&id) || own.contains(&id), "{id:?}");
    }
    assert_eq!(VECTORS.len(), COVERED.len() + own.len());
}

/// The other signers keep the dot, and sign a name that no certificate and no cache key has.
#[test]
fn rds_host_trailing_dot_is_signed_as_the_name_without() {
    let dotted = signed(find("rds", "host_trailing_dot")).unwrap();
    assert_eq!(dotted.expose(), text(find("rds", "plain"), "token"));
}

/// Only the primitive accepts an empty user; the recipes reject it.
#[test]
fn rds_empty_user_is_refused() {
    let vector = find("rds", "empty_user");
    assert_eq!(signed(vector).unwrap_err().kind(), ErrorKind::InvalidUser);
    let primitive = Presign::https(text(vector, "host"))
        .without_scheme()
        .port(5432)
        .query("Action", "connect")
        .query("DBUser", "")
        .service("rds-db")
        .region(text(vector, "region"))
        .lifetime(Duration::from_secs(900))
        .build()
        .unwrap();
    assert_eq!(primitive.sign(&credentials(vector), now()).unwrap().expose(), text(vector, "token"));
}

/// The other signers sign with a blank in the secret key, which no key of AWS has: it was copied
/// wrong.
#[test]
fn rds_secret_odd_is_refused() {
    let error = signed(find("rds", "secret_odd")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCredentials);
    assert!(error.to_string().starts_with("secret access key holds a blank"), "{error}");
    // Nothing but the blank is wrong with it.
    let mut mended = find("rds", "secret_odd").clone();
    mended["secret_access_key"] = text(&mended, "secret_access_key").replace(' ', "").into();
    signed(&mended).unwrap();
}

#[track_caller]
fn check(kind: &str, name: &str) {
    let vector = find(kind, name);
    let token = signed(vector).unwrap();
    let expected = text(vector, "token");
    // A host in upper case stays so in botocore's text, but not in what botocore signs.
    let expected = match expected.split_once('/') {
        Some((host, rest)) => format!("{}/{rest}", host.to_ascii_lowercase()),
        None => expected.to_owned(),
    };
    if kind == "msk" {
        // The brokers log the client's name, which is not signed.
        let decoded = |token: &str| String::from_utf8(URL_SAFE_NO_PAD.decode_to_vec(token).unwrap()).unwrap();
        let own = concat!("iam-token%2F", env!("CARGO_PKG_VERSION"));
        assert_eq!(decoded(token.expose()).replace(own, PYTHON_USER_AGENT), decoded(&expected));
    } else if text(vector, "oracle").starts_with("@aws-sdk") {
        assert_eq!(Parts::of(token.expose()), Parts::of(&expected));
    } else {
        assert_eq!(token.expose(), expected);
    }
    if let Some(millis) = vector["expiry_ms"].as_u64() {
        assert_eq!(token.expires_at_millis(), millis);
    }
    assert_eq!(token.access_key_id(), text(vector, "access_key_id"));
}

fn signed(vector: &Value) -> Result<AuthToken, iam_token::Error> {
    assert_eq!(text(vector, "time"), "2025-01-15T12:34:56Z");
    let field = |name| text(vector, name);
    let region = field("region");
    let signer = Signer::new(credentials(vector));
    let recipe = match field("kind") {
        "rds" => {
            let port = u16::try_from(vector["port"].as_u64().unwrap()).unwrap();
            rds(field("host"), port, field("user")).region(region)
        }
        "dsql" => {
            let recipe = match vector["admin"].as_bool() {
                Some(true) => dsql_admin(field("host")),
                _ => dsql(field("host")),
            };
            recipe.lifetime(Duration::from_secs(vector["expires"].as_u64().unwrap())).region(region)
        }
        "elasticache" if vector["serverless"].as_bool() == Some(true) => {
            elasticache_serverless(field("cache"), field("user")).region(region)
        }
        "elasticache" => elasticache(field("cache"), field("user")).region(region),
        "memorydb" => memorydb(field("cache"), field("user")).region(region),
        "msk" => msk(region),
        "eks" => eks(field("cluster"), region),
        kind => panic!("no recipe for {kind}"),
    };
    recipe.build()?.sign_with(&signer, now())
}

fn credentials(vector: &Value) -> Credentials {
    let session = vector["session_token"].as_str().map(str::to_owned);
    Credentials::new(text(vector, "access_key_id"), text(vector, "secret_access_key"), session, None, "tests")
}

#[track_caller]
fn find(kind: &str, name: &str) -> &'static Value {
    let found = VECTORS.iter().find(|vector| vector["kind"] == kind && vector["name"] == name);
    found.expect("a vector of that name")
}

#[track_caller]
fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().expect("a text field")
}
