//! Logins that every engine takes and refuses alike; included by the tests of each, which bring
//! `Fixture` and `log_in`.

use std::time::Duration;

use e2e::{HOST, USER, chain};
use rds_testkit::{AccessKey, Fault, Gate, Outcome, Phase, Refusal};
use rds_wrapper::{Error, ErrorKind};

use super::{Fixture, log_in};

/// Expects one refused login with this reason on the server's side.
#[track_caller]
pub(super) fn refused(rig: &Fixture, error: &Error, reason: Refusal) {
    let outcomes: Vec<_> = rig.server.attempts().iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Refused(reason)], "{}", chain(error));
    assert_eq!(error.kind(), ErrorKind::Login, "{}", chain(error));
}

#[tokio::test]
async fn token_ok() {
    let rig = Fixture::start().await;
    let connector = rig.connector();

    assert_eq!(log_in(&connector).await.expect("is let in"), USER);
    assert_eq!(log_in(&connector).await.expect("is let in again"), USER);

    let stats = rig.tokens.stats();
    assert_eq!((stats.signed, stats.hits, rig.source.calls()), (1, 1, 1));
    assert!(rig.server.attempts().iter().all(|attempt| attempt.tls));
    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}

#[tokio::test]
async fn token_is_signed_for_every_connect_when_reuse_is_off() {
    let rig = Fixture::start().await;
    let connector = rig.builder(rig.url() + "&iamTokenExpiration=0").build().expect("builds");

    for _ in 0..3 {
        log_in(&connector).await.expect("is let in");
    }

    assert_eq!(rig.tokens.stats().signed, 3);
}

#[tokio::test]
async fn expired_token_is_renewed_before_connect() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");

    rig.clock.advance(Duration::from_secs(16 * 60));

    log_in(&connector).await.expect("is let in with a new token");
    assert_eq!(rig.server.refused(), 0);
    assert_eq!(rig.tokens.stats().signed, 2);
}

#[tokio::test]
async fn expired_token_wrong() {
    let rig = Fixture::start().await;
    // The server's clock alone runs ahead.
    rig.server.advance(Duration::from_secs(15 * 60 + 1));

    let error = log_in(&rig.connector()).await.expect_err("is too old");

    refused(&rig, &error, Refusal::Expired);
    assert!(format!("{error:#}").contains("this machine's clock"), "{error:#}");
}

#[tokio::test]
async fn deadline_in_a_repeated_login_names_the_refusal_and_its_causes() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    // The token was not accepted lately, so that a refusal of it is answered with another at once.
    rig.clock.advance(Duration::from_secs(120));
    rig.server.advance(Duration::from_secs(15 * 60));
    let (open, closed) = (Gate::new(), Gate::new());
    open.open();
    rig.server.inject(Fault::Hang(Phase::Login, open));
    rig.server.inject(Fault::Hang(Phase::Login, closed.clone()));

    let is_repeated = async {
        while rig.tokens.stats().retries == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // While everybody waits, the time goes on to the deadline at once.
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = log_in(&connector) => outcome,
        () = is_repeated => unreachable!(),
    };

    let error = outcome.expect_err("the second login is not answered");
    closed.open();
    assert_eq!((error.kind(), rig.tokens.stats().retries), (ErrorKind::Timeout, 1), "{error}");
    assert!(error.server().is_some() && !error.diagnosis().is_empty(), "{error}");
    let text = error.to_string();
    for part in ["s, still ", "; before that, ", "the token was signed 120 s ago", "; check first: "] {
        assert!(text.contains(part), "{text} should say {part}");
    }
}

#[tokio::test]
async fn user_wrong() {
    let key = AccessKey::new("AKIAEXAMPLE", "secret").allow("bob");
    let rig = Fixture::start_with(|server| server.access_key(key)).await;

    let error = log_in(&rig.connector()).await.expect_err("the policy does not name the user");

    refused(&rig, &error, Refusal::Policy);
    assert!(format!("{error:#}").contains("rds-db:connect"), "{error:#}");
}

#[tokio::test]
async fn host_wrong() {
    let rig = Fixture::start().await;
    // The name is one that the certificate covers, so that the login is reached.
    let url = rig.url() + "&iamHost=other.abc123.us-east-2.rds.amazonaws.com&tlsServerName=" + HOST;

    let error = log_in(&rig.builder(url).build().expect("builds")).await.expect_err("signed elsewhere");

    refused(&rig, &error, Refusal::WrongHost);
    assert!(error.to_string().contains("other.abc123.us-east-2.rds.amazonaws.com"), "{error}");
}

#[tokio::test]
async fn port_wrong() {
    let rig = Fixture::start().await;

    let connector = rig.builder(rig.url() + "&iamDefaultPort=1").build().expect("builds");
    let error = log_in(&connector).await.expect_err("signed for another port");

    refused(&rig, &error, Refusal::WrongPort);
    assert!(error.to_string().contains(&format!("`{HOST}:1`")), "{error}");
}

