//! The doctor at clusters.

use rds_testkit::{Cluster, Deployment, Fault, ServerError};

use super::{RIGHT, Report, examine_by};
use crate::{
    dns_server::DnsServer,
    support::{ca_for, program_with},
};

const DEPLOYMENTS: &[Deployment] = &[
    Deployment::AuroraPostgres,
    Deployment::MultiAzPostgres,
    #[cfg(feature = "mysql")]
    Deployment::AuroraMysql,
    #[cfg(feature = "mysql")]
    Deployment::MultiAzMysql,
];

async fn start(deployment: Deployment) -> Cluster {
    let cluster = Cluster::builder().deployment(deployment).writer("a").readers(["b", "c"]).ca(&ca_for(90));
    cluster.start().await.expect("the cluster starts")
}

async fn examine(cluster: &Cluster, url: &str) -> Report {
    let hosts: Vec<_> = cluster.nodes().iter().map(|node| node.host()).chain([cluster.endpoint()]).collect();
    let addresses: Vec<_> = hosts
        .iter()
        .map(|host| (*host, cluster.dns().resolve(host).expect("is known")[0].to_string()))
        .collect();
    let names: Vec<_> = addresses.iter().map(|(host, address)| (*host, &**address)).collect();
    let dns = DnsServer::start(&names).await;
    examine_by(&dns, program_with(cluster.access_key()), url, RIGHT).await
}

fn url(cluster: &Cluster, plugins: &str) -> String {
    cluster.url().replace("plugins=iam", &format!("plugins={plugins},iam"))
}

#[tokio::test]
async fn cluster_is_shown_with_its_writer_and_readers() {
    for &deployment in DEPLOYMENTS {
        for plugin in ["initialConnection", "failover2"] {
            let cluster = start(deployment).await;
            cluster.dns().hold();
            cluster.fail_over("b");

            let report = examine(&cluster, &url(&cluster, plugin)).await;

            assert_eq!(report.code, 0, "{:#}", report.json);
            report.says("topology", "ok", "writer `b`, readers `a`, `c`");
        }
    }
}

#[tokio::test]
async fn topology_is_absent_without_a_topology_plugin() {
    let cluster = start(Deployment::AuroraPostgres).await;

    let report = examine(&cluster, &cluster.url()).await;

    assert!(!report.json["steps"].to_string().contains("topology"), "{:#}", report.json);
}

#[tokio::test]
async fn server_outside_a_cluster_causes_a_warning() {
    let cluster = start(Deployment::InstancePostgres).await;
    let url = url(&cluster, "failover2") + "&verifyOpenedConnectionType=writer";

    let report = examine(&cluster, &url).await;

    assert_eq!(report.code, 0, "{:#}", report.json);
    report.says("topology", "warning", "the server does not belong to a known cluster");
}

#[tokio::test]
async fn host_pattern_missing_causes_a_warning() {
    let cluster = start(Deployment::AuroraPostgres).await;
    let url = url(&cluster, "failover2");
    let url = format!("{url}&hostaddr=127.0.0.1&iamHost={}", cluster.endpoint());

    let report = examine(&cluster, &url).await;

    report.says("topology", "warning", "clusterInstanceHostPattern");
}

#[tokio::test]
async fn topology_is_skipped_after_a_failed_login() {
    let cluster = start(Deployment::AuroraPostgres).await;
    for id in ["a", "b", "c"] {
        cluster.node(id).inject_always(Fault::Refuse(ServerError::new("28000", "PAM authentication failed")));
    }

    let report = examine(&cluster, &url(&cluster, "failover2")).await;

    assert_eq!(report.code, 16, "{:#}", report.json);
    report.says("topology", "skipped", "the login failed");
}
