//! sqlx pools that outlive their first token.
//!
//! sqlx verifies the name that it dials, and no endpoint's name leads to this machine: the servers
//! answer to `localhost` too, and the tests choose that as the certificate's name in code.

use std::{process::Command, time::Duration};

use e2e::{Fixture, FixtureOf, HOST, USER, mysql};
use rds_testkit::{CertificateAuthority, Fault, Gate, Phase, ServerError};
use rds_wrapper::{Error, ErrorKind, events::CredentialsFailure, plugin::Session};
use sqlx::{
    Connection,
    mysql::MySqlPoolOptions,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use token_cache::ManualClock;
use wrapper_sqlx::{Engine, FreshPool, FreshPoolBuilder, MySqlFreshPool, PgFreshPool, check_within};

mod errors;
mod options;
mod ownership;

const CHECK: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_secs(60);

async fn postgres() -> Fixture {
    Fixture::start_with(|server| server.host("localhost")).await
}

async fn mysql() -> mysql::Fixture {
    mysql::Fixture::start_with(|server| server.host("localhost")).await
}

fn builder<D: Engine, S>(rig: &FixtureOf<S>, scheme: &str, port: u16, ca: &str) -> FreshPoolBuilder<D> {
    FreshPool::builder()
        .connection_string(format!("{scheme}://{USER}@localhost:{port}/app?plugins=iam&iamHost={HOST}"))
        .parameter("tlsServerName", "localhost")
        .root_certificates(ca)
        .tokens(rig.tokens.clone())
        .pool_options(PoolOptions::new().max_connections(20).acquire_timeout(Duration::from_secs(5)))
}

async fn pg_pool(rig: &Fixture) -> PgFreshPool {
    builder(rig, "postgres", rig.server.port(), rig.server.ca_pem()).build().await.expect("builds")
}

async fn mysql_pool(rig: &mysql::Fixture) -> MySqlFreshPool {
    builder(rig, "mysql", rig.server.port(), rig.server.ca_pem()).build().await.expect("builds")
}

/// Opens physical connections, one beside the other, and closes them.
async fn log_in<D: Engine>(pool: &FreshPool<D>, connections: usize) {
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push(pool.pool().acquire().await.expect("is let in"));
    }
    for mut connection in held {
        connection.ping().await.expect("is alive");
        connection.close().await.expect("closes");
    }
}

#[test]
fn runtime_that_lacks_a_driver_is_named() {
    let rig_runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("starts");
    let rig = rig_runtime.block_on(postgres());
    for (enabled, says) in [(false, "`enable_time`"), (true, "`enable_io`")] {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = if enabled { runtime.enable_time() } else { &mut runtime }.build().expect("starts");
        let builder: FreshPoolBuilder<sqlx::Postgres> =
            builder(&rig, "postgres", rig.server.port(), rig.server.ca_pem());

        let error = runtime.block_on(builder.build()).map(drop).expect_err("cannot work");

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// Lets the tasks run until something holds.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..1_000_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to hold");
}

/// Moves the clock in the steps of the timer and lets each check take place.
async fn pass<D: Engine>(pool: &FreshPool<D>, clock: &ManualClock, time: Duration) {
    let end = clock.now() + time;
    while clock.now() < end {
        clock.advance(CHECK);
        until(|| pool.freshness().checked_at == clock.now()).await;
    }
}

async fn outlives_its_token<D: Engine>(pool: &FreshPool<D>, clock: &ManualClock) {
    log_in(pool, 2).await;
    for round in 1..=3 {
        clock.advance(16 * MINUTE);
        until(|| pool.freshness().renewals == round).await;
        log_in(pool, 2).await;
    }
}

#[tokio::test]
async fn postgres_pool_outlives_its_token_without_a_refusal() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;

    outlives_its_token(&pool, &rig.clock).await;

    assert_eq!((rig.server.accepted(), rig.server.refused()), (8, 0));
}

#[tokio::test]
async fn mysql_pool_outlives_its_token_without_a_refusal() {
    let rig = mysql().await;
    let pool = mysql_pool(&rig).await;

    outlives_its_token(&pool, &rig.clock).await;

    assert_eq!((rig.server.accepted(), rig.server.refused()), (8, 0));
}

