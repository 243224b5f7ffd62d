//! Tasks that keep a connection open over the connectors that share them.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{runtime::Runtime, sync::Notify};

use super::*;
use crate::{
    Opening, Plugin,
    adapter::{MockDriver, Wrapper},
};

mod close;

/// Opens a connection of its own whenever it is told to.
#[derive(Debug, Default)]
struct Monitors {
    background: Background,
    shared: Arc<Shared>,
}

/// State that the plugin shares with its task.
#[derive(Debug, Default)]
struct Shared {
    starts: AtomicUsize,
    probe: Notify,
    probed: Notify,
    /// Held by the task: it is gone when this is.
    alive: Arc<()>,
    outcomes: Mutex<Vec<String>>,
}

const STALE: Duration = Duration::from_secs(60);

impl Plugin<ConnectRequest> for Monitors {
    fn code(&self) -> &str {
        "monitors"
    }

    fn connect<'a>(
        &'a self,
        request: ConnectRequest,
        next: Next<'a, ConnectRequest>,
    ) -> Opening<'a, ConnectRequest> {
        let (shared, probe) = (Arc::clone(&self.shared), request.clone().with_host("monitor.example"));
        self.background.ensure(next, STALE, move |opener| {
            let (shared, probe) = (Arc::clone(&shared), probe.clone());
            shared.starts.fetch_add(1, Ordering::SeqCst);
            let alive = Arc::clone(&shared.alive);
            async move {
                let _alive = alive;
                loop {
                    shared.probe.notified().await;
                    let outcome = opener.open(probe.clone(), STALE).await;
                    let told = match &outcome {
                        Ok(connected) => {
                            format!("{} as {}", connected.established.host(), connected.connection.user())
                        }
                        Err(error) => error.to_string(),
                    };
                    lock(&shared.outcomes).push(told);
                    shared.probed.notify_one();
                }
            }
        });
        next.run(request)
    }
}

fn wrapper(monitors: &Arc<Monitors>, name: &'static str) -> Wrapper<MockDriver> {
    let user = crate::plugin_fn("user", move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move { next.run(request.with_user(name)?).await })
    });
    Wrapper::new(MockDriver::new(), vec![Arc::new(Arc::clone(monitors)) as _, Arc::new(user)])
}

fn request() -> ConnectRequest {
    ConnectRequest::new("a.example", 1, "jane")
}

fn starts(monitors: &Monitors) -> usize {
    monitors.shared.starts.load(Ordering::SeqCst)
}

async fn probe(monitors: &Monitors) -> String {
    monitors.shared.probe.notify_one();
    monitors.shared.probed.notified().await;
    lock(&monitors.shared.outcomes).pop().expect("was told")
}

/// Waits until the task has dropped what it holds.
async fn gone(monitors: &Monitors) {
    while Arc::strong_count(&monitors.shared.alive) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn task_opens_through_the_inner_plugins_and_ends_with_the_last_connector() {
    let monitors = Arc::new(Monitors::default());
    let first = wrapper(&monitors, "inner");
    let second = first.clone();
    for _ in 0..3 {
        first.connect(request()).await.expect("connects");
    }
    assert_eq!(starts(&monitors), 1);

    assert_eq!(probe(&monitors).await, "monitor.example as inner");
    drop(first);
    assert_eq!(probe(&monitors).await, "monitor.example as inner", "a clone keeps it");

    drop(second);
    gone(&monitors).await;
}

#[tokio::test]
async fn task_runs_over_the_first_driver_and_outlives_those_of_one_connect() {
    let monitors = Arc::new(Monitors::default());
    let first = wrapper(&monitors, "inner");
    for _ in 0..3 {
        let driver = MockDriver::new();
        let of_one_connect = first.with_driver(driver.clone());
        of_one_connect.connect(request()).await.expect("connects");
        drop(of_one_connect);
        assert_eq!(probe(&monitors).await, "monitor.example as inner");
        assert_eq!(driver.requests().len(), 1, "only the connect itself");
    }
    assert_eq!((starts(&monitors), first.driver().requests().len()), (1, 3));

    let last = first.with_driver(MockDriver::new());
    drop(first);
    assert_eq!(probe(&monitors).await, "monitor.example as inner", "another driver keeps it as well");
    drop(last);
    gone(&monitors).await;
}

#[tokio::test]
async fn task_moves_to_a_sibling_at_once() {
    let monitors = Arc::new(Monitors::default());
    let (first, second) = (wrapper(&monitors, "first"), wrapper(&monitors, "second"));
    let third = wrapper(&monitors, "third");
    for wrapper in [&first, &second, &third, &third, &first] {
        wrapper.connect(request()).await.expect("connects");
    }
    drop(third);
    assert_eq!((probe(&monitors).await.as_str(), starts(&monitors)), ("monitor.example as first", 1));

    drop(first);
    assert_eq!((probe(&monitors).await.as_str(), starts(&monitors)), ("monitor.example as second", 2));

    drop(second);
    gone(&monitors).await;
}

#[tokio::test]
async fn task_that_hangs_in_a_connect_ends_with_the_connector() {
    let monitors = Arc::new(Monitors::default());
    let hangs = crate::plugin_fn("hangs", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            if request.host() == "monitor.example" {
                std::future::pending::<()>().await;
            }
            next.run(request).await
        })
    });
    let plugins: Vec<Arc<dyn Plugin<ConnectRequest>>> =
        vec![Arc::new(Arc::clone(&monitors)), Arc::new(hangs)];
    let wrapper = Wrapper::new(MockDriver::new(), plugins);
    wrapper.connect(request()).await.expect("connects");
    monitors.shared.probe.notify_one();
    tokio::task::yield_now().await;

    drop(wrapper);

    gone(&monitors).await;
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts")
}

