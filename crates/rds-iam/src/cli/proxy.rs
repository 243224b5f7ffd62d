//! The arguments of `proxy`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct ProxyArguments {
    /// Connection strings, one for each target [default: DATABASE_URL]. Every user of the machine
    /// can read a password in an argument
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// A TOML file with targets and the options below, in place of arguments
    #[arg(long, value_name = "FILE", conflicts_with_all = ["urls", "listen", "ProxyOptions"])]
    pub(crate) config: Option<PathBuf>,
    /// Where clients connect: a port of 127.0.0.1, an address, or a folder for a Unix socket; once
    /// for each URL [default: a folder in XDG_RUNTIME_DIR]
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub(crate) listen: Vec<ListenAt>,
    #[command(flatten)]
    pub(crate) options: ProxyOptions,
    /// Waits until the running proxy at --admin is ready, at most so many seconds [default: 30]
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30",
        value_parser = super::seconds
    )]
    pub(crate) wait_ready: Option<Duration>,
    /// Logs every client, not only warnings
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// The options of all targets of a proxy; each is a key of the file as well.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ProxyOptions {
    /// Allows --listen with an address that other machines can reach: password and data cross the
    /// network unencrypted
    #[arg(long)]
    pub(crate) expose_to_network: bool,
    /// Allows another account, by its user id, to use the Unix sockets; repeatable
    #[arg(long, value_name = "UID")]
    pub(crate) allow_uid: Vec<u32>,
    /// Allows accounts of another primary group, by its id, to use the Unix sockets; repeatable
    #[arg(long, value_name = "GID")]
    pub(crate) allow_gid: Vec<u32>,
    /// The file with the password of the ports [default: RDS_IAM_LOCAL_PASSWORD, or one generated
    /// and shown on the terminal]
    #[arg(long, value_name = "FILE", conflicts_with = "no_local_password")]
    pub(crate) local_password_file: Option<PathBuf>,
    /// Allows every account of this machine to use the ports
    #[arg(long)]
    pub(crate) no_local_password: bool,
    /// The most sessions at once [default: 512]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: Option<u32>,
    /// The time for sessions to end after SIGTERM [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub(crate) drain_timeout: Option<Duration>,
    /// The loopback address of /liveness, /readiness and /metrics
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) admin: Option<SocketAddr>,
    /// Skips the test login at the start
    #[arg(long)]
    pub(crate) lazy: bool,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenAt {
    Address(SocketAddr),
    Folder(PathBuf),
}

/// Reads a place to listen at.
pub(crate) fn place(text: &str) -> Result<ListenAt, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(ListenAt::Address((IpAddr::from(Ipv4Addr::LOCALHOST), port).into()));
    }
    if let Ok(address) = text.parse() {
        return Ok(ListenAt::Address(address));
    }
    if text.contains('/') && !text.contains("://") {
        return Ok(ListenAt::Folder(text.into()));
    }
    Err("use a port, an address such as 127.0.0.1:6432, or a folder with a / in its path".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_a_port_an_address_or_a_folder() {
        let address = |text: &str| ListenAt::Address(text.parse().expect("an address"));
        assert_eq!(place("6432"), Ok(address("127.0.0.1:6432")));
        assert_eq!(place("[::1]:6432"), Ok(address("[::1]:6432")));
        assert_eq!(place("/run/db"), Ok(ListenAt::Folder("/run/db".into())));
        assert_eq!(place("./db"), Ok(ListenAt::Folder("./db".into())));
        for wrong in ["", "db", "65536", "-1", "localhost:6432", "127.0.0.1", "postgres://jane@h/app"] {
            assert!(place(wrong).expect_err(wrong).contains("127.0.0.1:6432"));
        }
    }
}
