//! Pools of either adapter, and an application's use of their connections.

use mysql_async::prelude::Queryable;
use rds_wrapper::{mysql, pg};
use tokio_postgres::SimpleQueryMessage;

use crate::Result;

/// A pool of either engine, and its connector.
#[derive(Clone)]
pub(crate) enum Pool {
    Mysql(mysql::Connector, mysql::deadpool::Pool),
    Postgres(pg::Connector, pg::deadpool::Pool),
}

impl Pool {
    /// Checks a connection out.
    pub(crate) async fn get(&self) -> Result<Client> {
        Ok(match self {
            Self::Mysql(connector, pool) => Client::Mysql(connector.clone(), pool.get().await?),
            Self::Postgres(connector, pool) => Client::Postgres(connector.clone(), pool.get().await?),
        })
    }

    /// Takes a connection out of the pool for good, so the next one is a physical connect, and
    /// returns its user.
    pub(crate) async fn log_in(&self) -> Result<String> {
        match self.get().await? {
            Client::Mysql(_, connection) => {
                let mut connection = mysql::deadpool::Object::take(connection);
                let user: Option<String> = connection.query_first("SELECT CURRENT_USER()").await?;
                connection.disconnect().await?;
                Ok(user.unwrap_or_default().trim_end_matches("@%").to_owned())
            }
            Client::Postgres(_, client) => {
                let row = client.query_one("SELECT current_user::text", &[]).await?;
                drop(deadpool_postgres::Object::take(client));
                Ok(row.get(0))
            }
        }
    }
}

/// A connection checked out of a pool, and its connector.
pub(crate) enum Client {
    Mysql(mysql::Connector, mysql::deadpool::Object),
    Postgres(pg::Connector, pg::deadpool::Client),
}

/// The failure of a statement.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The server's code, or that the connection is closed.
    pub(crate) what: String,
    /// Whether the server rejects writes.
    pub(crate) is_read_only: bool,
}

impl Client {
    /// Runs statements, reports an error to the plugins, and returns the first value of the last
    /// one's answer.
    pub(crate) async fn ask(&mut self, statements: &[&str]) -> std::result::Result<Option<String>, Failure> {
        let mut value = None;
        for sql in statements {
            value = match self {
                Self::Mysql(connector, connection) => {
                    connection.query_first(*sql).await.map_err(|error| of_mysql(connector, &error))?
                }
                Self::Postgres(connector, client) => {
                    let messages =
                        client.simple_query(sql).await.map_err(|error| of_postgres(connector, &error))?;
                    messages.iter().find_map(|message| match message {
                        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                        _ => None,
                    })
                }
            };
        }
        Ok(value)
    }
}

fn of_mysql(connector: &mysql::Connector, error: &mysql_async::Error) -> Failure {
    connector.report(error);
    match error {
        mysql_async::Error::Server(answer) => {
            Failure { what: answer.code.to_string(), is_read_only: answer.code == 1290 }
        }
        _ => Failure { what: "connection closed".to_owned(), is_read_only: false },
    }
}

fn of_postgres(connector: &pg::Connector, error: &tokio_postgres::Error) -> Failure {
    connector.report(error);
    match error.code() {
        Some(code) => Failure { what: code.code().to_owned(), is_read_only: code.code() == "25006" },
        None => Failure { what: "connection closed".to_owned(), is_read_only: false },
    }
}
