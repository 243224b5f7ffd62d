//! The TCP connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::{
    report::{Cause, Code, Report, StepName},
    subject::Subject,
};

/// How long one address may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Connects to the first address that answers.
pub(super) async fn report(
    report: &mut Report,
    subject: &Subject,
    addresses: &[IpAddr],
) -> Option<TcpStream> {
    let mut failures = Vec::new();
    let mut last = None;
    for address in addresses {
        let address = SocketAddr::new(*address, subject.port);
        let error = match timeout(LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                report.ok(StepName::Tcp, format!("{address} answers"));
                return Some(stream);
            }
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {LIMIT:?}")),
        };
        failures.push(format!("{address}: {error}"));
        last = Some(error.kind());
    }
    let port = subject.port;
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
    report.failed(StepName::Tcp, failures.join("; "), [cause]);
    None
}
