//! Tokens that other signers made, with their time and keys.

use std::collections::HashMap;

use serde_json::Value;

use super::*;

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("no {name} in {vector}"))
}

fn verify(vector: &Value, token: &str) -> Result<(), RefusalDetail> {
    let mut key = AccessKey::new(text(vector, "access_key_id"), text(vector, "secret_access_key"));
    if let Some(session_token) = vector["session_token"].as_str() {
        key = key.with_session_token(session_token);
    }
    let endpoint = Endpoint {
        hosts: vec![text(vector, "host").to_owned()],
        port: vector["port"].as_u64().unwrap().try_into().unwrap(),
        region: text(vector, "region").to_owned(),
    };
    let now = timestamp::parse(&text(vector, "time").replace(['-', ':'], "")).unwrap();
    let keys = HashMap::from([(key.access_key_id().to_owned(), key)]);
    let token_policy = TokenPolicy::new(Rules { keys, ..Rules::default() }, Clock::new(move || now));
    token_policy.verify(&endpoint, text(vector, "user"), token.as_bytes())
}

/// Runs `check` over the vectors and their tokens and returns how many tokens there were.
fn for_each_token(check: impl Fn(&Value, &str, bool)) -> usize {
    let vectors = serde_json::from_str::<Vec<Value>>(include_str!("../../tests/tokens.json")).unwrap();
    let mut count = 0;
    for vector in &vectors {
        for token in vector["tokens"].as_array().unwrap() {
            check(vector, text(token, "text"), token["lower_case_host_and_port"].as_bool().unwrap());
            count += 1;
        }
    }
    count
}

#[test]
fn token_of_another_signer_is_accepted_if_signed_for_the_lower_case_host_and_port() {
    let count = for_each_token(|vector, token, is_standard| match verify(vector, token) {
        Ok(()) => assert!(is_standard, "accepted {vector}"),
        Err(detail) => {
            assert!(!is_standard && detail.refusal == Refusal::Signature, "{detail:?} for {vector}");
        }
    });
    assert_eq!(count, 48);
}

#[test]
fn token_with_a_changed_byte_is_refused() {
    for_each_token(|vector, token, _| {
        for at in (0..token.len()).step_by(7) {
            let mut bent = token.as_bytes().to_vec();
            bent[at] = if bent[at] == b'0' { b'1' } else { b'0' };
            let bent = String::from_utf8(bent).unwrap();
            assert!(verify(vector, &bent).is_err(), "byte {at} of {vector}");
        }
    });
}

#[test]
fn token_cut_anywhere_is_refused() {
    for_each_token(|vector, token, _| {
        assert!((0..token.len()).step_by(5).all(|end| verify(vector, &token[..end]).is_err()), "{vector}");
    });
}
