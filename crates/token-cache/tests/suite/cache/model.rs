//! Random histories of one key against a plain model, in whole seconds.

use proptest::prelude::*;
use token_cache::Lease;

use crate::support::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Back(u64),
    Clear,
    Forward(u64),
    Get { max_age: u64 },
    Invalidate { lease: usize },
    Make { max_age: u64, life: Option<u64> },
}

fn step() -> impl Strategy<Value = Step> {
    let max_age = || prop::sample::select(vec![0, 1, 60, 300, 5000]);
    let life = prop::option::weighted(0.8, prop::sample::select(vec![30, 61, 100, 400, 900, 2000]));
    prop_oneof![
        2 => prop_oneof![0..4_u64, 0..600_u64].prop_map(Step::Back),
        1 => Just(Step::Clear),
        6 => prop_oneof![0..12_u64, 0..60_u64, 0..600_u64].prop_map(Step::Forward),
        4 => max_age().prop_map(|max_age| Step::Get { max_age }),
        2 => any::<usize>().prop_map(|lease| Step::Invalidate { lease }),
        6 => (max_age(), life).prop_map(|(max_age, life)| Step::Make { max_age, life }),
    ]
}

struct Value {
    value: u32,
    issued_at: i64,
    expires_at: i64,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn cache_behaves_as_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let clock = clock();
        let cache = cache(&clock);
        let (mut now, mut held, mut values) = (0_i64, None::<Value>, 0);
        let mut leases: Vec<Lease<u32>> = Vec::new();
        let usable = |held: &Option<Value>, now: i64, max_age: u64| {
            let fits = |held: &&Value| {
                let until = (held.issued_at + max_age as i64).min(held.expires_at - 60);
                max_age > 0 && (held.issued_at - 1..until).contains(&now)
            };
            held.as_ref().filter(fits).map(|held| held.value)
        };
        for step in steps {
            match step {
                Step::Back(by) => {
                    clock.set(clock.now() - secs(by));
                    now -= by as i64;
                }
                Step::Forward(by) => {
                    clock.advance(secs(by));
                    now += by as i64;
                }
                Step::Clear => {
                    cache.clear();
                    held = None;
                }
                Step::Get { max_age } => {
                    let found = cache.get(KEY, secs(max_age));
                    prop_assert_eq!(found.as_ref().map(|lease| *lease.value()), usable(&held, now, max_age));
                    leases.extend(found);
                }
                Step::Invalidate { lease } => {
                    let Some(index) = lease.checked_rem(leases.len()) else { continue };
                    let value = *leases[index].value();
                    let goes = held.take_if(|held| held.value == value).is_some();
                    prop_assert_eq!(cache.invalidate(KEY, &leases[index]), goes);
                }
                Step::Make { max_age, life } => {
                    values += 1;
                    let expected = match (usable(&held, now, max_age), life) {
                        (Some(value), _) => Some((value, false)),
                        (None, life) => life.map(|_| (values, true)),
                    };
                    if let (Some((_, true)), Some(life)) = (expected, life)
                        && max_age > 0
                        && life > 60
                    {
                        held = Some(Value { value: values, issued_at: now, expires_at: now + life as i64 });
                    }
                    let make = || life.map(|life| unexpired(&clock, values, life)).ok_or(());
                    let lease = cache.get_or_insert_with(KEY, secs(max_age), make).ok();
                    prop_assert_eq!(lease.as_ref().map(|lease| (*lease.value(), lease.is_fresh())), expected);
                    leases.extend(lease);
                }
            }
            prop_assert_eq!(cache.len(), usize::from(held.is_some()));
        }
    }
}
