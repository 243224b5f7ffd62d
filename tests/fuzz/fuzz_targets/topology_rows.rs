//! Any answers to the topology queries give a connection or an error; no instance lies outside of
//! the pattern's domain.
//!
//! An input is the answers of one instance, separated by `|`: its role, its identity, the writer,
//! and the rows of the topology with a line each. Values are separated by commas; a value `NULL` is
//! a null.

#![no_main]

use host_pattern::InstancePattern;
use libfuzzer_sys::fuzz_target;
use wrapper_core::{
    ConnectRequest, Registry, Result,
    adapter::{RawParameters, ReadyDriver, Rows, Wrapper},
};
use wrapper_topology::{Dialect, InitialConnectionFactory, Topology};

const DOMAIN: &str = ".abc123.us-east-2.rds.amazonaws.com";
const STATEMENTS: [&str; 4] = ["role", "identity", "writer", "topology"];

fuzz_target!(|text: &str| {
    for dialect in [Dialect::aurora_postgres(), Dialect::multi_az_mysql()] {
        connect(dialect, text);
    }
});

fn connect(dialect: Dialect, text: &str) {
    let [role, identity, writer, topology] = STATEMENTS;
    let dialect = dialect.with_role(role).with_identity(identity);
    let dialect = dialect.with_writer(writer).with_topology(topology);
    let pattern = InstancePattern::parse(&format!("?{DOMAIN}")).expect("is a pattern");
    let topology = Topology::builder().dialect(dialect).instances(pattern, 5432).build();
    let registry = Registry::<()>::new().with(InitialConnectionFactory::new(topology.clone()));
    let endpoint = format!("app.cluster-{}", &DOMAIN[1..]);
    let request = ConnectRequest::new(&endpoint, 5432, "jane");
    let mut given = RawParameters::new();
    for (name, value) in [
        ("plugins", "initialConnection"),
        ("openConnectionRetryTimeoutMs", "10"),
        ("openConnectionRetryIntervalMs", "10"),
    ] {
        given.set(name, value).expect("is valid");
    }
    let (plugins, _) = registry.build(&given, std::slice::from_ref(&request)).expect("builds");

    let text = text.to_owned();
    let wrapper = Wrapper::new(ReadyDriver::answering(move |sql: &str| answer(&text, sql)), plugins);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    let outcome = runtime.block_on(wrapper.connect(request));

    let snapshot = topology.snapshot();
    assert!(snapshot.instances().len() <= 32, "{snapshot:?}");
    for instance in snapshot.instances() {
        let id = instance.host().strip_suffix(DOMAIN).expect("lies in the domain");
        assert!(!id.contains('.') && id.eq_ignore_ascii_case(instance.id()), "{instance:?}");
    }
    if let Err(error) = outcome {
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
}

fn answer(text: &str, sql: &str) -> Result<Rows> {
    let at = STATEMENTS.iter().position(|known| *known == sql);
    let lines = at.and_then(|at| text.split('|').nth(at)).unwrap_or_default().lines();
    let mut rows = Rows::new(["id", "writer", "cpu", "lag", "Source_Server_Id"]);
    for line in lines {
        let values: Vec<_> = line.split(',').map(|value| (value != "NULL").then_some(value)).collect();
        let values = (0..5).map(|at| values.get(at).copied().flatten());
        rows.push(values)?;
    }
    Ok(rows)
}
