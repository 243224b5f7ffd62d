//! Pools of MySQL connections that outlive their first token: deadpool and bb8, on a clock that is
//! moved.

use std::time::Duration;

use e2e::{USER, mysql::Fixture};
use mysql_async::prelude::Queryable;
use rds_testkit::{AccessKey, Fault, ServerError};
use rds_wrapper::{
    ErrorKind,
    mysql::{MysqlManager, Recycling, bb8::Pool as Bb8, deadpool::Pool as Deadpool},
};

const QUARTER: Duration = Duration::from_secs(16 * 60);

fn deadpool(manager: MysqlManager, size: usize) -> Deadpool {
    Deadpool::builder(manager).max_size(size).build().expect("builds")
}

async fn bb8(manager: MysqlManager, size: u32) -> Bb8 {
    Bb8::builder().max_size(size).retry_connection(false).build(manager).await.expect("builds")
}

async fn ask(connection: &mut mysql_async::Conn) {
    let user: Option<String> = connection.query_first("SELECT CURRENT_USER()").await.expect("answers");
    assert!(user.expect("one row").starts_with(USER));
}

/// Takes several connections at once, so that new ones have to be opened, and asks each who it is.
async fn use_deadpool(pool: &Deadpool, count: usize) {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut connection = pool.get().await.expect("is let in");
        ask(&mut connection).await;
        held.push(connection);
    }
}

async fn use_bb8(pool: &Bb8, count: usize) {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut connection = pool.get().await.expect("is let in");
        ask(&mut connection).await;
        held.push(connection);
    }
}

#[tokio::test]
async fn deadpool_opens_connections_after_the_first_token_ended() {
    let rig = Fixture::start().await;
    let pool = deadpool(rig.connector().deadpool_manager(), 4);
    use_deadpool(&pool, 2).await;

    rig.clock.advance(QUARTER);
    use_deadpool(&pool, 4).await;

    assert_eq!((rig.server.accepted(), rig.server.refused()), (4, 0));
    assert_eq!(rig.tokens.stats().signed, 2);
}

#[tokio::test]
async fn bb8_opens_connections_after_the_first_token_ended() {
    let rig = Fixture::start().await;
    let pool = bb8(rig.connector().bb8_manager(), 4).await;
    use_bb8(&pool, 2).await;

    rig.clock.advance(QUARTER);
    use_bb8(&pool, 4).await;

    assert_eq!(rig.server.refused(), 0);
    assert_eq!(rig.tokens.stats().signed, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_tasks_on_a_cold_pool_cost_one_credentials_call() {
    let rig = Fixture::start().await;
    let pool = deadpool(rig.connector().deadpool_manager(), 50);

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
async fn rotated_credentials_cost_one_refusal_and_one_reload() {
    let rig = Fixture::start().await;
    let pool = deadpool(rig.connector().deadpool_manager(), 8);
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
async fn pool_errors_are_of_the_wrapper() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::Refuse(ServerError::access_denied(USER)));

    let error = deadpool(rig.connector().deadpool_manager(), 1).get().await.expect_err("refused");

    let ours = rds_wrapper::Error::find(&error).expect("ours lies in the chain");
    assert_eq!(ours.kind(), ErrorKind::Login);
    let pool = Bb8::builder().build_unchecked(rig.connector().bb8_manager());
    assert_eq!(pool.dedicated_connection().await.expect_err("refused").kind(), ErrorKind::Login);
}

#[tokio::test]
async fn connection_is_used_again_after_a_ping_or_a_reset() {
    let rig = Fixture::start().await;
    for recycling in [Recycling::Ping, Recycling::Reset] {
        let before = rig.server.accepted();
        let pool = deadpool(rig.connector().deadpool_manager().recycling(recycling), 1);
        use_deadpool(&pool, 1).await;
        use_deadpool(&pool, 1).await;

        assert_eq!(rig.server.accepted() - before, 1, "{recycling:?}");
    }
}

#[tokio::test]
async fn connection_that_was_cut_is_replaced() {
    let rig = Fixture::start().await;
    let deadpool = deadpool(rig.connector().deadpool_manager(), 1);
    let bb8 = bb8(rig.connector().bb8_manager(), 1).await;
    use_deadpool(&deadpool, 1).await;
    use_bb8(&bb8, 1).await;

    rig.server.drop_connections();
    use_deadpool(&deadpool, 1).await;
    use_bb8(&bb8, 1).await;

    assert!(rig.server.accepted() >= 4);
}
