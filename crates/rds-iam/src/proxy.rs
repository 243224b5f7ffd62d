//! `rds-iam proxy`.

mod descriptors;
mod file;
mod local_password;
mod log;
mod ready;
mod settings;
mod systemd;

use std::{process::ExitCode, time::Duration};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};
use wrapper_core::{Engine, Error, ErrorKind, Registry};
use wrapper_iam::IamFactory;
use wrapper_proxy::{
    Access, Admin, Handle, Limits, Listen, LocalAddress, Proxy, Target, TcpPort, mysql::MysqlTarget,
    postgres::PostgresTarget,
};
use wrapper_secrets::SecretsFactory;
use wrapper_topology::{FailoverFactory, InitialConnectionFactory};
use zeroize::Zeroizing;

use self::{
    local_password::Chosen,
    settings::{Settings, TargetSettings},
};
use crate::{
    cli::{self, ListenAt, ProxyArguments},
    failure::{Failure, USAGE},
    terminal::{print, print_note, wrapped},
};

/// The default time for sessions to end after the first signal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The time for tasks to stop once the proxy has ended.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(100);

pub(crate) fn run(arguments: &ProxyArguments) -> Result<ExitCode, Failure> {
    if let Some(limit) = arguments.wait_ready {
        return ready::wait(settings::admin(arguments)?, limit);
    }
    log::start(arguments.verbose);
    let settings = Settings::read(arguments)?;
    // One thread for each core: TLS of many clients is work for more than one.
    let runtime = Runtime::new()
        .map_err(|error| Failure::new("cannot start the asynchronous runtime").because(error))?;
    let served = runtime.block_on(serve(&settings));
    // Without a limit a look-up of a name that is under way would delay the end.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    served.map(|()| ExitCode::SUCCESS)
}

/// Serves clients until a signal ends the proxy.
async fn serve(settings: &Settings) -> Result<(), Failure> {
    let targets = settings.targets.iter().map(|target| Ok((target, opened(target)?)));
    let targets = targets.collect::<Result<Vec<_>, Failure>>()?;
    let password = settings.local_password()?;
    let mut limits = Limits::default();
    if let Some(most) = settings.options.max_connections {
        limits.max_connections = usize::try_from(most).unwrap_or(usize::MAX);
    }
    descriptors::raise(limits.max_connections);
    if !settings.options.lazy {
        // A wrong target is reported before any client can connect.
        for (named, target) in &targets {
            target.check().await.map_err(|error| unable(named, &error))?;
        }
    }
    // Before readiness is reported, so that no signal is lost.
    let mut signals = Signals::new()?;
    let mut proxy = Proxy::new(access(settings, &password), limits);
    let mut lines = String::new();
    for (named, target) in &targets {
        lines.push_str(&heading(named, target));
        for listen in &named.listen {
            let listen = place(listen, settings.options.expose_to_network)?;
            let place = proxy.listen(&listen, target.clone()).await;
            let place = place.map_err(|error| Failure::new(error.to_string()))?;
            lines.push_str(&client_options(&place, target));
        }
    }
    let handle = proxy.handle();
    if let Some(address) = settings.options.admin {
        let names = settings.targets.iter().map(|target| target.name.clone());
        let admin = Admin::bind(address, handle.clone(), names).await;
        let admin = admin.map_err(|error| Failure::new(error.to_string()))?;
        let address = admin.address().map_err(|error| Failure::new(error.to_string()))?;
        lines.push_str(&format!("health and metrics at http://{address}\n"));
        tokio::spawn(admin.run());
    }
    print(&lines)?;
    if let Chosen::Made { shown, .. } = &password {
        const HEAD: &str = "local password, shown this once: ";
        let mut line = Zeroizing::new(String::with_capacity(HEAD.len() + shown.len() + 1));
        [HEAD, shown, "\n"].into_iter().for_each(|text| line.push_str(text));
        print(&line)?;
    }
    // The proxy holds the only copy from here on.
    drop(password);
    // The ports are bound, so services that systemd starts from now on can connect.
    systemd::notify("READY=1")?;
    let ended = tokio::spawn(async move { signals.end(&handle).await });
    tokio::select! {
        () = proxy.run(settings.options.drain_timeout.unwrap_or(DRAIN_TIMEOUT)) => {}
        // The third signal.
        _ = ended => {}
    }
    Ok(())
}

