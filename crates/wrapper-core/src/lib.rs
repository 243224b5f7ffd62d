#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod abort;
mod chain;
mod connected;
mod diagnosis;
mod driver;
mod engine;
mod error;
mod event;
#[cfg(feature = "test-util")]
mod mock;
mod opener;
mod parameters;
mod password;
mod plugin;
mod progress;
mod registry;
mod report;
mod request;
mod sanitize;
mod session;
mod suggest;
mod suspicion;
mod timeout;

pub use abort::{AbortHandle, AbortRegistration};
pub use chain::{Next, Wrapper};
pub use connected::{Connected, Established, Role};
pub use diagnosis::Cause;
pub use driver::{BoxFuture, Driver};
pub use engine::Engine;
pub use error::{CredentialsFailure, Error, ErrorKind, Result, ServerError};
pub use event::{
    ConnectFinished, ConnectionCut, CredentialsFailed, CredentialsLoaded, Event, Events, Outcome, Paced,
    SecretLoaded, WriterChanged,
};
#[cfg(feature = "test-util")]
pub use mock::MockDriver;
pub use opener::{Background, Opener};
pub use parameters::{
    Options, Parameter, ParameterKind, ParameterValue, RawParameters, Value, WRAPPER_PARAMETERS, quoted_name,
};
pub use password::{Password, Transport};
pub use plugin::{Opening, Plugin, Requirements, plugin_fn};
pub use progress::{Phase, Progress};
pub use registry::{BuildContext, Factory, Registry};
pub use request::{ConnectRequest, ServerName, bracketed};
pub use sanitize::{escape_control, is_name, sanitize_server_text};
pub use session::{Rows, Session};
pub use suggest::suggest;
pub use suspicion::Suspicion;
