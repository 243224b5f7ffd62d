//! Rows of topology queries, and what is read from them.

use wrapper_core::{BoxFuture, Engine, ServerError};

use super::*;

/// A server that answers what it is told to, and refuses everything else.
struct ScriptedSession(Engine, Vec<(String, Rows)>);

impl Session for ScriptedSession {
    fn engine(&self) -> Engine {
        self.0
    }

    fn query<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        let answer = self.1.iter().find(|(known, _)| known == sql).map(|(_, rows)| rows.clone());
        let refused = || {
            let answer = ServerError::new("42883", "no such function", None);
            Error::new(ErrorKind::Driver, "refused").with_source(answer)
        };
        Box::pin(async move { answer.ok_or_else(refused) })
    }
}

fn rows(columns: &[&str], rows: &[&[Option<&str>]]) -> Rows {
    let mut made = Rows::new(columns.iter().copied());
    rows.iter().for_each(|row| made.push(row.iter().copied()).expect("fits"));
    made
}

fn scripted(dialect: &Dialect, answers: [Rows; 4]) -> ScriptedSession {
    let statements = [&dialect.role, &dialect.identity, &dialect.writer, &dialect.topology];
    let answers = statements.into_iter().map(|sql| sql.to_string()).zip(answers).collect();
    ScriptedSession(dialect.engine(), answers)
}

#[tokio::test]
async fn aurora_answer_is_read() {
    let dialect = Dialect::aurora_postgres();
    let mut session = scripted(
        &dialect,
        [
            rows(&["pg_is_in_recovery"], &[&[Some("f")]]),
            rows(&["id", "name"], &[&[Some("db-1"), Some("db-1")]]),
            rows(&["server_id"], &[&[Some("db-1")]]),
            rows(
                &["server_id", "case", "cpu", "lag", "updated"],
                &[
                    &[Some("db-1"), Some("t"), Some("3.5"), Some("0"), None],
                    &[Some("db-2"), Some("f"), Some("x"), Some("12"), Some("2026-11-27 02:00:00")],
                ],
            ),
        ],
    );

    let answer = ask(&mut session, &dialect, None).await.expect("is read");

    assert_eq!((&*answer.id, answer.is_writer, answer.is_read_only), ("db-1", true, false));
    assert_eq!(answer.rows[0].cpu, Some(3.5));
    let second = &answer.rows[1];
    assert_eq!(
        (&*second.id, second.is_writer, second.cpu, second.lag),
        ("db-2", false, None, Some(Duration::from_millis(12)))
    );
}

#[tokio::test]
async fn reader_of_a_multi_az_cluster_names_the_writer_by_its_resource_id() {
    let dialect = Dialect::multi_az_mysql();
    let mut session = scripted(
        &dialect,
        [
            rows(&["@@read_only"], &[&[Some("1")]]),
            rows(&["id", "name"], &[&[Some("7"), Some("db-2")]]),
            rows(&["Replica_IO_State", "Source_Server_Id"], &[&[Some("Waiting"), Some("5")]]),
            rows(
                &["id", "endpoint", "port"],
                &[
                    &[Some("5"), Some("db-1.evil.example"), Some("99")],
                    &[Some("7"), Some("db-2.abc"), Some("1")],
                ],
            ),
        ],
    );

    let answer = ask(&mut session, &dialect, None).await.expect("is read");

    assert_eq!((&*answer.id, answer.is_writer, answer.is_read_only), ("db-2", false, true));
    let listed: Vec<_> = answer.rows.iter().map(|row| (&*row.id, row.is_writer)).collect();
    assert_eq!(listed, [("db-1", true), ("db-2", false)], "neither domain nor port of a row counts");
}

