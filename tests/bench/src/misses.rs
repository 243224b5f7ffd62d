//! Many tasks on a key that is not there, while the source is slow and fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use token_cache::{Expiring, Renewing, SystemClock};

use crate::timing::stopwatch;

const TASKS: usize = 64;

/// The cost of one crowd of tasks.
pub(crate) struct Crowd {
    pub(crate) name: &'static str,
    pub(crate) fetches: u64,
    pub(crate) took: Duration,
    /// How many tasks got the error of the fetch.
    pub(crate) told: usize,
}

/// A crowd that waits as long as it takes, and one that gives up every 20 ms and asks again.
pub(crate) fn run() -> [Crowd; 2] {
    [
        crowd("64 tasks that wait", None),
        crowd("64 tasks that give up after 20 ms and ask again", Some(Duration::from_millis(20))),
    ]
}

fn crowd(name: &'static str, patience: Option<Duration>) -> Crowd {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("threads can be started");
    let cell: Renewing<u32, Down> = Renewing::new(Arc::new(SystemClock), Duration::from_secs(10));
    let fetches = Arc::new(AtomicU64::new(0));
    let mut told = 0;
    let took = stopwatch(|| {
        told = runtime.block_on(async {
            let ask = |_| tokio::spawn(ask(cell.clone(), Arc::clone(&fetches), patience));
            let tasks: Vec<_> = (0..TASKS).map(ask).collect();
            let mut told = 0;
            for task in tasks {
                told += usize::from(task.await.expect("no task panics"));
            }
            told
        });
    });
    Crowd { name, fetches: fetches.load(Ordering::Relaxed), took, told }
}

/// Asks until it gets an answer, and returns whether that is the error of the fetch.
async fn ask(cell: Renewing<u32, Down>, fetches: Arc<AtomicU64>, patience: Option<Duration>) -> bool {
    loop {
        let fetches = Arc::clone(&fetches);
        let answer = cell.get(move || async move {
            fetches.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err::<Expiring<u32>, _>(Down)
        });
        let Some(patience) = patience else {
            return answer.await.is_err();
        };
        if let Ok(answer) = tokio::time::timeout(patience, answer).await {
            return answer.is_err();
        }
    }
}

/// The source's answer.
#[derive(Clone, Debug)]
struct Down;
