//! `rds-iam doctor`: the steps of a login one by one.

mod auth_probe;
mod cause;
mod certificate;
mod clock;
mod credentials;
mod dns;
mod host;
mod identity;
mod login;
mod negotiation;
mod parameters;
mod report;
mod screen;
mod secret;
mod tcp;
mod tls;
mod topology;

use std::{process::ExitCode, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    signal,
    time::{interval, sleep},
};
use wrapper_adapter::{Resolver, resolver_fn};
use wrapper_core::{Error, ErrorKind};

pub(crate) use self::dns::Aliases;
use self::{
    cause::{Cause, Code},
    dns::DnsServer,
    login::Findings,
    report::{Report, StepName},
    screen::Screen,
};
use crate::{
    cli::{DoctorArguments, Engine},
    connection::{self, Input},
    connector::Connector,
    failure::Failure,
    target::Target,
};

/// How often the spinner turns.
const FRAME: Duration = Duration::from_millis(100);

/// Runs the steps until they end, the time is up or the program is interrupted, and prints the
/// report.
pub(crate) async fn run(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let mut connection = arguments.connection.clone();
    connection.url = arguments.text.clone().or(connection.url);
    let text = connection.text(Engine::Postgres, Input::Own)?.ok_or_else(connection::missing_database)?;
    let server = arguments
        .dns_server
        .map(DnsServer::new)
        .transpose()
        .map_err(|error| Failure::new("failed to set up the resolver of --dns-server").because(error))?;
    let screen = Rc::new(if arguments.json { Screen::silent() } else { Screen::new() });
    let mut report = Report::new(Rc::clone(&screen));

    let mut frames = interval(FRAME);
    let spinning = async {
        loop {
            frames.tick().await;
            screen.draw_frame();
        }
    };
    // Where no handler can be installed, the signal ends the program.
    let interrupted = async { signal::ctrl_c().await.is_ok() };
    // The interrupt comes first, so that it is noticed even while steps are always ready.
    tokio::select! {
        biased;
        true = interrupted => report.interrupt(),
        // Dropped at any await the report stays whole: a step is added when it has ended.
        () = examine(&mut report, &text, arguments, server) => {}
        () = sleep(arguments.timeout) => report.run_out_of_time(arguments.timeout),
        () = spinning => {}
    }
    report.finish(arguments.json)?;
    Ok(ExitCode::from(report.exit_code()))
}

/// Runs the steps; after a failure it still runs those that do not depend on the failed one.
async fn examine(report: &mut Report, text: &str, arguments: &DoctorArguments, server: Option<DnsServer>) {
    let built = Connector::build(text);
    report.has_topology = built.as_ref().is_ok_and(|connector| connector.topology().is_some());
    let built = built.map(drop);
    let mut target = match target(text, arguments, &built) {
        Ok(target) => target,
        Err(error) => {
            let text = crate::failure::chain(&error);
            report.failed(
                StepName::Parameters,
                "the connection string cannot be used",
                [Cause::new(Code::Parameters, text)],
            );
            report.skip_rest("the parameters are wrong");
            return;
        }
    };
    report.set_target(&target);
    parameters::report(report, &target);
    // Before the host step, which explains a custom domain by its aliases.
    if host::is_looked_up(&target) {
        target.aliases = Some(Aliases::follow(&target.host, server.as_ref()).await);
    }
    host::report(report, &target, built.as_ref().err());
    let addresses = host::resolve(report, &target, server.as_ref()).await;
    let session = credentials::report(report, &target, arguments.sts).await;
    let secret = secret::report(report, &mut target, session.as_ref()).await;
    let ahead = clock::report(report, &target, arguments.time_url.as_deref()).await;
    let stream = match addresses {
        Some(addresses) => tcp::report(report, &target, &addresses).await,
        None => {
            report.skipped(StepName::Tcp, "no address is known");
            None
        }
    };
    // The address that answered, for the probe after a refusal.
    let address = stream.as_ref().and_then(|stream| stream.peer_addr().ok());
    let is_verified = match stream {
        Some(stream) => tls::report(report, &target, stream).await,
        None => {
            report.skipped(StepName::Tls, "there is no connection");
            false
        }
    };
    // Without verified TLS no password is sent, not even to explain a failure.
    let lacks_secret = target.secret.is_some() && secret.is_none();
    let (Ok(()), Some(session), true) = (built, session, is_verified && !lacks_secret) else {
        report.skip_rest("a step before it failed");
        return;
    };
    let resolver = resolver(&target, server);
    match Connector::with_credentials(text, session.credentials.clone(), secret, resolver) {
        Ok(connector) => {
            let findings = Findings { target: &target, session: &session, address, ahead };
            match login::report(report, &connector, &findings).await {
                true => topology::report(report, &connector),
                false => report.skip_rest("the login failed"),
            }
        }
        Err(error) => {
            let text = crate::failure::chain(&error);
            report.failed(
                StepName::Login,
                "the connector cannot be built",
                [Cause::new(Code::Parameters, text)],
            );
            report.skip_rest("the login failed");
        }
    }
}

/// Reads the connection string. Values that a program would reject are errors, except for the host,
/// which has its own step.
fn target(text: &str, arguments: &DoctorArguments, built: &Result<(), Error>) -> Result<Target, Error> {
    match built {
        Err(error) if !matches!(error.kind(), ErrorKind::Host | ErrorKind::Region) => Err(error.clone()),
        Err(error) => match Target::read(text, arguments.connection.hostaddr)? {
            // With a secret no token is signed, and the host step would not report this.
            target if target.secret.is_some() => Err(error.clone()),
            target => Ok(target),
        },
        Ok(()) => Target::read(text, arguments.connection.hostaddr),
    }
}

/// Returns the resolver of the login, unless it is the operating system's.
fn resolver(target: &Target, server: Option<DnsServer>) -> Option<Arc<dyn Resolver>> {
    match target.address {
        Some(address) => Some(Arc::new(resolver_fn(move |_| Ok(vec![address])))),
        None => server.map(|server| Arc::new(server) as Arc<dyn Resolver>),
    }
}
