#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod endpoint;
mod factory;
mod plugin;
mod provider;
mod refusal;
mod rotation;
mod secret;
mod secret_id;
mod service;
mod service_error;
mod stats;

pub use factory::{SECRETS_PARAMETERS, SecretsFactory};
pub use plugin::SecretsPlugin;
pub use provider::{AfterRefusal, ListenerGuard, SecretProvider, SecretProviderBuilder};
pub use secret::DatabaseSecret;
pub use stats::SecretStats;
