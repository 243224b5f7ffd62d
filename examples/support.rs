//! Code shared by the examples: embedded servers, arguments, and errors printed with their causes.

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

/// The endpoint that the embedded server stands in for.
pub const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

/// The database user of the embedded server.
pub const USER: &str = "jane";

/// Starts a PostgreSQL server on 127.0.0.1 that checks tokens as RDS does, and returns it with a
/// provider of tokens that it accepts.
///
/// # Errors
///
/// Returns the reason why it did not start.
pub async fn embedded() -> Result<(PostgresServer, IamTokenProvider)> {
    embedded_as(HOST, USER).await
}

/// Does the same for another host name and user.
///
/// # Errors
///
/// Returns the reason why it did not start.
pub async fn embedded_as(host: &str, user: &str) -> Result<(PostgresServer, IamTokenProvider)> {
    let server = PostgresServer::builder().host(host).region("us-east-2").user(user).start().await?;
    let tokens = tokens(server.access_key())?;
    Ok((server, tokens))
}

/// Creates a provider of tokens signed with an embedded server's key.
///
/// # Errors
///
/// Returns the reason why it cannot be built.
pub fn tokens(key: &AccessKey) -> Result<IamTokenProvider> {
    let (session, source) = (key.session_token().map(str::to_owned), "embedded");
    let credentials = Credentials::new(key.access_key_id(), key.secret_access_key(), session, None, source);
    let provider = SharedCredentialsProvider::new(credentials);
    Ok(IamTokenProvider::builder().credentials_provider(provider).build()?)
}

/// Returns a connection string for the embedded server under its RDS-like name, which DNS does not
/// know: `hostaddr` holds its address.
pub fn embedded_url(server: &PostgresServer) -> String {
    let ca = server.ca_file().display();
    format!("postgres://{USER}@{HOST}:{}/app?hostaddr=127.0.0.1&sslrootcert={ca}&plugins=iam", server.port())
}

/// Starts such a MySQL server, and returns it with the token provider and a connector that uses it.
///
/// # Errors
///
/// Returns the reason why it did not start.
pub async fn embedded_mysql(parameters: &str) -> Result<(MysqlServer, IamTokenProvider, mysql::Connector)> {
    let server = MysqlServer::builder().host(HOST).region("us-east-2").user(USER).start().await?;
    let (address, tokens) = (server.addr().ip(), tokens(server.access_key())?);
    // DNS does not know the server's RDS-like name, nor the platform its certificate authority.
    let connector = mysql::Connector::builder(plugins_with(&tokens))
        .connection_string(format!("mysql://{USER}@{HOST}:{}/app?plugins=iam{parameters}", server.port()))
        .resolver(resolver_fn(move |_| Ok(vec![address])))
        .root_certificates(server.ca_pem())
        .build()?;
    Ok((server, tokens, connector))
}

/// Returns the built-in plugins, with `iam` using the given tokens.
pub fn plugins_with<C: Send + 'static>(tokens: &IamTokenProvider) -> Registry<C> {
    plugins().with(IamFactory::new(tokens.clone()))
}

/// Returns the value of an option such as `--url`, if it was given.
///
/// # Errors
///
/// Returns the usage if there is any other argument.
pub fn argument(option: &str, usage: &str) -> Result<Option<String>> {
    match option_and_value(usage)? {
        None => Ok(None),
        Some((name, value)) if name == option => Ok(Some(value)),
        Some(_) => Err(usage.into()),
    }
}

/// Returns the only option that was given, and its value.
///
/// # Errors
///
/// Returns the usage if the arguments are not one option with a value.
pub fn option_and_value(usage: &str) -> Result<Option<(String, String)>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, _, _) => Ok(None),
        (Some(name), Some(value), None) => Ok(Some((name, value))),
        _ => Err(usage.into()),
    }
}

/// Prints a token signed with the keys in the environment; standard output holds nothing else.
///
/// `sign` receives the program's arguments, the credentials and the current time.
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

/// Runs an example and prints its error with all causes.
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
