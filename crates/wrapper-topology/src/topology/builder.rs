//! The builder of a topology.

use host_pattern::InstancePattern;
use wrapper_core::{Error, ErrorKind, Result};

use super::{Kind, Topology};
use crate::{
    Dialect,
    knowledge::{Knowledge, Naming},
};

/// Builds a [`Topology`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes nothing by itself"]
pub struct TopologyBuilder {
    dialect: Option<Dialect>,
    naming: Option<(InstancePattern, u16)>,
}

impl TopologyBuilder {
    /// Sets the statements, for servers of any kind; by default they are detected at the first
    /// connect.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Sets the pattern and port of the instances; by default they follow from the first
    /// connector's host.
    pub fn instances(mut self, pattern: InstancePattern, port: u16) -> Self {
        self.naming = Some((pattern, port));
        self
    }

    /// Builds a topology that discovers the instances from the servers.
    pub fn build(self) -> Topology {
        let kind = self.dialect.map_or(Kind::Unknown, Kind::Known);
        let topology = Topology::with(kind, Knowledge::default());
        if let Some((pattern, port)) = self.naming {
            let naming = Naming { pattern, port };
            let mut state = topology.state();
            state.monitor.knowledge = Knowledge::discovering(naming.clone());
            state.naming = Some(naming);
        }
        topology
    }

    /// Builds a topology with a fixed list of instances; see [`Topology::fixed`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn fixed<'a>(self, writer: &'a str, readers: impl IntoIterator<Item = &'a str>) -> Result<Topology> {
        let port = self.naming.as_ref().map_or(5432, |(_, port)| *port);
        let hosts = std::iter::once(writer).chain(readers);
        let hosts = hosts.map(|host| host_and_port(host, port)).collect::<Result<Vec<_>>>()?;
        let kind = self.dialect.map_or(Kind::Unknown, Kind::Known);
        Ok(Topology::with(kind, Knowledge::fixed(hosts)))
    }
}

fn host_and_port(text: &str, default: u16) -> Result<(String, u16)> {
    let wrong = || {
        let message = "malformed instance of a topology, expected a host name with an optional port such as \
                       `db.example:5432`";
        Error::new(ErrorKind::Configuration, message)
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (text, default),
    };
    let endpoint = host_pattern::Endpoint::parse(host).map_err(|_| wrong())?;
    Ok((endpoint.as_str().to_owned(), port))
}
