//! Socket options of both sides.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// A dead peer is noticed after 10 + 3 * 5 = 25 s, as on the connections of the adapters.
const IDLE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// Disables Nagle's algorithm and enables keepalive probes.
///
/// Without `TCP_NODELAY` on both sides a login waits 40 ms for delayed acknowledgements.
pub(crate) fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL);
    #[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "solaris")))]
    let keepalive = keepalive.with_retries(RETRIES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
