#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod abort;
mod chain;
mod connected;
mod counters;
mod diagnosis;
mod driver;
mod engine;
mod error;
mod event;
mod lifetime;
#[cfg(feature = "test-util")]
mod mock;
mod opener;
mod parameters;
mod password;
mod plugin;
mod plugin_fn;
mod progress;
#[cfg(feature = "test-util")]
mod ready;
mod registry;
mod report;
mod request;
mod rows;
mod sanitize;
mod server_name;
mod session;
mod suggest;
mod suspicion;
mod timeout;

pub use abort::AbortHandle;
pub use connected::{Connected, Established, Role};
pub use diagnosis::Cause;
pub use driver::BoxFuture;
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result, ServerError};
pub use event::{Event, Events};
pub use opener::{Background, Opener};
pub use parameters::{Options, Parameter, ParameterKind, ParameterValue, Value};
pub use password::Password;
pub use plugin::{Next, Opening, Plugin, Requirements};
pub use plugin_fn::plugin_fn;
pub use registry::{BuildContext, Factory, Registry};
pub use request::ConnectRequest;
pub use server_name::ServerName;
pub use session::Session;

/// Types for adapters of drivers, in addition to those for plugins.
pub mod adapter {
    pub use crate::{
        abort::AbortRegistration,
        chain::Wrapper,
        driver::Driver,
        parameters::{RawParameters, WRAPPER_PARAMETERS},
        password::Transport,
        progress::{Phase, Progress, until_wait_ends},
        rows::Rows,
        suspicion::Suspicion,
    };

    #[cfg(feature = "test-util")]
    pub use crate::{
        mock::MockDriver,
        ready::{PassThrough, ReadyDriver, ready},
    };
}

/// The payloads of an [`Event`].
pub mod events {
    pub use crate::{
        error::CredentialsFailure,
        event::{
            ConnectFinished, ConnectionCut, CredentialsFailed, CredentialsLoaded, Outcome, Paced,
            SecretLoaded, WriterChanged,
        },
    };
}

/// The counters of a connector.
pub mod stats {
    pub use crate::counters::{Stats, TargetCounters, TargetStats};
}

/// Functions that quote text and keep it free of secrets and control characters.
pub mod text {
    pub use crate::{
        parameters::quoted_name,
        request::bracketed,
        sanitize::{escape_control, is_name, sanitize_server_text, shown},
        suggest::suggest,
    };
}
