//! The plugin before a driver that accepts or refuses its tokens.

mod deadlines;
mod retries;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use token_cache::ManualClock;
use tokio::time::Instant;
use wrapper_core::{
    ServerError,
    adapter::{MockDriver, Wrapper},
    plugin_fn,
};

use super::*;

const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

/// Returns credentials with the number of earlier loads in the access key.
#[derive(Clone, Debug, Default)]
struct Source(Arc<AtomicUsize>);

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let call = self.0.fetch_add(1, Ordering::SeqCst);
        future::ProvideCredentials::ready(Ok(Credentials::new(
            format!("AKIA{call:04}"),
            "secret",
            None,
            None,
            "test",
        )))
    }
}

struct Fixture {
    clock: ManualClock,
    tokens: IamTokenProvider,
    driver: MockDriver,
    wrapper: Wrapper<MockDriver>,
}

fn fixture_with(settings: IamSettings) -> Fixture {
    let clock = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let tokens = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(Source::default()))
        .clock(Arc::new(clock.clone()))
        .build()
        .expect("builds");
    let driver = MockDriver::new();
    let plugin = Arc::new(IamPlugin::new(tokens.clone(), settings));
    let wrapper = Wrapper::new(driver.clone(), vec![plugin]);
    Fixture { clock, tokens, driver, wrapper }
}

fn fixture() -> Fixture {
    fixture_with(IamSettings::default())
}

fn request() -> ConnectRequest {
    ConnectRequest::new(HOST, 5432, "jane")
}

fn refusal() -> Error {
    let answer = ServerError::new("28000", "PAM authentication failed", None);
    Error::new(ErrorKind::Login, "refused").with_source(answer).with_stale_password()
}

impl Fixture {
    fn token(&self, index: usize) -> String {
        self.driver.passwords()[index].clone().expect("a token")
    }
}

#[tokio::test]
async fn token_is_the_password_and_names_the_certificate() {
    let fixture = fixture();

    let connected = fixture.wrapper.connect(request()).await.expect("connects");

    assert!(fixture.token(0).starts_with(&format!("{HOST}:5432/?Action=connect&DBUser=jane&")));
    let password = connected.connection.password().expect("a token");
    assert!(password.expose_for(wrapper_core::adapter::Transport::Unverified).is_err());
    assert_eq!(connected.connection.server_name().expect("set").as_str(), HOST);
}

#[tokio::test]
async fn fresh_token_is_not_retried() {
    let fixture = fixture();
    fixture.driver.fail(refusal());

    let error = fixture.wrapper.connect(request()).await.expect_err("refused");

    assert_eq!(fixture.driver.requests().len(), 1);
    assert_eq!(error.server().expect("kept").code(), "28000");
    let text = error.to_string();
    assert!(text.contains("signed 0 s ago for user `jane`") && text.contains("…0000"), "{text}");
}

#[tokio::test]
async fn cached_token_is_retried_with_reloaded_credentials() {
    let fixture = fixture();
    fixture.wrapper.connect(request()).await.expect("connects");
    fixture.clock.advance(Duration::from_secs(61));
    fixture.driver.fail(refusal());

    fixture.wrapper.connect(request()).await.expect("the second token is taken");

    assert!(fixture.token(1).contains("AKIA0000") && fixture.token(2).contains("AKIA0001"));
    assert_eq!(fixture.tokens.stats().retries, 1);
}

#[tokio::test]
async fn refusal_of_the_replaced_key_is_reported() {
    let fixture = fixture();
    fixture.wrapper.connect(request()).await.expect("connects");
    fixture.clock.advance(Duration::from_secs(61));
    fixture.driver.fail(refusal());
    fixture.driver.fail(refusal());

    let error = fixture.wrapper.connect(request()).await.expect_err("refused with both keys");

    assert_eq!(error.diagnosis()[0].code(), "key-replaced");
    let text = error.to_string();
    assert!(text.contains("access key …0001") && text.contains("…0000, which was refused too"), "{text}");
    assert!(text.contains("check first: the access key was replaced"), "{text}");
}

