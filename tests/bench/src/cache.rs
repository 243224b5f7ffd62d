//! A cache hit beside a bare look-up.

use std::{
    convert::Infallible,
    env,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};

use dashmap::DashMap;
use foldhash::quality::RandomState;
use token_cache::{BoxFuture, Cache, Clock, Expiring};

use crate::{
    Result,
    report::{Report, Section, Table},
    timing::{Case, Figure, measure},
};

const KEYS: usize = 64;
const MAX_AGE: Duration = Duration::from_secs(600);

/// Costs nothing to read, so that a look-up that reads no clock is compared with the cache and not
/// with the clock.
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

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let figures = lookups();
    let [bare, folded, hit] = &figures;
    let mut section = Section::new("A cache hit");
    let mut table = Table::new(["64 keys, the clock stands still", "time", "ratio"]);
    for Figure { name, nanos } in &figures {
        table.row([(*name).to_owned(), format!("{nanos:.1} ns"), format!("{:.2}", nanos / bare.nanos)]);
    }
    section.table(&table);
    section.target("a hit, times dashmap with its default hasher", hit.nanos / bare.nanos, ..=1.0);
    section.target("a hit, times dashmap with the same hasher", hit.nanos / folded.nanos, ..=1.4);
    section.target(
        "bytes for each of 10,000 cached tokens, besides its text",
        memory_of_a_token()?,
        ..=250.0,
    );
    report.add(section)
}

/// Asks a program of its own, whose allocator counts.
fn memory_of_a_token() -> Result<f64> {
    let program = env::current_exe()?.with_file_name("memory");
    let output =
        Command::new(&program).output().map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// A look-up in dashmap with its default hasher and with the cache's, and a hit, in this order.
fn lookups() -> [Figure; 3] {
    let keys: Vec<String> = (0..KEYS)
        .map(|key| format!("db-{key}.cluster-abcdefghijkl.us-east-2.rds.amazonaws.com:5432/jane"))
        .collect();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_736_944_496);
    let token = || -> Arc<str> { "t".repeat(344).into() };
    let sign = || Ok::<_, Infallible>(Expiring::new(token(), now, now + Duration::from_secs(900)));

    let bare: DashMap<String, Arc<str>> = keys.iter().map(|key| (key.clone(), token())).collect();
    let folded: DashMap<String, Arc<str>, RandomState> =
        keys.iter().map(|key| (key.clone(), token())).collect();
    let cache: Cache<String, Arc<str>> = Cache::new(Arc::new(Still(now)));
    for key in &keys {
        let _ = cache.get_or_insert_with(key, MAX_AGE, sign);
    }

    let turns = || (0..KEYS).cycle();
    let (mut one, mut other, mut two) = (turns(), turns(), turns());
    let mut next = move || one.next().unwrap_or_default();
    let bare_lookup = Case::new("dashmap alone, borrowed key", || {
        bare.get(keys[next()].as_str()).map(|found| Arc::clone(&found))
    });
    let mut next = move || other.next().unwrap_or_default();
    let folded_lookup = Case::new("dashmap alone, the cache's hasher", || {
        folded.get(keys[next()].as_str()).map(|found| Arc::clone(&found))
    });
    let mut next = move || two.next().unwrap_or_default();
    let map_hit = Case::new("token-cache", || cache.get_or_insert_with(keys[next()].as_str(), MAX_AGE, sign));
    let figures = measure([bare_lookup, folded_lookup, map_hit]);
    assert_eq!(cache.stats().made, KEYS as u64, "what was timed must be hits");
    figures
}
