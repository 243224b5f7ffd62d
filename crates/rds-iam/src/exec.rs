//! `rds-iam exec`.

mod defaults_file;

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode},
};

use iam_token::AuthToken;
use tokio::runtime::Runtime;
use wrapper_iam::TokenRequest;

use crate::{
    cli::{Engine, ExecArguments, Service},
    exec::defaults_file::DefaultsFile,
    failure::Failure,
    signing::{Purpose, database},
};

/// Turns into the client; comes back only if that fails.
pub(crate) fn run(arguments: &ExecArguments, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let ExecArguments { host, user, port, region, profile, sslrootcert, command } = arguments;
    let Some((client, rest)) = command.split_first() else {
        return Err(Failure::usage("no client is named: write it after --, as in -- psql app"));
    };
    let engine = engine(client);
    let port = port.unwrap_or(engine.default_port());
    let target = database(Service::Rds, host, port, user, region.as_deref())?;
    if let Some(roots) = sslrootcert {
        readable(roots)?;
    }
    let sign = || runtime.block_on(Purpose::Database(target.clone()).sign(profile.as_deref()));
    let mut command = Command::new(client);
    match engine {
        Engine::Postgres => set_environment(&mut command, &target, &sign()?, sslrootcert.as_deref()),
        Engine::Mysql => {
            let Some(roots) = sslrootcert else {
                return Err(Failure::usage(
                    "mysql verifies a server only against given roots: pass the RDS bundle as --sslrootcert",
                ));
            };
            let file = DefaultsFile::new(client, &target, roots)?.write(&sign()?)?;
            command.arg(file);
        }
    }
    command.args(rest);
    let error = command.exec();
    let (message, code) = match error.kind() {
        io::ErrorKind::NotFound => ("was not found: check its name and PATH", 127),
        _ => ("cannot be run", 126),
    };
    // A whole command line in quotes may hold a password.
    let client = client.to_string_lossy();
    let is_path = client.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    let client = if is_path { format!("`{client}`") } else { "with blanks or signs in its name".to_owned() };
    Err(Failure::new(format!("client {client} {message}")).because(error).with_exit_code(code))
}

fn engine(client: &OsStr) -> Engine {
    let name = Path::new(client).file_name().unwrap_or(client).to_string_lossy();
    if name.starts_with("mysql") || name.starts_with("mariadb") { Engine::Mysql } else { Engine::Postgres }
}

/// The client would say so too, but not in the words of this program, and after a token was signed.
fn readable(roots: &Path) -> Result<(), Failure> {
    // A word of libpq's for the roots of the platform.
    if roots == Path::new("system") {
        return Ok(());
    }
    File::open(roots).map(drop).map_err(|error| {
        let shown = roots.display().to_string();
        Failure::new(format!("cannot read `{}` of --sslrootcert", shown.escape_debug())).because(error)
    })
}

fn set_environment(command: &mut Command, target: &TokenRequest, token: &AuthToken, roots: Option<&Path>) {
    let roots = roots.map(|path| path.as_os_str().to_owned());
    let roots = roots.or_else(|| env::var_os("PGSSLROOTCERT")).unwrap_or_else(|| OsString::from("system"));
    command
        .env("PGHOST", target.host())
        .env("PGPORT", target.port().to_string())
        .env("PGUSER", target.user())
        .env("PGPASSWORD", token.expose())
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", roots)
        // With a Kerberos ticket the client would otherwise do without tls.
        .env("PGGSSENCMODE", "disable")
        // A service file could lead the client, with this password, elsewhere.
        .env_remove("PGSERVICE");
}
