//! Options of the sockets on both sides.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// A dead peer is found in 25 seconds, as by the drivers' connections.
const IDLE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// Sends small packets at once and asks a silent peer whether it is still there.
///
/// Without `TCP_NODELAY` on both sides a login waits 40 ms for delayed acknowledgements.
pub(crate) fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL);
    #[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "solaris")))]
    let keepalive = keepalive.with_retries(RETRIES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
