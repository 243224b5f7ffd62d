//! Several hosts, several addresses, and connects that are given up.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    task::{Context, Poll, Waker},
};

use e2e::{Fixture, HOST, USER, log_in};
use rds_testkit::{Fault, Gate, Outcome, Phase, ServerError};
use rds_wrapper::{ErrorKind, host::resolver_fn, pg::Connector};

const OTHER: &str = "other.abc123.us-east-2.rds.amazonaws.com";

/// Two servers that trust the same key, the first of them called [`HOST`], the second [`OTHER`].
async fn pair() -> (Fixture, Fixture) {
    let first = Fixture::start().await;
    let key = first.server.access_key().clone().allow(USER);
    let ca = first.server.ca().clone();
    let clock = first.clock.clone();
    let second =
        Fixture::start_with(|server| server.host(OTHER).access_key(key).ca(&ca).clock(move || clock.now()))
            .await;
    (first, second)
}

fn connector(pair: &(Fixture, Fixture), query: &str) -> Connector {
    let (first, second) = (&pair.0.server, &pair.1.server);
    let url =
        format!("postgres://{USER}@{HOST}:{},{OTHER}:{}/app?plugins=iam{query}", first.port(), second.port());
    pair.0.builder(url).build().expect("builds")
}

#[tokio::test]
async fn every_host_gets_its_own_token() {
    let pair = pair().await;
    pair.0.server.inject(Fault::Refuse(ServerError::pam_refused(USER)));

    log_in(&connector(&pair, "")).await.expect("the second lets us in");

    assert_eq!((pair.0.server.refused(), pair.1.server.accepted()), (1, 1));
    assert_eq!(pair.0.tokens.stats().signed, 2);
}

#[tokio::test]
async fn target_session_attrs_continues_to_the_writer() {
    let pair = pair().await;
    pair.0.server.set_read_only(true);

    log_in(&connector(&pair, "&target_session_attrs=read-write")).await.expect("the second takes writes");

    assert_eq!((pair.0.server.accepted(), pair.1.server.accepted()), (1, 1));
}

#[tokio::test]
async fn target_session_attrs_without_a_writer_is_explained() {
    let pair = pair().await;
    pair.0.server.set_read_only(true);
    pair.1.server.set_read_only(true);

    let error = log_in(&connector(&pair, "&target_session_attrs=read-write")).await.expect_err("no writer");

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("`target_session_attrs`"), "{error}");
}

#[tokio::test]
async fn login_counts_before_other_failures_and_all_are_listed() {
    let pair = pair().await;
    pair.0.server.inject_always(Fault::NoTls);
    pair.1.server.inject_always(Fault::Refuse(ServerError::pam_refused(USER)));

    let error = log_in(&connector(&pair, "")).await.expect_err("nobody lets us in");

    assert_eq!(error.kind(), ErrorKind::Login);
    let text = error.to_string();
    assert!(text.contains(HOST) && text.contains("does not offer TLS") && text.contains(OTHER), "{text}");
}

#[tokio::test]
async fn random_order_reaches_both_hosts() {
    let pair = pair().await;
    let connector = connector(&pair, "&load_balance_hosts=random");

    // One in 2^40 runs sees one host only.
    for _ in 0..40 {
        log_in(&connector).await.expect("is let in");
    }

    assert!(pair.0.server.accepted() > 0 && pair.1.server.accepted() > 0);
}

#[tokio::test]
async fn refused_login_is_not_repeated_on_other_addresses() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::Refuse(ServerError::pam_refused(USER)));
    let twice = resolver_fn(|_| Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST); 2]));

    let connector = rig.builder(rig.url()).resolver(twice).build().expect("builds");
    log_in(&connector).await.expect_err("refused");

    assert_eq!(rig.server.refused(), 1);
}

#[tokio::test]
async fn dead_first_address_gives_way_to_the_next() {
    let rig = Fixture::start().await;
    // Nothing listens on 127.0.0.2 at that port.
    let addresses = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST].map(IpAddr::from);
    let resolver = resolver_fn(move |_| Ok(addresses.to_vec()));

    let connector = rig.builder(rig.url()).resolver(resolver).build().expect("builds");

    assert_eq!(log_in(&connector).await.expect("the second answers"), USER);
}

#[tokio::test]
async fn instance_is_dialled_and_signed_by_its_own_name() {
    let pair = pair().await;
    let cluster = format!(
        "postgres://{USER}@db.cluster-abc123.us-east-2.rds.amazonaws.com:{}/app?plugins=iam",
        pair.1.server.port()
    );
    let connector = pair.0.builder(cluster).build().expect("builds");

    log_in(&connector.instance("other").expect("named")).await.expect("is let in");

    assert_eq!(pair.1.server.attempts()[0].server_name.as_deref(), Some(OTHER));
}

#[tokio::test]
async fn connect_cancelled_at_any_phase_leaves_nothing_behind() {
    for phase in [Phase::Accept, Phase::Tls, Phase::Startup, Phase::Login, Phase::Ready] {
        let rig = Fixture::start().await;
        let connector = rig.connector();
        let gate = Gate::new();
        rig.server.inject(Fault::Hang(phase, gate.clone()));

        tokio::select! {
            _ = connector.connect() => panic!("the server hangs at {phase:?}"),
            () = gate.arrived(1) => {}
        }
        gate.open();

        // The server sees the connection closed, and the connector goes on.
        let attempts = rig.server.wait_for_attempts(1).await;
        assert_eq!(attempts.len(), 1, "{phase:?}");
        assert_eq!(log_in(&connector).await.expect("is let in"), USER, "{phase:?}");
    }
}

#[tokio::test]
async fn connect_cancelled_at_every_poll_leaves_the_token_usable() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    for polls in 0..6 {
        let mut connect = pin!(connector.connect());
        for _ in 0..polls {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(done) = connect.as_mut().poll(&mut context) {
                drop(done.expect("is let in"));
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    assert_eq!(log_in(&connector).await.expect("is let in"), USER);
    assert_eq!(rig.source.calls(), 1);
    assert!(rig.server.attempts().iter().all(|attempt| !matches!(attempt.outcome, Outcome::Refused(_))));
}
