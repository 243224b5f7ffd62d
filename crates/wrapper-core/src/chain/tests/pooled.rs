//! Tests of plugins that verify pooled connections.

use std::{
    future::{pending, ready},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{super::*, run};
use crate::{
    BoxFuture, Engine, Next, Opening,
    adapter::{MockDriver, Rows},
};

/// Refuses every pooled connection of a reader, and counts its calls.
#[derive(Debug, Default)]
struct Judges(AtomicUsize);

impl Plugin<ConnectRequest> for Judges {
    fn code(&self) -> &str {
        "judges"
    }

    fn connect<'a>(
        &'a self,
        request: ConnectRequest,
        next: Next<'a, ConnectRequest>,
    ) -> Opening<'a, ConnectRequest> {
        next.run(request)
    }

    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        session: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match session.parameter("in_hot_standby").as_deref() {
                Some("off") => Ok(()),
                Some(_) => Err(Error::new(ErrorKind::Transient, format!("{} is a reader", request.host()))),
                None => session.query("SHOW in_hot_standby").await.map(drop),
            }
        })
    }

    fn warm_up<'a>(&'a self, _: &'a ConnectRequest) -> BoxFuture<'a, Result<()>> {
        self.0.fetch_add(10, Ordering::SeqCst);
        Box::pin(ready(Ok(())))
    }
}

/// A pooled connection, whose server reports this or nothing, and never answers.
struct Pooled(Option<&'static str>);

impl Session for Pooled {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn parameter(&self, _: &str) -> Option<String> {
        self.0.map(str::to_owned)
    }

    fn query<'a>(&'a mut self, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(pending())
    }
}

#[test]
fn plugins_judge_pooled_connections_and_are_found_by_their_type() {
    let judges = Arc::new(Judges::default());
    // Given as an `Arc`, so that it lies in the chain behind two.
    let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(Arc::clone(&judges)) as _]);
    let request = ConnectRequest::new("a.example", 1, "jane");

    run(wrapper.verify(&request, &mut Pooled(Some("off")))).expect("a writer");
    let error = run(wrapper.verify(&request, &mut Pooled(Some("on")))).expect_err("a reader");
    run(wrapper.warm_up(&request)).expect("prepares");

    assert_eq!(error.to_string(), "a.example is a reader");
    let found = wrapper.plugin::<Judges>().expect("is in the chain");
    assert!(std::ptr::eq(found, &*judges));
    assert_eq!(found.0.load(Ordering::SeqCst), 12);
}

#[test]
fn judging_a_pooled_connection_ends_in_time() {
    let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(Judges::default())]);
    let request = ConnectRequest::new("a.example", 1, "jane");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("starts");

    let error = runtime.block_on(wrapper.verify(&request, &mut Pooled(None))).expect_err("hangs");

    assert_eq!(error.kind(), ErrorKind::Timeout);
}
