//! What a server counts against a machine: connections that break off before their login. At
//! `max_connect_errors` of them it blocks the machine (error 1129).

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use rds_wrapper::iam::{Clock, SystemClock};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};

use super::{key, proxied::Proxy};
use crate::{
    Result,
    environment::{Environment, Observation},
    prerequisites::Prerequisites,
    programs::Programs,
    report::Report,
    scratch::{Scratch, free_port, hand_over},
    service::{Plan, Service, as_server, finish},
};

/// The server counts nothing for 127.0.0.1.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// One connection that breaks off is too many.
const MAX_CONNECT_ERRORS: usize = 1;

/// How many clients of each kind break off at the proxy.
const CLIENTS: usize = 20;

/// How long the server may take to notice the ends of connections.
const NOTICED: Duration = Duration::from_secs(30);

const PROXIED: &str = "20 port scans, 20 half handshakes at the proxy";
const DIRECT: &str = "a connection that breaks off at the server";

/// A MariaDB that resolves the names of its clients: only then it counts.
struct Server {
    _service: Service,
    socket: PathBuf,
    port: u16,
}

impl Server {
    fn start(prerequisites: &Prerequisites, scratch: &Scratch) -> Result<Self> {
        let folder = scratch.folder(prerequisites, "host-counter")?;
        let within = |name: &str| folder.join(name).display().to_string();
        let datadir = format!("--datadir={}", within("data"));
        let mut install = as_server(prerequisites, "mariadb-install-db");
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        install.arg(&datadir).current_dir(&folder);
        finish(install)?;
        // A machine without DNS would take seconds for the name.
        fs::write(folder.join("hosts"), format!("{CLIENT} client.internal.example\n"))?;
        fs::write(folder.join("users.sql"), "CREATE USER 'jane'@'%' IDENTIFIED BY 'unused password';\n")?;
        hand_over(prerequisites, &folder)?;
        let wrapper = prerequisites.nss_wrapper().ok_or("libnss-wrapper is gone")?;
        let port = free_port()?;
        let mut command = as_server(prerequisites, "env");
        command.arg(format!("LD_PRELOAD={}", wrapper.display())).current_dir(&folder);
        command.arg(format!("NSS_WRAPPER_HOSTS={}", within("hosts")));
        command.args(["/usr/sbin/mariadbd", "--no-defaults", &datadir]);
        let settings = [
            ("tmpdir", folder.display().to_string()),
            ("socket", within("server.socket")),
            ("pid-file", within("server.pid")),
            ("bind-address", Ipv4Addr::LOCALHOST.to_string()),
            ("port", port.to_string()),
            ("init-file", within("users.sql")),
            ("innodb-buffer-pool-size", "8M".to_owned()),
            ("max-connect-errors", MAX_CONNECT_ERRORS.to_string()),
        ];
        command.args(settings.map(|(name, value)| format!("--{name}={value}")));
        let log = folder.join("server.log");
        let plan = Plan { name: "mariadb", ready: "ready for connections", signal: "TERM", log: &log };
        let service = Service::start(command, &plan)?;
        Ok(Self { _service: service, socket: folder.join("server.socket"), port })
    }

    async fn administrator(&self) -> Result<Conn> {
        let options = OptsBuilder::default().socket(Some(self.socket.display().to_string()));
        Ok(Conn::new(options.user(Some("root"))).await?)
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((CLIENT, 0)))?;
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await
    }

    /// Returns what the client's machine is answered; the connection breaks off.
    async fn answer(&self) -> Result<&'static str> {
        // Behind the header: the version of a greeting, or 255 and the code of an error.
        let mut begin = [0; 7];
        self.connect().await?.read_exact(&mut begin).await?;
        let code = u16::from_le_bytes([begin[5], begin[6]]);
        Ok(match (begin[4], code) {
            (10, _) => "greeted",
            (255, 1129) => "blocked",
            _ => "another error",
        })
    }
}

/// Returns how many connects there have been, and how many of them wait for a login.
async fn connects(administrator: &mut Conn) -> Result<(u64, u64)> {
    let counts = "SELECT variable_value, (SELECT COUNT(*) FROM information_schema.processlist \
         WHERE user = 'unauthenticated user') FROM information_schema.global_status \
         WHERE variable_name = 'Connections'";
    let row: Option<(String, u64)> = administrator.query_first(counts).await?;
    let (connects, open) = row.ok_or("no status")?;
    Ok((connects.parse()?, open))
}

/// Waits until so many connects have come and ended.
///
/// `Aborted_connects` would name them, but MariaDB counts it without a lock and loses some.
async fn ended(administrator: &mut Conn, expected: u64) -> Result<()> {
    let deadline = SystemClock.now() + NOTICED;
    // A connect is counted a moment before it is listed.
    let mut looks = 0;
    while looks < 2 {
        let (connects, open) = connects(administrator).await?;
        looks = if connects >= expected && open == 0 { looks + 1 } else { 0 };
        if SystemClock.now() > deadline {
            let what = format!("{connects} of {expected} connects have come, {open} have not ended");
            return Err(what.into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Runs the cases.
pub(crate) async fn run(
    environment: &Environment,
    prerequisites: &Prerequisites,
    scratch: &Scratch,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    let name = environment.engine.name();
    if let Err(error) = std::net::TcpListener::bind((CLIENT, 0)) {
        let why = format!("no address {CLIENT}: {error}");
        for case in [PROXIED, DIRECT] {
            report.skipped(name, case, &why);
        }
        return Ok(());
    }
    let server = Server::start(prerequisites, scratch)?;
    // The proxy's connections come from the other address.
    let forward = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let forward_port = forward.local_addr()?.port();
    let forwarded = async {
        loop {
            let (mut client, _) = forward.accept().await?;
            let mut upstream = server.connect().await?;
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut upstream).await });
        }
        #[expect(unreachable_code, reason = "names the type")]
        Result::Ok(())
    };
    let cases = async {
        let authority = environment.authority().display().to_string();
        let variables = key().variables();
        let start =
            Proxy::start(environment.engine, programs, forward_port, &authority, &variables, &["--lazy"]);
        let proxy = start.await?;
        let mut administrator = server.administrator().await?;
        let (before, _) = connects(&mut administrator).await?;
        let broken = before + 2 * CLIENTS as u64;
        for _ in 0..CLIENTS {
            drop(TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await?);
            half_handshake(TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await?).await?;
        }
        ended(&mut administrator, broken).await?;
        let text = server.answer().await?.to_owned();
        report.row(name, PROXIED, "greeted", &Observation { text, details: Vec::new() });
        proxy.end().await?;
        // The connection that was greeted just now.
        ended(&mut administrator, broken + 1).await?;
        let text = server.answer().await?.to_owned();
        report.row(name, DIRECT, "blocked", &Observation { text, details: Vec::new() });
        Ok(administrator.disconnect().await?)
    };
    tokio::select! {
        ended = cases => ended,
        failed = forwarded => failed,
    }
}

/// Reads a greeting, and breaks off within the login packet.
async fn half_handshake(mut client: TcpStream) -> Result<()> {
    let mut header = [0; 4];
    client.read_exact(&mut header).await?;
    client.write_all(b"\x20\0\0\x01").await?;
    Ok(())
}
