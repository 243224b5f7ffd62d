#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answers;
mod attempt_errors;
mod connect_keys;
mod connection_string;
mod connector;
mod dial;
mod driver_names;
mod host_list;
mod last_error;
mod map_entries;
mod other_service;
mod percent;
mod pool_rules;
mod resolver;
mod runtime;
mod setup;
mod tls;

pub use answers::{AnswerRow, LoginAnswer, MYSQL_ANSWERS, POSTGRES_ANSWERS};
pub use connect_keys::{ConnectKeys, check_login};
pub use connection_string::{
    ConnectionText, SplitParameters, StringForm, UrlParts, UserInfoEnd, split_key_value, split_url,
};
pub use dial::Dialer;
pub use driver_names::{DriverNames, given_in_code};
pub use host_list::{HostList, check_host, read_roots, server_name, user_with_colon};
pub use last_error::LastError;
pub use map_entries::flat_entries;
pub use other_service::other_service;
pub use percent::{percent_decoded, percent_encoded};
pub use pool_rules::PoolRules;
pub use resolver::{Resolver, SystemResolver, resolver_fn};
pub use runtime::{in_runtime, lacking_runtime};
pub use setup::{Chain, ConfigSource, Setup, warn_of_ignored_password};
pub use tls::{Bundle, ClientCertificate, Roots, TlsFailure, TlsMode, Trust, Trusted, explain_tls_failure};

/// The core's types for adapters of drivers.
pub use wrapper_core::adapter::*;
/// Queries whether a connection leads to a writer, for pools that expect one.
pub use wrapper_topology::takes_writes;
