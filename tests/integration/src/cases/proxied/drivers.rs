//! The drivers of Rust.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row,
    mysql::{MySqlConnectOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode},
};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, NoTls};

use super::PASSWORD;
use crate::{
    Result,
    environment::{Engine, Observation},
};

const PG_BIG: &str = "SELECT repeat('x', 1000) FROM generate_series(1, 40000)";
const MY_BIG: &str = "SELECT REPEAT('x', 10000000) UNION ALL SELECT REPEAT('x', 10000000) \
                      UNION ALL SELECT REPEAT('x', 10000000) UNION ALL SELECT REPEAT('x', 10000000)";
const BIG: usize = 40_000_000;
const ROWS: &str = "1\tanna\n2\tbo\n3\tcy\n";

/// How long a statement that is cancelled may take.
const CANCELLED: Duration = Duration::from_secs(15);

/// The features that worked, in order.
#[derive(Default)]
struct Steps {
    worked: Vec<&'static str>,
    details: Vec<String>,
}

impl Steps {
    async fn step(&mut self, name: &'static str, run: impl Future<Output = Result<()>>) {
        // A failed step does not end the others: the row lists every feature that works.
        match run.await {
            Ok(()) => self.worked.push(name),
            Err(error) => self.details.push(format!("{name}: {error}")),
        }
    }
}

/// Uses a driver as applications do.
pub(super) async fn run(name: &str, engine: Engine, port: u16) -> Observation {
    let mut steps = Steps::default();
    let outcome = match (name, engine) {
        ("tokio-postgres", _) => tokio_postgres(&mut steps, port).await,
        ("mysql_async", _) => mysql_async(&mut steps, port).await,
        (_, Engine::Postgres) => sqlx_postgres(&mut steps, port).await,
        (_, Engine::Mariadb | Engine::Mysql) => sqlx_mysql(&mut steps, port).await,
    };
    steps.details.extend(outcome.err().map(|error| error.to_string()));
    Observation { text: steps.worked.join(", "), details: steps.details }
}

fn check(is_so: bool, what: &str) -> Result<()> {
    if is_so { Ok(()) } else { Err(format!("not {what}").into()) }
}

async fn tokio_postgres(steps: &mut Steps, port: u16) -> Result<()> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("jane").password(PASSWORD).dbname("app");
    let (one, mut connection) = config.connect(NoTls).await?;
    let (sender, mut notes) = tokio::sync::mpsc::unbounded_channel();
    // Polled by hand: awaiting the connection would discard its notifications.
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(note) = message {
                drop(sender.send(note.payload().to_owned()));
            }
        }
    });
    steps.worked.push("connect");
    let query = async {
        let row = one.query_one("SELECT 6 * 7", &[]).await?;
        check(row.get::<_, i32>(0) == 42, "42")
    };
    steps.step("query", query).await;
    let prepared = async {
        let statement = one.prepare("SELECT $1::int * 7").await?;
        check(one.query_one(&statement, &[&7]).await?.get::<_, i32>(0) == 49, "49")
    };
    steps.step("prepared", prepared).await;
    let copy = async {
        one.batch_execute("CREATE TEMP TABLE t(id int, name text)").await?;
        let mut sink = pin!(one.copy_in::<_, Bytes>("COPY t FROM STDIN").await?);
        sink.send(Bytes::from_static(ROWS.as_bytes())).await?;
        sink.as_mut().finish().await?;
        let read: Vec<Bytes> = one.copy_out("COPY t TO STDOUT").await?.try_collect().await?;
        check(read.concat() == ROWS.as_bytes(), "the same rows")
    };
    steps.step("copy", copy).await;
    let listen = async {
        one.batch_execute("LISTEN c; NOTIFY c, 'hi'").await?;
        check(timeout(Duration::from_secs(5), notes.recv()).await?.as_deref() == Some("hi"), "told")
    };
    steps.step("listen", listen).await;
    let error = async {
        let error = one.query_one("SELECT * FROM absent", &[]).await.err().ok_or("no error")?;
        check(error.code().is_some_and(|code| code.code() == "42P01"), "42P01")
    };
    steps.step("error", error).await;
    let cancel = async {
        let slow = one.batch_execute("SELECT pg_sleep(30)");
        let cancelled = async {
            sleep(Duration::from_millis(500)).await;
            // The pause lets the statement begin: the server ignores a request that comes before
            // it.
            one.cancel_token().cancel_query(NoTls).await
        };
        let (slow, sent) = timeout(CANCELLED, async { tokio::join!(slow, cancelled) }).await?;
        sent?;
        let error = slow.err().ok_or("no error")?;
        check(error.code().is_some_and(|code| code.code() == "57014"), "57014")
    };
    steps.step("cancel", cancel).await;
    let big = async {
        let rows = one.query(PG_BIG, &[]).await?;
        check(rows.iter().map(|row| row.get::<_, &str>(0).len()).sum::<usize>() == BIG, "all of it")
    };
    steps.step("big", big).await;
    Ok(())
}

