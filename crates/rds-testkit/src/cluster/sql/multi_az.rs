//! Multi-AZ DB clusters: `rds_tools.show_topology()` and `mysql.rds_topology`.

use super::{Answer, Topology, column, variable};
use crate::cluster::view::Instance;
use crate::hash;
use crate::rows::{Rows, Type, Value};

pub(super) fn postgres(canonical: &str, topology: &Topology) -> Answer {
    const SOURCE: &str = "select multi_az_db_cluster_source_dbi_resource_id \
                          from rds_tools . multi_az_db_cluster_source_dbi_resource_id ( )";
    const OTHER: &str = " where multi_az_db_cluster_source_dbi_resource_id != \
                         ( select dbi_resource_id from rds_tools . dbi_resource_id ( ) )";
    const OWN: &str = "select id , substring ( endpoint from 0 for position ( '.' in endpoint ) ) \
                       from rds_tools . show_topology ( ) where id = rds_tools . dbi_resource_id ( )";
    if let Some(condition) = canonical.strip_prefix(SOURCE) {
        let names = ["multi_az_db_cluster_source_dbi_resource_id"];
        // As on RDS, the writer names itself as the source.
        let source = match topology.is_writer() {
            true => Some(&*topology.id),
            false => writer(topology),
        };
        let is_asked = condition.is_empty() || !topology.is_writer();
        return (condition.is_empty() || condition == OTHER).then(|| {
            let row = source.filter(|_| is_asked).map(resource_id);
            Ok(row.into_iter().fold(Rows::new(names), |rows, id| rows.row([id.into()])))
        });
    }
    if canonical == "select dbi_resource_id from rds_tools . dbi_resource_id ( )" {
        return Some(Ok(Rows::one([("dbi_resource_id", resource_id(&topology.id).into())])));
    }
    if canonical == OWN {
        let own = topology.instances.iter().find(|instance| instance.id == topology.id);
        let rows = Rows::new(["id", "substring"]);
        return Some(Ok(match own {
            Some(own) => rows.row([resource_id(&own.id).into(), (*own.id).into()]),
            None => rows,
        }));
    }
    let source = canonical.strip_prefix("select id , endpoint , port from rds_tools . show_topology ( ")?;
    let is_call = source == ")" || (source.starts_with('\'') && source.ends_with("' )"));
    is_call.then(|| Ok(rows(topology, Type::Text, |id| resource_id(id).into())))
}

pub(super) fn mysql(canonical: &str, topology: &Topology) -> Answer {
    const OWN: &str = "select id , substring_index ( endpoint , '.' , 1 ) from mysql . rds_topology \
                       where id = @@server_id";
    let answer = match canonical {
        "select id , endpoint , port from mysql . rds_topology" => {
            rows(topology, Type::Int8, |id| server_id(id).into())
        }
        OWN => {
            let own = topology.instances.iter().find(|instance| instance.id == topology.id);
            let kinds = [("id", Type::Int8), ("substring_index", Type::Text)];
            match own {
                Some(own) => Rows::typed(kinds).row([server_id(&own.id).into(), (*own.id).into()]),
                None => Rows::typed(kinds),
            }
        }
        "show replica status" | "show slave status" => {
            let source = writer(topology).filter(|_| !topology.is_writer());
            let kinds = [("Replica_IO_State", Type::Text), ("Source_Server_Id", Type::Int8)];
            let rows = Rows::typed(kinds);
            match source {
                Some(id) => rows.row(["Waiting for source to send event".into(), server_id(id).into()]),
                None => rows,
            }
        }
        "select @@server_id" => Rows::one([("@@server_id", server_id(&topology.id).into())]),
        _ if is_table_asked(canonical) => Rows::one([(column(canonical), Value::Int8(1))]),
        _ => return variable(canonical, "report_host", &topology.endpoint(&topology.id)).map(Ok),
    };
    Some(Ok(answer))
}

fn is_table_asked(canonical: &str) -> bool {
    canonical.contains("from information_schema . tables where")
        && canonical.contains("'mysql'")
        && canonical.contains("'rds_topology'")
}

fn rows(topology: &Topology, kind: Type, id: impl Fn(&str) -> Value) -> Rows {
    let columns = [("id", kind), ("endpoint", Type::Text), ("port", Type::Int4)];
    topology.instances.iter().fold(Rows::typed(columns), |rows, instance| {
        let endpoint = topology.endpoint(&instance.id);
        rows.row([id(&instance.id), endpoint.into(), i32::from(topology.port).into()])
    })
}

fn writer(topology: &Topology) -> Option<&str> {
    topology.instances.iter().find(|instance: &&Instance| instance.is_writer).map(|instance| &*instance.id)
}

/// Returns an instance's `dbi_resource_id`, of the form `db-WQFQKBTL2LQUPIEFIFBGENS4ZQ`.
fn resource_id(id: &str) -> String {
    format!("db-{}", hash::hex(&hash::sha256(id.as_bytes())[..13]).to_ascii_uppercase())
}

/// Returns an instance's `server_id`, of 31 bits.
fn server_id(id: &str) -> i64 {
    let [a, b, c, d, ..] = hash::sha256(id.as_bytes());
    i64::from(u32::from_be_bytes([a & 0x7f, b, c, d]))
}
