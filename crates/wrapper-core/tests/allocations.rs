//! How often a plugin that only hands on allocates. The counting allocator comes with its crate and
//! serves this binary alone.

#![expect(clippy::unwrap_used, reason = "a failing step fails its test")]

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Next, Opening, Plugin, Result,
    adapter::{Driver, Rows, Wrapper},
    plugin_fn,
};

/// Connects at once, to nothing.
struct Ready;

impl Driver for Ready {
    type Connection = ();

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, _: ConnectRequest) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn query<'a>(&'a self, (): &'a mut (), _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async { Ok(Rows::default()) })
    }
}

/// Hands on, in a future of its own.
#[derive(Debug)]
struct HandsOn;

impl Plugin<()> for HandsOn {
    fn code(&self) -> &str {
        "handsOn"
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, ()>) -> Opening<'a, ()> {
        Box::pin(async move { next.run(request).await })
    }
}

fn allocations(plugins: Vec<Arc<dyn Plugin<()>>>) -> u64 {
    let wrapper = Wrapper::new(Ready, plugins);
    let request = ConnectRequest::new("a.example", 1, "jane");
    let connect = || {
        let mut connect = pin!(wrapper.connect(request.clone()));
        let Poll::Ready(outcome) = connect.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing waits");
        };
        outcome.unwrap();
    };
    connect();
    measure(connect).count_total
}

#[test]
fn plugin_that_hands_on_allocates_once_and_a_closure_never() {
    let bare = allocations(Vec::new());

    let futures = (0..10).map(|_| Arc::new(HandsOn) as Arc<dyn Plugin<()>>).collect();
    assert_eq!(allocations(futures), bare + 10);
    let closure = || plugin_fn("handsOn", |request, next: Next<'_, ()>| next.run(request));
    let closures = (0..10).map(|_| Arc::new(closure()) as Arc<dyn Plugin<()>>).collect();
    assert_eq!(allocations(closures), bare);
}
