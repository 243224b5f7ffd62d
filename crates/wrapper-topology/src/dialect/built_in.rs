//! The statements of the family, schema-qualified so that a search path cannot lead them elsewhere.

use std::borrow::Cow;

use wrapper_core::Engine;

use super::{Dialect, Layout};

const IN_RECOVERY: &str = "SELECT pg_catalog.pg_is_in_recovery()";

impl Dialect {
    /// Returns the statements of Aurora PostgreSQL.
    pub const fn aurora_postgres() -> Self {
        Self {
            name: Cow::Borrowed("Aurora PostgreSQL"),
            engine: Engine::Postgres,
            detection: Cow::Borrowed(&[
                "SELECT (setting LIKE '%aurora_stat_utils%') AS aurora_stat_utils FROM \
                 pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'rds.extensions'",
                "SELECT 1 FROM pg_catalog.aurora_replica_status() LIMIT 1",
            ]),
            identity: Cow::Borrowed(
                "SELECT pg_catalog.aurora_db_instance_identifier(), \
                 pg_catalog.aurora_db_instance_identifier()",
            ),
            topology: Cow::Borrowed(
                "SELECT SERVER_ID, CASE WHEN SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' THEN \
                 TRUE ELSE FALSE END, CPU, COALESCE(REPLICA_LAG_IN_MSEC, 0), LAST_UPDATE_TIMESTAMP FROM \
                 pg_catalog.aurora_replica_status() WHERE EXTRACT(EPOCH FROM(pg_catalog.NOW() \
                 OPERATOR(pg_catalog.-) LAST_UPDATE_TIMESTAMP)) OPERATOR(pg_catalog.<=) 300 OR SESSION_ID \
                 OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' OR LAST_UPDATE_TIMESTAMP IS NULL",
            ),
            writer: Cow::Borrowed(
                "SELECT SERVER_ID FROM pg_catalog.aurora_replica_status() WHERE SESSION_ID \
                 OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' AND SERVER_ID OPERATOR(pg_catalog.=) \
                 pg_catalog.aurora_db_instance_identifier()",
            ),
            role: Cow::Borrowed(IN_RECOVERY),
            layout: Layout::Aurora,
            grants: "none beyond the login",
        }
    }

    /// Returns the statements of Aurora MySQL.
    pub const fn aurora_mysql() -> Self {
        Self {
            name: Cow::Borrowed("Aurora MySQL"),
            engine: Engine::Mysql,
            detection: Cow::Borrowed(&["SHOW VARIABLES LIKE 'aurora_version'"]),
            identity: Cow::Borrowed("SELECT @@aurora_server_id, @@aurora_server_id"),
            topology: Cow::Borrowed(
                "SELECT SERVER_ID, CASE WHEN SESSION_ID = 'MASTER_SESSION_ID' THEN TRUE ELSE FALSE END, \
                 CPU, REPLICA_LAG_IN_MILLISECONDS, LAST_UPDATE_TIMESTAMP FROM \
                 information_schema.replica_host_status WHERE time_to_sec(timediff(now(), \
                 LAST_UPDATE_TIMESTAMP)) <= 300 OR SESSION_ID = 'MASTER_SESSION_ID'",
            ),
            writer: Cow::Borrowed(
                "SELECT SERVER_ID FROM information_schema.replica_host_status WHERE SESSION_ID = \
                 'MASTER_SESSION_ID' AND SERVER_ID = @@aurora_server_id",
            ),
            role: Cow::Borrowed("SELECT @@innodb_read_only"),
            layout: Layout::Aurora,
            grants: "none beyond the login",
        }
    }

