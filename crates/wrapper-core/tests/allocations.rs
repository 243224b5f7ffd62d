//! How often a plugin that only passes requests on allocates. The counting allocator comes with its
//! crate and serves this binary alone.

#![expect(clippy::unwrap_used, reason = "a failing step fails its test")]

use std::sync::Arc;

use allocation_counter::measure;
use wrapper_core::{
    ConnectRequest, Next, Plugin,
    adapter::{PassThrough, ReadyDriver, Wrapper, ready},
    plugin_fn,
};

fn allocations(plugins: Vec<Arc<dyn Plugin<()>>>) -> u64 {
    let wrapper = Wrapper::new(ReadyDriver::new(), plugins);
    let request = ConnectRequest::new("a.example", 1, "jane");
    let connect = || drop(ready(wrapper.connect(request.clone())).unwrap());
    connect();
    measure(connect).count_total
}

#[test]
fn plugin_that_passes_on_allocates_once_and_a_closure_never() {
    let bare = allocations(Vec::new());

    let futures = (0..10).map(|_| Arc::new(PassThrough) as Arc<dyn Plugin<()>>).collect();
    assert_eq!(allocations(futures), bare + 10);
    let closure = || plugin_fn("passThrough", |request, next: Next<'_, ()>| next.run(request));
    let closures = (0..10).map(|_| Arc::new(closure()) as Arc<dyn Plugin<()>>).collect();
    assert_eq!(allocations(closures), bare);
}