#[tokio::test]
async fn answer_without_an_id_is_no_answer() {
    let dialect = Dialect::aurora_postgres();
    let none = || rows(&["x"], &[]);
    let mut session = scripted(&dialect, [rows(&["x"], &[&[Some("t")]]), none(), none(), none()]);

    let error = ask(&mut session, &dialect, None).await.expect_err("no id");

    assert_eq!(
        error.to_string(),
        "the server's answer lacks the instance id, expected that of Aurora PostgreSQL"
    );
}

#[tokio::test]
async fn server_of_no_cluster_has_no_dialect() {
    for engine in [Engine::Mysql, Engine::Postgres] {
        assert_eq!(detect(&mut ScriptedSession(engine, Vec::new()), &mut None).await.expect("answers"), None);
    }
    let aurora = Dialect::aurora_mysql();
    let variable = rows(&["Variable_name", "Value"], &[&[Some("aurora_version"), Some("3.08.0")]]);
    let mut session = ScriptedSession(Engine::Mysql, vec![(aurora.detection[0].to_owned(), variable)]);
    assert_eq!(detect(&mut session, &mut None).await.expect("answers"), Some(aurora));
}

/// A server that says who may not ask.
struct Denies(Engine, &'static str);

impl Session for Denies {
    fn engine(&self) -> Engine {
        self.0
    }

    fn query<'a>(&'a mut self, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        let answer = ServerError::new(self.1, "denied", None);
        Box::pin(async { Err(Error::new(ErrorKind::Driver, "refused").with_source(answer)) })
    }
}

#[tokio::test]
async fn privileges_that_are_missing_are_named() {
    for (engine, code, grant) in [
        (Engine::Postgres, "42501", Some("GRANT USAGE ON SCHEMA rds_tools")),
        (Engine::Mysql, "1142", Some("GRANT SELECT ON mysql.rds_topology")),
        (Engine::Postgres, "42883", None),
    ] {
        let mut missing = None;

        let found = detect(&mut Denies(engine, code), &mut missing).await.expect("answers");

        assert_eq!(found, None);
        let is_named = |grants: &str| grant.is_some_and(|grant| grants.contains(grant));
        assert_eq!(missing.is_some_and(is_named), grant.is_some(), "{code}: {missing:?}");
    }
}

#[test]
fn newer_row_of_an_instance_and_newest_writer_are_kept() {
    let row = |id: &str, is_writer, updated: Option<&str>| Row {
        id: id.into(),
        is_writer,
        cpu: None,
        lag: None,
        updated: updated.map(str::to_owned),
    };
    let kept = tidied(vec![
        row("a", true, Some("2026-01-01 00:00:01")),
        row("b", true, Some("2026-01-01 00:00:03")),
        row("A", false, Some("2026-01-01 00:00:02")),
        row("c", true, Some("2026-01-01 00:00:00")),
    ]);

    let listed: Vec<_> = kept.iter().map(|row| (&*row.id, row.is_writer)).collect();
    assert_eq!(listed, [("A", false), ("b", true), ("c", false)]);
}

#[tokio::test]
async fn server_accepts_writes_if_every_variable_allows_them() {
    let dialect = Dialect::single(Engine::Mysql);
    for (values, expected) in [
        (&[Some("0"), Some("OFF")][..], Some(false)),
        (&[Some("1"), Some("0")], Some(true)),
        (&[Some("0"), Some("ON")], Some(true)),
        (&[Some("0"), None], Some(true)),
        (&[], None),
    ] {
        let mut session =
            ScriptedSession(Engine::Mysql, vec![(dialect.role.to_string(), rows(&["a", "b"], &[values]))]);

        assert_eq!(is_read_only(&mut session, &dialect).await.ok(), expected, "{values:?}");
    }
}

#[test]
fn only_no_means_no() {
    for value in ["f", "0", "false", "OFF", "off"] {
        assert!(is_no(value), "{value}");
    }
    for value in ["t", "1", "ON", "NO_LOCK", "NO_LOCK_NO_ADMIN", "", "2", "NULL"] {
        assert!(!is_no(value), "{value}");
    }
}
