//! `rds-iam inspect`: what a host name alone says about its database, without a network.

use std::process::ExitCode;

use host_pattern::{Endpoint, EndpointKind};
use serde::Serialize;

use crate::{cli::InspectArguments, failure::Failure, terminal};

/// The facts that a host name gives; the fields are the keys of the JSON output.
#[derive(Serialize)]
struct Description {
    host: String,
    kind: String,
    id: Option<String>,
    region: Option<String>,
    partition: Option<&'static str>,
    instance_pattern: Option<String>,
    writer: Option<String>,
    green: bool,
    signs_for: Option<String>,
    remark: Option<String>,
}

/// Prints the facts about each host name; an invalid one is reported, and the others still printed.
pub(crate) fn run(arguments: &InspectArguments) -> Result<ExitCode, Failure> {
    let mut failed = false;
    for (index, host) in arguments.hosts.iter().enumerate() {
        match Endpoint::parse(host) {
            Ok(endpoint) if arguments.json => terminal::print(&json(&describe(&endpoint))?)?,
            Ok(endpoint) => {
                let gap = if index == 0 { "" } else { "\n" };
                terminal::print(&format!("{gap}{}", text(&describe(&endpoint))))?;
            }
            Err(error) => {
                failed = true;
                terminal::print_error(&Failure::new(format!("host {} is invalid: {error}", index + 1)));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn describe(endpoint: &Endpoint) -> Description {
    let (signs_for, remark) = signs_for(endpoint);
    Description {
        host: endpoint.to_string(),
        kind: endpoint.kind().to_string(),
        id: endpoint.id().map(str::to_owned),
        region: endpoint.region().map(str::to_owned),
        partition: endpoint.partition().map(|partition| partition.id()),
        instance_pattern: endpoint.instance_pattern().map(|pattern| pattern.as_str().to_owned()),
        writer: endpoint.writer_endpoint().map(|writer| writer.to_string()),
        green: endpoint.is_green(),
        signs_for,
        remark,
    }
}

fn signs_for(endpoint: &Endpoint) -> (Option<String>, Option<String>) {
    let in_region = |what: String| match endpoint.region() {
        Some(region) => format!("{what} in {region}"),
        None => what,
    };
    match endpoint.kind() {
        EndpointKind::Custom | EndpointKind::Ip => (
            None,
            Some("no token can be signed for this name: set `iamHost` to the endpoint's own name".to_owned()),
        ),
        EndpointKind::Dsql => (Some(in_region(format!("dsql, {endpoint}"))), None),
        EndpointKind::GlobalWriter => (
            Some(format!("rds-db, {endpoint} and the port")),
            Some("the name has no region: set `iamRegion` to that of the current writer".to_owned()),
        ),
        _ => (Some(in_region(format!("rds-db, {endpoint} and the port"))), None),
    }
}

fn text(description: &Description) -> String {
    let Description { host, kind, id, region, partition, .. } = description;
    let Description { instance_pattern, writer, green, signs_for, remark, .. } = description;
    let mut text = format!("{host}\n");
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<18}{value}\n"));
        }
    };
    line("kind", Some(kind));
    line("id", id.as_deref());
    line("region", region.as_deref());
    line("partition", *partition);
    line("instance pattern", instance_pattern.as_deref());
    line("writer", writer.as_deref().filter(|writer| writer != host));
    line("blue/green", green.then_some("green side"));
    line("signs for", signs_for.as_deref());
    line("note", remark.as_deref());
    text
}

fn json(description: &Description) -> Result<String, Failure> {
    let text = serde_json::to_string(description)
        .map_err(|error| Failure::new("the answer cannot be written as JSON").because(error))?;
    Ok(text + "\n")
}
