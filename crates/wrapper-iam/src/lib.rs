#![doc = include_str!("../README.md")]

mod clock;
mod credentials;
pub mod diagnosis;
mod factory;
mod plugin;
mod refusal;
mod stats;
mod target;
mod tokens;

pub use clock::SystemClock;
#[cfg(feature = "default-chain")]
pub use credentials::default_chain;
pub use factory::{IAM_PARAMETERS, IamFactory};
pub use plugin::{IamPlugin, IamSettings};
pub use stats::Stats;
pub use target::TokenTarget;
pub use tokens::{IamTokens, IamTokensBuilder};