#[tokio::test]
async fn postgres_pool_is_a_plain_sqlx_pool() {
    let rig = postgres().await;
    let fresh = pg_pool(&rig).await;
    let pool: sqlx::PgPool = fresh.pool().clone();

    let user: String = sqlx::query_scalar("SELECT current_user").fetch_one(&pool).await.expect("is answered");

    assert_eq!(user, USER);
}

#[tokio::test]
async fn mysql_pool_is_a_plain_sqlx_pool() {
    let rig = mysql().await;
    let fresh = mysql_pool(&rig).await;
    let pool: sqlx::MySqlPool = fresh.pool().clone();

    let user: String =
        sqlx::query_scalar("SELECT CURRENT_USER()").fetch_one(&pool).await.expect("is answered");

    assert_eq!(user, format!("{USER}@%"));
}

#[tokio::test]
async fn plugin_asks_a_connection_of_a_pool() {
    let (postgres, mysql) = (postgres().await, mysql().await);
    let (postgres, mysql) = (pg_pool(&postgres).await, mysql_pool(&mysql).await);
    let mut first = postgres.pool().acquire().await.expect("is served");
    let mut second = mysql.pool().acquire().await.expect("is served");
    let mut first = wrapper_sqlx::session::<sqlx::Postgres>(&mut first);
    let mut second = wrapper_sqlx::session::<sqlx::MySql>(&mut second);

    let recovery = first.query("SELECT pg_is_in_recovery()").await.expect("is answered");
    let read_only = second.query("SELECT @@innodb_read_only, CURRENT_USER()").await.expect("is answered");

    assert_eq!((first.engine(), recovery.value()), (rds_wrapper::plugin::Engine::Postgres, Some("f")));
    assert_eq!(second.engine(), rds_wrapper::plugin::Engine::Mysql);
    let user = Some(format!("{USER}@%"));
    assert_eq!(read_only.rows(), [[Some("0".to_owned()), user]]);
    let refused = [
        first.query("SELECT nothing FROM nowhere").await.expect_err("is unknown"),
        second.query("SELECT nothing FROM nowhere").await.expect_err("is unknown"),
    ];
    let codes = refused.each_ref().map(|error| error.server().expect("is kept").code());
    assert_eq!(codes, ["0A000", "1064"]);
}

#[tokio::test]
async fn failing_source_goes_unnoticed_for_nine_minutes_at_any_time() {
    for healthy in (0..=24).step_by(2) {
        let rig = postgres().await;
        let pool = pg_pool(&rig).await;
        pass(&pool, &rig.clock, healthy * MINUTE).await;

        rig.source.fail();
        for _ in 0..9 {
            pass(&pool, &rig.clock, MINUTE).await;
            log_in(&pool, 1).await;
            pool.ensure_fresh().await.expect("the pool has a living token");
        }

        assert_eq!((rig.server.accepted(), rig.server.refused()), (9, 0), "from minute {healthy}");
    }
}

#[tokio::test]
async fn recovered_source_is_used_again() {
    let rig = postgres().await;
    // Keys without an end would serve on while their source is down.
    rig.source.set(&rig.server.access_key().clone(), Some(rig.clock.now() + 30 * MINUTE));
    let pool = pg_pool(&rig).await;
    rig.source.fail();
    pass(&pool, &rig.clock, 40 * MINUTE).await;
    let state = pool.freshness();
    let error = state.last_error.expect("is kept");
    assert!(matches!(error.kind(), ErrorKind::Credentials(CredentialsFailure::Failed)), "{error}");
    assert!(state.failures > 0 && state.expires_at < rig.clock.now());
    let error = pool.ensure_fresh().await.expect_err("the token is past its end");
    assert!(matches!(error.kind(), ErrorKind::Credentials(_)), "{error}");

    rig.source.set(&rig.server.access_key().clone(), None);
    pass(&pool, &rig.clock, CHECK).await;
    log_in(&pool, 1).await;

    let state = pool.freshness();
    assert!((state.failures, state.last_error.is_none(), state.is_running) == (0, true, true));
    assert_eq!(rig.server.refused(), 0);
}

