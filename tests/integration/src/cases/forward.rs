//! Logins that `rds-testkit` checks and hands over to the real database behind it.

use std::{fs, net::SocketAddr, path::Path};

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl};
use mysql_async_of_diesel::{Conn, OptsBuilder, SslOpts};
use rds_testkit::{AccessKey, MysqlServer, PostgresServer};
use rds_wrapper::{IamFactory, pg, plugins};
use sqlx::migrate::Migrator;
use wrapper_sqlx::{MySqlFreshPool, PgFreshPool};

use super::{
    Table,
    clients::{Client, row},
};
use crate::{
    Result,
    environment::{Engine, Environment, FORWARDED, HOST, Observation, REGION},
    key::Key,
    programs::{Programs, printed},
    report::Report,
};

diesel::table! {
    orders (id) {
        id -> BigInt,
        name -> Text,
    }
}

/// The migrations.
const MIGRATIONS: [(&str, &str); 2] = [
    ("1_orders.sql", "CREATE TABLE orders (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL);"),
    ("2_rows.sql", "INSERT INTO orders (id, name) VALUES (1, 'anna'), (2, 'bo');"),
];

/// Runs the cases. The database's own verifier is never asked: logins there use a password.
pub(crate) async fn run(environment: &Environment, programs: &Programs, report: &mut Report) -> Result<()> {
    let (user, password) = FORWARDED;
    let database = SocketAddr::from(([127, 0, 0, 1], environment.port));
    let folder = programs.file("migrations");
    fs::create_dir_all(&folder)?;
    for (name, sql) in MIGRATIONS {
        fs::write(folder.join(name), sql)?;
    }
    let mut table = Table { environment, report };
    match environment.engine {
        // The certificate names `localhost` too, the name that sqlx dials and therefore verifies.
        Engine::Postgres => {
            let server = PostgresServer::builder().host(HOST).certificate_name("localhost").region(REGION);
            let server = server.user("jane").forward_to(database, user, password).start().await?;
            clients(&mut table, programs, server.port(), server.ca_file(), server.access_key()).await?;
            application(&mut table, "sqlx migrations", migrate_postgres(&server, &folder)).await?;
            application(&mut table, "diesel", diesel_postgres(&server)).await?;
            logins(&mut table, server.accepted(), server.refused());
        }
        Engine::Mariadb | Engine::Mysql => {
            let server = MysqlServer::builder().host(HOST).certificate_name("localhost").region(REGION);
            let server = server.user("jane").forward_to(database, user, password).start().await?;
            clients(&mut table, programs, server.port(), server.ca_file(), server.access_key()).await?;
            application(&mut table, "sqlx migrations", migrate_mysql(&server, &folder)).await?;
            application(&mut table, "diesel", diesel_mysql(&server)).await?;
            logins(&mut table, server.accepted(), server.refused());
        }
    }
    Ok(())
}

/// Runs the engine's client, with a valid token and with a modified one.
async fn clients(
    table: &mut Table<'_>,
    programs: &Programs,
    port: u16,
    ca_file: &Path,
    key: &AccessKey,
) -> Result<()> {
    let (id, secret) = (key.access_key_id().to_owned(), key.secret_access_key().to_owned());
    let key = Key { id, secret, session_token: None };
    let client = Client::at(table.environment.engine, port, ca_file, &key, programs);
    let token = printed(client.token_for("jane")).await?;
    let case = format!("{} through rds-testkit", client.name);
    row(table, &case, "in as forwarded; not asked", client.with_token(&token, HOST)?).await?;
    // Refused by rds-testkit, so that the database sees no login at all.
    let bent = client.with_token(&format!("{token}0"), HOST)?;
    row(table, &format!("{case}, token modified"), "refused; not asked", bent).await
}

