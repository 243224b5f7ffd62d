//! Shared code of the examples: an embedded server, and errors printed with all their causes.

pub mod resp;

use std::{error::Error, process::ExitCode, time::SystemTime};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use rds_testkit::{AccessKey, MysqlServer, PostgresServer};
use rds_wrapper::{
    IamFactory, IamTokenProvider, Registry,
    host::resolver_fn,
    iam::{AuthToken, Clock, SystemClock},
    mysql, plugins,
};

/// The result of an example.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The endpoint that the embedded server plays.
pub const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

/// The database user of the embedded server.
pub const USER: &str = "jane";

/// Starts a PostgreSQL server on 127.0.0.1 that checks tokens as RDS does, and gives tokens that it
/// accepts.
///
/// # Errors
///
/// The reason why it did not start.
pub async fn embedded() -> Result<(PostgresServer, IamTokenProvider)> {
    embedded_as(HOST, USER).await
}

/// The same under another name, for another user.
///
/// # Errors
///
/// The reason why it did not start.
pub async fn embedded_as(host: &str, user: &str) -> Result<(PostgresServer, IamTokenProvider)> {
    let server = PostgresServer::builder().host(host).region("us-east-2").user(user).start().await?;
    let tokens = tokens(server.access_key())?;
    Ok((server, tokens))
}

/// Tokens signed with an embedded server's key.
///
/// # Errors
///
/// The reason why there are none.
pub fn tokens(key: &AccessKey) -> Result<IamTokenProvider> {
    let (session, source) = (key.session_token().map(str::to_owned), "embedded");
    let credentials = Credentials::new(key.access_key_id(), key.secret_access_key(), session, None, source);
    let provider = SharedCredentialsProvider::new(credentials);
    Ok(IamTokenProvider::builder().credentials_provider(provider).build()?)
}

/// A connection string for the embedded server under its RDS-like name, which no DNS knows:
/// `hostaddr` says where it is.
pub fn embedded_url(server: &PostgresServer) -> String {
    let ca = server.ca_file().display();
    format!("postgres://{USER}@{HOST}:{}/app?hostaddr=127.0.0.1&sslrootcert={ca}&plugins=iam", server.port())
}

/// Starts a MySQL server of the same kind, and gives a connector to it and the tokens that it uses.
///
/// # Errors
///
/// The reason why it did not start.
pub async fn embedded_mysql(parameters: &str) -> Result<(MysqlServer, IamTokenProvider, mysql::Connector)> {
    let server = MysqlServer::builder().host(HOST).region("us-east-2").user(USER).start().await?;
    let (address, tokens) = (server.addr().ip(), tokens(server.access_key())?);
    // No DNS knows the embedded server's RDS-like name, and no platform its certificate authority.
    let connector = mysql::Connector::builder(plugins_with(&tokens))
        .connection_string(format!("mysql://{USER}@{HOST}:{}/app?plugins=iam{parameters}", server.port()))
        .resolver(resolver_fn(move |_| Ok(vec![address])))
        .root_certificates(server.ca_pem())
        .build()?;
    Ok((server, tokens, connector))
}

/// The built-in plugins, `iam` with the given tokens.
pub fn plugins_with<C: Send + 'static>(tokens: &IamTokenProvider) -> Registry<C> {
    plugins().with(IamFactory::new(tokens.clone()))
}

/// The value after an option such as `--url`; any other argument is an error that shows the usage.
///
/// # Errors
///
/// The usage.
pub fn argument(option: &str, usage: &str) -> Result<Option<String>> {
    match option_and_value(usage)? {
        None => Ok(None),
        Some((name, value)) if name == option => Ok(Some(value)),
        Some(_) => Err(usage.into()),
    }
}

/// The one option and its value that a program was given.
///
/// # Errors
///
/// The usage, for anything else.
pub fn option_and_value(usage: &str) -> Result<Option<(String, String)>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, _, _) => Ok(None),
        (Some(name), Some(value), None) => Ok(Some((name, value))),
        _ => Err(usage.into()),
    }
}

/// Prints a token that is signed with the keys in the environment, and nothing but that to standard
/// output.
///
/// `sign` gets the program's arguments, the credentials and the time.
pub fn print_token(sign: impl FnOnce(&[String], &Credentials, SystemTime) -> Result<AuthToken>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let signed = from_environment().and_then(|credentials| sign(&arguments, &credentials, SystemClock.now()));
    match signed {
        Ok(token) => {
            #[expect(clippy::print_stdout, reason = "the token is for a pipe")]
            {
                println!("{}", token.expose());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn from_environment() -> Result<Credentials> {
    let required =
        |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set: export your AWS keys"));
    let (id, secret) = (required("AWS_ACCESS_KEY_ID")?, required("AWS_SECRET_ACCESS_KEY")?);
    Ok(Credentials::new(id, secret, std::env::var("AWS_SESSION_TOKEN").ok(), None, "environment"))
}

/// Runs an example and tells an error with all its causes.
pub async fn run(example: impl Future<Output = Result>) -> ExitCode {
    match example.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("error: {error}"));
            let mut cause = error.source();
            while let Some(error) = cause {
                print_error(&format!("  because: {error}"));
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "an example talks to the person who runs it")]
fn print_error(line: &str) {
    eprintln!("{line}");
}
