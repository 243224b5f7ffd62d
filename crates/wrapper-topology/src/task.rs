//! The monitor's task: it carries out the commands of the state machine over its own connections.

use std::{collections::HashMap, future::pending, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until, timeout};
use wrapper_core::{ConnectRequest, Connected, Engine, Error, ErrorKind, Opener, Result, Session};

use crate::{
    Topology,
    answer::Answer,
    knowledge::{Evidence, Target},
    schedule::PollOutcome,
    stats::Counters,
};

/// How long a connect of the monitor may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an instance may take to answer on an open connection: a frozen one would otherwise add
/// the whole of [`QUESTION`] to a failover. After this its last report no longer counts, and it is
/// queried again.
const ANSWER: Duration = Duration::from_secs(1);

/// How long one query may take with its connect. It ends after the connect's own timeout, because
/// only that error distinguishes a silent instance from missing credentials.
const QUESTION: Duration = CONNECT.saturating_add(ANSWER);

/// The longest pause: no poll for longer means that the runtime is blocked.
const PAUSE: Duration = Duration::from_secs(30);

/// After this time without a poll the task counts as dead.
pub(crate) const STALE: Duration = Duration::from_secs(45);

/// Names the monitor's sessions in `pg_stat_activity`.
const NAME: &str = "SET application_name = 'rds-wrapper-monitor'";

/// The outcome of a query: its target, its time, and the connection that answered.
struct Reply<C> {
    target: Target,
    asked: Instant,
    outcome: Result<(Connected<C>, Answer)>,
}

/// Queries instances, and rests while the cluster is idle, until the connector is closed. The
/// connector's end drops the future at any await.
pub(crate) async fn run<C: Send + 'static>(topology: Topology, opener: Opener<C>, request: ConnectRequest) {
    let mut kept: HashMap<Target, Connected<C>> = HashMap::new();
    let (mut questions, mut closing) = (FuturesUnordered::new(), FuturesUnordered::new());
    // Before the first look at the schedule, so that no wake-up after it is missed.
    let mut wakes = topology.wakes();
    topology.with_monitor(|monitor| monitor.schedule.restart());
    loop {
        let now = Instant::now();
        if topology.is_off() {
            return;
        }
        if topology.with_monitor(|monitor| monitor.schedule.is_idle(now)) {
            // Rests instead of returning: a connect that has just seen this task running would be
            // left without a monitor. One that comes after `STALE` starts another.
            questions.clear();
            closing.extend(kept.drain().map(|(_, connection)| opener.close(connection)));
            topology.with_monitor(|monitor| monitor.schedule.restart());
            tokio::select! {
                // The sender lives in the topology, so neither wait can fail.
                _ = wakes.changed() => continue,
                () = opener.closed() => break,
                () = drive(&mut closing) => {}
            }
        }
        // A connection moves into its question and back with the answer, so it has one query at a
        // time.
        for target in topology.with_monitor(|monitor| monitor.due(now)) {
            let connection = kept.remove(&target);
            questions.push(question(&topology, &opener, &request, target, connection));
        }
        let unneeded: Vec<_> = topology.with_monitor(|monitor| {
            let keeps = |target: &Target| monitor.schedule.keeps(target, now, &monitor.knowledge);
            kept.extract_if(|target, _| !keeps(target)).collect()
        });
        // Outside of the lock: to close a connection is the driver's code.
        closing.extend(unneeded.into_iter().map(|(_, connection)| opener.close(connection)));
        let wake_at = topology.with_monitor(|monitor| monitor.wake_at(now)).min(now + PAUSE);
        // Cancel-safe: unfinished questions stay in the set, and a wake-up counts until it is seen.
        tokio::select! {
            Some(ended) = questions.next(), if !questions.is_empty() => {
                take(&topology, ended, &mut kept);
            }
            _ = wakes.changed() => {}
            () = sleep_until(wake_at) => {}
            () = opener.closed() => break,
            () = drive(&mut closing) => {}
        }
    }
    // A MySQL server also counts a login or a query that breaks off, so these may end before.
    closing.extend(kept.into_values().map(|connection| opener.close(connection)));
    loop {
        tokio::select! {
            Some(ended) = questions.next() => if let Ok((connection, _)) = ended.outcome {
                closing.push(opener.close(connection));
            },
            Some(()) = closing.next() => {}
            else => return,
        }
    }
}

