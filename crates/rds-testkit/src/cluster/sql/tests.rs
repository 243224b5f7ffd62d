//! The family's statements, word for word.

use super::*;
use crate::sql::canonical;

fn topology(deployment: Deployment, id: &str) -> Topology {
    Topology {
        deployment,
        domain: "abc123.us-east-2.rds.amazonaws.com".to_owned(),
        port: 5432,
        id: id.to_owned(),
        claims_writer: None,
        is_read_only: id != "a",
        reports_read_only: None,
        instances: vec![
            Instance::writer("a"),
            Instance::reader("b"),
            Instance::reader("gone").age(Duration::from_secs(301)),
        ],
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
    }
}

/// Runs a statement and writes its rows as text.
fn ask(topology: &Topology, statement: &str) -> Vec<Vec<String>> {
    let rows = answer(&canonical(statement), topology).unwrap_or_else(|| panic!("not known: {statement}"));
    let rows = rows.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    let text = |value: &Value| match value {
        Value::Bool(value) => value.to_string(),
        Value::Float8(value) => value.to_string(),
        Value::Int4(value) => value.to_string(),
        Value::Int8(value) => value.to_string(),
        Value::Null => "NULL".to_owned(),
        Value::Text(value) => value.clone(),
        Value::Timestamp(value) => {
            value.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string()
        }
    };
    rows.rows.iter().map(|row| row.iter().map(text).collect()).collect()
}

fn error(topology: &Topology, statement: &str) -> String {
    answer(&canonical(statement), topology).unwrap().unwrap_err().code().to_owned()
}

const Q1: &str =
    "SELECT SERVER_ID, CASE WHEN SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' THEN TRUE \
    ELSE FALSE END,
       CPU, COALESCE(REPLICA_LAG_IN_MSEC, 0), LAST_UPDATE_TIMESTAMP
FROM pg_catalog.aurora_replica_status()
WHERE EXTRACT(EPOCH FROM(pg_catalog.NOW() OPERATOR(pg_catalog.-) LAST_UPDATE_TIMESTAMP)) \
    OPERATOR(pg_catalog.<=) 300
   OR SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' OR LAST_UPDATE_TIMESTAMP IS NULL ";
const Q2: &str = "SELECT SERVER_ID FROM pg_catalog.aurora_replica_status() \
    WHERE SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID'
   AND SERVER_ID OPERATOR(pg_catalog.=) pg_catalog.aurora_db_instance_identifier()";
const Q3: &str =
    "SELECT SERVER_ID, CASE WHEN SESSION_ID = 'MASTER_SESSION_ID' THEN TRUE ELSE FALSE END, CPU, \
    REPLICA_LAG_IN_MILLISECONDS, LAST_UPDATE_TIMESTAMP
FROM information_schema.replica_host_status
WHERE time_to_sec(timediff(now(), LAST_UPDATE_TIMESTAMP)) <= 300 OR SESSION_ID = 'MASTER_SESSION_ID' ";
const Q4: &str = "SELECT SERVER_ID FROM information_schema.replica_host_status WHERE SESSION_ID = \
                  'MASTER_SESSION_ID' AND SERVER_ID = @@aurora_server_id";
const Q5: &str = "SELECT multi_az_db_cluster_source_dbi_resource_id \
    FROM rds_tools.multi_az_db_cluster_source_dbi_resource_id()
 WHERE multi_az_db_cluster_source_dbi_resource_id \
    OPERATOR(pg_catalog.!=) (SELECT dbi_resource_id FROM rds_tools.dbi_resource_id())";

#[test]
fn aurora_postgres_answers_the_family() {
    let (writer, reader) =
        (topology(Deployment::AuroraPostgres, "a"), topology(Deployment::AuroraPostgres, "b"));
    assert_eq!(ask(&writer, Q1), [["a", "true", "3.5", "0", "NULL"], ["b", "false", "1.25", "12", "1000"]]);
    assert_eq!(ask(&reader, Q1), [["a", "true", "3.5", "0", "1000"], ["b", "false", "1.25", "12", "NULL"]]);
    let unqualified = Q1.replace("OPERATOR(pg_catalog.=)", "=").replace("pg_catalog.", "");
    assert_eq!(ask(&writer, &unqualified), ask(&writer, Q1));
    assert_eq!((ask(&writer, Q2).len(), ask(&reader, Q2).len()), (1, 0));
    let id = "SELECT pg_catalog.aurora_db_instance_identifier(), pg_catalog.aurora_db_instance_identifier()";
    assert_eq!(ask(&reader, id), [["b", "b"]]);
    assert_eq!(ask(&reader, "SELECT 1 FROM pg_catalog.aurora_replica_status() LIMIT 1"), [["1"]]);
    let both = "SELECT pg_catalog.pg_is_in_recovery(), aurora_db_instance_identifier()";
    assert_eq!(ask(&reader, both), [["true", "b"]]);
    let extensions = "SELECT (setting LIKE '%aurora_stat_utils%') AS aurora_stat_utils \
                      FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'rds.extensions'";
    assert_eq!(ask(&reader, extensions), [["true"]]);
    assert_eq!(error(&reader, Q5), "3F000");
}