/// Creates the target of a connection string.
fn opened(settings: &TargetSettings) -> Result<Target, Failure> {
    let name = &settings.name;
    let wrong = |error: Error| {
        let failure = Failure::usage(format!("{name}: {error}"));
        match std::error::Error::source(&error) {
            Some(source) => failure.because(crate::failure::chain(source)),
            None => failure,
        }
    };
    match cli::Engine::of(&settings.text).map_err(wrong)? {
        cli::Engine::Postgres => {
            PostgresTarget::from_url(&settings.text, plugins()).map(Into::into).map_err(wrong)
        }
        cli::Engine::Mysql => MysqlTarget::from_url(&settings.text, plugins()).map(Into::into).map_err(wrong),
    }
}

fn plugins<C: Send + 'static>() -> Registry<C> {
    Registry::new()
        .with(IamFactory::default())
        .with(SecretsFactory::default())
        .with(InitialConnectionFactory::default())
        .with(FailoverFactory::default())
}

fn access(settings: &Settings, password: &Chosen) -> Access {
    let access = match password {
        Chosen::Given(password) | Chosen::Made { password, .. } => Access::new(password.clone()),
        Chosen::None => Access::without_password(),
    };
    let access = settings.options.allow_uid.iter().fold(access, |access, uid| access.allow_uid(*uid));
    settings.options.allow_gid.iter().fold(access, |access, gid| access.allow_gid(*gid))
}

fn place(listen: &ListenAt, is_exposed: bool) -> Result<Listen, Failure> {
    match listen {
        ListenAt::Folder(folder) => Ok(Listen::Unix(folder.clone())),
        ListenAt::Address(address) if is_exposed => Ok(Listen::Tcp(TcpPort::anywhere(*address))),
        ListenAt::Address(address) => TcpPort::new(*address).map(Listen::Tcp).map_err(|error| {
            Failure::usage(format!("{error}, or add --expose-to-network (`expose-to-network = true`)"))
        }),
    }
}

/// Creates the failure of a login at the start, with the causes to check.
fn unable(named: &TargetSettings, error: &Error) -> Failure {
    let is_wrong = matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Host | ErrorKind::Region);
    let failure = Failure::new(format!("{}: {error}", named.name));
    let failure = if is_wrong { failure.with_exit_code(USAGE) } else { failure };
    let failure = match std::error::Error::source(error) {
        Some(source) => failure.because(crate::failure::chain(source)),
        None => failure,
    };
    failure.with_hints(error.diagnosis().iter().take(3).map(ToString::to_string))
}

/// Returns the line that introduces a target.
fn heading(named: &TargetSettings, target: &Target) -> String {
    let line = format!("{}: {}:{} as `{}`", named.name, target.host(), target.port(), target.user());
    format!("{}\n", wrapped(&line, 2))
}

/// Returns where clients connect, in the notation of their own options: one line to copy, however
/// narrow the terminal is.
fn client_options(place: &LocalAddress, target: &Target) -> String {
    let (host, port) = match place {
        LocalAddress::Tcp(address) => (address.ip().to_string(), address.port()),
        LocalAddress::Unix(path) => {
            let folder = path.parent().unwrap_or(path);
            (folder.display().to_string(), target.port())
        }
        _ => (place.to_string(), target.port()),
    };
    let option = if target.engine() == Engine::Postgres { "dbname" } else { "database" };
    let database = target.database().map(|name| format!(" {option}={name}")).unwrap_or_default();
    let user = target.user();
    match (target.engine(), place) {
        (Engine::Mysql, LocalAddress::Unix(path)) => {
            format!("  socket={} user={user}{database}\n", path.display())
        }
        _ => format!("  host={host} port={port} user={user}{database}\n"),
    }
}

/// The signals that end a proxy.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listened =
            |kind| signal(kind).map_err(|error| Failure::new("cannot listen for signals").because(error));
        let (terminate, interrupt) = (listened(SignalKind::terminate())?, listened(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        // Dropping a wait loses nothing: a signal stays pending in its stream.
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Lets sessions end at the first signal, cuts them at the second, and returns at the third.
    async fn end(&mut self, handle: &Handle) {
        self.next().await;
        handle.drain();
        let sessions: u64 = handle.stats().iter().map(|stats| stats.open).sum();
        if sessions > 0 {
            print_note(&format!("waiting for sessions to end ({sessions} open); a second signal cuts them"));
        }
        // An error is ignored: systemd waits for the process in any case.
        drop(systemd::notify("STOPPING=1"));
        self.next().await;
        handle.cut();
        self.next().await;
    }
}
