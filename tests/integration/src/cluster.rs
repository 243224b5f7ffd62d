//! Clusters of three real servers that answer the topology queries of Aurora.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
};

use rds_wrapper::Topology;

use crate::{
    Result,
    certificates::Certificates,
    environment::Engine,
    prerequisites::Prerequisites,
    scratch::{Scratch, free_port, hand_over},
    service::{Plan, Service, finish},
};

mod mysql57;
mod postgres;

pub(crate) use mysql57::{Mysql57, rows};
pub(crate) use postgres::Postgres;

/// What follows the ids of the instances in their names.
pub(crate) const DOMAIN: &str = "abc123.us-east-2.rds.amazonaws.com";

/// The writer endpoint, whose name stays with the first writer, as DNS that is stale.
pub(crate) const ENDPOINT: &str = "app.cluster-abc123.us-east-2.rds.amazonaws.com";

/// Who writes, and the password.
pub(crate) const WRITER: (&str, &str) = ("app", "app password");

/// The instances, the first writer first.
pub(crate) const IDS: [&str; 3] = ["a", "b", "c"];

/// A running cluster, stopped on drop.
pub(crate) trait Cluster: Sized {
    /// The engine of its servers.
    const ENGINE: Engine;

    /// Starts a cluster in a folder of this name.
    async fn start(prerequisites: &Prerequisites, scratch: &Scratch, name: &str) -> Result<Self>;

    fn nodes(&self) -> &Nodes;

    fn nodes_mut(&mut self) -> &mut Nodes;

    /// Returns a topology that understands its answers.
    fn topology() -> Topology;

    /// Ends an instance at once.
    fn kill(&mut self, id: &str) -> Result<()>;

    /// Lets the writer give up its role, and ends its sessions.
    async fn step_down(&mut self, id: &str) -> Result<()>;

    /// Makes an instance the writer, and lets all that run report it.
    async fn promote(&self, id: &str) -> Result<()>;
}

/// The servers of a cluster, on one port and an address for each, as those of a cluster on AWS.
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    folder: PathBuf,
    port: u16,
    certificates: Certificates,
}

struct Node {
    id: &'static str,
    service: Service,
    state: NodeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeState {
    Ended,
    Frozen,
    Running,
}

impl Nodes {
    /// Prepares the folders and the certificate.
    fn prepare(prerequisites: &Prerequisites, scratch: &Scratch, name: &str) -> Result<Self> {
        let folder = scratch.folder(prerequisites, name)?;
        let names = IDS.map(|id| format!("{id}.{DOMAIN}"));
        let certificates = Certificates::issue(&folder, [ENDPOINT, &names[0], &names[1], &names[2]])?;
        IDS.iter().try_for_each(|id| fs::create_dir(folder.join(id)))?;
        hand_over(prerequisites, &folder)?;
        Ok(Self { nodes: Vec::new(), folder, port: free_port()?, certificates })
    }

    fn run(&mut self, id: &'static str, command: Command, plan: &Plan<'_>) -> Result<()> {
        let service = Service::start(command, plan)?;
        self.nodes.push(Node { id, service, state: NodeState::Running });
        Ok(())
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn data(&self, id: &str) -> PathBuf {
        self.folder(id).join("data")
    }

    /// The authority of the instances' certificate.
    pub(crate) fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends an instance by a signal.
    fn end(&mut self, id: &str, signal: &str) -> Result<()> {
        let node = self.node(id)?;
        node.state = NodeState::Ended;
        node.service.send(signal)
    }

    /// Lets an instance stand still with all its connections open.
    pub(crate) fn freeze(&mut self, id: &str) -> Result<()> {
        // The parent stops first, so that it forks no process that is missing in the list.
        let node = self.node(id)?;
        node.service.send("STOP")?;
        node.state = NodeState::Frozen;
        signal("STOP", &children(node.service.id())?)
    }

    fn running(&self) -> impl Iterator<Item = &'static str> {
        self.nodes.iter().filter(|node| node.state == NodeState::Running).map(|node| node.id)
    }

    fn node(&mut self, id: &str) -> Result<&mut Node> {
        Ok(self.nodes.iter_mut().find(|node| node.id == id).ok_or("there is no such instance")?)
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // A stopped process hears no other signal; one that is killed need not.
        for node in self.nodes.iter().filter(|node| node.state == NodeState::Frozen) {
            let _ = node.service.send("QUIT");
            let mut all = children(node.service.id()).unwrap_or_default();
            all.push(node.service.id());
            let _ = signal("CONT", &all);
        }
    }
}

/// Returns the address behind a name.
pub(crate) fn resolve(host: &str) -> std::io::Result<Vec<IpAddr>> {
    let id = if host == ENDPOINT { Some("a") } else { host.strip_suffix(DOMAIN) };
    let id = id.map(|id| id.trim_end_matches('.')).and_then(|id| IDS.into_iter().find(|known| *known == id));
    id.map(|id| vec![address(id).into()]).ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

fn address(id: &str) -> Ipv4Addr {
    let at = IDS.iter().position(|known| *known == id).unwrap_or_default();
    Ipv4Addr::new(127, 0, 1, 1 + at as u8)
}

/// The processes that a process has started.
fn children(parent: u32) -> Result<Vec<u32>> {
    let line = format!("PPid:\t{parent}\n");
    let processes =
        fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |id: &u32| {
        fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| status.contains(&line))
    };
    Ok(processes.filter(is_child).collect())
}

fn signal(name: &str, processes: &[u32]) -> Result<()> {
    if processes.is_empty() {
        return Ok(());
    }
    // By the shell, since `std` has no call for it and `kill` is not a program everywhere.
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$0\" \"$@\"", name]).args(processes.iter().map(u32::to_string));
    finish(kill)
}
