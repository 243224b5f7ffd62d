//! What is left when servers and clusters are gone.

#![expect(clippy::unwrap_used, reason = "the fixtures stand outside of the test functions")]

#[expect(dead_code, reason = "shared with the tests of clusters")]
#[path = "cluster/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with the tests of the PostgreSQL server")]
#[path = "postgres/signer.rs"]
mod signer;

use rds_testkit::{Cluster, MysqlServer, PostgresServer};
use tokio::net::TcpStream;

/// What the process holds: open files and sockets, living tasks, folders for certificates.
async fn held() -> (usize, usize, usize) {
    let metrics = tokio::runtime::Handle::current().metrics();
    // Tasks end when they are polled next, which many turns of the runtime allow them.
    for _ in 0..10_000 {
        if metrics.num_alive_tasks() == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok);
    let folders = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("rds-testkit-"));
    (files, metrics.num_alive_tasks(), folders.count())
}

async fn start_use_and_stop(round: usize) {
    match round % 4 {
        0 => {
            let server = PostgresServer::builder().start().await.unwrap();
            TcpStream::connect(server.addr()).await.unwrap();
        }
        1 => {
            let server = MysqlServer::builder().start().await.unwrap();
            // The client stays while the server goes.
            let _client = TcpStream::connect(server.addr()).await.unwrap();
            drop(server);
        }
        2 => {
            let cluster = Cluster::builder().writer("a").readers(["b"]).start().await.unwrap();
            let client = client::connect(&cluster, cluster.endpoint()).await.unwrap();
            client.batch_execute("SELECT 1").await.unwrap();
            cluster.freeze("a");
        }
        _ => {
            let cluster = Cluster::builder().writer("a").readers(["b"]).start().await.unwrap();
            cluster.kill("a").await;
            cluster.restart("a").await.unwrap();
            TcpStream::connect(cluster.node("b").addr()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn nothing_is_left_over_a_thousand_starts() {
    for round in 0..4 {
        start_use_and_stop(round).await;
    }
    let before = held().await;
    for round in 0..1_000 {
        start_use_and_stop(round).await;
    }
    let after = held().await;
    println!("(files, tasks, folders) before: {before:?}, after 1,000 starts: {after:?}");
    assert_eq!((after.0, after.1), (before.0, before.1));
    // Tests of other processes may hold folders meanwhile; a thousand of ours would show.
    assert!(after.2 < before.2 + 100, "{after:?}");
}
