//! The TCP connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{
    cause::{Cause, Code},
    report::{Report, StepName},
};
use crate::{target::Target, terminal::listed};

/// How long a connect may take; all addresses are tried at once.
const LIMIT: Duration = Duration::from_secs(5);

/// How many addresses are tried.
const MOST: usize = 32;

/// How many failures are shown.
const SHOWN: usize = 3;

/// Connects to the first address that answers.
pub(super) async fn report(report: &mut Report, target: &Target, addresses: &[IpAddr]) -> Option<TcpStream> {
    let mut attempts = JoinSet::new();
    for (index, address) in addresses.iter().take(MOST).enumerate() {
        let address = SocketAddr::new(*address, target.port);
        attempts.spawn(async move { (index, address, connect(address).await) });
    }
    let mut failures = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        // Attempts do not panic, and are aborted only when this set is dropped.
        let Ok((index, address, outcome)) = attempt else { continue };
        match outcome {
            Ok(stream) => {
                report.ok(StepName::Tcp, format!("{address} answers"));
                // Dropping the set ends the other attempts.
                return Some(stream);
            }
            Err(error) => failures.push((index, address, error)),
        }
    }
    // Attempts end in any order; the report has that of DNS.
    failures.sort_by_key(|(index, ..)| *index);
    let last = failures.last().map(|(.., error)| error.kind());
    let failures: Vec<_> = failures.iter().map(|(_, address, error)| format!("{address}: {error}")).collect();
    let port = target.port;
    let cause = match last {
        Some(io::ErrorKind::ConnectionRefused) => Cause::new(
            Code::PortClosed,
            format!(
                "nothing listens on port {port}: check the port, and that the database or tunnel is running"
            ),
        ),
        _ => {
            let is_private = addresses.iter().any(|address| match address {
                IpAddr::V4(address) => address.is_private(),
                IpAddr::V6(address) => address.is_unique_local(),
            });
            let way = if is_private {
                ", and that this machine is in its network (the address is private)"
            } else {
                ""
            };
            Cause::new(Code::Unreachable, format!("check the security group's rule for port {port}{way}"))
        }
    };
    report.failed(StepName::Tcp, listed(&failures, SHOWN), [cause]);
    None
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    match timeout(LIMIT, TcpStream::connect(address)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {LIMIT:?}"))),
    }
}
