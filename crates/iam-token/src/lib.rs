#![doc = include_str!("../README.md")]

mod auth_token;
mod encode;
mod error;
mod host;
mod names;
mod presign;
mod recipe;
mod recipes;
mod region;
mod signer;
mod signing_time;
mod zeroizing_string;

pub use auth_token::AuthToken;
pub use error::{Error, ErrorKind};
pub use presign::{Presign, PresignBuilder};
pub use recipe::Recipe;
pub use recipes::{dsql, dsql_admin, eks, elasticache, elasticache_serverless, memorydb, msk, rds};
pub use signer::Signer;
