//! Pools that outlive their first token: deadpool and bb8 over real sockets, on a clock that is
//! moved.

use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use deadpool_postgres::{ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use e2e::{Fixture, HOST, USER};
use rds_testkit::{AccessKey, Fault, ServerError};
use rds_wrapper::{
    Error, ErrorKind,
    pg::{Connector, bb8::Pool as Bb8},
    plugin::{BoxFuture, ConnectRequest, Next, Opening, Plugin, Session},
};

const QUARTER: Duration = Duration::from_secs(16 * 60);

fn deadpool(rig: &Fixture, size: usize) -> Pool {
    Pool::builder(rig.connector().deadpool_manager()).max_size(size).build().expect("builds")
}

async fn bb8(rig: &Fixture, size: u32) -> Bb8 {
    let builder = Bb8::builder().max_size(size).retry_connection(false);
    builder.build(rig.connector().bb8_manager()).await.expect("builds")
}

/// Takes several connections at once, so that new ones have to be opened, and asks each who it is.
async fn use_deadpool(pool: &Pool, count: usize) {
    let mut held = Vec::new();
    for _ in 0..count {
        let client = pool.get().await.expect("is let in");
        let row = client.query_one("SELECT current_user", &[]).await.expect("answers");
        assert_eq!(row.get::<_, &str>(0), USER);
        held.push(client);
    }
}

async fn use_bb8(pool: &Bb8, count: usize) {
    let mut held = Vec::new();
    for _ in 0..count {
        let client = pool.get().await.expect("is let in");
        let row = client.query_one("SELECT current_user", &[]).await.expect("answers");
        assert_eq!(row.get::<_, &str>(0), USER);
        held.push(client);
    }
}

#[tokio::test]
async fn deadpool_opens_connections_after_the_first_token_ended() {
    let rig = Fixture::start().await;
    let pool = deadpool(&rig, 4);
    use_deadpool(&pool, 2).await;

    rig.clock.advance(QUARTER);
    use_deadpool(&pool, 4).await;

    assert_eq!((rig.server.accepted(), rig.server.refused()), (4, 0));
    assert_eq!(rig.tokens.stats().signed, 2);
}

#[tokio::test]
async fn bb8_opens_connections_after_the_first_token_ended() {
    let rig = Fixture::start().await;
    let pool = bb8(&rig, 4).await;
    use_bb8(&pool, 2).await;

    rig.clock.advance(QUARTER);
    use_bb8(&pool, 4).await;

    assert_eq!(rig.server.refused(), 0);
    assert_eq!(rig.tokens.stats().signed, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_tasks_on_a_cold_pool_cost_one_credentials_call() {
    let rig = Fixture::start().await;
    let pool = deadpool(&rig, 50);

    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { use_deadpool(&pool, 1).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("is served");
    }

    assert_eq!((rig.source.calls(), rig.server.refused()), (1, 0));
    assert!(rig.server.accepted() <= 50);
}

#[tokio::test]
async fn source_that_hangs_and_then_fails_goes_unnoticed_while_the_credentials_live() {
    let rig = Fixture::start().await;
    let key = rig.server.access_key().clone();
    rig.source.set(&key, Some(rig.clock.now() + Duration::from_secs(3600)));
    let pool = deadpool(&rig, 20);
    use_deadpool(&pool, 1).await;
    rig.clock.advance(Duration::from_secs(50 * 60));

    // Within the lead of the renewal, for five minutes.
    rig.source.hang(true);
    for minute in 1..=5 {
        if minute == 3 {
            rig.source.hang(false);
            rig.source.fail();
        }
        rig.clock.advance(Duration::from_secs(60));
        use_deadpool(&pool, 1 + minute).await;
    }

    assert_eq!(rig.server.refused(), 0);
    assert!(rig.tokens.stats().renewals_failed > 0);
}

#[tokio::test]
async fn rotated_credentials_cost_one_refusal_and_one_reload() {
    let rig = Fixture::start().await;
    let pool = deadpool(&rig, 8);
    use_deadpool(&pool, 1).await;
    let rotated = AccessKey::new("AKIAROTATED", "new-secret").allow(USER);
    rig.server.token_policy().add_key(rotated.clone());
    rig.server.token_policy().revoke_key(rig.server.access_key().access_key_id());
    rig.source.set(&rotated, None);
    rig.clock.advance(Duration::from_secs(120));

    use_deadpool(&pool, 8).await;

    assert_eq!((rig.server.refused(), rig.source.calls()), (1, 2));
}

#[tokio::test]
async fn deadpool_error_holds_the_wrappers() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::Refuse(ServerError::pam_refused(USER)));

    let error = deadpool(&rig, 1).get().await.expect_err("refused");

    let ours = Error::find(&error).expect("ours lies in the chain");
    assert_eq!(ours.kind(), ErrorKind::Login);
    assert!(ours.to_string().contains("; check first: perhaps no IAM policy"), "{ours}");
}

#[tokio::test]
async fn bb8_error_is_of_the_wrapper() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::Refuse(ServerError::pam_refused(USER)));
    let pool =
        Bb8::builder().max_size(1).retry_connection(false).build_unchecked(rig.connector().bb8_manager());

    // bb8 hands a connect's error to the one who dials, and times the others out.
    let error = pool.dedicated_connection().await.expect_err("refused");

    assert_eq!(error.kind(), ErrorKind::Login);
}