async fn application(
    table: &mut Table<'_>,
    name: &str,
    outcome: impl Future<Output = Result<String>>,
) -> Result<()> {
    let run = async {
        Ok(match outcome.await {
            Ok(text) => Observation { text, details: Vec::new() },
            Err(error) => Observation { text: "failed".to_owned(), details: vec![error.to_string()] },
        })
    };
    let seen = table.environment.observe_fallible(run).await?;
    let expected = match name {
        "diesel" => "anna, bo, cy; not asked",
        _ => "2 applied, then 0; not asked",
    };
    table.row(&format!("{name} through rds-testkit"), expected, &seen);
    Ok(())
}

/// Checks that the testkit accepted every token but the modified one.
fn logins(table: &mut Table<'_>, accepted: usize, refused: usize) {
    // The client, the migrations and diesel log in at least once each; pools may do so more often.
    let text = format!("by token: {}, refused: {refused}", if accepted >= 3 { "all" } else { "some" });
    let seen = Observation { text, details: vec![format!("{accepted} accepted")] };
    table.row("logins at rds-testkit", "by token: all, refused: 1", &seen);
}

/// Migrates twice, as `sqlx migrate run` does, by the library that it is made of.
async fn migrate_postgres(server: &PostgresServer, folder: &Path) -> Result<String> {
    let builder =
        PgFreshPool::builder().connection_string(server.url()).parameter("tlsServerName", "localhost");
    let fresh = builder.tokens(server.token_provider()?).build().await?;
    let (pool, count) = (fresh.pool(), "SELECT count(*) FROM _sqlx_migrations");
    Migrator::new(folder).await?.run(pool).await?;
    let first: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
    // Takes the migration lock again: a session that was not forwarded to its end would hold it.
    Migrator::new(folder).await?.run(pool).await?;
    let second: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
    Ok(format!("{first} applied, then {}", second - first))
}

async fn migrate_mysql(server: &MysqlServer, folder: &Path) -> Result<String> {
    let builder =
        MySqlFreshPool::builder().connection_string(server.url()).parameter("tlsServerName", "localhost");
    let fresh = builder.tokens(server.token_provider()?).build().await?;
    let (pool, count) = (fresh.pool(), "SELECT count(*) FROM _sqlx_migrations");
    Migrator::new(folder).await?.run(pool).await?;
    let first: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
    // Takes the migration lock again: a session that was not forwarded to its end would hold it.
    Migrator::new(folder).await?.run(pool).await?;
    let second: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
    Ok(format!("{first} applied, then {}", second - first))
}

/// Adds an order and reads all of them.
async fn diesel_postgres(server: &PostgresServer) -> Result<String> {
    let iam = IamFactory::new(server.token_provider()?);
    let connector = pg::Connector::from_url(&server.url(), plugins().with(iam))?;
    let (client, connection) = connector.connect().await?;
    let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
    let row = (orders::id.eq(3), orders::name.eq("cy"));
    diesel::insert_into(orders::table).values(row).execute(&mut connection).await?;
    let names = orders::table.select(orders::name).order(orders::id);
    Ok(names.load::<String>(&mut connection).await?.join(", "))
}

/// diesel-async uses an older driver than ours, so the application passes the token to that one.
async fn diesel_mysql(server: &MysqlServer) -> Result<String> {
    let token = server.token_provider()?.rds(HOST, server.port(), server.user()).await?;
    let roots = vec![server.ca_file().to_owned().into()];
    let options = OptsBuilder::default()
        .ip_or_hostname("localhost")
        .tcp_port(server.port())
        .user(Some(server.user()))
        .pass(Some(token.expose()))
        .db_name(Some("app"))
        .prefer_socket(false)
        .enable_cleartext_plugin(true)
        .ssl_opts(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true));
    let mut connection = AsyncMysqlConnection::try_from(Conn::new(options).await?).await?;
    let row = (orders::id.eq(3), orders::name.eq("cy"));
    diesel::insert_into(orders::table).values(row).execute(&mut connection).await?;
    let names = orders::table.select(orders::name).order(orders::id);
    Ok(names.load::<String>(&mut connection).await?.join(", "))
}
