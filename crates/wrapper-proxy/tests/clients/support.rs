//! A proxy in the process of the test.

use std::{collections::HashSet, time::Duration};

use rds_testkit::Attempt;
use tokio::{
    net::TcpStream,
    task::{JoinHandle, yield_now},
};
use wrapper_proxy::{Access, Handle, Limits, Listen, LocalAddress, LocalPassword, Proxy, Target, TcpPort};

pub(crate) const PASSWORD: &str = "a local password";

/// The time for what should happen at once, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A proxy on a port, which asks for [`PASSWORD`].
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) port: u16,
    pub(crate) running: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(target: impl Into<Target>, limits: Limits) -> Self {
        let password = LocalPassword::new(PASSWORD).expect("long enough");
        let mut proxy = Proxy::new(Access::new(password), limits);
        let place = proxy.listen(&Listen::Tcp(TcpPort::loopback(0)), target).await.expect("listens");
        let LocalAddress::Tcp(address) = place else { panic!("a port") };
        let handle = proxy.handle();
        let running = tokio::spawn(proxy.run(Duration::from_secs(30)));
        Self { handle, port: address.port(), running }
    }

    /// Connects without a login.
    pub(crate) async fn raw(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.expect("listens")
    }
}

/// Waits for a condition of the proxy or of the server.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Counts the different tokens of some logins.
pub(crate) fn tokens(attempts: Vec<Attempt>) -> usize {
    attempts.into_iter().map(|attempt| attempt.password_digest).collect::<HashSet<_>>().len()
}
