//! Statements that callers of MySQL pools abandon while the server is late: its answer must never
//! reach the next borrower.

use std::ops::DerefMut;

use e2e::mysql::Fixture;
use mysql_async::{Conn, prelude::Queryable};
use rds_testkit::{Fault, Gate, Phase};
use rds_wrapper::mysql::{MysqlManager, Recycling};

/// The abandoned operation.
#[derive(Clone, Copy, Debug)]
enum GivenUp {
    CheckOut,
    Rows,
    /// A `SELECT`, whose connection goes on being used, one answer behind.
    RowsAndOn,
    Statement,
    StatementAndOn,
}

/// Polls a future until its command has arrived at the server, and drops it.
async fn give_up<T>(future: impl Future<Output = T>, gate: &Gate) {
    tokio::select! {
        () = gate.arrived(1) => {}
        _ = future => panic!("the gate holds the answer back"),
    }
}

/// Gives something up on the only connection of a pool and asks what cannot be confused.
async fn check<C: DerefMut<Target = Conn>>(rig: &Fixture, get: impl AsyncFn() -> C, given_up: GivenUp) {
    let mut connection = get().await;
    connection.query_drop("DO 0").await.expect("answers");
    let gate = Gate::new();
    rig.server.inject(Fault::Hang(Phase::Command, gate.clone()));
    match given_up {
        GivenUp::CheckOut => {
            drop(connection);
            give_up(get(), &gate).await;
            gate.open();
        }
        GivenUp::Rows | GivenUp::RowsAndOn => {
            give_up(connection.query_first::<i64, _>("SELECT 1"), &gate).await;
            gate.open();
            if let GivenUp::RowsAndOn = given_up {
                drop(connection.query_first::<i64, _>("SELECT 2").await);
            }
            drop(connection);
        }
        GivenUp::Statement | GivenUp::StatementAndOn => {
            give_up(connection.query_drop("DO 1"), &gate).await;
            gate.open();
            if let GivenUp::StatementAndOn = given_up {
                drop(connection.query_drop("DO 2").await);
            }
            drop(connection);
        }
    }

    for asked in [50, 51, 52] {
        let mut connection = get().await;
        let answer: Option<i64> = connection.query_first(format!("SELECT {asked}")).await.expect("answers");
        assert_eq!(answer, Some(asked));
    }
}

fn manager(rig: &Fixture, recycling: Recycling) -> MysqlManager {
    rig.connector().deadpool_manager().recycling(recycling)
}

async fn bb8(recycling: Recycling, given_up: GivenUp) {
    let rig = Fixture::start().await;
    let pool = bb8::Pool::builder().max_size(1).build(manager(&rig, recycling)).await.expect("builds");
    check(&rig, async || pool.get_owned().await.expect("is served"), given_up).await;
}

async fn deadpool(recycling: Recycling, given_up: GivenUp) {
    let rig = Fixture::start().await;
    let pool = rds_wrapper::mysql::deadpool::Pool::builder(manager(&rig, recycling));
    let pool = pool.max_size(1).build().expect("builds");
    check(&rig, async || pool.get().await.expect("is served"), given_up).await;
}

macro_rules! given_up {
    ($($name:ident: $pool:ident, $recycling:ident, $given_up:ident;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                $pool(Recycling::$recycling, GivenUp::$given_up).await;
            }
        )*
    };
}

given_up! {
    bb8_with_ping_serves_no_answer_of_a_given_up_check_out: bb8, Ping, CheckOut;
    bb8_with_ping_serves_no_answer_of_a_given_up_select: bb8, Ping, Rows;
    bb8_with_ping_serves_no_answer_of_a_given_up_statement: bb8, Ping, Statement;
    bb8_with_ping_serves_no_answer_after_going_on_from_a_given_up_select: bb8, Ping, RowsAndOn;
    bb8_with_ping_serves_no_answer_after_going_on_from_a_given_up_statement: bb8, Ping, StatementAndOn;
    bb8_with_reset_serves_no_answer_after_going_on_from_a_given_up_select: bb8, Reset, RowsAndOn;
    bb8_with_reset_serves_no_answer_after_going_on_from_a_given_up_statement: bb8, Reset, StatementAndOn;
    deadpool_with_ping_serves_no_answer_after_going_on_from_a_given_up_select: deadpool, Ping, RowsAndOn;
    deadpool_with_ping_serves_no_answer_after_going_on_from_a_given_up_statement: deadpool, Ping,
        StatementAndOn;
    deadpool_with_reset_serves_no_answer_after_going_on_from_a_given_up_select: deadpool, Reset, RowsAndOn;
    deadpool_with_reset_serves_no_answer_after_going_on_from_a_given_up_statement: deadpool, Reset,
        StatementAndOn;
    bb8_with_reset_serves_no_answer_of_a_given_up_check_out: bb8, Reset, CheckOut;
    bb8_with_reset_serves_no_answer_of_a_given_up_select: bb8, Reset, Rows;
    bb8_with_reset_serves_no_answer_of_a_given_up_statement: bb8, Reset, Statement;
    deadpool_with_ping_serves_no_answer_of_a_given_up_check_out: deadpool, Ping, CheckOut;
    deadpool_with_ping_serves_no_answer_of_a_given_up_select: deadpool, Ping, Rows;
    deadpool_with_ping_serves_no_answer_of_a_given_up_statement: deadpool, Ping, Statement;
    deadpool_with_reset_serves_no_answer_of_a_given_up_check_out: deadpool, Reset, CheckOut;
    deadpool_with_reset_serves_no_answer_of_a_given_up_select: deadpool, Reset, Rows;
    deadpool_with_reset_serves_no_answer_of_a_given_up_statement: deadpool, Reset, Statement;
}
