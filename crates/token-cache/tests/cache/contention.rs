use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

use token_cache::{Cache, Expiring, FetchError, Lease, Renewal};

use crate::support::*;

#[test]
fn threads_make_one_value_per_key() {
    let clock = clock();
    let cache = cache(&clock);
    let made = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let lease = cache.get_or_insert_with(KEY, ANY_AGE, || {
                    made.fetch_add(1, SeqCst);
                    // Until every thread has found nothing and is on its way here.
                    while cache.stats().misses < 16 {
                        thread::yield_now();
                    }
                    Ok::<_, ()>(living(&clock, 1, 900))
                });
                assert_eq!(*lease.unwrap().value(), 1);
            });
        }
    });
    assert_eq!(made.load(SeqCst), 1);
}

#[test]
fn threads_take_turns_when_making_fails() {
    let clock = clock();
    let cache = cache(&clock);
    let (running, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let result = cache.get_or_insert_with(KEY, ANY_AGE, || {
                    assert_eq!(running.fetch_add(1, SeqCst), 0);
                    thread::yield_now();
                    made.fetch_add(1, SeqCst);
                    running.fetch_sub(1, SeqCst);
                    Err::<Expiring<u32>, _>("no")
                });
                assert_eq!(result.unwrap_err(), "no");
            });
        }
    });
    assert_eq!(made.load(SeqCst), 16);
}

#[test]
fn refused_threads_cost_one_new_value() {
    let clock = clock();
    let cache = cache(&clock);
    let made = AtomicUsize::new(0);
    let ask = || {
        let make = || Ok::<_, ()>(living(&clock, made.fetch_add(1, SeqCst) as u32, 900));
        cache.get_or_insert_with(KEY, ANY_AGE, make).unwrap()
    };
    let stale = ask();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                stale.reject();
                assert_eq!(*ask().value(), 1);
            });
        }
    });
    assert_eq!(made.load(SeqCst), 2);
}

/// Everything at once on a cache that is too small. That it ends shows that no two locks wait for each other.
#[test]
fn mixed_use_under_eviction_keeps_values_with_their_keys() {
    let clock = clock();
    let cache: Cache<u32, u32, Failure> =
        Cache::builder().clock(Arc::new(clock.clone())).capacity(20).build().unwrap();
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (cache, clock) = (&cache, &clock);
            scope.spawn(move || {
                let mut random = 0x9e37_79b9_u32.wrapping_add(thread);
                for round in 0..20_000 {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let key = (random >> 8) % 50;
                    let fetched = living(clock, key, 1000);
                    let lease = match (random >> 20) % 8 {
                        0 => finish_spinning(cache.get_or_fetch(&key, move || async { Ok(fetched) })),
                        1 => cache.slot(&key).get_or_insert_with(ANY_AGE, || Ok::<_, ()>(fetched)).unwrap(),
                        2 => {
                            let lease =
                                cache.get_or_insert_with(&key, ANY_AGE, || Ok::<_, ()>(fetched)).unwrap();
                            lease.reject();
                            lease
                        }
                        _ => cache.get_or_insert_with(&key, ANY_AGE, || Ok::<_, ()>(fetched)).unwrap(),
                    };
                    assert_eq!(*lease.value(), key);
                    if round % 500 == 0 {
                        cache.clear();
                    }
                }
            });
        }
    });
    assert!(cache.len() <= 20 + 4, "{}", cache.len());
}

type Fetched = Result<(Lease<u32>, Option<Renewal<u32, Failure>>), FetchError<Failure>>;

/// Another thread may be the one that drives the fetch, for an instant.
fn finish_spinning(future: impl Future<Output = Fetched>) -> Lease<u32> {
    let mut future = Box::pin(future);
    loop {
        if let std::task::Poll::Ready(fetched) = poll_once(&mut future) {
            return fetched.unwrap().0;
        }
        thread::yield_now();
    }
}

/// A value whose `Drop` looks into the cache that held it.
struct Curious(Cache<u32, Curious, Failure>);

impl Drop for Curious {
    fn drop(&mut self) {
        for key in 0..4 {
            self.0.get(&key, ANY_AGE);
        }
        self.0.slot(&0);
    }
}

#[test]
fn values_may_use_the_cache_while_they_are_dropped() {
    let clock = clock();
    let cache: Cache<u32, Curious, Failure> =
        Cache::builder().clock(Arc::new(clock.clone())).capacity(2).build().unwrap();
    let put = |key: u32| {
        let expires_at = clock.now() + secs(900);
        let make = || Ok::<_, ()>(Expiring::new(Curious(cache.clone()), clock.now(), expires_at));
        cache.get_or_insert_with(&key, secs(10), make).unwrap()
    };
    // Evicted, replaced, rejected, cleared.
    (0..4).for_each(|key| drop(put(key)));
    clock.advance(secs(10));
    drop(put(3));
    let rejected = put(3);
    assert!(rejected.reject());
    drop(rejected);
    drop(put(3));
    cache.clear();
    assert!(cache.is_empty());
}

/// What a fetch owns that looks into the cache when it is dropped.
struct Nosy(TestCache);

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.get(KEY, ANY_AGE);
        self.0.stats();
    }
}

#[test]
fn fetches_that_are_not_needed_may_use_the_cache_while_they_are_dropped() {
    let (done, ended) = mpsc::channel();
    let test = thread::spawn(move || {
        let (clock, source) = (clock(), Source::default());
        let cache = cache(&clock);
        let fetch = || {
            let (nosy, fetch) = (Nosy(cache.clone()), source.fetch());
            move || {
                let _nosy = nosy;
                fetch()
            }
        };
        let mut one = Box::pin(cache.get_or_fetch(KEY, fetch()));
        let mut other = Box::pin(cache.get_or_fetch(KEY, fetch()));
        assert!(poll_once(&mut one).is_pending() && poll_once(&mut other).is_pending());
        source.succeed(0, living(&clock, 1, 1000));
        let (lease, _) = finish(one).unwrap();
        finish(other).unwrap();

        let mut one = Box::pin(cache.refetch(KEY, &lease, fetch()));
        let mut other = Box::pin(cache.refetch(KEY, &lease, fetch()));
        assert!(poll_once(&mut one).is_pending() && poll_once(&mut other).is_pending());
        source.succeed(1, living(&clock, 2, 1000));
        finish(one).unwrap();
        finish(other).unwrap();

        clock.advance(secs(900));
        let renewal = finish(cache.get_or_fetch(KEY, fetch())).unwrap().1;
        drop(renewal.expect("a renewal is due"));
        assert!(finish(cache.get_or_fetch(KEY, fetch())).unwrap().1.is_some());
        done.send(()).unwrap();
    });
    // A thread that waits for its own lock never ends.
    let ended = ended.recv_timeout(secs(20));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "the cache waits for itself");
    test.join().unwrap();
}