#[tokio::test]
async fn key_that_was_replaced_is_still_said_when_the_login_is_repeated() {
    let fixture = fixture_with(IamSettings::default().with_login_retry_timeout(Duration::from_secs(5)));
    fixture.wrapper.connect(request()).await.expect("connects");
    fixture.clock.advance(Duration::from_secs(61));
    for _ in 0..100 {
        fixture.driver.fail(refusal());
    }
    let wrapper = fixture.wrapper.clone();
    let connect = tokio::spawn(async move { wrapper.connect(request()).await.map(drop) });
    while !connect.is_finished() {
        fixture.clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }

    let error = connect.await.expect("no panic").expect_err("refused to the end");

    assert!(fixture.driver.requests().len() > 3, "the login is repeated");
    assert_eq!(error.diagnosis()[0].code(), "key-replaced", "{error}");
}

#[tokio::test]
async fn key_that_stayed_is_not_called_replaced() {
    let fixture = fixture();
    let target = TokenRequest::database(HOST, 5432, "jane").expect("fits");
    fixture.tokens.warm_up(&target).await.expect("signs");
    fixture.clock.advance(Duration::from_secs(20));
    fixture.driver.fail(refusal());
    fixture.driver.fail(refusal());

    let error = fixture.wrapper.connect(request()).await.expect_err("refused twice");

    assert_eq!(fixture.driver.requests().len(), 2);
    assert!(error.diagnosis().iter().all(|cause| cause.code() != "key-replaced"), "{error:#}");
    assert!(!error.to_string().contains("replaced"), "{error}");
}

#[tokio::test]
async fn cached_token_signed_anew_in_the_same_second_is_not_retried() {
    let fixture = fixture();
    let target = TokenRequest::database(HOST, 5432, "jane").expect("fits");
    fixture.tokens.warm_up(&target).await.expect("signs");
    fixture.driver.fail(refusal());

    // The credentials are too young to be reloaded, so the text would be the same.
    fixture.wrapper.connect(request()).await.expect_err("refused");

    assert_eq!(fixture.driver.requests().len(), 1);
}

#[tokio::test]
async fn refusal_that_no_token_mends_is_not_retried() {
    let fixture = fixture();
    fixture.wrapper.connect(request()).await.expect("connects");
    fixture.clock.advance(Duration::from_secs(61));
    fixture.driver.fail(Error::new(ErrorKind::Login, "asks for a password"));

    fixture.wrapper.connect(request()).await.expect_err("refused");

    assert_eq!(fixture.tokens.stats().retries, 0);
    assert_eq!(fixture.tokens.stats().logins_refused, 1);
}

#[tokio::test]
async fn other_failures_leave_the_token_alone() {
    let fixture = fixture();
    fixture.driver.fail(Error::new(ErrorKind::Throttled, "too many"));

    fixture.wrapper.connect(request()).await.expect_err("throttled");
    fixture.wrapper.connect(request()).await.expect("connects");

    assert_eq!(fixture.token(0), fixture.token(1));
    assert_eq!((fixture.tokens.stats().signed, fixture.tokens.stats().throttled), (1, 1));
}

#[tokio::test]
async fn outer_plugin_that_moves_the_host_moves_the_token() {
    let fixture = fixture_with(
        IamSettings::default()
            .with_host(Endpoint::parse("other.abc123.us-east-2.rds.amazonaws.com").expect("fits")),
    );
    let moved = plugin_fn("move", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        next.run(request.with_host("moved.abc123.us-east-2.rds.amazonaws.com"))
    });
    let iam = IamPlugin::new(
        fixture.tokens.clone(),
        IamSettings::default().with_host(Endpoint::parse(HOST).expect("fits")),
    );
    let wrapper = Wrapper::new(fixture.driver.clone(), vec![Arc::new(moved), Arc::new(iam)]);

    fixture.wrapper.connect(request()).await.expect("connects");
    wrapper.connect(request()).await.expect("connects");

    assert!(fixture.token(0).starts_with("other.abc123."), "`iamHost` holds for the configured host");
    assert!(fixture.token(1).starts_with("moved.abc123."), "and for no other");
}

