//! What the crate exports: a name more is a promise more.

/// The names, a line for each module that they come from.
const EXPORTS: &[&str] = &[
    "abort::{AbortHandle,AbortRegistration}",
    "chain::{Next,Wrapper}",
    "connected::{Connected,Established,Role}",
    "diagnosis::Cause",
    "driver::{BoxFuture,Driver}",
    "engine::Engine",
    "error::{CredentialsFailure,Error,ErrorKind,Result,ServerError}",
    "event::{ConnectFinished,ConnectionCut,CredentialsFailed,CredentialsLoaded,Event,Events,Outcome,Paced,WriterChanged}",
    "mock::MockDriver",
    "opener::{Background,Opener}",
    "parameters::{Options,Parameter,ParameterKind,ParameterValue,RawParameters,Value,WRAPPER_PARAMETERS,quoted_name}",
    "password::{Password,Transport}",
    "plugin::{Opening,Plugin,Requirements,plugin_fn}",
    "progress::{Phase,Progress}",
    "registry::{BuildContext,Factory,Registry}",
    "request::{ConnectRequest,ServerName,bracketed}",
    "sanitize::{escape_control,is_name,sanitize_server_text}",
    "session::{Rows,Session}",
    "suggest::suggest",
    "suspicion::Suspicion",
];

#[test]
fn exports_are_what_is_written_here() {
    let statements = include_str!("../src/lib.rs").split("pub use ").skip(1);
    let statements = statements.filter_map(|rest| rest.split_once(';'));
    let bare = |names: &str| names.split_whitespace().collect::<String>().replace(",}", "}");
    let found: Vec<_> = statements.map(|(names, _)| bare(names)).collect();

    assert_eq!(found, EXPORTS);
}
