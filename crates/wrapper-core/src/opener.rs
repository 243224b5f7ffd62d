//! Opening connections outside of a connect: for tasks of a plugin that outlive it.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    BoxFuture, ConnectRequest, Connected, Error, ErrorKind, Next, Result, Session,
    lifetime::{CLOSE, Lifetime, Task},
    plugin::{Chain, End, Run},
};

/// Opens connections through the inner plugins and the driver, for as long as there is a connector.
///
/// It keeps nothing alive; [`Next::opener`] gives it.
pub struct Opener<C> {
    chain: Weak<Chain<C>>,
    at: usize,
}

impl<C: Send + 'static> Opener<C> {
    /// Opens a connection within its own time limit, regardless of the deadline of the connect that
    /// the request belongs to.
    ///
    /// # Errors
    ///
    /// Returns what an inner plugin or the driver returns, a timeout, or a configuration error once
    /// the last connector is gone.
    pub async fn open(&self, request: ConnectRequest, within: Duration) -> Result<Connected<C>> {
        // Held for this one connect only: it may outlive the last connector by that.
        let chain = self.chain()?;
        let deadline = Instant::now() + within;
        // A progress of its own, so that an error of another connect does not report this one's.
        let request = request.begin(deadline);
        let run = Run::new(&chain, End::Uncounted);
        let mut run = run.from(self.at).run(request.clone());
        match timeout_at(deadline, &mut run).await {
            Ok(outcome) => outcome,
            Err(_) => Err(request.timed_out(within)),
        }
    }

    /// Returns a way to ask a connection that [`open`](Self::open) gave.
    ///
    /// # Errors
    ///
    /// A configuration error once the last connector is gone.
    pub fn session<'c>(&self, connected: &'c mut Connected<C>) -> Result<impl Session + use<'c, C>> {
        Ok(self.chain()?.session(connected))
    }

    /// Completes once the connector is closed: the task then has five seconds to
    /// [`close`](Self::close) its connections and to return.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn closed(&self) {
        // Without the chain the connector is gone.
        let Some(lifetime) = self.chain.upgrade().map(|chain| chain.lifetime.clone()) else { return };
        lifetime.over().await;
    }

    /// Closes a connection that [`open`](Self::open) gave, with the goodbye of its protocol where
    /// the driver has one.
    pub async fn close(&self, connected: Connected<C>) {
        // Without the chain the connection is dropped.
        if let Ok(chain) = self.chain() {
            chain.driver.close(connected.connection).await;
        }
    }

    fn chain(&self) -> Result<Arc<Chain<C>>> {
        let gone = || Error::new(ErrorKind::Configuration, "the connector was dropped");
        self.chain.upgrade().ok_or_else(gone)
    }
}

impl<C: Send + 'static> Next<'_, C> {
    /// Returns the same rest of the chain for a task that outlives this connect; it keeps nothing
    /// alive.
    pub fn opener(self) -> Opener<C> {
        let (chain, at) = self.lasting();
        Opener { chain: Arc::downgrade(chain), at }
    }
}

// A derive would ask for `C: Clone`.
impl<C> Clone for Opener<C> {
    fn clone(&self) -> Self {
        Self { chain: Weak::clone(&self.chain), at: self.at }
    }
}

impl<C> fmt::Debug for Opener<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("is_alive", &(self.chain.strong_count() > 0)).finish()
    }
}

/// Runs one task beside the connects of a plugin, over whichever of its connectors is alive.
///
/// The task starts at the first connect and is dropped at whichever await it has reached when the
/// last connector is dropped. When its connector is closed, it has five seconds to return, see
/// [`Opener::closed`]. If the plugin serves several connectors, it is restarted over another one as
/// soon as its own is gone or closed. A task that returned, whose runtime was dropped, or whose
/// runtime is not driven any more, is restarted at the next connect.
#[derive(Debug, Default)]
pub struct Background(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// How to start the task over the other connectors.
    others: Vec<Candidate>,
}

impl State {
    /// Moves the task to another connector after its own has ended; `None` if no connector is left
    /// or the task was replaced because it stalled.
    ///
    /// The candidates without a connector are returned for the caller to drop.
    fn move_on(&mut self, polled: &Arc<Mutex<Instant>>) -> (Option<Candidate>, Vec<Candidate>) {
        // By pointer: a task that `ensure` has replaced must not move its successor.
        let Some(running) = self.running.take_if(|running| Arc::ptr_eq(&running.polled, polled)) else {
            return (None, Vec::new());
        };
        let mut gone = self.take_gone();
        gone.push(running.connector);
        let next = self.others.pop();
        let (task, polled) = (running.task, running.polled);
        self.running = next.clone().map(|connector| Running { connector, task, polled });
        (next, gone)
    }

    /// Takes out the candidates whose connector has ended.
    fn take_gone(&mut self) -> Vec<Candidate> {
        self.others.extract_if(.., |other| other.lifetime.is_over()).collect()
    }
}

struct Running {
    connector: Candidate,
    task: JoinHandle<()>,
    /// When the task was polled last; detects a runtime that is not driven, which `is_finished`
    /// does not.
    polled: Arc<Mutex<Instant>>,
}