#[test]
fn task_of_a_dropped_runtime_is_restarted() {
    let monitors = Arc::new(Monitors::default());
    let wrapper = wrapper(&monitors, "inner");
    let first = runtime();
    first.block_on(wrapper.connect(request())).expect("connects");
    drop(first);

    let second = runtime();
    second.block_on(wrapper.connect(request())).expect("connects");

    assert_eq!(starts(&monitors), 2);
    assert_eq!(second.block_on(probe(&monitors)), "monitor.example as inner");
}

#[test]
fn task_of_a_runtime_that_is_not_driven_is_restarted() {
    let monitors = Arc::new(Monitors::default());
    let wrapper = wrapper(&monitors, "inner");
    let first = runtime();
    first.block_on(wrapper.connect(request())).expect("connects");
    let second = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("starts");
    second.block_on(wrapper.connect(request())).expect("connects");
    assert_eq!(starts(&monitors), 1, "it may still be driven");

    second.block_on(async {
        tokio::time::advance(STALE).await;
        wrapper.connect(request()).await.expect("connects");
        assert_eq!(starts(&monitors), 2);
        assert_eq!(probe(&monitors).await, "monitor.example as inner");
    });

    // The former one finds out that it was replaced.
    first.block_on(async {
        while Arc::strong_count(&monitors.shared.alive) > 2 {
            tokio::task::yield_now().await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn task_comes_back_to_a_connector_that_was_left_as_stale() {
    let monitors = Arc::new(Monitors::default());
    let (slow, other) = (wrapper(&monitors, "slow"), wrapper(&monitors, "other"));
    let runtime = runtime();
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(slow.connect(request()))).join().expect("runs").expect("connects");
    });
    // Twice: the clock of this runtime stands, while that of the other one went on.
    tokio::time::advance(STALE * 2).await;
    other.connect(request()).await.expect("connects");
    assert_eq!(probe(&monitors).await, "monitor.example as other");

    drop(other);

    assert_eq!(probe(&monitors).await, "monitor.example as slow");
    drop(slow);
    // What is left is the one that its own runtime never polls.
    runtime.shutdown_background();
    gone(&monitors).await;
}

#[tokio::test]
async fn opener_outlives_its_connector_and_says_so() {
    let openers = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&openers);
    let keeps = crate::plugin_fn("keeps", move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        *lock(&kept) = Some(next.opener());
        next.run(request)
    });
    let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(keeps)]);
    let mut connected = wrapper.connect(request()).await.expect("connects");
    let opener = lock(&openers).clone().expect("was kept");
    opener.open(request(), STALE).await.expect("opens");
    assert!(opener.session(&mut connected).is_ok());

    drop(wrapper);

    let error = opener.open(request(), STALE).await.expect_err("is gone");
    assert_eq!(error.to_string(), "the connector was dropped");
}

