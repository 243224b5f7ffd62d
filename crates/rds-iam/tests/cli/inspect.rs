//! `rds-iam inspect`.

use crate::support::{program, run};

#[tokio::test]
async fn reader_endpoint_is_described() {
    let ran = run(program(), ["inspect", "Db.cluster-ro-abc123.us-east-2.rds.amazonaws.com."]).await;

    assert_eq!(
        ran.out,
        "\
db.cluster-ro-abc123.us-east-2.rds.amazonaws.com
  kind              cluster reader endpoint
  id                db
  region            us-east-2
  partition         aws
  instance pattern  ?.abc123.us-east-2.rds.amazonaws.com
  writer            db.cluster-abc123.us-east-2.rds.amazonaws.com
  signs for         rds-db, db.cluster-ro-abc123.us-east-2.rds.amazonaws.com and the port in us-east-2
"
    );
    assert_eq!(ran.code, Some(0));
}

#[tokio::test]
async fn json_has_one_object_a_line() {
    let ran =
        run(program(), ["inspect", "--json", "10.0.0.1", "db.global-abc123.global.rds.amazonaws.com"]).await;

    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!(lines[0]["kind"], "IP address");
    assert!(lines[0]["signs_for"].is_null());
    assert!(lines[0]["remark"].as_str().expect("text").contains("`iamHost`"));
    assert_eq!(lines[1]["kind"], "global database writer endpoint");
    assert!(lines[1]["remark"].as_str().expect("text").contains("`iamRegion`"));
}

#[tokio::test]
async fn invalid_host_is_reported_without_its_password() {
    let ran = run(program(), ["inspect", "postgres://jane:geheim@db.example", "db.example"]).await;

    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("error: host 1 is invalid: "), "{}", ran.err);
    assert!(!ran.err.contains("geheim"));
    assert!(ran.out.contains("custom domain name"));
}
