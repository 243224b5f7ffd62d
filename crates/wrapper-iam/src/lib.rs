#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod aws_parameters;
pub mod diagnosis;
mod error;
mod events;
mod factory;
mod family;
mod plugin;
mod refusal;
mod request;
mod retry;
mod settings;
mod targets;
mod tls;

pub use aws_parameters::{
    ASSUME_ROLE_ARN, ASSUME_ROLE_DURATION_SEC, ASSUME_ROLE_EXTERNAL_ID, ASSUME_ROLE_SESSION_NAME,
    AWS_PROFILE, aws_profile, token_provider,
};
pub use error::connect_error;
pub use events::tell_of_credentials;
pub use factory::{IAM_PARAMETERS, IamFactory};
#[cfg(feature = "test-util")]
pub use iam_token_provider::ManualClock;
pub use iam_token_provider::{
    AfterRefusal, Clock, CredentialsSource, FailedCredentials, IamToken, IamTokenProvider,
    IamTokenProviderBuilder, Listening, LoadedCredentials, Stats, SystemClock, TokenRequest, masked_key_id,
};
#[cfg(feature = "default-chain")]
pub use iam_token_provider::{AssumeRole, DefaultChain, DefaultChainBuilder};
pub use plugin::IamPlugin;
pub use request::token_request;
pub use settings::IamSettings;
pub use tls::explain_tls;
