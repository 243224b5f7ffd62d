//! One port on several loopback addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use tokio::net::TcpListener;

/// How many free ports of the first address are tried, one of which may be taken on another.
const TRIES: usize = 20;

/// Listens `count` times: on 127.0.0.1, 127.0.0.2, … with one port, or where the system has one
/// loopback address, or is said to, on 127.0.0.1 with a port each.
pub(super) async fn bind(count: usize, one_address: bool) -> io::Result<Vec<TcpListener>> {
    for _ in 0..TRIES {
        if one_address {
            break;
        }
        match one_port(count).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => break,
            bound => return bound,
        }
    }
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
    }
    Ok(listeners)
}

async fn one_port(count: usize) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    for last in 2..=count {
        // At most 32 nodes are asked for.
        let address = IpAddr::from([127, 0, 0, last as u8]);
        listeners.push(TcpListener::bind((address, port)).await?);
    }
    Ok(listeners)
}
