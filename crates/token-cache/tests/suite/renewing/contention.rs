//! Callers that give up beside one that is patient, on several threads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use token_cache::{Expiring, Renewing, SystemClock};

use crate::support::*;

/// Each round one caller waits for a fetch of two steps, while others drop theirs after a poll or
/// two; returns the number of rounds and the longest wait of the patient one.
#[expect(clippy::disallowed_methods, reason = "real threads are measured by the real clock")]
async fn rounds(length: Duration) -> (u64, Duration) {
    let started = Instant::now();
    let (mut rounds, mut longest) = (0, Duration::ZERO);
    while started.elapsed() < length {
        let cell: Renewing<u64, Failure> = Renewing::new(Arc::new(SystemClock), secs(10));
        let fetches = Arc::new(AtomicU64::new(0));
        let fetch = |fetches: &Arc<AtomicU64>| {
            let fetches = Arc::clone(fetches);
            move || async move {
                fetches.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
                // Answers from another thread, while callers come and go.
                let answer = tokio::spawn(async { std::time::SystemTime::now() });
                let now = answer.await.unwrap();
                Ok(Expiring::new(1, now, now + secs(900)))
            }
        };
        let impatient: Vec<_> = (0..3)
            .map(|_| {
                let (cell, fetches) = (cell.clone(), Arc::clone(&fetches));
                tokio::spawn(async move {
                    for _ in 0..4 {
                        let _ = tokio::time::timeout(Duration::ZERO, cell.get(fetch(&fetches))).await;
                    }
                })
            })
            .collect();
        let asked = Instant::now();
        let (cell, for_patient) = (cell.clone(), Arc::clone(&fetches));
        let patient = tokio::spawn(async move { cell.get(fetch(&for_patient)).await.map(|_| ()) });
        patient.await.unwrap().unwrap();
        longest = longest.max(asked.elapsed());
        for task in impatient {
            task.await.unwrap();
        }
        assert_eq!(fetches.load(SeqCst), 1, "a fetch that was given up was not driven on");
        rounds += 1;
    }
    (rounds, longest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patient_caller_beside_impatient_ones_waits_for_no_lost_wake() {
    let (rounds, longest) = rounds(secs(2)).await;
    assert!(longest < secs(1), "{longest:?} in one of {rounds} rounds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes a minute"]
async fn patient_caller_waits_for_no_lost_wake_in_a_minute() {
    let (rounds, longest) = rounds(secs(60)).await;
    println!("{rounds} rounds, longest wait {longest:?}");
    assert!(longest < secs(1), "{longest:?} in one of {rounds} rounds");
}
