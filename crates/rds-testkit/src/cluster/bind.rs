//! One port on several loopback addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use tokio::net::TcpListener;

/// The number of ports to try: a port that is free on the first address may be taken on another.
const TRIES: usize = 20;

/// Binds `count` listeners: on 127.0.0.1, 127.0.0.2, … with one port or, if the system has only one
/// loopback address or the builder asks for it, on 127.0.0.1 with a port each.
pub(super) async fn bind(count: usize, one_address: bool) -> io::Result<Vec<TcpListener>> {
    for _ in 0..TRIES {
        if one_address {
            break;
        }
        match one_port(count).await {
            // Dropping the listeners bound so far frees them; the next try draws another port.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            // macOS has 127.0.0.1 alone unless aliases are added.
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
