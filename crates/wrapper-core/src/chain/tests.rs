//! Tests of the chain.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::{
    BoxFuture, Engine, Event, Next, Password, Role, ServerError,
    adapter::{MockDriver, Rows},
    events::Outcome,
    plugin_fn,
};

mod pooled;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts").block_on(future)
}

#[test]
fn plugins_run_outermost_first_and_may_run_the_rest_again() {
    let driver = MockDriver::new();
    driver.fail(Error::new(ErrorKind::Transient, "not yet"));
    let again = plugin_fn("again", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            match next.run(request.clone()).await {
                Err(error) if error.is_transient() => next.run(request).await,
                done => done,
            }
        })
    });
    let password = plugin_fn("password", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        next.run(request.with_password(Password::new("pw")))
    });
    let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(again), Arc::new(password)]);

    let connection = run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane")));

    assert!(connection.is_ok());
    assert_eq!(driver.passwords(), [Some("pw".to_owned()), Some("pw".to_owned())]);
}

#[test]
fn prepared_request_has_the_plugins_password_and_opens_nothing() {
    let driver = MockDriver::new();
    let password = plugin_fn("password", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        next.run(request.with_password(Password::new("pw")))
    });
    let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(password)]);

    let request = run(wrapper.prepare(ConnectRequest::new("a.example", 1, "jane"))).expect("is prepared");

    assert_eq!(request.password().map(Password::as_secret), Some("pw"));
    assert!(driver.requests().is_empty());
}

#[test]
fn end_of_every_connect_is_reported_also_after_a_timeout_or_a_drop() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let hangs = plugin_fn("hangs", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            match request.port() {
                1 => std::future::pending().await,
                _ => next.run(request).await,
            }
        })
    });
    let driver = MockDriver::new();
    let wrapper =
        Wrapper::new(driver.clone(), vec![Arc::new(hangs)]).with_events(Events::none().with(move |event| {
            let Event::ConnectFinished(finished) = event else { return };
            let outcome = match &finished.outcome {
                Outcome::Abandoned => "abandoned".to_owned(),
                Outcome::Connected => "connected".to_owned(),
                Outcome::Failed(error) => format!("{:?}", error.kind()),
            };
            ear.lock().expect("no callback panics").push((
                finished.port,
                outcome,
                finished.plugins.to_string(),
            ));
        }));
    driver.fail(Error::new(ErrorKind::Login, "no"));

    run(async {
        let request = |port| ConnectRequest::new("a.example", port, "jane");
        assert!(wrapper.connect(request(2)).await.is_err());
        assert!(wrapper.connect(request(2)).await.is_ok());
        let soon = tokio::time::Instant::now() + Duration::from_millis(5);
        let error = wrapper.connect(request(1).begin(soon)).await.expect_err("hangs");
        assert!(error.to_string().contains("still waiting for a plugin"), "{error}");
        let mut given_up = Box::pin(wrapper.connect(request(1)));
        assert!(futures_poll(given_up.as_mut()));
    });

    let expected = [(2, "Login"), (2, "connected"), (1, "Timeout"), (1, "abandoned")];
    let expected = expected.map(|(port, outcome)| (port, outcome.to_owned(), "hangs".to_owned()));
    assert_eq!(*heard.lock().expect("no callback panics"), expected);
}

/// Waits for credentials in the middle of a connect, until a time after its begin.
fn late_credentials(wait: Duration) -> Arc<dyn Plugin<ConnectRequest>> {
    Arc::new(plugin_fn("late", move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            request.progress().enter(Phase::Credentials);
            tokio::time::sleep(wait).await;
            next.run(request).await
        })
    }))
}

/// A host that takes its time.
fn slow_host(takes: Duration) -> Arc<dyn Plugin<ConnectRequest>> {
    Arc::new(plugin_fn("slow", move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            next.run(request).await
        })
    }))
}