#[tokio::test]
async fn region_wrong_is_named_first() {
    let rig = Fixture::start().await;

    let connector = rig.builder(rig.url() + "&iamRegion=eu-west-1").build().expect("builds");
    let error = log_in(&connector).await.expect_err("signed for another region");

    refused(&rig, &error, Refusal::WrongRegion);
    assert!(
        error.to_string().contains("; check first: `iamRegion` is eu-west-1 but the host is in us-east-2"),
        "{error}"
    );
}

#[tokio::test]
async fn signature_wrong() {
    let rig = Fixture::start().await;
    rig.source.set(&AccessKey::new(rig.server.access_key().access_key_id(), "tampered"), None);

    let error = log_in(&rig.connector()).await.expect_err("does not verify");

    refused(&rig, &error, Refusal::Signature);
}

#[tokio::test]
async fn credentials_missing() {
    let rig = Fixture::start().await;
    rig.source.fail();

    let error = log_in(&rig.connector()).await.expect_err("nothing to sign with");

    assert!(matches!(error.kind(), ErrorKind::Credentials(_)), "{}", chain(&error));
    assert!(rig.server.attempts().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn stale_cached_token_is_retried_once() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    // The credentials are rotated and the old ones revoked; the token in the cache is stale.
    let rotated = AccessKey::new("AKIAROTATED", "new-secret").allow(USER);
    rig.server.token_policy().add_key(rotated.clone());
    rig.server.token_policy().revoke_key(rig.server.access_key().access_key_id());
    rig.source.set(&rotated, None);
    rig.clock.advance(Duration::from_secs(120));

    assert_eq!(log_in(&connector).await.expect("one refusal, one reload, and in"), USER);

    assert_eq!((rig.server.accepted(), rig.server.refused()), (2, 1));
    let stats = rig.tokens.stats();
    assert_eq!((stats.signed, stats.retries, rig.source.calls()), (2, 1, 2));
}

#[tokio::test]
async fn stale_cached_token_is_reported_when_the_new_one_is_refused_too() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
    rig.clock.advance(Duration::from_secs(120));

    let error = log_in(&connector).await.expect_err("the policy has changed");

    assert_eq!(rig.server.refused(), 2);
    assert!(error.to_string().contains("a freshly signed token was rejected as well"), "{error}");
}

#[tokio::test]
async fn stats_count_logins_in_total_and_by_host_and_user() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    for _ in 0..3 {
        log_in(&connector).await.expect("is let in");
    }
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
    rig.clock.advance(Duration::from_secs(120));
    log_in(&connector).await.expect_err("the policy has changed");

    let stats = connector.stats();

    assert_eq!((stats.signed, stats.hits, stats.misses, stats.waits), (2, 3, 2, 0));
    assert_eq!((stats.accepted, stats.logins_refused, stats.retries, stats.throttled), (3, 2, 1, 0));
    assert_eq!(stats.renewals_failed, 0);
    let [target] = &stats.targets[..] else { panic!("one host and one user: {:?}", stats.targets) };
    assert_eq!((&*target.host, target.port, &*target.user), (HOST, rig.server.port(), USER));
    assert_eq!((target.signed, target.hits, target.retries), (2, 3, 1));
    assert_eq!((target.accepted, target.logins_refused, target.throttled), (3, 2, 0));
    assert_eq!((target.last_accepted, target.last_accepted.is_some()), (stats.last_accepted, true));
}

#[tokio::test]
async fn fresh_token_is_never_retried() {
    let rig = Fixture::start().await;
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);

    log_in(&rig.connector()).await.expect_err("refused");

    assert_eq!(rig.server.refused(), 1);
    assert_eq!(rig.tokens.stats().retries, 0);
}

#[tokio::test]
async fn token_accepted_a_moment_ago_is_not_retried() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
    rig.clock.advance(Duration::from_secs(30));

    let error = log_in(&connector).await.expect_err("the policy has changed, or the key was revoked");

    assert_eq!(rig.server.refused(), 1);
    assert!(error.to_string().contains("last accepted 30 s ago"), "{error}");
    assert!(error.to_string().contains("; check first: perhaps the IAM policy of access key …"), "{error}");
    assert!(format!("{error:#}").contains("\n  2. perhaps access key …"), "{error:#}");
    assert!(format!("{error:#}").contains("\n  3. perhaps throttling"), "{error:#}");
}

#[tokio::test]
async fn token_accepted_a_moment_ago_among_many_logins_was_throttled() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    for _ in 0..5 {
        log_in(&connector).await.expect("is let in");
    }
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);

    let error = log_in(&connector).await.expect_err("as throttling looks");

    assert!(error.to_string().contains("; check first: throttling, because a server accepted"), "{error}");
}

#[tokio::test]
async fn token_never_outlives_its_credentials() {
    let rig = Fixture::start().await;
    let key = rig.server.access_key().clone();
    rig.source.set(&key, Some(rig.clock.now() + Duration::from_secs(5 * 60)));
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");

    rig.clock.advance(Duration::from_secs(4 * 60 + 30));
    let later = rig.clock.now() + Duration::from_secs(3600);
    rig.source.set(&key, Some(later));

    log_in(&connector).await.expect("is let in");
    assert_eq!(rig.tokens.stats().signed, 2, "signed anew half a minute before the credentials' end");
}
