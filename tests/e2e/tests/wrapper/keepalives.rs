//! How soon a dead server is noticed, read back from the real sockets.

#![cfg(target_os = "linux")]

use std::{fs, net::SocketAddr, os::fd::OwnedFd};

use e2e::Fixture;
use rustix::{
    net::{getpeername, sockopt},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

/// The open socket of this process whose peer is `server`.
fn socket_to(server: SocketAddr) -> OwnedFd {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("the kernel knows this process");
    let numbers = fs::read_dir("/proc/self/fd")
        .expect("is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut sockets = numbers.filter_map(|number| pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).ok());
    sockets
        .find(|socket| {
            let peer = getpeername(socket).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok());
            peer == Some(server)
        })
        .expect("a connection to the server is open")
}

/// Whether keepalives are on, the seconds of idle and interval, the retries, and the user timeout
/// in milliseconds.
fn read_back(server: SocketAddr) -> (bool, u64, u64, u32, u32) {
    let socket = socket_to(server);
    (
        sockopt::socket_keepalive(&socket).expect("is TCP"),
        sockopt::tcp_keepidle(&socket).expect("is TCP").as_secs(),
        sockopt::tcp_keepintvl(&socket).expect("is TCP").as_secs(),
        sockopt::tcp_keepcnt(&socket).expect("is TCP"),
        sockopt::tcp_user_timeout(&socket).expect("is TCP"),
    )
}

async fn postgres(query: &str) -> (bool, u64, u64, u32, u32) {
    let rig = Fixture::start().await;
    let connector = rig.builder(rig.url() + query).build().expect("builds");
    let _connection = connector.connect().await.expect("is let in");
    read_back(rig.server.addr())
}

#[tokio::test]
async fn postgres_finds_a_dead_server_in_25_seconds() {
    assert_eq!(postgres("").await, (true, 10, 5, 3, 0));
}

#[tokio::test]
async fn postgres_keepalives_follow_the_connection_string() {
    let query = "&keepalives_idle=60&keepalives_interval=7&keepalives_retries=4&tcp_user_timeout=30";
    assert_eq!(postgres(query).await, (true, 60, 7, 4, 30_000));

    let (is_on, ..) = postgres("&keepalives=0").await;
    assert!(!is_on);
}

async fn mysql(query: &str) -> (bool, u64, u32) {
    let rig = e2e::mysql::Fixture::start().await;
    let connector = rig.builder(rig.url() + query).build().expect("builds");
    let _connection = connector.connect().await.expect("is let in");
    let (is_on, idle, _, _, user_timeout) = read_back(rig.server.addr());
    (is_on, idle, user_timeout)
}

#[tokio::test]
async fn mysql_keepalives_start_after_ten_seconds_unless_configured() {
    assert_eq!(mysql("").await, (true, 10, 0));
    assert_eq!(mysql("&tcp_keepalive=60000").await, (true, 60, 0));
}
