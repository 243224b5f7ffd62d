//! The pace of pools that need a writer but have no topology.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use wrapper_core::{Error, ErrorKind, Result, Session};

use crate::{Dialect, answer, pace::Pace};

/// Spaces out connects while no writer is found: one at a time, with growing pauses, until one
/// succeeds.
///
/// It has no knowledge of the cluster and routes nothing; [`Topology`](crate::Topology) does. Pools
/// that expect a writer share one.
#[derive(Debug, Default)]
pub struct WriterPace {
    pace: Pace,
    last: Mutex<Option<Error>>,
}

/// Queries whether a server accepts writes, which a former writer does not after a failover.
///
/// # Errors
///
/// Returns the error of the query.
pub async fn takes_writes(session: &mut dyn Session) -> Result<bool> {
    let dialect = Dialect::single(session.engine());
    answer::is_read_only(session, &dialect).await.map(|is_read_only| !is_read_only)
}

impl WriterPace {
    /// Opens and checks a connection when it is its turn; after a failed check the next ones wait
    /// 100 ms, doubled up to 1.6 s.
    ///
    /// # Errors
    ///
    /// Returns the error of the connect or of the check, or the last check's if the deadline passes
    /// before its turn.
    pub async fn open<C, F>(
        &self,
        deadline: Instant,
        connect: impl Future<Output = Result<C>>,
        check: impl FnOnce(C) -> F,
    ) -> Result<C>
    where
        F: Future<Output = Result<C>>,
    {
        // An empty host: other logins at the server are not known here.
        let turn = self.pace.admit(deadline, || ((), (Box::default(), 0))).await;
        let (turn, ()) = turn.ok_or_else(|| self.last().unwrap_or_else(no_turn))?;
        // A failed connect ends here without a verdict: whether there is a writer stays unknown.
        let checked = check(connect.await?).await;
        match &checked {
            Ok(_) => {
                *self.lock() = None;
                self.pace.succeeded();
            }
            Err(error) => {
                *self.lock() = Some(error.clone());
                self.pace.failed(&turn);
            }
        }
        checked
    }

    /// Slows the next connects down because they are likely to find no writer, unless some have
    /// failed already.
    pub fn suspect(&self, error: &Error) {
        self.lock().get_or_insert_with(|| error.clone());
        self.pace.lost();
    }

    fn last(&self) -> Option<Error> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        // A single value: no panic can leave it half written.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_turn() -> Error {
    Error::new(
        ErrorKind::Transient,
        "timed out waiting for the next attempt, because earlier connects found no writer",
    )
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::Arc, time::Duration};

    use super::*;

    fn wrong() -> Error {
        Error::new(ErrorKind::WrongInstance, "read-only")
    }

    fn after(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    async fn fails(pace: &WriterPace, deadline: Instant) -> Error {
        let check = |()| ready(Err(wrong()));
        pace.open(deadline, ready(Ok(())), check).await.expect_err("no writer")
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_fail_share_a_slow_pace() {
        let (pace, opened) = (Arc::new(WriterPace::default()), Arc::new(Mutex::new(0)));
        let until = after(5_000);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (pace, opened) = (Arc::clone(&pace), Arc::clone(&opened));
            tasks.spawn(async move {
                while Instant::now() < until {
                    let connect = async {
                        *opened.lock().expect("no panic") += 1;
                        Ok(())
                    };
                    let failed = pace.open(until, connect, |()| ready(Err::<(), _>(wrong()))).await;
                    assert_eq!(failed.expect_err("no writer").kind(), ErrorKind::WrongInstance);
                    // A caller that had no turn asks again when its time is over.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        tasks.join_all().await;

        // The first ends before the others begin; then 0.1 s to 1.6 s.
        assert_eq!(*opened.lock().expect("no panic"), 1 + 6);
    }

    #[tokio::test(start_paused = true)]
    async fn caller_without_a_turn_gets_the_last_failure() {
        let pace = WriterPace::default();
        pace.suspect(&wrong());

        let error = fails(&pace, after(50)).await;

        assert_eq!(error.kind(), ErrorKind::WrongInstance);
    }

    #[tokio::test(start_paused = true)]
    async fn writer_that_is_found_lets_everybody_go() {
        let pace = WriterPace::default();
        fails(&pace, after(1_000)).await;
        pace.suspect(&wrong());
        let begun = Instant::now();

        pace.open(after(1_000), ready(Ok(())), |()| ready(Ok(()))).await.expect("is a writer");
        assert_eq!(begun.elapsed(), Duration::from_millis(100));

        for _ in 0..100 {
            pace.open(after(1), ready(Ok(())), |()| ready(Ok(()))).await.expect("is a writer");
        }
        assert_eq!(begun.elapsed(), Duration::from_millis(100));
    }
}
