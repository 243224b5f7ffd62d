#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "default-chain")]
mod chain;
mod credentials;
mod error;
mod listening;
mod provider;
mod provider_name;
mod refusals;
mod request;
mod source;
mod stats;
mod token;

#[cfg(feature = "default-chain")]
pub use crate::chain::{AssumeRole, DefaultChain, DefaultChainBuilder};
pub use crate::{
    credentials::CredentialsSource,
    error::{CredentialsFailure, Error, ErrorKind},
    listening::{FailedCredentials, Listening, LoadedCredentials},
    provider::{IamTokenProvider, IamTokenProviderBuilder},
    refusals::AfterRefusal,
    request::TokenRequest,
    stats::Stats,
    token::{IamToken, masked_key_id},
};
#[cfg(feature = "test-util")]
pub use token_cache::ManualClock;
pub use token_cache::{Clock, SystemClock};