impl Running {
    fn is_over(&self, stale: Duration) -> bool {
        self.task.is_finished() || lock(&self.polled).elapsed() >= stale
    }
}

/// A connector over which the task can run.
#[derive(Clone)]
struct Candidate {
    lifetime: Lifetime,
    start: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

impl Background {
    /// Starts the task unless it runs; to be called at every connect.
    ///
    /// A task that has not been polled for `stale` counts as gone, so that this must exceed its
    /// longest pause. The closure is called at once or, if the task runs over another connector,
    /// when that one is gone; it is called again if the task comes back to this connector. Neither
    /// the closure nor the task may hold a connector: it would keep itself alive.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn ensure<C, F>(
        &self,
        next: Next<'_, C>,
        stale: Duration,
        task: impl Fn(Opener<C>) -> F + Send + Sync + 'static,
    ) where
        C: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let lifetime = next.lifetime();
        // Nothing starts at a connect that a close has overtaken.
        let Some(place) = lifetime.begin() else { return };
        // Declared before the guard, and so dropped after it: values that a closure captured may
        // use this plugin when they are dropped.
        let mut gone = Vec::new();
        let mut state = lock(&self.0);
        let is_running = match &state.running {
            Some(running) if !running.is_over(stale) => {
                if running.connector.lifetime.is_of(lifetime) {
                    return;
                }
                true
            }
            _ => false,
        };
        gone.append(&mut state.take_gone());
        // One candidate for each connector, however often it connects.
        if is_running && state.others.iter().any(|other| other.lifetime.is_of(lifetime)) {
            return;
        }
        let opener = next.opener();
        let start = move || Box::pin(task(opener.clone())) as BoxFuture<'static, ()>;
        let connector = Candidate { lifetime: lifetime.clone(), start: Arc::new(start) };
        if is_running {
            state.others.push(connector);
            return;
        }
        // This connector's, if it is among the others, is the one that starts now.
        gone.extend(state.others.extract_if(.., |other| other.lifetime.is_of(lifetime)));
        let polled = Arc::new(Mutex::new(Instant::now()));
        // Started before the former one is aborted: an abort is only a request, which its runtime
        // may never carry out.
        let former = state.running.take();
        // The task may come back to the former one's connector, whose runtime was only slow.
        let lives = |former: &&Running| {
            let other = &former.connector.lifetime;
            !other.is_over() && !other.is_of(lifetime)
        };
        let former_connector = former.as_ref().filter(lives).map(|former| former.connector.clone());
        state.others.extend(former_connector);
        let (made, awaited) = oneshot::channel::<BoxFuture<'static, ()>>();
        let first = Box::pin(async move {
            // Without a task the closure has panicked.
            if let Ok(task) = awaited.await {
                task.await;
            }
        });
        let run = run(Arc::downgrade(&self.0), Arc::clone(&polled), place, first);
        let task = tokio::spawn(run);
        let start = Arc::clone(&connector.start);
        state.running = Some(Running { connector, task, polled });
        drop(state);
        // Outside of the lock: the closure may connect, and thereby call this again. The place of
        // its task is taken, so that only one is started.
        let _ = made.send(start());
        // A stalled task holds the connections of a runtime that does not run; to drop it may take
        // the lock as well.
        if let Some(former) = former {
            former.task.abort();
        }
    }
}

/// Runs the task over one connector after the other, until none is left or the task returns.
async fn run(
    state: Weak<Mutex<State>>,
    polled: Arc<Mutex<Instant>>,
    mut place: Task,
    mut task: BoxFuture<'static, ()>,
) {
    loop {
        let has_returned = {
            let task = poll_fn(|context| {
                // Tells `ensure` that the runtime is still being driven.
                *lock(&polled) = Instant::now();
                task.as_mut().poll(context)
            });
            tokio::select! {
                // In this order: a task whose connector is gone must not be polled once more.
                biased;
                () = place.lifetime.over() => false,
                () = task => true,
            }
        };
        let is_closed = place.lifetime.is_closed();
        if has_returned && !is_closed {
            return;
        }
        if is_closed && !has_returned {
            // Beside the next task: another connector must not wait for this one's goodbyes.
            tokio::spawn(async move {
                drop(timeout(CLOSE, task).await);
                drop(place);
            });
        } else {
            // In this order: the connections of the task are gone when its connector is told.
            drop(task);
            drop(place);
        }
        (task, place) = loop {
            // Weak: once the plugin itself is dropped, its task does not move on.
            let next = state.upgrade().and_then(|state| {
                let (next, _gone) = lock(&state).move_on(&polled);
                next
            });
            let Some(next) = next else { return };
            // It may have been closed meanwhile.
            if let Some(place) = next.lifetime.begin() {
                break ((next.start)(), place);
            }
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Values under these locks are replaced whole: no panic can leave one half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_running = self.running.as_ref().is_some_and(|running| !running.task.is_finished());
        f.debug_struct("State").field("is_running", &is_running).field("others", &self.others.len()).finish()
    }
}

#[cfg(test)]
mod tests;