#[test]
fn aurora_mysql_answers_the_family() {
    let (writer, reader) = (topology(Deployment::AuroraMysql, "a"), topology(Deployment::AuroraMysql, "b"));
    let rows = [["a", "true", "3.5", "NULL", "1000"], ["b", "false", "1.25", "12", "1000"]];
    assert_eq!(ask(&writer, Q3), rows);
    assert_eq!(ask(&reader, Q3), rows);
    assert_eq!((ask(&writer, Q4), ask(&reader, Q4)), (vec![vec!["a".to_owned()]], Vec::new()));
    assert_eq!(ask(&reader, "SELECT @@aurora_server_id, @@aurora_server_id"), [["b", "b"]]);
    let version = ask(&reader, "SHOW VARIABLES LIKE 'aurora_version'");
    assert_eq!(version, [["aurora_version", "3.08.0"]]);
    assert_eq!(error(&reader, "SELECT id, endpoint, port FROM mysql.rds_topology"), "1146");
}

#[test]
fn multi_az_postgres_answers_the_family() {
    let (writer, reader) =
        (topology(Deployment::MultiAzPostgres, "a"), topology(Deployment::MultiAzPostgres, "b"));
    let rows =
        ask(&reader, "SELECT id, endpoint, port FROM rds_tools.show_topology('aws_jdbc_driver-4.4.0')");
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0][1..], ["a.abc123.us-east-2.rds.amazonaws.com", "5432"]);
    assert_eq!((ask(&writer, Q5).len(), ask(&reader, Q5)), (0, vec![vec![rows[0][0].clone()]]));
    let all = Q5.split("WHERE").next().unwrap();
    assert_eq!((ask(&writer, all), ask(&reader, all)), (ask(&reader, Q5), ask(&reader, Q5)));
    let id = "SELECT id, SUBSTRING(endpoint FROM 0 FOR POSITION('.' IN endpoint)) \
              FROM rds_tools.show_topology() WHERE id = rds_tools.dbi_resource_id()";
    assert_eq!(ask(&reader, id), [[rows[1][0].clone(), "b".to_owned()]]);
    assert_eq!(ask(&reader, &id.replace("id =", "id OPERATOR(pg_catalog.=)")), ask(&reader, id));
    assert_eq!(error(&reader, Q1), "42883");
}

#[test]
fn multi_az_mysql_answers_the_family() {
    let (writer, reader) = (topology(Deployment::MultiAzMysql, "a"), topology(Deployment::MultiAzMysql, "b"));
    let rows = ask(&reader, "SELECT id, endpoint, port FROM mysql.rds_topology");
    assert_eq!(rows[1][1..], ["b.abc123.us-east-2.rds.amazonaws.com", "5432"]);
    assert!(ask(&writer, "SHOW REPLICA STATUS").is_empty());
    assert_eq!(ask(&reader, "SHOW REPLICA STATUS")[0][1], rows[0][0]);
    let id = "SELECT id, SUBSTRING_INDEX(endpoint, '.', 1) FROM mysql.rds_topology WHERE id = @@server_id";
    assert_eq!(ask(&reader, id), [[rows[1][0].clone(), "b".to_owned()]]);
    let table = "SELECT 1 AS tmp FROM information_schema.tables \
                 WHERE table_schema = 'mysql' AND table_name = 'rds_topology'";
    assert_eq!(ask(&reader, table), [["1"]]);
    assert_eq!(ask(&reader, "SHOW VARIABLES LIKE 'report_host'").len(), 1);
    assert!(ask(&reader, "SHOW VARIABLES LIKE 'aurora_version'").is_empty());
    assert_eq!(error(&reader, "SELECT @@aurora_server_id, @@aurora_server_id"), "1193");
}

#[test]
fn instance_with_replicas_has_no_topology() {
    let postgres = topology(Deployment::InstancePostgres, "a");
    assert_eq!((error(&postgres, Q1), error(&postgres, Q5)), ("42883".to_owned(), "3F000".to_owned()));
    let mysql = topology(Deployment::InstanceMysql, "a");
    assert_eq!((error(&mysql, Q3), error(&mysql, Q4)), ("1109".to_owned(), "1193".to_owned()));
    assert!(ask(&mysql, "SHOW VARIABLES LIKE 'aurora_version'").is_empty());
    assert!(ask(&mysql, "SHOW REPLICA STATUS").is_empty());
}

#[test]
fn unrelated_statement_is_left_to_the_server() {
    for deployment in [Deployment::AuroraPostgres, Deployment::AuroraMysql, Deployment::MultiAzMysql] {
        let topology = topology(deployment, "a");
        for statement in
            ["SELECT 1", "SELECT 1, current_user", "SELECT name FROM orders", "BEGIN", "", "SELECT"]
        {
            assert!(answer(&canonical(statement), &topology).is_none(), "{statement} at {deployment:?}");
        }
    }
}
