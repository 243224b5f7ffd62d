//! One look-up for the two connects of a client: the greeting's and the login's.

use std::{
    io, mem,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use wrapper_adapter::Resolver;
use wrapper_core::BoxFuture;

/// Resolves the first host once for two connects.
///
/// A client's login goes to the address that sent the greeting, a moment before. Later connects, as
/// after a failover, look the name up again.
#[derive(Debug)]
pub(super) struct OneLookup {
    resolver: Arc<dyn Resolver>,
    first: Mutex<First>,
}

#[derive(Debug)]
enum First {
    Outstanding,
    Found(String, Vec<IpAddr>),
    Used,
}

impl OneLookup {
    pub(super) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, first: Mutex::new(First::Outstanding) }
    }

    /// Returns the first answer to the next look-up of the same host, and to no other.
    fn take(&self, host: &str) -> Option<Vec<IpAddr>> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *first, First::Used) {
            First::Found(name, addresses) if name == host => Some(addresses),
            First::Outstanding => {
                *first = First::Outstanding;
                None
            }
            First::Found(..) | First::Used => None,
        }
    }

    fn keep(&self, host: &str, addresses: &[IpAddr]) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*first, First::Outstanding) {
            *first = First::Found(host.to_owned(), addresses.to_vec());
        }
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

    async fn numbers(hosts: &[&str]) -> Vec<u8> {
        let resolver = counting();
        let mut numbers = Vec::new();
        for host in hosts {
            let IpAddr::V4(address) = resolver.resolve(host).await.expect("answers")[0] else { panic!("v4") };
            numbers.push(address.octets()[3]);
        }
        numbers
    }

    #[tokio::test]
    async fn second_connect_goes_where_the_first_went_and_later_ones_look_again() {
        assert_eq!(numbers(&["db", "db", "db", "db"]).await, [0, 0, 1, 2]);
    }

    #[tokio::test]
    async fn another_host_gets_no_answer_of_the_first() {
        assert_eq!(numbers(&["db", "reader", "db"]).await, [0, 1, 2]);
    }
}
