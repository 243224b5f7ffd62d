//! What holds for any input.

use std::time::Duration;

use aws_credential_types::Credentials;
use iam_token::{Presign, Signer, eks, elasticache, memorydb, msk, rds};
use proptest::prelude::*;

use crate::support::{HOST, Parts, SECRET, at, credentials, now};

proptest! {
    #[test]
    fn any_user_and_session_token_come_back_exactly_once(
        user in any::<String>().prop_filter("not empty", |user| !user.is_empty()),
        session in "[!#-&(-_a-~é名]{0,40}",
        access_key_id in "[!#-&(-_a-~é名]{1,20}",
        port in 1..=u16::MAX,
        seconds in 0..253_402_300_800_u64,
    ) {
        let credentials = Credentials::new(&access_key_id, SECRET, Some(session.clone()), None, "tests");
        let recipe = rds(HOST, port, &user).region("us-east-2");
        let token = recipe.sign(&credentials, at(seconds)).unwrap();
        let parts = Parts::of(token.expose());
        prop_assert_eq!(&parts.target, &format!("{HOST}:{port}/"));
        prop_assert_eq!(parts.decoded("DBUser"), Some(user));
        let expected = Some(session.clone()).filter(|session| !session.is_empty());
        prop_assert_eq!(parts.decoded("X-Amz-Security-Token"), expected);
        prop_assert_eq!(parts.decoded("Action"), Some("connect".to_owned()));
        let credential = parts.decoded("X-Amz-Credential").unwrap();
        let scope = credential.strip_prefix(&*access_key_id).unwrap();
        prop_assert!(scope.ends_with("/us-east-2/rds-db/aws4_request") && scope.len() == 39);
        prop_assert_eq!(parts.parameters.len(), if session.is_empty() { 8 } else { 9 });
        let signature = parts.recomputed_signature(SECRET, at(seconds));
        prop_assert_eq!(parts.decoded("X-Amz-Signature"), Some(signature));
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
        for recipe in [
            rds(&host, port, &user).region(&region),
            elasticache(&host, &user).region("us-east-2"),
            memorydb(&host, &user).region("us-east-2"),
            eks(&host, &region),
            msk(&region).lifetime(Duration::from_secs(u64::from(port))),
        ] {
            let _ = recipe.build().map(|request| request.sign_with(&signer, now));
        }
        let presign = Presign::http(&host).path(&user).header(&user, &host).query(&user, &host);
        let _ = presign.service(&region).build();
    }

    #[test]
    fn an_accepted_host_is_signed_in_its_canonical_form(host in "[A-Za-z0-9_.:\\[\\]-]{1,40}") {
        let recipe = rds(&host, 5432, "jane").region("us-east-2");
        let Ok(token) = recipe.sign(&credentials(), now()) else { return Ok(()) };
        let signed = Parts::of(token.expose()).target;
        let name = signed.strip_suffix(":5432/").unwrap();
        prop_assert_eq!(name, name.to_ascii_lowercase());
        let again = rds(name, 5432, "jane").region("us-east-2").sign(&credentials(), now()).unwrap();
        prop_assert_eq!(again.expose(), token.expose());
    }
}