async fn sqlx_postgres(steps: &mut Steps, port: u16) -> Result<()> {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("jane");
    let options = options.password(PASSWORD).database("app").ssl_mode(PgSslMode::Disable);
    let mut one = options.connect().await?;
    steps.worked.push("connect");
    let query = async {
        let row = sqlx::raw_sql("SELECT 6 * 7").fetch_one(&mut one).await?;
        check(row.try_get_unchecked::<i32, _>(0).is_ok(), "42")
    };
    steps.step("query", query).await;
    let prepared = async {
        let value: i32 = sqlx::query_scalar("SELECT $1::int * 7").bind(7).fetch_one(&mut one).await?;
        check(value == 49, "49")
    };
    steps.step("prepared", prepared).await;
    let copy = async {
        sqlx::raw_sql("CREATE TEMP TABLE t(id int, name text)").execute(&mut one).await?;
        let mut sink = one.copy_in_raw("COPY t FROM STDIN").await?;
        sink.send(ROWS.as_bytes()).await?;
        sink.finish().await?;
        let read: Vec<Bytes> = one.copy_out_raw("COPY t TO STDOUT").await?.try_collect().await?;
        check(read.concat() == ROWS.as_bytes(), "the same rows")
    };
    steps.step("copy", copy).await;
    let listen = async {
        let pool = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen("c").await?;
        sqlx::raw_sql("NOTIFY c, 'hi'").execute(&mut one).await?;
        check(timeout(Duration::from_secs(5), listener.recv()).await??.payload() == "hi", "told")
    };
    steps.step("listen", listen).await;
    let error = async {
        let error = sqlx::raw_sql("SELECT * FROM absent").execute(&mut one).await.err().ok_or("no error")?;
        check(error.as_database_error().and_then(|error| error.code()).as_deref() == Some("42P01"), "42P01")
    };
    steps.step("error", error).await;
    let cancel = async {
        let id: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut one).await?;
        let slow = sqlx::raw_sql("SELECT pg_sleep(30)").execute(&mut one);
        let cancelled = async {
            sleep(Duration::from_millis(500)).await;
            let mut other = options.connect().await?;
            sqlx::query("SELECT pg_cancel_backend($1)").bind(id).execute(&mut other).await
        };
        let (slow, sent) = timeout(CANCELLED, async { tokio::join!(slow, cancelled) }).await?;
        sent?;
        let error = slow.err().ok_or("no error")?;
        check(error.as_database_error().and_then(|error| error.code()).as_deref() == Some("57014"), "57014")
    };
    steps.step("cancel", cancel).await;
    let big = async {
        let rows: Vec<String> = sqlx::query_scalar(PG_BIG).fetch_all(&mut one).await?;
        check(rows.iter().map(String::len).sum::<usize>() == BIG, "all of it")
    };
    steps.step("big", big).await;
    Ok(one.close().await?)
}

