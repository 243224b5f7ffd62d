//! Owners of pools, and what is left once they are gone.

use super::*;

#[tokio::test]
async fn closed_pool_is_no_longer_refreshed() {
    let rig = postgres().await;
    let pool = pg_pool(&rig).await;
    log_in(&pool, 1).await;
    assert!(pool.freshness().is_running);

    pool.pool().close().await;
    until(|| !pool.freshness().is_running).await;
    let (signed, calls) = (rig.tokens.stats().signed, rig.source.calls());
    for _ in 0..20 {
        rig.clock.advance(16 * MINUTE);
        tokio::task::yield_now().await;
    }

    assert_eq!((rig.tokens.stats().signed, rig.source.calls()), (signed, calls));
    assert_eq!(pool.freshness().renewals, 0);
}

#[tokio::test]
async fn last_owner_closes_the_pool_and_plain_clones_do_not_count() {
    let rig = postgres().await;
    let fresh = pg_pool(&rig).await;
    let (other, plain) = (fresh.clone(), fresh.pool().clone());

    drop(fresh);
    drop(plain.acquire().await.expect("another owner lives"));
    drop(other);

    assert!(matches!(plain.acquire().await, Err(sqlx::Error::PoolClosed)));
}

#[tokio::test]
async fn detached_pool_is_kept_fresh_without_an_owner() {
    let rig = postgres().await;
    let fresh = pg_pool(&rig).await;
    let other = fresh.clone();

    let plain = fresh.detach();
    drop(other);

    rig.clock.advance(16 * MINUTE);
    until(|| rig.tokens.stats().signed == 2).await;
    drop(plain.acquire().await.expect("is let in"));
    assert_eq!(rig.server.refused(), 0);
    plain.close().await;
}

#[tokio::test]
async fn pools_that_are_dropped_leave_no_socket_and_no_task() {
    let (postgres, mysql) = (postgres().await, mysql().await);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();

    for _ in 0..20 {
        let (postgres, mysql) = (pg_pool(&postgres).await, mysql_pool(&mysql).await);
        drop(postgres.pool().acquire().await.expect("is let in"));
        drop(mysql.pool().acquire().await.expect("is let in"));
    }

    // Each socket that a client holds is a task of a server.
    settle(|| tasks() == before).await;
}

#[tokio::test]
async fn pool_is_not_refreshed_after_its_runtime_ends() {
    let rig = postgres().await;
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let elsewhere = elsewhere.expect("starts");
    let building = builder::<sqlx::Postgres, _>(&rig, "postgres", rig.server.port(), rig.server.ca_pem());
    let fresh = elsewhere.spawn(building.build()).await.expect("runs").expect("builds");
    assert!(fresh.freshness().is_running);

    elsewhere.shutdown_background();

    settle(|| !fresh.freshness().is_running).await;
}
