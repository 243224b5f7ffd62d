//! What a hit costs beside a bare look-up, and what a miss costs with 64 callers waiting.

#![expect(clippy::unwrap_used, reason = "a bench ends at its first failure")]

use std::{
    convert::Infallible,
    hint::black_box,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use dashmap::DashMap;
use token_cache::{BoxFuture, Cache, Clock, Expiring, Renewing};

const KEYS: usize = 64;
const MAX_AGE: Duration = Duration::from_secs(600);

/// Costs nothing to read, so that the comparison with a look-up that reads no clock is one of the
/// look-ups.
#[derive(Debug)]
struct Still(SystemTime);

impl Clock for Still {
    fn now(&self) -> SystemTime {
        self.0
    }

    fn sleep_until(&self, _: SystemTime) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn keys() -> Vec<String> {
    (0..KEYS)
        .map(|key| format!("db-{key}.cluster-abcdefghijkl.us-east-2.rds.amazonaws.com:5432/jane"))
        .collect()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn token() -> Expiring<Arc<str>> {
    Expiring::new("t".repeat(344).into(), now(), now() + Duration::from_secs(900))
}

fn made() -> Result<Expiring<Arc<str>>, Infallible> {
    Ok(token())
}

fn cache() -> Cache<String, Arc<str>> {
    let cache = Cache::new(Arc::new(Still(now())));
    for key in keys() {
        cache.get_or_insert_with(&key, MAX_AGE, made).unwrap();
    }
    cache
}

/// Measures `hit` on this thread, while a second one does the same if `contended`.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    contended: bool,
    hit: impl Fn(usize) + Sync,
) {
    let (done, barrier) = (AtomicBool::new(false), Barrier::new(2));
    thread::scope(|scope| {
        if contended {
            scope.spawn(|| {
                barrier.wait();
                let mut turn = 0_usize;
                while !done.load(Ordering::Relaxed) {
                    turn = turn.wrapping_add(1);
                    hit(turn % KEYS);
                }
            });
            barrier.wait();
        }
        let mut turn = 0_usize;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                turn = turn.wrapping_add(1);
                hit(turn % KEYS);
            });
        });
        done.store(true, Ordering::Relaxed);
    });
}

fn hits(criterion: &mut Criterion) {
    let (keys, cache) = (keys(), cache());
    let bare: DashMap<String, Arc<str>> =
        keys.iter().map(|key| (key.clone(), "t".repeat(344).into())).collect();
    for contended in [false, true] {
        let mut group = criterion.benchmark_group(if contended { "contended hit" } else { "hit" });
        measure(&mut group, "bare dashmap", contended, |key| {
            black_box(bare.get(keys[key].as_str()).map(|found| Arc::clone(&found)));
        });
        measure(&mut group, "cache", contended, |key| {
            black_box(cache.get_or_insert_with(keys[key].as_str(), MAX_AGE, made).ok());
        });
        group.finish();
    }
}

fn misses(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    criterion.bench_function("miss with 64 waiters", |bencher| {
        bencher.iter_batched(
            || Renewing::<Arc<str>, Infallible>::new(Arc::new(Still(now())), Duration::from_secs(10)),
            |cell| {
                runtime.block_on(async {
                    let tasks: Vec<_> = (0..64)
                        .map(|_| {
                            let cell = cell.clone();
                            tokio::spawn(async move {
                                let fetch = || async {
                                    tokio::task::yield_now().await;
                                    made()
                                };
                                cell.get(fetch).await.unwrap().0
                            })
                        })
                        .collect();
                    for task in tasks {
                        black_box(task.await.unwrap());
                    }
                });
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, hits, misses);
criterion_main!(benches);