/// Drives what is being closed, without end: a frozen server must not hold up the task.
async fn drive(closing: &mut FuturesUnordered<impl Future<Output = ()>>) {
    while closing.next().await.is_some() {}
    pending().await
}

fn take<C>(topology: &Topology, ended: Reply<C>, kept: &mut HashMap<Target, Connected<C>>) {
    let Reply { target, asked, outcome } = ended;
    match outcome {
        Ok((connection, answer)) => {
            Counters::count(&topology.counters().questions);
            let evidence = Evidence { dialled: target.clone(), asked, answered: Instant::now(), answer };
            let verdict = topology.monitor_answered(&evidence);
            tracing::trace!(instance = &*evidence.answer.id, ?verdict, "asked");
            // Kept only after an answer: a connection that timed out may still hold half of one.
            kept.insert(target, connection);
        }
        Err(error) => {
            tracing::trace!(instance = target.id().map(|id| &**id), %error, "not answered");
            let outcome = match error.kind() {
                // The server is alive, or was never reached: its last report may still hold.
                ErrorKind::Credentials(_) | ErrorKind::Login | ErrorKind::Throttled | ErrorKind::Token => {
                    PollOutcome::Refused
                }
                _ => PollOutcome::Failed,
            };
            topology.monitor_failed(&target, asked, outcome);
        }
    }
}

async fn question<C: Send + 'static>(
    topology: &Topology,
    opener: &Opener<C>,
    request: &ConnectRequest,
    target: Target,
    kept: Option<Connected<C>>,
) -> Reply<C> {
    let began = Instant::now();
    // An answer is true at some time after its query, so the time starts after the connect.
    let mut asked = began;
    let ask = async {
        let mut connection = match kept {
            Some(kept) => kept,
            None => open(topology, opener, request, &target).await?,
        };
        asked = Instant::now();
        let mut session = opener.session(&mut connection)?;
        let answer =
            timeout(ANSWER, topology.ask(&mut session, target.id())).await.map_err(|_| late(ANSWER))??;
        // Ends the borrow of the connection, which is returned with the answer.
        drop(session);
        let gone = || Error::new(ErrorKind::Driver, "the server does not belong to a known kind of cluster");
        Ok((connection, answer.ok_or_else(gone)?))
    };
    let outcome = timeout(QUESTION, ask).await.unwrap_or_else(|_| Err(late(QUESTION)));
    Reply { target, asked, outcome }
}

fn late(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("the monitor's query timed out after {limit:?}"))
}

async fn open<C: Send + 'static>(
    topology: &Topology,
    opener: &Opener<C>,
    request: &ConnectRequest,
    target: &Target,
) -> Result<Connected<C>> {
    Counters::count(&topology.counters().monitor_logins);
    let request = match target {
        Target::Endpoint => request.clone(),
        Target::Instance { id, host, port } => {
            let request = match request.host().eq_ignore_ascii_case(host) {
                true => request.clone(),
                false => request.clone().with_host(host),
            };
            request.with_port(*port).with_instance(id)
        }
    };
    let mut connection = opener.open(request, CONNECT).await?;
    let mut session = opener.session(&mut connection)?;
    // MySQL has no such session variable.
    if session.engine() == Engine::Postgres {
        session.query(NAME).await?;
    }
    drop(session);
    Ok(connection)
}

/// Starts the task at a connect unless it is running.
pub(crate) fn ensure<C: Send + 'static>(
    topology: &Topology,
    next: wrapper_core::Next<'_, C>,
    request: &ConnectRequest,
) {
    let (shared, request) = (topology.downgrade(), request.clone());
    let start = move |opener: Opener<C>| {
        let (topology, request) = (shared.upgrade(), request.clone());
        async move {
            if let Some(topology) = topology {
                run(topology, opener, request).await;
            }
        }
    };
    topology.background().ensure(next, STALE, start);
    // Told of the connect, because a task that has just been started may rest by now.
    if topology.with_monitor(|monitor| monitor.schedule.used(Instant::now())) {
        topology.wake();
    }
}

#[cfg(test)]
mod tests;