#[tokio::test(start_paused = true)]
async fn host_keeps_the_least_share_after_credentials_that_come_late() {
    let seconds = Duration::from_secs_f64;
    // The share of the host is 10 s, and all hosts have 30 s.
    for waited in [0.0, 5.0, 9.9, 9.999, 10.0, 10.1, 11.9, 11.999, 13.95, 27.9] {
        for (takes, is_opened) in [(1.9, true), (2.1, waited + 2.1 < 10.0)] {
            let begun = Instant::now();
            let plugins = vec![late_credentials(seconds(waited)), slow_host(seconds(takes))];
            let wrapper = Wrapper::new(MockDriver::new(), plugins);
            let request = ConnectRequest::new("a.example", 1, "jane");
            let request = request.begin(begun + seconds(10.0)).ends_at(begun + seconds(30.0));

            let outcome = wrapper.connect(request).await;

            assert_eq!(outcome.is_ok(), is_opened, "credentials after {waited} s, then {takes} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_never_come_end_with_the_deadline_of_all_hosts() {
    let begun = Instant::now();
    let wrapper = Wrapper::new(MockDriver::new(), vec![late_credentials(Duration::from_secs(3_600))]);
    let request = ConnectRequest::new("a.example", 1, "jane");
    let second = Duration::from_secs(1);

    let error = wrapper
        .connect(request.begin(begun + 10 * second).ends_at(begun + 29 * second))
        .await
        .expect_err("hangs");

    assert!(error.is_of_credentials(), "{error}");
    assert_eq!(begun.elapsed(), 29 * second);
}

/// Polls once; whether it is pending.
fn futures_poll<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> bool {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending()
}

#[test]
fn wrapper_without_plugins_is_the_driver() {
    let driver = MockDriver::new();
    let wrapper = Wrapper::new(driver.clone(), Vec::new());

    let request = run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");

    assert!(request.connection.password().is_none());
    assert_eq!(wrapper.requirements(), Requirements::default());
    assert_eq!(driver.requests().len(), 1);
}

/// Notes the phase of each attempt, waits for both, and fails each with what its own request tells.
#[derive(Debug, Default)]
struct Racing(tokio::sync::Notify);

impl Driver for Racing {
    type Connection = ();

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query<'a>(&'a self, (): &'a mut (), _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        unreachable!("nothing is open")
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if request.host() == "a.example" {
                request.progress().dial(([10, 0, 0, 1], 5432).into());
                self.0.notified().await;
            } else {
                request.progress().dial(([10, 0, 0, 2], 5432).into());
                request.progress().enter(Phase::Tls);
                self.0.notify_one();
                tokio::task::yield_now().await;
            }
            let phase = request.progress().phase();
            Err(Error::new(ErrorKind::Connect, format!("{} while {phase}", request.address_label())))
        })
    }
}

#[test]
fn raced_attempts_report_their_own_host_and_phase() {
    let race = plugin_fn("race", |request: ConnectRequest, next: Next<'_, ()>| {
        Box::pin(async move {
            let (a, b) = (request.clone().with_host("a.example"), request.with_host("b.example"));
            let (a, b) = tokio::join!(next.run(a), next.run(b));
            let text = [a, b].map(|outcome| outcome.map(drop).expect_err("fails").to_string());
            Err(Error::new(ErrorKind::Connect, text.join("; ")))
        })
    });
    let wrapper = Wrapper::new(Racing::default(), vec![Arc::new(race)]);

    let error = run(wrapper.connect(ConnectRequest::new("c.example", 5432, "jane"))).expect_err("fails");

    assert_eq!(
        error.to_string(),
        "`a.example` (10.0.0.1:5432) while opening the TCP connection; \
         `b.example` (10.0.0.2:5432) while in the TLS handshake"
    );
}

#[test]
fn attempts_raced_on_one_host_report_their_own_phase() {
    let race = plugin_fn("race", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            let (first, second) = (next.run(request.clone()).await?, next.run(request.clone()).await?);
            first.connection.progress().enter(Phase::Login);
            second.connection.progress().enter(Phase::Tls);
            let phases = [&first.connection, &second.connection, &request];
            let phases = phases.map(|request| request.progress().phase());
            assert_eq!(phases, [Phase::Login, Phase::Tls, Phase::Tls]);
            Ok(first)
        })
    });
    let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(race)]);

    run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");
}

