//! The host's name and its addresses.

use std::net::IpAddr;

use host_pattern::{Endpoint, EndpointKind};
use wrapper_core::{Error, ErrorKind, Resolver, SystemResolver};

use super::{
    report::{Cause, Code, Report, StepName},
    subject::Subject,
};

/// Says what the name stands for and what the token is signed for.
pub(super) fn report(report: &mut Report, subject: &Subject, refused: Option<&Error>) {
    let kind = Endpoint::parse(&subject.host).map(|endpoint| endpoint.kind().to_string());
    let kind = format!("`{}`, {}", subject.host, kind.unwrap_or_default());
    let target = match refused.map_or_else(|| subject.target(), |error| Err(error.clone())) {
        Ok(target) => target,
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::Region => Code::Region,
                _ => Code::HostName,
            };
            report.failed(StepName::Host, kind, [Cause::new(code, crate::failure::chain(&error))]);
            return;
        }
    };
    let fact = format!("{kind}; the token is signed for {target}");
    let named = subject.endpoint().and_then(|endpoint| endpoint.region().map(str::to_owned));
    if let Some(named) = named.filter(|named| named != target.region()) {
        let remedy =
            format!("`iamRegion` is {} and the name says {named}: leave `iamRegion` out", target.region());
        report.warning(StepName::Host, fact, remedy);
    } else if subject.dials_endpoint() && subject.signed_port() != subject.port {
        let (signed, dialled) = (subject.signed_port(), subject.port);
        let remedy = format!(
            "`iamDefaultPort` is {signed} and the connection goes to port {dialled}, which only a tunnel explains"
        );
        report.warning(StepName::Host, fact, remedy);
    } else {
        report.ok(StepName::Host, fact);
    }
}

/// Asks the operating system for the addresses.
pub(super) async fn resolve(report: &mut Report, subject: &Subject) -> Option<Vec<IpAddr>> {
    if let Some(address) = subject.address {
        report.ok(StepName::Dns, format!("`hostaddr` says {address}, so dns is not asked"));
        return Some(vec![address]);
    }
    if let Ok(address) = subject.host.trim_matches(['[', ']']).parse() {
        report.ok(StepName::Dns, "the host is an address");
        return Some(vec![address]);
    }
    let host = &subject.host;
    match SystemResolver.resolve(host).await {
        Ok(addresses) if !addresses.is_empty() => {
            let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let is_custom =
                Endpoint::parse(host).is_ok_and(|endpoint| endpoint.kind() == EndpointKind::Custom);
            let aliases = if is_custom { "; aliases (CNAME) are not followed" } else { "" };
            report.ok(StepName::Dns, format!("{}{aliases}", list.join(", ")));
            Some(addresses)
        }
        outcome => {
            let why = outcome.err().map(|error| format!(" ({error})")).unwrap_or_default();
            let remedy = "check the spelling, that the database exists, and that this machine's dns knows private zones";
            report.failed(
                StepName::Dns,
                format!("`{host}` has no address{why}"),
                [Cause::new(Code::Unresolved, remedy)],
            );
            None
        }
    }
}
