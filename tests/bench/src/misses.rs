//! Many tasks on a key that is not there, while the source is slow and fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use token_cache::{Expiring, Renewing, SystemClock};

use crate::{
    Result,
    report::{Report, Section, Table},
    timing::stopwatch,
};

const TASKS: usize = 64;

/// The cost of one crowd of tasks.
struct Crowd {
    name: &'static str,
    fetches: u64,
    took: Duration,
    /// How many tasks got the error of the fetch.
    errors: usize,
}

/// Measures a crowd that waits as long as it takes, and one that gives up every 20 ms and asks
/// again.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let crowds = [
        crowd("64 tasks that wait", None),
        crowd("64 tasks that give up after 20 ms and ask again", Some(Duration::from_millis(20))),
    ];
    let mut section = Section::new("A missing value whose fetch fails after 50 ms");
    let mut table = Table::new(["callers", "fetches", "errors", "time"]);
    for Crowd { name, fetches, took, errors } in &crowds {
        let took = format!("{:.1} ms", took.as_secs_f64() * 1e3);
        table.row([(*name).to_owned(), fetches.to_string(), errors.to_string(), took]);
    }
    section.table(&table);
    let most = crowds.iter().map(|crowd| crowd.fetches).max().unwrap_or(0);
    section.target("fetches for a crowd", most as f64, ..=1.0);
    report.add(section)
}

fn crowd(name: &'static str, patience: Option<Duration>) -> Crowd {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("threads can be started");
    let cell: Renewing<u32, Down> = Renewing::new(Arc::new(SystemClock), Duration::from_secs(10));
    let fetches = Arc::new(AtomicU64::new(0));
    let mut errors = 0;
    let took = stopwatch(|| {
        errors = runtime.block_on(async {
            let ask = |_| tokio::spawn(ask(cell.clone(), Arc::clone(&fetches), patience));
            let tasks: Vec<_> = (0..TASKS).map(ask).collect();
            let mut errors = 0;
            for task in tasks {
                errors += usize::from(task.await.expect("no task panics"));
            }
            errors
        });
    });
    Crowd { name, fetches: fetches.load(Ordering::Relaxed), took, errors }
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
