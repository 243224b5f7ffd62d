//! Sockets and tasks that closed connections leave in this process.

use std::{fmt::Debug, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{Instant, sleep},
};

/// A server in a runtime of its own: what the test's runtime holds is the client's.
#[derive(Debug)]
pub struct SeparateRuntime<R> {
    /// The server, with what belongs to it.
    pub fixture: R,
    runtime: Option<Runtime>,
}

impl<R: Send + 'static> SeparateRuntime<R> {
    /// Runs this in the other runtime.
    pub async fn start(start: impl Future<Output = R> + Send + 'static) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts");
        let fixture = runtime.spawn(start).await.expect("the server starts");
        Self { fixture, runtime: Some(runtime) }
    }
}

impl<R> Drop for SeparateRuntime<R> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Counts the descriptors that hold a connection to a port of this machine.
pub fn sockets_to(port: u16) -> usize {
    let remote = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the kernel shows its table");
    let is_held = |line: &&str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        // The socket's inode; 0 once no descriptor holds it.
        columns[2].ends_with(&remote) && columns[9] != "0"
    };
    table.lines().skip(1).filter(is_held).count()
}

/// Waits for ten seconds until this runtime holds no socket to a port and no task.
pub async fn nothing_is_left(port: u16, of: impl Debug) {
    let left = || (sockets_to(port), Handle::current().metrics().num_alive_tasks());
    let until = Instant::now() + Duration::from_secs(10);
    while left() != (0, 0) {
        assert!(Instant::now() < until, "{of:?}: (sockets, tasks) that are left: {:?}", left());
        sleep(Duration::from_millis(20)).await;
    }
}
