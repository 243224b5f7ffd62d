//! `--wait-ready`: waits for a running proxy to accept clients, for probes and scripts.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    thread::sleep,
    time::Duration,
};

use token_cache::Clock;
use wrapper_iam::SystemClock;

use crate::failure::Failure;

/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(100);

/// The time for one answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Waits until the proxy with this admin address is ready.
pub(super) fn wait(admin: SocketAddr, limit: Duration) -> Result<ExitCode, Failure> {
    let end = SystemClock.now() + limit;
    loop {
        // Asked at least once, whatever the limit.
        let asked = is_ready(admin);
        if matches!(asked, Ok(true)) {
            return Ok(ExitCode::SUCCESS);
        }
        if SystemClock.now() >= end {
            let failure = Failure::new(format!("the proxy at {admin} was not ready within {limit:?}"));
            return Err(match asked {
                Err(error) => failure.because(error),
                Ok(_) => failure,
            });
        }
        sleep(PAUSE);
    }
}

/// Requests `/readiness` once; a status other than 200 means that clients are not accepted yet.
fn is_ready(admin: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&admin, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(stream, "GET /readiness HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // The status line is enough, and an unknown server may never stop sending.
    stream.take(1024).read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
