//! Many tasks at once: one call for credentials, one signature.

use std::time::Duration;

use e2e::{Fixture, USER, log_in};
use rds_testkit::AccessKey;
use rds_wrapper::pg::Connector;

const TASKS: usize = 100;

async fn all(connector: &Connector) -> Vec<rds_wrapper::Result<String>> {
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let connector = connector.clone();
            tokio::spawn(async move { log_in(&connector).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no task panics"));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cold_connects_share_one_credentials_call_and_one_signature() {
    let rig = Fixture::start().await;

    let outcomes = all(&rig.connector()).await;

    assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|outcome| outcome.is_err()));
    assert_eq!(rig.source.calls(), 1);
    assert_eq!(rig.tokens.stats().signed, 1);
    assert_eq!((rig.server.accepted(), rig.server.refused()), (TASKS, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refusals_of_one_stale_token_share_one_credentials_call_and_one_signature() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    let rotated = AccessKey::new("AKIAROTATED", "new-secret").allow(USER);
    rig.server.token_policy().add_key(rotated.clone());
    rig.server.token_policy().revoke_key(rig.server.access_key().access_key_id());
    rig.source.set(&rotated, None);
    rig.clock.advance(Duration::from_secs(120));
    let (calls, signed) = (rig.source.calls(), rig.tokens.stats().signed);

    let outcomes = all(&connector).await;

    assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|outcome| outcome.is_err()));
    assert_eq!(rig.source.calls() - calls, 1);
    assert_eq!(rig.tokens.stats().signed - signed, 1);
}