#[tokio::test]
async fn instance_behind_a_custom_domain_is_signed_by_its_real_name() {
    let cluster = Endpoint::parse("db.cluster-abc123.us-east-2.rds.amazonaws.com").expect("fits");
    let fixture = fixture_with(IamSettings::default().with_host(cluster));
    let request =
        ConnectRequest::new("10.0.0.1", 5432, "jane").with_host("one.internal.example").with_instance("one");

    fixture.wrapper.connect(request).await.expect("connects");

    assert!(fixture.token(0).starts_with("one.abc123.us-east-2.rds.amazonaws.com:5432/"));
}

#[tokio::test]
async fn dsql_endpoint_gets_a_dsql_token() {
    let host = "abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws";
    let fixture = fixture();

    fixture.wrapper.connect(ConnectRequest::new(host, 5432, "jane")).await.expect("connects");
    fixture.wrapper.connect(ConnectRequest::new(host, 5432, "admin")).await.expect("connects");

    assert!(fixture.token(0).starts_with(&format!("{host}/?Action=DbConnect&")));
    assert!(fixture.token(1).starts_with(&format!("{host}/?Action=DbConnectAdmin&")));
}

fn region(name: &str) -> host_pattern::Region {
    host_pattern::Region::parse(name).expect("fits")
}

#[tokio::test]
async fn any_host_is_signed_for_where_code_trusts_it_with_a_region() {
    for host in ["localhost", "127.0.0.1", "db.internal.example"] {
        let fixture = fixture_with(IamSettings::default().with_trusted_host(host, region("eu-west-1")));

        fixture.wrapper.connect(ConnectRequest::new(host, 5432, "jane")).await.expect("connects");

        assert!(fixture.token(0).starts_with(&format!("{host}:5432/?Action=connect&DBUser=jane&")), "{host}");
        assert!(fixture.token(0).contains("%2Feu-west-1%2Frds-db%2Faws4_request"), "{host}");
    }
}

#[tokio::test]
async fn trusted_host_lends_its_trust_to_no_other() {
    let fixture = fixture_with(IamSettings::default().with_trusted_host("db.example", region("eu-west-1")));
    for host in ["localhost", "a.db.example", "db.example.org"] {
        let error = fixture.wrapper.connect(ConnectRequest::new(host, 5432, "jane")).await.expect_err(host);
        assert_eq!(error.kind(), ErrorKind::Host, "{error}");
    }
    assert_eq!(fixture.driver.requests().len(), 0, "nothing was dialled");
    assert_eq!(fixture.tokens.stats().signed, 0);
}

#[test]
fn string_names_no_host_to_trust() {
    let fixture = fixture();
    let registry = wrapper_core::Registry::<()>::new().with(crate::IamFactory::new(fixture.tokens));
    let check = |name: &str, value: &str| {
        let mut given = wrapper_core::adapter::RawParameters::new();
        given.configure("plugins", "iam")?;
        given.configure("iamRegion", "eu-west-1")?;
        if !name.is_empty() {
            given.configure(name, value)?;
        }
        let requests = [ConnectRequest::new("localhost", 5432, "jane")];
        let (plugins, _) = registry.build(&given, &requests)?;
        plugins.iter().try_for_each(|plugin| plugin.check(&requests[0]))
    };
    let kind = |name: &str, value: &str| check(name, value).expect_err("is refused").kind();
    assert_eq!(kind("", ""), ErrorKind::Host, "a region alone is not enough");
    assert_eq!(kind("iamHost", "localhost"), ErrorKind::Host);
}