#[test]
fn connection_comes_with_where_it_leads() {
    let moves = plugin_fn("move", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            let request = request.with_host("b.example").with_port(2).with_instance("b");
            let mut connected = next.run(request).await?;
            assert_eq!(connected.established.role(), None);
            connected.established.set_role(Role::Writer);
            Ok(connected)
        })
    });
    let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(moves)]);

    let connected = run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");

    let established = &connected.established;
    assert_eq!((established.host(), established.port()), ("b.example", 2));
    assert_eq!((established.instance(), established.role()), (Some("b"), Some(Role::Writer)));
}

#[test]
fn plugin_asks_each_connection_its_role_and_moves_on() {
    let driver = MockDriver::new();
    driver.answer(|request, sql| {
        assert_eq!(sql, "SELECT pg_is_in_recovery()");
        let mut rows = Rows::new(["pg_is_in_recovery"]);
        rows.push([Some(if request.host() == "b.example" { "f" } else { "t" })])?;
        Ok(rows)
    });
    let writer = plugin_fn("writer", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            for host in ["a.example", "b.example"] {
                let mut connected = next.run(request.clone().with_host(host)).await?;
                let answer = next.session(&mut connected).query("SELECT pg_is_in_recovery()").await?;
                if answer.value() == Some("f") {
                    connected.established.set_role(Role::Writer);
                    return Ok(connected);
                }
            }
            Err(Error::new(ErrorKind::Transient, "no writer"))
        })
    });
    let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(writer)]);

    let connected = run(wrapper.connect(ConnectRequest::new("c.example", 1, "jane"))).expect("connects");

    let established = &connected.established;
    assert_eq!((established.host(), established.role()), ("b.example", Some(Role::Writer)));
    assert_eq!(driver.requests().len(), 2);
}

#[test]
fn query_without_an_answer_ends_the_connection_and_a_refusal_does_not() {
    let driver = MockDriver::new();
    driver.answer(|_, sql| match sql {
        "late" => Err(Error::new(ErrorKind::Driver, "too large")),
        _ => Err(Error::new(ErrorKind::Driver, "refused").with_source(ServerError::new("42501", "no", None))),
    });
    let ended = |sql: &'static str| {
        let asks = plugin_fn("asks", move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
            Box::pin(async move {
                let mut connected = next.run(request).await?;
                next.session(&mut connected).query(sql).await.map(drop).expect_err("fails");
                Ok(connected)
            })
        });
        let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(asks)]);
        let request = ConnectRequest::new("a.example", 1, "jane");
        let connected = run(wrapper.connect(request)).expect("connects");
        connected.connection.abort_registration().check().is_err()
    };

    assert_eq!((ended("late"), ended("refused")), (true, false));
}

#[test]
fn connect_without_a_user_is_refused_unless_a_plugin_brings_one() {
    let without_user = || ConnectRequest::new("a.example", 1, "");
    let bare = Wrapper::new(MockDriver::new(), Vec::new());
    let brings = plugin_fn("brings", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move { next.run(request.with_user("app")?).await })
    });

    let error = run(bare.connect(without_user())).expect_err("has no user");
    let connected = run(Wrapper::new(MockDriver::new(), vec![Arc::new(brings)]).connect(without_user()));

    assert_eq!(error.to_string(), "missing user: neither the configuration nor a plugin names one");
    assert_eq!(connected.expect("has one").connection.user(), "app");
}

#[test]
fn abort_handle_holds_as_long_as_the_connection() {
    let wrapper = Wrapper::new(MockDriver::new(), Vec::new());
    let connect = || run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");
    let (first, second) = (connect(), connect());

    let reason = Error::new(ErrorKind::Transient, "demoted");
    assert!(first.established.abort_handle().abort(reason));

    assert!(first.connection.abort_registration().check().is_err());
    assert!(second.connection.abort_registration().check().is_ok(), "each connection has its own");
}

#[test]
fn futures_and_wrappers_cross_threads() {
    fn check<T: Send>(_: &T) {}
    let wrapper = Wrapper::new(MockDriver::new(), Vec::new());
    check(&wrapper);
    check(&wrapper.connect(ConnectRequest::new("a.example", 1, "jane")));
}
