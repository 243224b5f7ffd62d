//! Refused logins that are repeated until the time is over.

use super::*;

/// Connects to a server that refuses every login, with pauses by a clock that stands still.
async fn refused_by(deadline: Instant, last_deadline: Instant) -> Error {
    let Fixture { tokens, driver, .. } = fixture();
    let settings = IamSettings::default().with_login_retry_timeout(Duration::from_secs(20));
    // Not the driver, which keeps each request, and with it the phase of its attempt.
    let refuses = plugin_fn("refuses", |_, _: Next<'_, ConnectRequest>| Box::pin(async { Err(refusal()) }));
    let wrapper = Wrapper::new(driver, vec![Arc::new(IamPlugin::new(tokens, settings)), Arc::new(refuses)]);
    let connected = wrapper.connect(request().begin(deadline).ends_at(last_deadline)).await;
    connected.map(drop).expect_err("refused")
}

#[tokio::test(start_paused = true)]
async fn refusal_is_the_error_where_no_pause_fits_before_the_deadline() {
    let deadline = Instant::now() + Duration::from_millis(100);

    let error = refused_by(deadline, deadline).await;

    assert_eq!(error.kind(), ErrorKind::Login, "{error}");
    assert_eq!(error.server().expect("kept").code(), "28000");
    assert!(Instant::now() < deadline, "nothing is waited for");
}

#[tokio::test(start_paused = true)]
async fn deadline_within_a_pause_blames_the_login_and_takes_no_time_of_other_hosts() {
    let begun = Instant::now();
    let [share, end] = [10, 30].map(|seconds| begun + Duration::from_secs(seconds));

    let error = refused_by(share, end).await;

    assert_eq!(error.kind(), ErrorKind::Login, "{error}");
    assert!(error.to_string().contains("still pausing after a refused login"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
}

/// Connects to a server that refuses the first login, and does not answer the next one.
async fn repeated_at_a_server_that_freezes(after_pause: bool) -> Error {
    let Fixture { tokens, clock, driver, .. } = fixture();
    let timeout = Duration::from_secs(if after_pause { 20 } else { 0 });
    let settings = IamSettings::default().with_login_retry_timeout(timeout);
    if !after_pause {
        // A cached token that was not accepted lately is replaced, and the login repeated at once.
        tokens.token(&settings.target(&request()).expect("is an endpoint")).await.expect("is signed");
        clock.advance(Duration::from_secs(5));
    }
    let logins = AtomicUsize::new(0);
    let freezes = plugin_fn("freezes", move |request: ConnectRequest, _: Next<'_, ConnectRequest>| {
        let is_first = logins.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if is_first {
                return Err(refusal());
            }
            request.progress().enter(Phase::Login);
            std::future::pending().await
        })
    });
    let wrapper = Wrapper::new(driver, vec![Arc::new(IamPlugin::new(tokens, settings)), Arc::new(freezes)]);
    let deadline = Instant::now() + Duration::from_secs(10);
    let connect = wrapper.connect(request().begin(deadline));
    let passes = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            clock.advance(Duration::from_millis(100));
        }
    };
    tokio::select! {
        connected = connect => connected.map(drop).expect_err("does not answer"),
        () = passes => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_in_a_repeated_login_names_the_refusal_and_its_causes() {
    for after_pause in [false, true] {
        let error = repeated_at_a_server_that_freezes(after_pause).await;

        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert_eq!(error.server().expect("is kept").code(), "28000");
        let text = error.to_string();
        assert!(text.contains("still logging in; before that, refused; the token was signed"), "{text}");
        assert!(text.contains("; check first: ") && !error.diagnosis().is_empty(), "{text}");
    }
}

#[tokio::test]
async fn timeout_of_a_repeated_login_names_the_refusal_and_its_causes() {
    let fixture = fixture();
    fixture.wrapper.connect(request()).await.expect("connects");
    fixture.clock.advance(Duration::from_secs(61));
    fixture.driver.fail(refusal());
    fixture.driver.fail(Error::new(ErrorKind::Timeout, "no address answered"));

    let error = fixture.wrapper.connect(request()).await.expect_err("does not answer");

    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("no address answered; before that, refused; the token"), "{text}");
    assert!(text.contains("; check first: "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn refusal_before_an_accepted_login_is_no_cause_of_a_later_timeout() {
    let Fixture { tokens, clock, driver, .. } = fixture();
    let settings = IamSettings::default();
    tokens.token(&settings.target(&request()).expect("is an endpoint")).await.expect("is signed");
    clock.advance(Duration::from_secs(61));
    driver.fail(refusal());
    let stalls = plugin_fn("stalls", |request, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            next.run(request).await?;
            std::future::pending().await
        })
    });
    let iam = Arc::new(IamPlugin::new(tokens, settings));
    let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(stalls), iam]);

    let connect = wrapper.connect(request().begin(Instant::now() + Duration::from_secs(10)));
    let error = connect.await.map(drop).expect_err("stalls after the login");

    assert_eq!((error.kind(), driver.requests().len()), (ErrorKind::Timeout, 2), "{error}");
    assert!(error.server().is_none() && error.diagnosis().is_empty(), "{error:#}");
    assert!(!error.to_string().contains("before that"), "{error}");
}

#[tokio::test]
async fn refusal_without_an_answer_of_the_server_is_named_once() {
    let fixture = fixture();
    fixture.driver.fail(Error::new(ErrorKind::Login, "asks for a password of its own"));

    let error = fixture.wrapper.connect(request()).await.expect_err("refused");

    let text = error.to_string();
    assert_eq!(text.matches("asks for a password of its own").count(), 1, "{text}");
}
