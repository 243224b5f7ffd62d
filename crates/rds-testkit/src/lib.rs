#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod access_key;
mod answers;
mod bounded;
mod ca_file;
mod clock;
mod cluster;
mod error;
mod fault;
mod forward;
mod gate;
mod hash;
mod journal;
mod mysql;
mod postgres;
#[cfg(feature = "iam-token-provider")]
mod provider;
mod random;
mod record;
mod refusal;
mod rows;
mod secrets;
mod server;
mod server_error;
mod sql;
mod tls;
mod token_policy;

pub use access_key::AccessKey;
pub use cluster::{Cluster, ClusterBuilder, Deployment, Dns, Instance, Lie, Node, View};
pub use error::{Error, ErrorKind, Result};
pub use fault::{Fault, PasswordMethod, Phase};
pub use gate::Gate;
pub use journal::Cancel;
pub use mysql::{AuthPlugin, HostileBehavior, MysqlServer, MysqlServerBuilder};
pub use postgres::{PostgresServer, PostgresServerBuilder};
pub use record::{Attempt, Outcome, PasswordDigest};
pub use refusal::Refusal;
pub use rows::{Rows, Value};
pub use secrets::{SecretRequest, SecretsError, SecretsServer};
pub use server_error::ServerError;
pub use tls::CertificateAuthority;
pub use token_policy::TokenPolicy;
