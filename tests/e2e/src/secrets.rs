//! Databases whose users have passwords, and a Secrets Manager that holds them.

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use rds_testkit::{MysqlServer, PostgresServer, SecretsServer};
use rds_wrapper::{IamTokenProvider, Registry, SecretsFactory, mysql, pg, plugins};

use crate::{HOST, local};

/// The secret's name.
pub const ID: &str = "prod/app";
/// The password before the rotation.
pub const FIRST: &str = "first-Kx7/pass+word";
/// The password after the rotation.
pub const SECOND: &str = "second-Qm3/pass+word";

/// A database's users, on both engines.
pub trait Database: Send + Sync + 'static {
    /// Gives a user this password, and no other.
    fn set(&self, user: &str, password: &str);
}

impl Database for PostgresServer {
    fn set(&self, user: &str, password: &str) {
        self.token_policy().add_password_user(user, password);
    }
}

impl Database for MysqlServer {
    fn set(&self, user: &str, password: &str) {
        self.token_policy().add_password_user(user, password);
    }
}

/// The text of a secret.
pub fn secret(user: &str, password: &str) -> String {
    format!(
        r#"{{"username":"{user}","password":"{password}","engine":"x","host":"elsewhere.example","port":1}}"#
    )
}

/// A service that holds the first secret.
pub async fn service() -> SecretsServer {
    let service = SecretsServer::start().await.expect("the service starts");
    service.put(ID, secret("app", FIRST));
    service
}

/// The plugins, with the credentials that the service takes.
pub fn registry<C: Send + 'static>(service: &SecretsServer) -> Registry<C> {
    let key = service.access_key();
    let session = key.session_token().map(str::to_owned);
    let credentials = Credentials::new(key.access_key_id(), key.secret_access_key(), session, None, "e2e");
    let provider = SharedCredentialsProvider::new(credentials);
    let tokens = IamTokenProvider::builder().credentials_provider(provider).build().expect("builds");
    plugins().with(SecretsFactory::with_credentials_of(tokens))
}

fn query(rest: &str) -> String {
    format!("plugins=awsSecretsManager&secretId={ID}&secretRegion=us-east-2{rest}")
}

/// A builder for a connector without a user, on the secret.
pub fn postgres(server: &PostgresServer, service: &SecretsServer, rest: &str) -> pg::ConnectorBuilder {
    pg::Connector::builder(registry(service))
        .connection_string(format!("postgres://{HOST}:{}/app?{}", server.port(), query(rest)))
        .resolver(local())
        .parameter("secretEndpoint", service.url())
        .root_certificates(server.ca_pem())
}

/// The same for MySQL.
pub fn my(server: &MysqlServer, service: &SecretsServer, rest: &str) -> mysql::ConnectorBuilder {
    mysql::Connector::builder(registry(service))
        .connection_string(format!("mysql://{HOST}:{}/app?{}", server.port(), query(rest)))
        .resolver(local())
        .parameter("secretEndpoint", service.url())
        .root_certificates(server.ca_pem())
}

/// A PostgreSQL server that has the first secret's user.
pub async fn postgres_server() -> PostgresServer {
    PostgresServer::builder().host(HOST).password_user("app", FIRST).start().await.expect("the server starts")
}

/// A MySQL server that has the first secret's user.
pub async fn mysql_server() -> MysqlServer {
    MysqlServer::builder().host(HOST).password_user("app", FIRST).start().await.expect("the server starts")
}
