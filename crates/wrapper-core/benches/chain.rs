//! What a plugin that only passes requests on costs: a connect through ten of them beside one
//! through none.

#![expect(clippy::unwrap_used, reason = "a bench ends at its first failure")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use wrapper_core::{
    ConnectRequest, Next, Plugin,
    adapter::{PassThrough, ReadyDriver, Wrapper, ready},
    plugin_fn,
};

fn connects(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connect");
    let futures = || (0..10).map(|_| Arc::new(PassThrough) as Arc<dyn Plugin<()>>).collect();
    let closure = || plugin_fn("passThrough", |request, next: Next<'_, ()>| next.run(request));
    let closures = || (0..10).map(|_| Arc::new(closure()) as Arc<dyn Plugin<()>>).collect();
    let chains: [(&str, Vec<_>); 3] =
        [("no plugin", Vec::new()), ("ten futures", futures()), ("ten closures", closures())];
    for (name, plugins) in chains {
        let wrapper = Wrapper::new(ReadyDriver::new(), plugins);
        let request = ConnectRequest::new("a.example", 1, "jane");
        let connect = || black_box(ready(wrapper.connect(request.clone())).unwrap());
        group.bench_function(name, |bencher| bencher.iter(connect));
    }
    group.finish();
}

criterion_group!(benches, connects);
criterion_main!(benches);
