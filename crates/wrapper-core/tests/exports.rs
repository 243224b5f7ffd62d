//! What the crate exports: a name more is a promise more.

/// The names at the root, a line for each module that they come from.
const ROOT: &[&str] = &[
    "abort::AbortHandle",
    "connected::{Connected,Established,Role}",
    "diagnosis::Cause",
    "driver::BoxFuture",
    "engine::Engine",
    "error::{Error,ErrorKind,Result,ServerError}",
    "event::{Event,Events}",
    "opener::{Background,Opener}",
    "parameters::{Options,Parameter,ParameterKind,ParameterValue,Value}",
    "password::Password",
    "plugin::{Next,Opening,Plugin,Requirements}",
    "plugin_fn::plugin_fn",
    "registry::{BuildContext,Factory,Registry}",
    "request::ConnectRequest",
    "server_name::ServerName",
    "session::Session",
];

/// The names of the public modules: for adapters, of what events tell, of what is
/// counted, for texts.
const MODULES: &[&str] = &[
    "crate::{abort::AbortRegistration,chain::Wrapper,driver::Driver,parameters::{RawParameters,WRAPPER_PARAMETERS},password::Transport,progress::{Phase,Progress,until_wait_ends},rows::Rows,suspicion::Suspicion}",
    "crate::{mock::MockDriver,ready::{PassThrough,ReadyDriver,ready}}",
    "crate::{error::CredentialsFailure,event::{ConnectFinished,ConnectionCut,CredentialsFailed,CredentialsLoaded,Outcome,Paced,SecretLoaded,WriterChanged}}",
    "crate::counters::{Stats,TargetCounters,TargetStats}",
    "crate::{parameters::quoted_name,request::bracketed,sanitize::{escape_control,is_name,sanitize_server_text,shown},suggest::suggest}",
];

fn exports(source: &str) -> Vec<String> {
    let statements = source.split("pub use ").skip(1).filter_map(|rest| rest.split_once(';'));
    let bare = |names: &str| names.split_whitespace().collect::<String>().replace(",}", "}");
    statements.map(|(names, _)| bare(names)).collect()
}

fn halves() -> (&'static str, &'static str) {
    let source = include_str!("../src/lib.rs");
    source.find("pub mod ").map_or((source, ""), |modules| source.split_at(modules))
}

#[test]
fn exports_are_what_is_written_here() {
    let (root, modules) = halves();

    assert_eq!(exports(root), ROOT);
    assert_eq!(exports(modules), MODULES);
}

#[test]
fn root_has_32_names_at_most() {
    let names = ROOT.iter().map(|line| line.split(',').count()).sum::<usize>();

    assert!(names <= 32, "{names}");
}
