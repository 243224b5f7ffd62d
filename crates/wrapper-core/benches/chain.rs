//! What a plugin that only hands on costs: a connect through ten of them beside one through none.

#![expect(clippy::unwrap_used, reason = "a bench ends at its first failure")]

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use criterion::{Criterion, criterion_group, criterion_main};
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

fn connects(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connect");
    let futures = || (0..10).map(|_| Arc::new(HandsOn) as Arc<dyn Plugin<()>>).collect();
    let closure = || plugin_fn("handsOn", |request, next: Next<'_, ()>| next.run(request));
    let closures = || (0..10).map(|_| Arc::new(closure()) as Arc<dyn Plugin<()>>).collect();
    let chains: [(&str, Vec<_>); 3] =
        [("no plugin", Vec::new()), ("ten futures", futures()), ("ten closures", closures())];
    for (name, plugins) in chains {
        let wrapper = Wrapper::new(Ready, plugins);
        let request = ConnectRequest::new("a.example", 1, "jane");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut connect = pin!(wrapper.connect(request.clone()));
                let Poll::Ready(outcome) = connect.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                else {
                    panic!("nothing waits");
                };
                black_box(outcome.unwrap());
            });
        });
    }
    group.finish();
}

criterion_group!(benches, connects);
criterion_main!(benches);
