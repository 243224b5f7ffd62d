//! Which refusals are worth another login, and what is counted of them.

use super::*;

/// Connects with one key for ever, is refused this many seconds later, and returns the number of
/// logins.
async fn logins_with_a_refusal_after(seconds: u64) -> usize {
    let key = Credentials::new("AKIA0000", "secret", None, None, "test");
    let clock = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let tokens = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(key))
        .clock(Arc::new(clock.clone()))
        .build()
        .expect("builds");
    let driver = MockDriver::new();
    let plugin = Arc::new(IamPlugin::new(tokens, IamSettings::default()));
    let wrapper = Wrapper::new(driver.clone(), vec![plugin]);
    wrapper.connect(request()).await.expect("connects");
    clock.advance(Duration::from_secs(seconds));
    driver.fail(refusal());

    drop(wrapper.connect(request()).await);

    driver.requests().len()
}

#[tokio::test]
async fn token_accepted_within_the_last_minute_is_not_replaced() {
    assert_eq!(logins_with_a_refusal_after(10).await, 2);
    assert_eq!(logins_with_a_refusal_after(60).await, 2);
    assert_eq!(logins_with_a_refusal_after(61).await, 3);
}

#[tokio::test]
async fn replaced_key_is_worth_a_login_though_the_former_was_accepted_lately() {
    let fixture = fixture();
    fixture.wrapper.connect(request()).await.expect("connects");
    fixture.clock.advance(Duration::from_secs(31));
    fixture.driver.fail(refusal());

    fixture.wrapper.connect(request()).await.expect("the second token is taken");

    assert!(fixture.token(1).contains("AKIA0000") && fixture.token(2).contains("AKIA0001"));
    let stats = fixture.wrapper.stats();
    let target = &stats.targets[0];
    assert_eq!((target.signed, target.hits, target.retries), (2, 1, 1));
}

#[tokio::test]
async fn second_token_that_is_refused_is_not_used_again() {
    let fixture = fixture();
    fixture.wrapper.connect(request()).await.expect("connects");
    fixture.clock.advance(Duration::from_secs(61));
    fixture.driver.fail(refusal());
    fixture.driver.fail(refusal());
    fixture.wrapper.connect(request()).await.map(drop).expect_err("refused with both keys");
    let hits = fixture.tokens.stats().hits;

    let connected = fixture.wrapper.connect(request()).await.expect("connects");

    assert_eq!(fixture.tokens.stats().hits, hits, "a token is signed anew");
    let end = connected.connection.password().expect("a token").good_until();
    assert_eq!(end, Some(fixture.clock.now() + Duration::from_secs(15 * 60)));
}
