//! Tasks of connectors that are closed.

use super::*;
use crate::adapter::{Driver, Rows};

/// Counts the connections that it closed in order.
#[derive(Clone, Default)]
struct Closing(MockDriver, Arc<AtomicUsize>);

impl Driver for Closing {
    type Connection = ConnectRequest;

    fn engine(&self) -> crate::Engine {
        self.0.engine()
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<ConnectRequest>> {
        self.0.connect(request)
    }

    fn query<'a>(&'a self, connection: &'a mut ConnectRequest, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        self.0.query(connection, sql)
    }

    fn close(&self, _: ConnectRequest) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::task::yield_now().await;
            self.1.fetch_add(1, Ordering::SeqCst);
        })
    }
}

/// Opens a connection in the background at the first connect, and closes it with the connector.
fn keeps_one(code: &'static str) -> Arc<dyn Plugin<ConnectRequest>> {
    let background = Background::default();
    Arc::new(crate::plugin_fn(code, move |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
        background.ensure(next, STALE, |opener| async move {
            let connected = opener.open(super::request(), STALE).await.expect("connects");
            opener.closed().await;
            opener.close(connected).await;
        });
        next.run(request)
    }))
}

#[tokio::test]
async fn closed_connector_has_closed_the_connections_of_its_tasks() {
    let driver = Closing::default();
    let wrapper = Wrapper::new(driver.clone(), vec![keeps_one("outer"), keeps_one("inner")]);
    wrapper.connect(request()).await.expect("connects");
    while driver.0.requests().len() < 3 {
        tokio::task::yield_now().await;
    }

    let clone = wrapper.with_driver(driver.clone());
    wrapper.close().await;

    assert_eq!(driver.1.load(Ordering::SeqCst), 2);
    let error = clone.connect(request()).await.expect_err("is closed");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Configuration, "the connector is closed")
    );
    wrapper.close().await;
}

#[tokio::test(start_paused = true)]
async fn task_that_goes_on_is_dropped_when_the_time_for_the_close_is_over() {
    let monitors = Arc::new(Monitors::default());
    let wrapper = wrapper(&monitors, "inner");
    wrapper.connect(request()).await.expect("connects");

    let begun = Instant::now();
    wrapper.close().await;

    assert_eq!(begun.elapsed(), CLOSE);
    gone(&monitors).await;
}

#[tokio::test(start_paused = true)]
async fn task_moves_to_a_sibling_of_a_closed_connector() {
    let monitors = Arc::new(Monitors::default());
    let (first, second) = (wrapper(&monitors, "first"), wrapper(&monitors, "second"));
    for wrapper in [&first, &second] {
        wrapper.connect(request()).await.expect("connects");
    }

    let moved = async {
        // The clock stands still as long as something is ready.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(starts(&monitors), 2, "though the first task uses all of its time");
    };
    tokio::join!(first.close(), moved);

    assert_eq!((probe(&monitors).await.as_str(), starts(&monitors)), ("monitor.example as second", 2));
    second.close().await;
    gone(&monitors).await;
}
