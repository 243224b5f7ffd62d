//! One look-up for the two connects of a client: the greeting's and the login's.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use wrapper_adapter::Resolver;
use wrapper_core::BoxFuture;

/// Resolves the host of the greeting once for both connects.
///
/// A client's login goes to the address that sent the greeting, a moment before. Later connects, as
/// after a failover, look the name up again.
#[derive(Debug)]
pub(super) struct OneLookup {
    resolver: Arc<dyn Resolver>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last answer before the greeting, for the first look-up after it.
    answer: Option<(String, Vec<IpAddr>)>,
    is_greeted: bool,
}

impl OneLookup {
    pub(super) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, state: Mutex::default() }
    }

    /// Keeps the answer for the login, which tries the address that sent the greeting first.
    pub(super) fn greeted_by(&self, address: IpAddr) {
        let mut state = self.state();
        state.is_greeted = true;
        if let Some((_, addresses)) = &mut state.answer {
            // Stable: the others keep their order.
            addresses.sort_by_key(|other| *other != address);
        }
    }

    /// Returns the kept answer to the first look-up after the greeting, if it is of the same host.
    fn take(&self, host: &str) -> Option<Vec<IpAddr>> {
        let mut state = self.state();
        let (name, addresses) = if state.is_greeted { state.answer.take()? } else { return None };
        (name == host).then_some(addresses)
    }

    fn keep(&self, host: &str, addresses: &[IpAddr]) {
        let mut state = self.state();
        if !state.is_greeted {
            state.answer = Some((host.to_owned(), addresses.to_vec()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for OneLookup {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if let Some(addresses) = self.take(host) {
                return Ok(addresses);
            }
            let addresses = self.resolver.resolve(host).await?;
            self.keep(host, &addresses);
            Ok(addresses)
        })
    }

    fn is_system(&self) -> bool {
        self.resolver.is_system()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::Ipv4Addr,
        sync::atomic::{AtomicU8, Ordering},
    };

    use wrapper_adapter::resolver_fn;

    use super::*;

    /// Answers with the number of the look-up.
    fn counting() -> OneLookup {
        let count = AtomicU8::new(0);
        OneLookup::new(Arc::new(resolver_fn(move |_| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            Ok(vec![IpAddr::from(Ipv4Addr::new(127, 0, 0, number))])
        })))
    }

    /// The numbers of the look-ups whose answers are given to some hosts after the greeting; before
    /// it there were so many tries.
    async fn numbers(tries: usize, hosts: &[&str]) -> Vec<u8> {
        let resolver = counting();
        for _ in 0..tries {
            resolver.resolve("db").await.expect("answers");
        }
        resolver.greeted_by(Ipv4Addr::LOCALHOST.into());
        let mut numbers = Vec::new();
        for host in hosts {
            let IpAddr::V4(address) = resolver.resolve(host).await.expect("answers")[0] else { panic!("v4") };
            numbers.push(address.octets()[3]);
        }
        numbers
    }

    #[tokio::test]
    async fn second_connect_goes_where_the_first_went_and_later_ones_look_again() {
        assert_eq!(numbers(1, &["db", "db", "db"]).await, [0, 1, 2]);
    }

    #[tokio::test]
    async fn greeting_that_took_several_tries_leaves_its_own_answer() {
        assert_eq!(numbers(3, &["db", "db"]).await, [2, 3]);
    }

    #[tokio::test]
    async fn another_host_gets_no_answer_of_the_first() {
        assert_eq!(numbers(1, &["reader", "db"]).await, [1, 2]);
    }
}
