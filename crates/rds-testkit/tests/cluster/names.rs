//! Names, addresses and ports.

use std::net::IpAddr;

use rds_testkit::{Cluster, Deployment, ErrorKind};

use crate::client::{connect, instance};

fn address(last: u8) -> Vec<IpAddr> {
    vec![IpAddr::from([127, 0, 0, last])]
}

#[tokio::test]
async fn endpoints_follow_the_nodes_unless_they_are_held() {
    let cluster = Cluster::builder().writer("a").readers(["b", "c"]).start().await.unwrap();
    let (dns, endpoint) = (cluster.dns(), cluster.endpoint());
    let readers = || {
        let mut readers = (0..4).map(|_| dns.resolve(cluster.reader_endpoint().unwrap()).unwrap()[0]);
        let mut readers =
            [readers.next(), readers.next(), readers.next(), readers.next()].map(Option::unwrap);
        readers.sort();
        [readers[0], readers[3]].map(|address| vec![address])
    };
    assert_eq!(dns.resolve(&endpoint.to_uppercase()).unwrap(), address(1));
    assert_eq!(readers(), [address(2), address(3)]);
    assert_eq!(dns.resolve(&format!("{}.", instance(&cluster, "c"))).unwrap(), address(3));
    assert_eq!(dns.resolve("db.example.com").unwrap_err().kind(), std::io::ErrorKind::NotFound);

    dns.hold();
    cluster.fail_over("b");
    assert_eq!((dns.resolve(endpoint).unwrap(), readers()), (address(1), [address(2), address(3)]));
    dns.release();
    assert_eq!((dns.resolve(endpoint).unwrap(), readers()), (address(2), [address(1), address(3)]));
    cluster.kill("a").await;
    assert_eq!(readers(), [address(3), address(3)]);
    cluster.kill("c").await;
    assert_eq!(readers(), [address(2), address(2)]);
    assert_eq!(dns.resolve(&instance(&cluster, "c")).unwrap(), address(3));
}

#[tokio::test]
async fn instance_with_replicas_keeps_its_name_when_its_address_changes() {
    let builder = Cluster::builder().deployment(Deployment::InstancePostgres).writer("a").readers(["b"]);
    let cluster = builder.start().await.unwrap();
    assert_eq!((cluster.endpoint(), cluster.reader_endpoint()), (&*instance(&cluster, "a"), None));
    connect(&cluster, cluster.endpoint()).await.unwrap();
    cluster.fail_over("b");
    assert_eq!(cluster.dns().resolve(cluster.endpoint()).unwrap(), address(2));
    connect(&cluster, cluster.endpoint()).await.unwrap();
    assert_eq!((cluster.node("a").accepted(), cluster.node("b").accepted()), (1, 1));
}

#[tokio::test]
async fn nodes_with_one_address_have_a_port_each() {
    let cluster = Cluster::builder().one_address(true).writer("a").readers(["b", "c"]).start().await.unwrap();
    let ports = cluster.nodes().iter().map(|node| node.port()).collect::<std::collections::HashSet<_>>();
    assert_eq!(ports.len(), 3);
    assert!(cluster.nodes().iter().all(|node| node.addr().ip().is_loopback()));
    connect(&cluster, cluster.endpoint()).await.unwrap();
}

#[tokio::test]
async fn clusters_side_by_side_keep_apart() {
    let start = || async { Cluster::builder().writer("a").readers(["b"]).start().await.unwrap() };
    let (one, two) = (start().await, start().await);
    assert_ne!(one.port(), two.port());
    connect(&one, one.endpoint()).await.unwrap();
    assert_eq!((one.node("a").accepted(), two.node("a").accepted()), (1, 0));
}

#[tokio::test]
async fn invalid_cluster_is_refused() {
    let many = (0..40).map(|at| format!("r{at}")).collect::<Vec<_>>();
    for builder in [
        Cluster::builder(),
        Cluster::builder().writer(""),
        Cluster::builder().writer("a.b"),
        Cluster::builder().writer("A"),
        Cluster::builder().writer("a").readers(["a"]),
        Cluster::builder().writer("a").readers(many),
    ] {
        let error = builder.start().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
}

#[tokio::test]
async fn region_and_domain_are_in_every_name() {
    let builder = Cluster::builder().name("orders").domain_id("xyz").region("eu-central-1").writer("a");
    let cluster = builder.start().await.unwrap();
    assert_eq!(cluster.endpoint(), "orders.cluster-xyz.eu-central-1.rds.amazonaws.com");
    assert_eq!(cluster.reader_endpoint(), Some("orders.cluster-ro-xyz.eu-central-1.rds.amazonaws.com"));
    assert_eq!(cluster.instance_pattern(), "?.xyz.eu-central-1.rds.amazonaws.com");
    assert_eq!(instance(&cluster, "a"), "a.xyz.eu-central-1.rds.amazonaws.com");
}