#[tokio::test]
async fn program_that_wakes_from_a_freeze_asks_for_a_fresh_token() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;
    rig.clock.advance(16 * MINUTE);

    // No task has run since, as when a machine wakes.
    pool.ensure_fresh().await.expect("is renewed");
    log_in(&pool, 1).await;

    assert_eq!(rig.server.refused(), 0);
}

#[tokio::test]
async fn clock_set_back_delays_no_check() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;
    rig.clock.set(rig.clock.now() - 60 * MINUTE);
    // The task sets its timer now, by the clock as it is.
    tokio::task::yield_now().await;

    pass(&pool, &rig.clock, CHECK).await;
    log_in(&pool, 1).await;

    assert_eq!((pool.freshness().renewals, rig.server.refused()), (1, 0));
}

#[tokio::test]
async fn token_is_signed_again_at_five_minutes_and_not_before() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;

    pass(&pool, &rig.clock, 4 * MINUTE).await;
    for _ in 0..100 {
        pool.ensure_fresh().await.expect("is fresh");
    }

    assert_eq!((rig.tokens.stats().signed, pool.freshness().renewals), (1, 0));
    pass(&pool, &rig.clock, MINUTE).await;
    assert_eq!((rig.tokens.stats().signed, pool.freshness().renewals), (2, 1));
}

#[tokio::test]
async fn token_expiration_makes_the_pool_renew_earlier() {
    let rig = postgres().await;
    let pool: PgFreshPool = builder(&rig, "postgres", rig.server.port(), rig.server.ca_pem())
        .parameter("iamTokenExpiration", 60)
        .build()
        .await
        .expect("builds");

    pass(&pool, &rig.clock, 4 * MINUTE).await;

    assert_eq!(pool.freshness().renewals, 4);
}

#[tokio::test]
async fn debug_shows_no_token() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;

    let said = format!("{pool:?} {:?} {:?}", pool.freshness(), pool.pool());

    assert!(said.contains(HOST) && !said.contains("X-Amz"), "{said}");
}

#[tokio::test]
async fn pools_share_the_tokens_of_one_source() {
    let rig = postgres().await;
    let (first, second) = (pg_pool(&rig).await, pg_pool(&rig).await);

    log_in(&first, 1).await;
    log_in(&second, 1).await;

    assert_eq!((rig.source.calls(), rig.tokens.stats().signed), (1, 1));
}

/// Waits for what depends on sockets, for ten seconds.
async fn settle(holds: impl Fn() -> bool) {
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(tokio::time::Instant::now() < until, "it never came to hold");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A connection whose server does not answer uses up one caller's patience at most.
async fn frozen<D: Engine>(builder: FreshPoolBuilder<D>, hang: impl FnOnce(Fault)) {
    let options = PoolOptions::new().acquire_timeout(Duration::from_secs(2));
    let fresh = builder.pool_options(check_within(options, Duration::from_millis(300))).build().await;
    let fresh = fresh.expect("builds");
    drop(fresh.pool().acquire().await.expect("is let in"));
    settle(|| fresh.pool().num_idle() == 1).await;
    hang(Fault::Hang(Phase::Command, Gate::new()));

    let acquired = fresh.pool().acquire().await;

    // Closing waits for the server too, with sqlx's rustls.
    assert!(matches!(acquired, Err(sqlx::Error::PoolTimedOut)));
    drop(fresh.pool().acquire().await.expect("another one is opened"));
}

#[tokio::test]
async fn frozen_postgres_does_not_block_a_check_out() {
    let rig = postgres().await;
    let builder = builder::<sqlx::Postgres, _>(&rig, "postgres", rig.server.port(), rig.server.ca_pem());

    frozen(builder, |fault| rig.server.inject(fault)).await;

    assert_eq!(rig.server.accepted(), 2);
}

#[tokio::test]
async fn frozen_mysql_does_not_block_a_check_out() {
    let rig = mysql().await;
    let builder = builder::<sqlx::MySql, _>(&rig, "mysql", rig.server.port(), rig.server.ca_pem());

    frozen(builder, |fault| rig.server.inject(fault)).await;

    assert_eq!(rig.server.accepted(), 2);
}