#[tokio::test(start_paused = true)]
async fn opener_ends_in_its_own_time_and_names_its_phase() {
    let opened = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&opened);
    let keeps = crate::plugin_fn("keeps", move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        *lock(&kept) = Some(next.opener());
        next.run(request)
    });
    let hangs = crate::plugin_fn("hangs", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        Box::pin(async move {
            if request.user() == "monitor" {
                let _noted = request.clone().with_host("b.example");
                std::future::pending::<()>().await;
            }
            next.run(request).await
        })
    });
    let plugins: Vec<Arc<dyn Plugin<ConnectRequest>>> = vec![Arc::new(keeps), Arc::new(hangs)];
    let wrapper = Wrapper::new(MockDriver::new(), plugins);
    let waited = request();
    wrapper.connect(waited.clone()).await.expect("connects");
    let opener = lock(&opened).clone().expect("was kept");

    let probe = waited.clone().with_user("monitor").expect("fits");
    let error = opener.open(probe, Duration::from_secs(3)).await.expect_err("hangs");

    assert_eq!(
        error.to_string(),
        "no connection to `a.example:1` within 3.0s, still waiting for a plugin at `b.example`: \
         a source of credentials may be slow or out of reach"
    );
}

/// Fails where a test deadlocks.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        test();
        done.send(())
    });
    ended.recv_timeout(Duration::from_secs(30)).expect("it ends, and nothing in it fails");
}

/// Lets two plugins, one inside the other, keep one task, whose closure is given.
fn two_with_one_background(
    task: impl Fn(Opener<ConnectRequest>) + Clone + Send + Sync + 'static,
) -> Wrapper<MockDriver> {
    let background = Arc::new(Background::default());
    let plugins = ["outer", "inner"].map(|code| {
        let (background, task) = (Arc::clone(&background), task.clone());
        let plugin =
            crate::plugin_fn(code, move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
                let task = task.clone();
                background.ensure(next, STALE, move |opener| {
                    task(opener);
                    std::future::pending()
                });
                next.run(request)
            });
        Arc::new(plugin) as Arc<dyn Plugin<ConnectRequest>>
    });
    Wrapper::new(MockDriver::new(), plugins.into())
}

/// Polls a connect once, which is all that one of the mock takes.
fn connects_at_once<C>(connect: impl Future<Output = Result<Connected<C>>>) -> bool {
    let polled = pin!(connect).poll(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Ok(_)))
}

#[test]
fn closure_of_a_task_may_connect_through_the_same_plugins() {
    in_time(|| {
        let opened = Arc::new(AtomicUsize::new(0));
        let opens = Arc::clone(&opened);
        let wrapper = two_with_one_background(move |opener| {
            let is_open = connects_at_once(opener.open(request(), STALE));
            opens.fetch_add(usize::from(is_open), Ordering::SeqCst);
        });

        runtime().block_on(wrapper.connect(request())).expect("connects");

        assert_eq!(opened.load(Ordering::SeqCst), 1, "one task, whose closure opened a connection");
    });
}

/// Connects when it is dropped.
struct ConnectsOnDrop(Wrapper<MockDriver>);

impl Drop for ConnectsOnDrop {
    fn drop(&mut self) {
        assert!(connects_at_once(self.0.connect(request())));
    }
}

#[test]
fn closure_of_a_task_may_connect_when_it_is_dropped() {
    in_time(|| {
        let background = Arc::new(Background::default());
        let of = |captured: Option<ConnectsOnDrop>| {
            let (background, captured) = (Arc::clone(&background), Mutex::new(captured));
            let plugin = crate::plugin_fn(
                "ensures",
                move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
                    let captured = Mutex::new(lock(&captured).take());
                    background.ensure(next, STALE, move |_| {
                        drop(lock(&captured).take());
                        std::future::pending()
                    });
                    next.run(request)
                },
            );
            Wrapper::new(MockDriver::new(), vec![Arc::new(plugin)])
        };
        let (first, other) = (of(None), of(None));
        let gone = of(Some(ConnectsOnDrop(other.clone())));
        runtime().block_on(async {
            for wrapper in [&first, &gone] {
                wrapper.connect(request()).await.expect("connects");
            }
            drop(gone);

            other.connect(request()).await.expect("connects, and drops what the gone one left");
        });
    });
}