async fn mysql_async(steps: &mut Steps, port: u16) -> Result<()> {
    let options = || {
        let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port).prefer_socket(false);
        options.user(Some("jane")).pass(Some(PASSWORD)).db_name(Some("app"))
    };
    let mut one = Conn::new(options()).await?;
    steps.worked.push("connect");
    let query = async { check(one.query_first("SELECT 6 * 7").await? == Some(42), "42") };
    steps.step("query", query).await;
    let prepared = async { check(one.exec_first("SELECT ? * 7", (7,)).await? == Some(49), "49") };
    steps.step("prepared", prepared).await;
    let load = async {
        one.query_drop("CREATE TEMPORARY TABLE t_mysql_async(id INT, name TEXT)").await?;
        one.set_infile_handler(async {
            Ok(stream::once(async { Ok(Bytes::from_static(ROWS.as_bytes())) }).boxed())
        });
        one.query_drop("LOAD DATA LOCAL INFILE 'rows' INTO TABLE t_mysql_async").await?;
        check(one.query_first("SELECT COUNT(*) FROM t_mysql_async").await? == Some(3), "3 rows")
    };
    steps.step("load", load).await;
    let error = async {
        let error = one.query_drop("SELECT * FROM absent").await.err().ok_or("no error")?;
        check(matches!(error, mysql_async::Error::Server(error) if error.code == 1146), "1146")
    };
    steps.step("error", error).await;
    let id = one.id();
    let cancel = async {
        let killed = async {
            sleep(Duration::from_millis(500)).await;
            // By another session, since this one is busy; `id` was in the greeting that the proxy
            // sent.
            Conn::new(options()).await?.query_drop(format!("KILL QUERY {id}")).await
        };
        let (slow, sent) =
            timeout(CANCELLED, async { tokio::join!(one.query_drop("SELECT SLEEP(30)"), killed) }).await?;
        sent?;
        // An error at MariaDB, the value 1 at MySQL.
        check(!matches!(slow, Err(error) if !error.to_string().contains("1317")), "1317")
    };
    steps.step("cancel", cancel).await;
    let big = async {
        let rows: Vec<String> = one.query(MY_BIG).await?;
        check(rows.iter().map(String::len).sum::<usize>() == BIG, "all of it")
    };
    steps.step("big", big).await;
    Ok(one.disconnect().await?)
}

async fn sqlx_mysql(steps: &mut Steps, port: u16) -> Result<()> {
    let options = MySqlConnectOptions::new().host("127.0.0.1").port(port).username("jane");
    let options = options.password(PASSWORD).database("app").ssl_mode(MySqlSslMode::Disabled);
    let mut one = options.connect().await?;
    steps.worked.push("connect");
    let query = async {
        sqlx::raw_sql("SELECT 6 * 7").fetch_one(&mut one).await?;
        Ok(())
    };
    steps.step("query", query).await;
    let prepared = async {
        let value: i64 =
            sqlx::query_scalar("SELECT CAST(? * 7 AS SIGNED)").bind(7).fetch_one(&mut one).await?;
        check(value == 49, "49")
    };
    steps.step("prepared", prepared).await;
    let error = async {
        let error = sqlx::raw_sql("SELECT * FROM absent").execute(&mut one).await.err().ok_or("no error")?;
        check(error.to_string().contains("1146"), "1146")
    };
    steps.step("error", error).await;
    let cancel = async {
        let id: u64 =
            sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS UNSIGNED)").fetch_one(&mut one).await?;
        let slow = sqlx::raw_sql("SELECT SLEEP(30)").execute(&mut one);
        let killed = async {
            sleep(Duration::from_millis(500)).await;
            let mut other = options.connect().await?;
            sqlx::raw_sql(AssertSqlSafe(format!("KILL QUERY {id}"))).execute(&mut other).await
        };
        let (slow, sent) = timeout(CANCELLED, async { tokio::join!(slow, killed) }).await?;
        sent?;
        check(!matches!(slow, Err(error) if !error.to_string().contains("1317")), "1317")
    };
    steps.step("cancel", cancel).await;
    let big = async {
        let rows: Vec<String> = sqlx::query_scalar(MY_BIG).fetch_all(&mut one).await?;
        check(rows.iter().map(String::len).sum::<usize>() == BIG, "all of it")
    };
    steps.step("big", big).await;
    Ok(one.close().await?)
}
