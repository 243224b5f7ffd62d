#![doc = include_str!("../README.md")]

mod credentials;
pub mod diagnosis;
mod factory;
mod plugin;
mod refusal;
mod stats;
mod target;
mod tokens;

#[cfg(feature = "default-chain")]
pub use credentials::default_chain;
pub use factory::{IAM_PARAMETERS, IamFactory};
pub use plugin::{IamPlugin, IamSettings};
pub use stats::Stats;
pub use target::TokenTarget;
pub use token_cache::SystemClock;
pub use tokens::{IamTokens, IamTokensBuilder};