    /// Returns the statements of a Multi-AZ DB cluster of PostgreSQL, which need grants on the
    /// extension `rds_tools`.
    pub const fn multi_az_postgres() -> Self {
        Self {
            name: Cow::Borrowed("Multi-AZ DB cluster of PostgreSQL"),
            engine: Engine::Postgres,
            detection: Cow::Borrowed(&["SELECT multi_az_db_cluster_source_dbi_resource_id FROM \
                 rds_tools.multi_az_db_cluster_source_dbi_resource_id()"]),
            identity: Cow::Borrowed(
                "SELECT id, SUBSTRING(endpoint FROM 0 FOR POSITION('.' IN endpoint)) FROM \
                 rds_tools.show_topology() WHERE id = rds_tools.dbi_resource_id()",
            ),
            topology: Cow::Borrowed("SELECT id, endpoint, port FROM rds_tools.show_topology('rds_wrapper')"),
            writer: Cow::Borrowed(
                "SELECT multi_az_db_cluster_source_dbi_resource_id FROM \
                 rds_tools.multi_az_db_cluster_source_dbi_resource_id() WHERE \
                 multi_az_db_cluster_source_dbi_resource_id OPERATOR(pg_catalog.!=) (SELECT \
                 dbi_resource_id FROM rds_tools.dbi_resource_id())",
            ),
            role: Cow::Borrowed(IN_RECOVERY),
            layout: Layout::MultiAz { source: "multi_az_db_cluster_source_dbi_resource_id" },
            grants: "CREATE EXTENSION rds_tools; GRANT USAGE ON SCHEMA rds_tools TO the user; GRANT EXECUTE \
                     ON ALL FUNCTIONS IN SCHEMA rds_tools TO the user",
        }
    }

    /// Returns the statements of a Multi-AZ DB cluster of MySQL, which need two grants.
    pub const fn multi_az_mysql() -> Self {
        Self {
            name: Cow::Borrowed("Multi-AZ DB cluster of MySQL"),
            engine: Engine::Mysql,
            detection: Cow::Borrowed(&[
                "SELECT 1 AS tmp FROM information_schema.tables WHERE table_schema = 'mysql' AND table_name \
                 = 'rds_topology'",
                "SHOW VARIABLES LIKE 'report_host'",
            ]),
            identity: Cow::Borrowed(
                "SELECT id, SUBSTRING_INDEX(endpoint, '.', 1) FROM mysql.rds_topology WHERE id = @@server_id",
            ),
            topology: Cow::Borrowed("SELECT id, endpoint, port FROM mysql.rds_topology"),
            writer: Cow::Borrowed("SHOW REPLICA STATUS"),
            role: Cow::Borrowed("SELECT @@read_only"),
            layout: Layout::MultiAz { source: "Source_Server_Id" },
            grants: "GRANT SELECT ON mysql.rds_topology TO the user; GRANT REPLICATION CLIENT ON *.* TO the \
                     user",
        }
    }

    /// Returns the one statement of a server without a cluster, such as a read replica of RDS.
    pub const fn single(engine: Engine) -> Self {
        Self {
            name: Cow::Borrowed("single instance"),
            engine,
            detection: Cow::Borrowed(&[]),
            identity: Cow::Borrowed(""),
            topology: Cow::Borrowed(""),
            writer: Cow::Borrowed(""),
            role: Cow::Borrowed(match engine {
                // An Aurora reader answers yes to the first, a read replica of RDS to the second.
                Engine::Mysql => "SELECT @@innodb_read_only, @@read_only",
                _ => IN_RECOVERY,
            }),
            layout: Layout::Single,
            grants: "none beyond the login",
        }
    }

    /// Returns the dialects of an engine in the order of detection.
    pub(crate) fn of_engine(engine: Engine) -> &'static [Self] {
        const MYSQL: &[Dialect] = &[Dialect::aurora_mysql(), Dialect::multi_az_mysql()];
        const POSTGRES: &[Dialect] = &[Dialect::aurora_postgres(), Dialect::multi_az_postgres()];
        match engine {
            Engine::Mysql => MYSQL,
            Engine::Postgres => POSTGRES,
            _ => &[],
        }
    }
}
