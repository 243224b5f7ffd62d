//! Roles to assume, and the region and keys to assume them with.

use crate::*;

#[test]
fn role_profile_without_a_region_asks_sts_in_the_one_given() {
    let sts = Sts::start();
    let config = format!("[profile dev]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n{KEYS}");
    let home = Home::new("role-profile", &config);
    let url = sts.url();
    for chosen in ["TEST_PROFILE", "AWS_PROFILE"] {
        home.check(
            &[(chosen, "dev"), ("TEST_REGION", "eu-west-3"), ("AWS_ENDPOINT_URL_STS", &url)],
            "key=ASIAASSUMED end=4102444800",
        );
    }
    let requests = sts.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.authorization.contains("/eu-west-3/sts/")), "{requests:?}");
}

#[test]
fn region_that_is_set_wins_over_the_one_given() {
    let config = format!("[profile dev]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n{KEYS}");
    let sts = Sts::start();
    let url = sts.url();
    let home = Home::new("region-set", &config);
    let given = ("TEST_REGION", "eu-west-3");
    home.check(
        &[("TEST_PROFILE", "dev"), given, ("AWS_REGION", "us-west-2"), ("AWS_ENDPOINT_URL_STS", &url)],
        "key=ASIAASSUMED",
    );
    let config = config.replacen("[profile dev]\n", "[profile dev]\nregion = ca-central-1\n", 1);
    let home = Home::new("region-in-profile", &config);
    home.check(&[("AWS_PROFILE", "dev"), given, ("AWS_ENDPOINT_URL_STS", &url)], "key=ASIAASSUMED");

    let requests = sts.requests();
    assert!(requests[0].authorization.contains("/us-west-2/sts/"), "{requests:?}");
    assert!(requests[1].authorization.contains("/ca-central-1/sts/"), "{requests:?}");
}

#[test]
fn web_identity_without_a_region_asks_sts_in_the_one_given() {
    let sts = Sts::start();
    let home = Home::new("web-identity", "");
    let token = home.0.join("token");
    fs::write(&token, "a web token").unwrap();
    home.check(
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
            ("AWS_ROLE_ARN", ROLE),
            ("TEST_REGION", "eu-west-3"),
            ("AWS_ENDPOINT_URL_STS", &sts.url()),
        ],
        "key=ASIAASSUMED",
    );
    assert!(sts.requests()[0].body.contains("Action=AssumeRoleWithWebIdentity"), "{:?}", sts.requests());
}

#[test]
fn role_is_assumed_over_the_chain_in_the_region_given() {
    let sts = Sts::start();
    let url = sts.url();
    let home = Home::new("role-over-chain", &format!("[profile dev]\n{KEYS}"));
    let role = [
        ("TEST_ROLE", ROLE),
        ("TEST_REGION", "eu-west-3"),
        ("AWS_ENDPOINT_URL_STS", &*url),
        ("AWS_REGION", "us-west-2"),
    ];
    home.check(&[&role[..], &KEYS_IN_ENVIRONMENT].concat(), "key=ASIAASSUMED end=4102444800");
    home.check(&[&role[..], &KEYS_IN_ENVIRONMENT, &[("TEST_PROFILE", "dev")]].concat(), "key=ASIAASSUMED");

    let requests = sts.requests();
    for (request, key) in requests.iter().zip(["AKIAENV", "AKIAFILE"]) {
        assert!(request.authorization.contains(&format!("Credential={key}/")), "{request:?}");
        assert!(request.authorization.contains("/eu-west-3/sts/"), "{request:?}");
        for part in [
            "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Forders",
            "RoleSessionName=sources-",
            "ExternalId=tenant-7",
            "DurationSeconds=1800",
        ] {
            assert!(request.body.contains(part), "{part}: {request:?}");
        }
    }
    assert_eq!(requests.len(), 2);
}

#[test]
fn refused_role_is_named_with_what_to_check() {
    let sts = Sts::refusing();
    let (home, url) = (Home::new("role-refused", ""), sts.url());
    let environment = [("TEST_ROLE", ROLE), ("TEST_REGION", "eu-west-3"), ("AWS_ENDPOINT_URL_STS", &*url)];
    let said = home.check(
        &[&environment[..], &KEYS_IN_ENVIRONMENT].concat(),
        &format!("to assume role `{ROLE}`: check its name, its trust policy"),
    );
    assert!(said.contains("the AWS default chain") && said.contains("AccessDenied"), "{said}");
}

#[test]
fn expired_keys_assume_no_role() {
    let sts = Sts::start();
    let url = sts.url();
    let environment = [("TEST_ROLE", ROLE), ("TEST_REGION", "eu-west-3"), ("AWS_ENDPOINT_URL_STS", &*url)];
    let home = Home::new("expired-base", "");
    home.check(
        &[&environment[..], &KEYS_IN_ENVIRONMENT, &[("AWS_CREDENTIAL_EXPIRATION", "2025-01-15T12:34:56Z")]]
            .concat(),
        "`AWS_CREDENTIAL_EXPIRATION`",
    );
    assert!(sts.requests().is_empty());
}

#[test]
fn expired_keys_of_a_source_profile_are_named() {
    let sts = Sts::refusing();
    let config = format!(
        "[profile dev]\nrole_arn = {ROLE}\nsource_profile = base\n[profile \
         base]\n{KEYS}x_security_token_expires = 2025-01-15T12:34:56Z\n"
    );
    let home = Home::new("expired-source", &config);
    home.check(
        &[("TEST_PROFILE", "dev"), ("TEST_REGION", "eu-west-3"), ("AWS_ENDPOINT_URL_STS", &sts.url())],
        "the AWS keys of profile `base` expired at 2025-01-15T12:34:56Z, as `x_security_token_expires` says",
    );
}

#[test]
fn role_over_credentials_of_ones_own_is_refused() {
    let own = Credentials::new("AKIAEXAMPLE", "secret", None, None, "tests");
    let builder = IamTokenProvider::builder().credentials_provider(SharedCredentialsProvider::new(own));
    let error = builder.assume_role(AssumeRole::new(ROLE)).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("leave out one"), "{error}");
}

#[test]
fn malformed_role_is_refused_when_the_provider_is_built() {
    let error = IamTokenProvider::builder().assume_role(AssumeRole::new("orders")).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().starts_with("`assumeRoleArn` must look like"), "{error}");
}