#[tokio::test]
async fn deadpool_patterns_keep_working() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    for method in [RecyclingMethod::Fast, RecyclingMethod::Verified, RecyclingMethod::Clean] {
        let config = ManagerConfig { recycling_method: method.clone() };
        let pool = Pool::builder(connector.deadpool_manager_with(config))
            .max_size(1)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_millis(50)))
            .build()
            .expect("builds");
        use_deadpool(&pool, 1).await;
        use_deadpool(&pool, 1).await;

        let client = pool.get().await.expect("is served");
        let statement = client.prepare_cached("SELECT 1").await.expect("prepares");
        assert_eq!(client.query_one(&statement, &[]).await.expect("answers").get::<_, i32>(0), 1);
        let full = pool.get().await;
        assert!(matches!(full, Err(PoolError::Timeout(_))), "{method:?}: one is out, and no more may be");
        pool.resize(2);
        drop(pool.get().await.expect("there is room for another"));
        drop(client);
        assert_eq!(pool.retain(|_, _| false).removed.len(), 2);
        pool.close();
        assert!(matches!(pool.get().await, Err(PoolError::Closed)));
    }
}

/// Refuses connects to all hosts but one, and notes the host for which it judges a pooled one.
#[derive(Clone, Debug, Default)]
struct Judges(Arc<Mutex<Vec<String>>>);

impl<C: Send + 'static> Plugin<C> for Judges {
    fn code(&self) -> &str {
        "judges"
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        match request.host() {
            HOST => next.run(request),
            _ => Box::pin(ready(Err(Error::new(ErrorKind::Connect, "not this one")))),
        }
    }

    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        _: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.0.lock().expect("nobody panics").push(request.host().to_owned());
        Box::pin(ready(Ok(())))
    }
}

async fn connector_of_three_hosts() -> (Fixture, Judges, Connector) {
    let rig = Fixture::start_with(|server| server.password_user("app", "secret")).await;
    let (judges, port) = (Judges::default(), rig.server.port());
    let hosts = format!("a.example:{port},{HOST}:{port},c.example:{port}");
    let url = format!("postgres://app:secret@{hosts}/app?sslmode=verify-full");
    let connector = rig.builder(url).plugin(judges.clone()).build().expect("builds");
    (rig, judges, connector)
}

#[tokio::test]
async fn plugin_judges_a_connection_of_deadpool_for_its_own_host() {
    let (_rig, judges, connector) = connector_of_three_hosts().await;
    let pool = connector.deadpool_builder().max_size(4).build().expect("builds");
    for _ in 0..2 {
        // At once in one task, so that the connects end in polls of the same future.
        let (a, b, c, d) = tokio::join!(pool.get(), pool.get(), pool.get(), pool.get());
        assert!([a, b, c, d].iter().all(Result::is_ok));
    }

    assert_eq!(*judges.0.lock().expect("nobody panics"), [HOST; 4]);
}

#[tokio::test]
async fn plugin_judges_a_connection_of_bb8_for_its_own_host() {
    let (_rig, judges, connector) = connector_of_three_hosts().await;
    let pool = Bb8::builder().max_size(1).build(connector.bb8_manager()).await.expect("builds");

    drop(pool.get().await.expect("is let in"));

    assert_eq!(*judges.0.lock().expect("nobody panics"), [HOST]);
}
