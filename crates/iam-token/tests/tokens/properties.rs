//! What holds for any input.

use std::time::Duration;

use aws_credential_types::Credentials;
use iam_token::{EksToken, ElastiCacheToken, MskToken, Presign, RdsToken, Signer};
use proptest::prelude::*;

use crate::support::{HOST, Parts, SECRET, at, credentials, now};

proptest! {
    #[test]
    fn any_user_and_session_token_come_back_exactly_once(
        user in any::<String>().prop_filter("not empty", |user| !user.is_empty()),
        session in any::<String>(),
        access_key_id in "\\PC+",
        port in 1..=u16::MAX,
        seconds in 0..253_402_300_800_u64,
    ) {
        let credentials = Credentials::new(&access_key_id, SECRET, Some(session.clone()), None, "tests");
        let recipe = RdsToken::new(HOST, port, &user).unwrap().region("us-east-2");
        let token = recipe.sign(&credentials, at(seconds)).unwrap();
        let parts = Parts::of(token.expose());
        prop_assert_eq!(&parts.target, &format!("{HOST}:{port}/"));
        prop_assert_eq!(parts.decoded("DBUser"), Some(user));
        prop_assert_eq!(parts.decoded("X-Amz-Security-Token"), Some(session.clone()).filter(|s| !s.is_empty()));
        prop_assert_eq!(parts.decoded("Action"), Some("connect".to_owned()));
        let credential = parts.decoded("X-Amz-Credential").unwrap();
        let scope = credential.strip_prefix(&*access_key_id).unwrap();
        prop_assert!(scope.ends_with("/us-east-2/rds-db/aws4_request") && scope.len() == 39);
        prop_assert_eq!(parts.parameters.len(), if session.is_empty() { 8 } else { 9 });
        prop_assert_eq!(parts.decoded("X-Amz-Signature"), Some(parts.recomputed_signature(SECRET, at(seconds))));
    }

    #[test]
    fn any_query_is_signed_in_canonical_order(
        query in proptest::collection::vec(("[a-zA-Z~%&= é_.-]{1,8}", any::<String>()), 0..6),
    ) {
        prop_assume!(query.iter().all(|(name, _)| !name.to_ascii_lowercase().starts_with("x-amz-")));
        let mut request = Presign::https(HOST)
            .without_scheme()
            .path("/v1/things")
            .service("execute-api")
            .region("us-east-2")
            .lifetime(Duration::from_secs(60));
        for (name, value) in &query {
            request = request.query(name, value);
        }
        let token = request.build().unwrap().sign(&credentials(), now()).unwrap();
        let parts = Parts::of(token.expose());
        prop_assert_eq!(parts.parameters.len(), query.len() + 6);
        prop_assert_eq!(parts.decoded("X-Amz-Signature"), Some(parts.recomputed_signature(SECRET, now())));
    }

    #[test]
    fn no_input_panics(
        host in any::<String>(),
        port in any::<u16>(),
        user in any::<String>(),
        region in any::<String>(),
        keys in any::<(String, String, Option<String>)>(),
        seconds in any::<u32>(),
    ) {
        let (access_key_id, secret, session) = keys;
        let signer = Signer::new(Credentials::new(access_key_id, secret, session, None, "tests"));
        let now = at(u64::from(seconds));
        if let Ok(recipe) = RdsToken::new(&host, port, &user) {
            let _ = recipe.region(&region).sign_with(&signer, now);
        }
        if let Ok(recipe) = ElastiCacheToken::new(&host, &user) {
            let _ = recipe.region("us-east-2").sign_with(&signer, now);
        }
        if let Ok(recipe) = EksToken::new(&host) {
            let _ = recipe.region(&region).sign_with(&signer, now);
        }
        let _ = MskToken::new().host(&host).user_agent(&user).region("us-east-2").sign_with(&signer, now);
        let _ = Presign::http(&host).path(&user).header(&user, &host).query(&user, &host).service(&region).build();
    }

    #[test]
    fn an_accepted_host_is_signed_in_its_canonical_form(host in "[A-Za-z0-9_.:\\[\\]-]{1,40}") {
        let Ok(recipe) = RdsToken::new(&host, 5432, "jane") else { return Ok(()) };
        let token = recipe.region("us-east-2").sign(&credentials(), now()).unwrap();
        let signed = Parts::of(token.expose()).target;
        let name = signed.strip_suffix(":5432/").unwrap();
        prop_assert_eq!(name, name.to_ascii_lowercase());
        let again = RdsToken::new(name, 5432, "jane").unwrap().region("us-east-2");
        let again = again.sign(&credentials(), now()).unwrap();
        prop_assert_eq!(again.expose(), token.expose());
    }
}
