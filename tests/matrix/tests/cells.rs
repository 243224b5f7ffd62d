//! Some cells of the matrix, as `cargo xtask matrix` prints them.

use std::time::Duration;

use matrix::{row, run_all, sample};

/// A machine that does much else is slower than the goal of a second.
const LIMIT: Duration = Duration::from_secs(10);

/// Cells wait more than they work.
const TOGETHER: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_write_again_soon_and_never_to_a_wrong_instance() {
    let mut wrong = Vec::new();

    run_all(sample(), TOGETHER, |cell, measured| {
        if measured.wrong > 0 || measured.beyond_pace > 0 || measured.first > LIMIT {
            wrong.push(row(cell, measured));
        }
    })
    .await;

    assert!(wrong.is_empty(), "{wrong:#?}");
}
