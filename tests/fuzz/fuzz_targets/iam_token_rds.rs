//! Any host, user, keys and region give a token from which the user and the keys come back exactly,
//! or an error.
//!
//! An input is a region, a host, an access key id, a session token and a user, separated by line
//! breaks.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use iam_token::{ErrorKind, Presign, Signer, eks, elasticache, memorydb, msk, rds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut pieces = text.splitn(5, '\n');
    let mut piece = || pieces.next().unwrap_or_default();
    let [region, host, access_key_id, session, user] = [piece(), piece(), piece(), piece(), piece()];
    let session_token = Some(session.to_owned());
    let signer = Signer::new(Credentials::new(access_key_id, "secret-key", session_token, None, "fuzz"));
    let now = UNIX_EPOCH + Duration::from_secs(1_736_944_496);

    for recipe in [
        msk(region),
        eks(user, region),
        elasticache(host, user).region(region),
        memorydb(host, user).region(region),
    ] {
        let _ = recipe.build().map(|request| request.sign_with(&signer, now));
    }
    let _ = Presign::http(host).path(user).query(user, host).header(user, host).service(region).build();

    let request = match rds(host, 5432, user).region(region).build() {
        Ok(request) => request,
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.is_empty() && shown.len() < 1_000 && !shown.contains(char::is_control), "{shown}");
            let region = matches!(error.kind(), ErrorKind::InvalidRegion | ErrorKind::MissingRegion);
            assert!(user.is_empty() || region || error.kind() == ErrorKind::InvalidHost);
            return;
        }
    };
    let Ok(token) = request.sign_with(&signer, now) else { return };

    let (authority, query) = token.expose().split_once("/?").expect("a path and a query");
    let name = authority.strip_suffix(":5432").expect("the port");
    assert!(!name.contains(|c: char| c.is_ascii_uppercase() || c.is_whitespace() || "/@?#".contains(c)));
    let pairs: Vec<_> = query.split('&').map(|pair| pair.split_once('=').expect("a value")).collect();
    assert_eq!(pairs.len(), if session.is_empty() { 8 } else { 9 });
    let decoded = |name| {
        let mut values = pairs.iter().filter(|(other, _)| *other == name);
        let value = values.next().map(|(_, value)| decode(value));
        assert!(values.next().is_none());
        value
    };
    assert_eq!(decoded("DBUser").as_deref(), Some(user));
    assert_eq!(decoded("X-Amz-Security-Token").unwrap_or_default(), session);
    let region = region.trim().to_ascii_lowercase();
    let scope = format!("{access_key_id}/20250115/{region}/rds-db/aws4_request");
    assert_eq!(decoded("X-Amz-Credential"), Some(scope));
});

/// Undoes percent-encoding; anything but unreserved characters and escapes is a finding.
fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = value_of(rest[0]) << 4 | value_of(rest[1]);
            bytes.push(digits);
            rest = &rest[2..];
        } else {
            assert!(first.is_ascii_alphanumeric() || b"-._~".contains(first), "{value}");
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn value_of(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!("no upper-case digit: {digit}"),
    }
}
