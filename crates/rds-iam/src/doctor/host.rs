//! The host's name and its addresses.

use std::net::IpAddr;

use host_pattern::Endpoint;
use wrapper_adapter::{Resolver, SystemResolver};
use wrapper_core::{Error, ErrorKind};

use super::{
    cause::{Cause, Code},
    dns::{Aliases, ChainEnd, DnsServer},
    report::{Report, StepName},
};
use crate::{target::Target, terminal::listed};

/// How many addresses are shown.
const SHOWN: usize = 4;

const UNRESOLVED: &str =
    "check the spelling, that the database exists, and that this machine's DNS knows private zones";

/// Reports the kind of the host name, and what the token is signed for.
pub(super) fn report(report: &mut Report, target: &Target, refused: Option<&Error>) {
    let kind = Endpoint::parse(&target.host).map(|endpoint| endpoint.kind().to_string());
    let kind = format!("`{}`, {}", target.host, kind.unwrap_or_default());
    if target.secret.is_some() {
        report.ok(StepName::Host, kind);
        return;
    }
    let request = match refused.map_or_else(|| target.token_request(), |error| Err(error.clone())) {
        Ok(request) => request,
        Err(error) => {
            report.failed(StepName::Host, kind, [signing_cause(target, &error)]);
            return;
        }
    };
    let fact = format!("{kind}; the token is signed for {request}");
    let named = target.endpoint().and_then(|endpoint| endpoint.region().map(str::to_owned));
    if let Some(named) = named.filter(|named| named != request.region()) {
        let remedy =
            format!("`iamRegion` is {} but the host name says {named}: remove `iamRegion`", request.region());
        report.warning(StepName::Host, fact, Code::Region, remedy);
    } else if target.dials_endpoint() && target.signed_port() != target.port {
        let (signed, dialled) = (target.signed_port(), target.port);
        let remedy = format!(
            "`iamDefaultPort` is {signed} but the connection uses port {dialled}: only right behind a tunnel"
        );
        report.warning(StepName::Host, fact, Code::SignedPort, remedy);
    } else {
        report.ok(StepName::Host, fact);
    }
}

/// Returns why no token can be signed, with the endpoint that DNS resolves the name to.
fn signing_cause(target: &Target, error: &Error) -> Cause {
    let behind = target.aliases.as_ref().and_then(Aliases::endpoint);
    let text = crate::failure::chain(error);
    let host = &target.host;
    match (error.kind(), behind) {
        (ErrorKind::Region, Some(behind)) => {
            let hint = behind.region().map(|region| {
                format!("; `{host}` is currently an alias of `{behind}`: add iamRegion={region}")
            });
            Cause::new(Code::Region, text + &hint.unwrap_or_default())
        }
        (ErrorKind::Region, None) => Cause::new(Code::Region, text),
        (_, Some(behind)) if target.parameter("iamHost").is_none() => {
            Cause::new(Code::HostName, format!("`{host}` is an alias of `{behind}`: add iamHost={behind}"))
        }
        (_, Some(behind)) => {
            Cause::new(Code::HostName, format!("{text}; `{host}` is an alias: set iamHost={behind}"))
        }
        (_, None) => Cause::new(Code::HostName, text),
    }
}

/// Returns whether the host has to be resolved: it is not an address, and none is given.
pub(super) fn is_looked_up(target: &Target) -> bool {
    target.address.is_none() && literal(target).is_none()
}

fn literal(target: &Target) -> Option<IpAddr> {
    target.host.trim_matches(['[', ']']).parse().ok()
}

/// Resolves the host, by the operating system unless a server is given.
pub(super) async fn resolve(
    report: &mut Report,
    target: &Target,
    server: Option<&DnsServer>,
) -> Option<Vec<IpAddr>> {
    if let Some(address) = target.address {
        report.ok(StepName::Dns, format!("connects to the given address {address}, without DNS"));
        return Some(vec![address]);
    }
    if let Some(address) = literal(target) {
        report.ok(StepName::Dns, "the host is an address");
        return Some(vec![address]);
    }
    let host = &target.host;
    let found = match server {
        Some(server) => server.resolve(host).await,
        None => SystemResolver.resolve(host).await,
    };
    let why = match found {
        Ok(addresses) if !addresses.is_empty() => {
            let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let list = listed(&list, SHOWN);
            let fact =
                target.aliases.as_ref().map_or(list.clone(), |aliases| chain_text(target, aliases, &list));
            match target.alias_remedy() {
                Some(remedy) => report.warning(StepName::Dns, fact, Code::HostName, remedy),
                None => report.ok(StepName::Dns, fact),
            }
            return Some(addresses);
        }
        Ok(_) => String::new(),
        Err(error) => format!(" ({error})"),
    };
    let aliases = target.aliases.as_ref().filter(|aliases| aliases.is_alias());
    let (chain, remedy) = match aliases {
        Some(aliases) if aliases.end == ChainEnd::Circle => {
            (format!(": {aliases} is a loop"), "point one of these CNAME records at the database")
        }
        Some(aliases) if aliases.end == ChainEnd::TooLong => (
            format!(": {aliases} -> … is too long"),
            "point the first of these CNAME records at the database",
        ),
        Some(aliases) if aliases.end == ChainEnd::Missing => (
            format!(": {aliases} ends at a name that does not exist"),
            "point the CNAME record at an existing database: this one was renamed or deleted, or is known to \
             another DNS only",
        ),
        Some(aliases) => (format!(": {aliases}"), UNRESOLVED),
        None => (String::new(), UNRESOLVED),
    };
    let fact = format!("`{host}` has no address{why}{chain}");
    report.failed(StepName::Dns, fact, [Cause::new(Code::Unresolved, remedy)]);
    None
}

/// Returns the chain of aliases with the addresses at its end.
fn chain_text(target: &Target, aliases: &Aliases, addresses: &str) -> String {
    let mut text = match aliases.is_alias() {
        true => format!("{aliases} -> {addresses}"),
        false => addresses.to_owned(),
    };
    let instance = aliases.instance().filter(|_| target.dials_endpoint());
    if let Some(id) = instance.as_ref().and_then(Endpoint::id) {
        text.push_str(&format!("; currently instance `{id}`"));
    }
    match &aliases.end {
        ChainEnd::Unknown(why) if aliases.is_alias() => {
            text.push_str(&format!("; further aliases unknown ({why})"))
        }
        ChainEnd::Unknown(why) => text.push_str(&format!("; aliases unknown ({why})")),
        ChainEnd::Circle => text.push_str("; the aliases are a loop"),
        ChainEnd::TooLong => text.push_str("; the chain of aliases is too long"),
        // The system knows names that DNS does not.
        ChainEnd::Canonical | ChainEnd::Missing => {}
    }
    text
}
