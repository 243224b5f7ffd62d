//! After any command on a pooled MySQL connection, given up at any of its awaits, the next
//! borrower gets its own answer.

use std::ops::DerefMut;

use e2e::{cut, mysql::Fixture};
use mysql_async::{Conn, Result, TxOpts, prelude::Queryable};
use rds_testkit::Rows;
use rds_wrapper::mysql::{Recycling, deadpool::Pool};

/// More polls than anything here takes.
const MOST: usize = 400;

/// The activity of a borrower.
#[derive(Clone, Copy, Debug)]
enum Deed {
    HalfRead,
    LockTables,
    LongStatement,
    Ping,
    Prepared,
    PreparedHalfRead,
    Reset,
    SelectsInTurn,
    Transaction,
    TransactionLeft,
}

const DEEDS: [Deed; 10] = [
    Deed::HalfRead,
    Deed::LockTables,
    Deed::LongStatement,
    Deed::Ping,
    Deed::Prepared,
    Deed::PreparedHalfRead,
    Deed::Reset,
    Deed::SelectsInTurn,
    Deed::Transaction,
    Deed::TransactionLeft,
];

async fn perform(connection: &mut Conn, deed: Deed) -> Result<()> {
    match deed {
        Deed::HalfRead => {
            let mut result = connection.query_iter("SELECT many").await?;
            result.next().await?;
        }
        Deed::LockTables => {
            connection.query_drop("LOCK TABLES orders WRITE").await?;
            connection.query_drop("UNLOCK TABLES").await?;
        }
        // More than the buffers of a socket hold.
        Deed::LongStatement => connection.query_drop(format!("DO '{}'", "x".repeat(8 << 20))).await?,
        Deed::Ping => connection.ping().await?,
        Deed::Prepared => drop(connection.exec_first::<i64, _, _>("SELECT 7", ()).await?),
        Deed::PreparedHalfRead => {
            let mut result = connection.exec_iter("SELECT many", ()).await?;
            result.next().await?;
        }
        Deed::Reset => drop(connection.reset().await?),
        Deed::SelectsInTurn => {
            for number in 1..4 {
                connection.query_first::<i64, _>(format!("SELECT {number}")).await?;
            }
        }
        Deed::Transaction => {
            let mut transaction = connection.start_transaction(TxOpts::default()).await?;
            transaction.query_first::<i64, _>("SELECT 7").await?;
            transaction.commit().await?;
        }
        Deed::TransactionLeft => {
            let mut transaction = connection.start_transaction(TxOpts::default()).await?;
            transaction.query_first::<i64, _>("SELECT 7").await?;
        }
    }
    Ok(())
}

fn answers(rig: &Fixture) {
    let many =
        (0..50).fold(Rows::new(["number"]), |rows, number| rows.row([(1000 + number).to_string().into()]));
    rig.server.answer("SELECT many", many);
}

/// Gives each deed and the check-out after it up at every poll, and asks what cannot be confused.
async fn check<C: DerefMut<Target = Conn>>(get: impl AsyncFn() -> C) {
    let mut asked = 50_i64;
    let mut cuts = 0;
    for deed in DEEDS {
        for polls in 0..=MOST {
            let mut connection = get().await;
            // A server may refuse what it does not know.
            let is_through = cut(perform(&mut connection, deed), polls).await.is_some();
            drop(connection);
            // Some check-outs are given up too.
            drop(cut(get(), polls % 7).await);
            for _ in 0..2 {
                asked += 1;
                let mut connection = get().await;
                let answer: Option<i64> =
                    connection.query_first(format!("SELECT {asked}")).await.expect("answers");
                assert_eq!(answer, Some(asked), "{deed:?} given up after {polls} polls");
            }
            cuts += 1;
            if is_through {
                break;
            }
            assert!(polls < MOST, "{deed:?} takes longer");
        }
    }
    assert!(cuts > 2 * DEEDS.len(), "{cuts} cuts");
}

async fn bb8(recycling: Recycling) {
    let rig = Fixture::start().await;
    answers(&rig);
    let manager = rig.connector().deadpool_manager().recycling(recycling);
    let pool = bb8::Pool::builder().max_size(1).build(manager).await.expect("builds");
    check(async || pool.get_owned().await.expect("is served")).await;
}

async fn deadpool(recycling: Recycling) {
    let rig = Fixture::start().await;
    answers(&rig);
    let manager = rig.connector().deadpool_manager().recycling(recycling);
    let pool = Pool::builder(manager).max_size(1).build().expect("builds");
    check(async || pool.get().await.expect("is served")).await;
}

#[tokio::test]
async fn bb8_with_ping_serves_no_answer_of_what_was_cut() {
    bb8(Recycling::Ping).await;
}

#[tokio::test]
async fn bb8_with_reset_serves_no_answer_of_what_was_cut() {
    bb8(Recycling::Reset).await;
}

#[tokio::test]
async fn deadpool_with_ping_serves_no_answer_of_what_was_cut() {
    deadpool(Recycling::Ping).await;
}

#[tokio::test]
async fn deadpool_with_reset_serves_no_answer_of_what_was_cut() {
    deadpool(Recycling::Reset).await;
}
