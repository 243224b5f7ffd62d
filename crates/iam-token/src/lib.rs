#![doc = include_str!("../README.md")]

mod auth_token;
mod dsql;
mod eks;
mod elasticache;
mod encode;
mod error;
mod host;
mod memorydb;
mod msk;
mod presign;
mod rds;
mod recipe;
mod region;
mod signer;
mod signing_time;
mod wiped;

pub use auth_token::AuthToken;
pub use dsql::DsqlToken;
pub use eks::EksToken;
pub use elasticache::ElastiCacheToken;
pub use error::{Error, ErrorKind};
pub use memorydb::MemoryDbToken;
pub use msk::MskToken;
pub use presign::{Presign, PresignBuilder};
pub use rds::RdsToken;
pub use signer::Signer;
