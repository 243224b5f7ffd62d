#![cfg_attr(
    any(not(doctest), all(feature = "default-chain", feature = "postgres")),
    doc = include_str!("../README.md")
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod checks;
mod diagnosis;
mod engine;
mod freshness;
mod lead;
mod password_source;
mod pool;
mod refresher;
mod roots;
mod session;
mod target;

/// Re-exports the driver, in the version whose types a pool uses.
pub use sqlx;
pub use wrapper_core::{Error, ErrorKind};
/// The topology by which a pool follows its cluster's writer.
pub use wrapper_topology::Topology;

pub use builder::FreshPoolBuilder;
pub use checks::check_within;
pub use engine::Engine;
pub use freshness::Freshness;
pub use pool::FreshPool;
#[cfg(feature = "mysql")]
pub use pool::MySqlFreshPool;
#[cfg(feature = "postgres")]
pub use pool::PgFreshPool;
pub use session::session;

#[cfg(not(any(feature = "mysql", feature = "postgres")))]
compile_error!("wrapper-sqlx needs a driver: enable the feature `postgres` or `mysql`");
