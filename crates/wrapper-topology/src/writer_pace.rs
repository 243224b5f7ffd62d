//! Writers only, for pools in front of hosts of an unknown cluster.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use wrapper_core::{Error, ErrorKind, Result, Session};

use crate::{Dialect, answer, pace::Pace};

/// Spaces out connects that find no writer: one at a time, ever more slowly, until one succeeds.
///
/// It knows nothing of a cluster and leads nowhere; that is what [`Topology`](crate::Topology) is
/// for. Pools that expect a writer share one.
#[derive(Debug, Default)]
pub struct WriterPace {
    pace: Pace,
    last: Mutex<Option<Error>>,
}

/// Asks a connection whether its server takes writes, as a former writer does not after a failover.
///
/// # Errors
///
/// Returns what kept the question from being answered.
pub async fn takes_writes(session: &mut dyn Session) -> Result<bool> {
    let dialect = Dialect::single(session.engine());
    answer::is_read_only(session, &dialect).await.map(|is_read_only| !is_read_only)
}

impl WriterPace {
    /// Opens a connection and checks it, once the turn has come; a check that fails makes the
    /// next ones wait: 100 ms, doubled up to 1.6 s.
    ///
    /// # Errors
    ///
    /// Returns that of the connect or of the check; the last check's if no turn comes before the
    /// deadline.
    pub async fn open<C, F>(
        &self,
        deadline: Instant,
        connect: impl Future<Output = Result<C>>,
        check: impl FnOnce(C) -> F,
    ) -> Result<C>
    where
        F: Future<Output = Result<C>>,
    {
        // One place, of no name: what else goes on at the host is not known here.
        let turn = self.pace.admit(deadline, || ((), (Box::default(), 0))).await;
        let (turn, ()) = turn.ok_or_else(|| self.last().unwrap_or_else(no_turn))?;
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

    /// Notes that the next connects are likely to find no writer, unless some have failed already.
    pub fn suspect(&self, error: &Error) {
        self.lock().get_or_insert_with(|| error.clone());
        self.pace.lost();
    }

    fn last(&self) -> Option<Error> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        // One value: no panic can leave it half written.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_turn() -> Error {
    Error::new(ErrorKind::Transient, "others have failed just now, and the time was over before the next try")
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
