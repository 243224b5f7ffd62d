//! Roles while threads fail a cluster over.

use std::sync::Barrier;

use super::Cluster;

const ROUNDS: usize = 2_000;

async fn cluster() -> Cluster {
    Cluster::builder().writer("a").readers(["b"]).start().await.expect("a port is free")
}

fn writes(cluster: &Cluster, id: &str) -> bool {
    !cluster.node(id).shared().is_read_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn old_writer_is_read_only_once_the_new_one_is_known() {
    let (cluster, start) = (cluster().await, Barrier::new(2));
    let targets = || ["b", "a"].into_iter().cycle().take(ROUNDS);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for to in targets() {
                start.wait();
                cluster.fail_over(to);
                start.wait();
            }
        });
        let mut wrong = 0;
        for (to, from) in targets().zip(["a", "b"].into_iter().cycle()) {
            start.wait();
            while !cluster.node(to).is_writer() {
                std::thread::yield_now();
            }
            wrong += usize::from(writes(&cluster, from) || !writes(&cluster, to));
            start.wait();
        }
        assert_eq!(wrong, 0, "of {ROUNDS}");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_of_two_failovers_at_once_wins_as_a_whole() {
    let cluster = cluster().await;
    let (start, end) = (Barrier::new(3), Barrier::new(3));
    let wrong = std::thread::scope(|scope| {
        for to in ["a", "b"] {
            let (cluster, start, end) = (&cluster, &start, &end);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    start.wait();
                    cluster.fail_over(to);
                    end.wait();
                }
            });
        }
        let torn = || ["a", "b"].iter().any(|id| writes(&cluster, id) != cluster.node(id).is_writer());
        let round = |_: &usize| {
            start.wait();
            end.wait();
            torn()
        };
        (0..ROUNDS).filter(round).count()
    });
    assert_eq!(wrong, 0, "of {ROUNDS}");
}
