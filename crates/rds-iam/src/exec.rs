//! `rds-iam exec`.

mod client;
mod defaults_file;
mod environment;
mod secret;
mod url;

use std::{
    io,
    net::IpAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use tokio::runtime::Runtime;
use wrapper_adapter::{Resolver, SystemResolver};
use wrapper_iam::TokenRequest;
use zeroize::Zeroizing;

use self::{client::Client, defaults_file::DefaultsFile};
use crate::{
    cli::{Engine, ExecArguments},
    connection::{self, ConnectionArguments, Input},
    failure::Failure,
    signing,
    target::Target,
};

/// What a client is told of the database.
#[derive(Debug)]
struct Session {
    target: Target,
    /// What the token is signed for; `None` where a secret takes its place.
    request: Option<TokenRequest>,
    /// The one file of trusted authorities, where one is named.
    roots: Option<PathBuf>,
    /// The address to connect to, where it is not the name's own.
    address: Option<IpAddr>,
}

/// Whom the client logs in as, and with what.
struct Login {
    user: String,
    password: Zeroizing<String>,
    /// The server asks for a token in clear, and for a password by another method.
    is_token: bool,
}

/// Turns into the client; comes back only if that fails.
pub(crate) fn run(arguments: &ExecArguments, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let ExecArguments { connection, url_env, url_query, command } = arguments;
    let Some((program, rest)) = command.split_first() else {
        return Err(Failure::usage("no client is named: write it after --, as in -- psql app"));
    };
    let client = Client::of(program, rest);
    let session = Session::read(connection, client.engine(), runtime)?;
    let engine = session.target.engine;

    let mut child = Command::new(program);
    match (url_env, engine) {
        (Some(name), _) => {
            let query = url::query(&client, &session, url_query.as_deref())?;
            let name = url::checked_name(name)?;
            child.env(name, url::with_login(&session, &session.login(runtime)?, &query));
            child.args(rest);
        }
        (None, Engine::Postgres) => {
            let roots = environment::roots(&client, session.roots.as_deref())?;
            environment::set(&mut child, &session, &session.login(runtime)?, &roots);
            child.args(rest);
        }
        (None, Engine::Mysql) => {
            let place = client.place_of_file()?;
            let file = DefaultsFile::new(client.dialect(), &session)?;
            let login = session.login(runtime)?;
            let written = file.write(&login)?;
            child.env_remove("MYSQL_PWD");
            if written.lacks_password {
                child.env("MYSQL_PWD", &*login.password);
            }
            child.args(place.arguments(rest, &written.argument));
        }
    }
    Err(not_run(child.exec(), &client))
}

/// Returns why the client could not be run.
fn not_run(error: io::Error, client: &Client<'_>) -> Failure {
    let (message, code) = match error.kind() {
        io::ErrorKind::NotFound => ("was not found: check its name and PATH", 127),
        _ => ("cannot be run", 126),
    };
    Failure::new(format!("client {} {message}", client.shown())).because(error).with_exit_code(code)
}

impl Session {
    fn read(
        arguments: &ConnectionArguments,
        engine: Option<Engine>,
        runtime: &Runtime,
    ) -> Result<Self, Failure> {
        let text = arguments.text(engine.unwrap_or(Engine::Postgres), Input::Foreign)?;
        let text = text.ok_or_else(connection::nothing)?;
        let roots = arguments.sslrootcert.as_deref();
        if let Some(roots) = roots {
            readable(roots)?;
        }
        let target = signing::read(&text, arguments)?;
        let request = match target.secret {
            Some(_) => None,
            None => Some(signing::request(&target, arguments)?),
        };
        let roots = match target.parameter("sslrootcert") {
            Some(list) if list.contains(',') => {
                return Err(Failure::usage(
                    "a client takes one file of authorities: name one as --sslrootcert",
                ));
            }
            roots => roots.map(PathBuf::from),
        };
        let address = match target.address {
            None if target.host.trim_end_matches('.') != target.tls_name() => {
                Some(runtime.block_on(address_of(&target.host))?)
            }
            address => address,
        };
        Ok(Self { target, request, roots, address })
    }

    /// Signs a token, or loads the secret.
    fn login(&self, runtime: &Runtime) -> Result<Login, Failure> {
        let Some(request) = &self.request else {
            let secret = runtime.block_on(secret::read(&self.target))?;
            let password = Zeroizing::new(secret.expose_password().to_owned());
            return Ok(Login { user: secret.user().to_owned(), password, is_token: false });
        };
        let token = runtime.block_on(signing::sign(request, &self.target))?;
        let password = Zeroizing::new(token.expose().to_owned());
        Ok(Login { user: self.target.user.clone(), password, is_token: true })
    }
}

/// Returns the address of a host that is another name than the certificate's, as an alias is.
async fn address_of(host: &str) -> Result<IpAddr, Failure> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let failed = || Failure::new("the host has no address: check its spelling, or pass --hostaddr");
    let addresses = SystemResolver.resolve(host).await.map_err(|error| failed().because(error))?;
    addresses.first().copied().ok_or_else(failed)
}

/// Returns the client would say so too, but not in the words of this program, and after a token was
/// signed.
fn readable(roots: &Path) -> Result<(), Failure> {
    // libpq's word for the roots of the platform.
    if roots == Path::new("system") {
        return Ok(());
    }
    std::fs::File::open(roots).map(drop).map_err(|error| {
        let shown = roots.display().to_string();
        Failure::usage(format!("cannot read `{}` of --sslrootcert", shown.escape_debug())).because(error)
    })
}
