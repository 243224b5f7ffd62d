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

/// The database as the client is told of it.
#[derive(Debug)]
struct Session {
    target: Target,
    /// What the token is signed for; `None` where a secret takes its position.
    request: Option<TokenRequest>,
    /// The file of trusted authorities, if one is given.
    roots: Option<PathBuf>,
    /// The address to connect to, if it is not what the certificate's name resolves to.
    address: Option<IpAddr>,
}

/// User and password of the client.
struct Login {
    user: String,
    password: Zeroizing<String>,
    /// Whether the password is a token, which servers ask for in clear text.
    is_token: bool,
}

/// Becomes the client; returns only on failure.
pub(crate) fn run(arguments: &ExecArguments, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let ExecArguments { connection, url_env, url_query, command } = arguments;
    let Some((program, rest)) = command.split_first() else {
        return Err(Failure::usage("missing client: write it after --, as in -- psql app"));
    };
    // Everything is checked before `login`, which may ask for an MFA code.
    let client = Client::of(program, rest);
    let session = Session::read(connection, client.engine(), runtime)?;
    let engine = session.target.engine;

    let mut child = Command::new(program);
    match (url_env, engine) {
        (Some(name), _) => {
            let query = url::query(&client, &session, url_query.as_deref())?;
            let name = url::checked_name(name)?;
            let login = session.login(runtime)?;
            child.env(name, url::with_login(&session, &login, &query));
            // A token in cleartext needs a verified server, which `--url-query` may leave out.
            let is_verified = query.to_ascii_uppercase().contains("VERIFY_IDENTITY");
            if engine == Engine::Mysql && login.is_token && is_verified {
                // Tools on libmysqlclient, as diesel is, send no token without it:
                // https://dev.mysql.com/doc/refman/8.4/en/cleartext-pluggable-authentication.html
                child.env("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "1");
            }
            child.args(rest);
        }
        (None, Engine::Postgres) => {
            let roots = environment::roots(&client, session.roots.as_deref())?;
            environment::set(&mut child, &session, &session.login(runtime)?, &roots);
            child.args(rest);
        }
        (None, Engine::Mysql) => {
            let position = client.file_position()?;
            let file = DefaultsFile::new(client.dialect(), &session)?;
            let login = session.login(runtime)?;
            let written = file.write(&login)?;
            // An inherited password belongs to another login.
            child.env_remove("MYSQL_PWD");
            if written.lacks_password {
                child.env("MYSQL_PWD", &*login.password);
            }
            child.args(position.arguments(rest, &written.argument));
        }
    }
    // Replaces this process, so no parent is left that holds the token in memory.
    Err(not_run(child.exec(), &client))
}

/// Returns why the client could not be run.
fn not_run(error: io::Error, client: &Client<'_>) -> Failure {
    let (message, code) = match error.kind() {
        io::ErrorKind::NotFound => ("not found: check its name and PATH", 127),
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
        let text = text.ok_or_else(connection::missing_database)?;
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
                    "a client takes a single file of certificate authorities: pass one as --sslrootcert",
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

/// Resolves a host whose name differs from the certificate's, such as an alias.
async fn address_of(host: &str) -> Result<IpAddr, Failure> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let failed = || Failure::new("failed to resolve the host: check its spelling, or pass --hostaddr");
    let addresses = SystemResolver.resolve(host).await.map_err(|error| failed().because(error))?;
    addresses.first().copied().ok_or_else(failed)
}

/// Checks that the roots can be read: the client would fail too, but after a token was signed and
/// without naming the option.
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
