//! Connections through the proxy beside direct ones over verified TLS, at the embedded servers.

use std::{
    env, fs,
    future::Future,
    io::{self, BufRead, BufReader, Read},
    pin::Pin,
    process::{Child, Command, Stdio},
    time::Duration,
};

use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use rds_testkit::{MysqlServer, PostgresServer, Rows};
use tokio::{runtime::Runtime, time::Instant};
use tokio_postgres::NoTls;
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_pg::{PgConnection, TlsStack};
use wrapper_proxy::{
    Access, Limits, Listen, LocalAddress, Proxy, Target, TcpPort, mysql::MysqlTarget,
    postgres::PostgresTarget,
};

use crate::{
    Error, Result,
    connects::median,
    output,
    report::{Report, Section, Table},
};

/// The first argument of this program as a proxy, so that its memory and descriptors are its own.
pub(crate) const ARGUMENT: &str = "serve-proxy";

const CONNECTS: usize = 200;
const QUERIES: usize = 4_000;
const BUSY: usize = 8;
const BUSY_FOR: Duration = Duration::from_secs(2);
const FAT_ROWS: usize = 32 * 1024;
const FAT_ROUNDS: usize = 9;
const IDLE: usize = 500;
const SMALL: &str = "SELECT 1";

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Measures both engines at the embedded servers.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    // A runtime for each side: in one a direct query often wakes no other thread.
    let (servers, clients) = (Runtime::new()?, Runtime::new()?);
    let fat = Rows::new(["fat"]);
    let fat = (0..FAT_ROWS).fold(fat, |rows, _| rows.row(["x".repeat(1_024).into()]));
    let place = Place { server: "rds-testkit", user: "jane", database: "app", fat: "SELECT fat", idle: IDLE };
    let server = PostgresServer::builder().user("jane").answer(place.fat, fat.clone());
    let server = servers.block_on(server.start())?;
    let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
    let proxy = ProxyProcess::start(&server.url(), &server.access_key().env())?;
    report.add(clients.block_on(postgres(&server.url(), registry, &proxy, &place))?)?;

    let server = MysqlServer::builder().user("jane").database("app").answer(place.fat, fat);
    let server = servers.block_on(server.start())?;
    let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
    let proxy = ProxyProcess::start(&server.url(), &server.access_key().env())?;
    report.add(clients.block_on(mysql(&server.url(), registry, &proxy, &place))?)
}

/// Measures a PostgreSQL database of the reader's, with the credentials of the environment.
pub(crate) async fn postgres_at(url: &str, place: &Place<'_>) -> Result<Section> {
    let registry = Registry::new().with(IamFactory::default());
    postgres(url, registry, &ProxyProcess::start(url, &[])?, place).await
}

/// Measures a MySQL or MariaDB database of the reader's, with the credentials of the environment.
pub(crate) async fn mysql_at(url: &str, place: &Place<'_>) -> Result<Section> {
    let registry = Registry::new().with(IamFactory::default());
    mysql(url, registry, &ProxyProcess::start(url, &[])?, place).await
}

/// What the proxy leads to.
pub(crate) struct Place<'a> {
    pub(crate) server: &'a str,
    pub(crate) user: &'a str,
    pub(crate) database: &'a str,
    /// A query whose result has 32 MiB.
    pub(crate) fat: &'a str,
    /// How many idle connections are held at once; 0 where the server takes too few.
    pub(crate) idle: usize,
}

async fn postgres(
    url: &str,
    registry: Registry<PgConnection>,
    proxy: &ProxyProcess,
    place: &Place<'_>,
) -> Result<Section> {
    // The TLS stack of the proxy, so that the figures tell of the proxy alone.
    let direct = wrapper_pg::Connector::builder(registry).connection_string(url);
    let direct = direct.tls_stack(TlsStack::Rustls).build()?;
    let Place { user, database, .. } = place;
    let proxied = format!("host=127.0.0.1 port={} user={user} dbname={database}", proxy.port);
    let direct = || -> BoxFuture<'_, Result<Client>> {
        Box::pin(async {
            let (client, connection) = direct.connect().await?;
            tokio::spawn(connection);
            Ok(Client::Postgres(client))
        })
    };
    let proxied = || -> BoxFuture<'_, Result<Client>> {
        Box::pin(async {
            let (client, connection) = tokio_postgres::connect(&proxied, NoTls).await?;
            tokio::spawn(connection);
            Ok(Client::Postgres(client))
        })
    };
    measure("PostgreSQL", place, &direct, &proxied, proxy).await
}

async fn mysql(
    url: &str,
    registry: Registry<Conn>,
    proxy: &ProxyProcess,
    place: &Place<'_>,
) -> Result<Section> {
    let direct = wrapper_mysql::Connector::from_url(url, registry)?;
    // The connector's own, without which the driver asks for them after each login.
    let like = direct.driver_config().await?.into_opts();
    let database = Some(place.database).filter(|database| !database.is_empty());
    let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(proxy.port);
    let options = options.prefer_socket(false).user(Some(place.user)).db_name(database);
    let options = options.max_allowed_packet(like.max_allowed_packet()).wait_timeout(like.wait_timeout());
    let direct = || -> BoxFuture<'_, Result<Client>> {
        Box::pin(async { Ok(Client::Mysql(direct.connect().await?)) })
    };
    let proxied = || -> BoxFuture<'_, Result<Client>> {
        Box::pin(async { Ok(Client::Mysql(Conn::new(options.clone()).await?)) })
    };
    measure("MySQL", place, &direct, &proxied, proxy).await
}

type Connect<'a> = dyn Fn() -> BoxFuture<'a, Result<Client>> + Sync + 'a;

/// Measures one engine. Both ways take turns, so that a busy machine disturbs both alike.
async fn measure<'a>(
    engine: &str,
    place: &Place<'_>,
    direct: &Connect<'a>,
    proxied: &Connect<'a>,
    proxy: &ProxyProcess,
) -> Result<Section> {
    let at = format!("at {}", place.server);
    let mut section = Section::new(format!("{engine} through the proxy, {at}"));
    let mut table = Table::new([&at, "direct, over TLS", "through the proxy"]);
    let mut connects = [Vec::new(), Vec::new()];
    for _ in 0..CONNECTS {
        for (took, connect) in connects.iter_mut().zip([direct, proxied]) {
            let begun = Instant::now();
            drop(connect().await?);
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    let [one, other] = connects.map(median);
    table.row(["a connect".to_owned(), format!("{one:.0} us"), format!("{other:.0} us")]);
    let connect = other / one;

    let mut clients = [direct().await?, proxied().await?];
    let mut queries = [Vec::new(), Vec::new()];
    for _ in 0..QUERIES {
        for (took, client) in queries.iter_mut().zip(&mut clients) {
            let begun = Instant::now();
            client.query(SMALL).await?;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    let [one, other] = queries.map(median);
    table.row([format!("`{SMALL}`"), format!("{one:.0} us"), format!("{other:.0} us")]);
    let query = other - one;

    let mut fat = [Vec::new(), Vec::new()];
    for _ in 0..FAT_ROUNDS {
        for (took, client) in fat.iter_mut().zip(&mut clients) {
            let begun = Instant::now();
            client.query(place.fat).await?;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    let [one, other] = fat.map(median);
    table.row(["a result of 32 MiB".to_owned(), format!("{one:.0} us"), format!("{other:.0} us")]);
    let throughput = one / other;
    drop(clients);

    let mut busy = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        for (counts, connect) in busy.iter_mut().zip([direct, proxied]) {
            counts.push(transactions(connect).await?);
        }
    }
    let [one, other] = busy.map(|mut counts| {
        counts.sort_by(f64::total_cmp);
        counts[counts.len() / 2]
    });
    table.row([format!("queries of {BUSY} busy clients"), format!("{one:.0}/s"), format!("{other:.0}/s")]);

    section.table(&table);
    section.target("a connect, times a direct one", connect, ..=1.0);
    section.target("microseconds more for each query", query, ..=60.0);
    section.target("throughput of a large result, times the direct one", throughput, 0.8..);
    section.target("queries of busy clients, times the direct ones", other / one, 0.7..);
    if place.idle > 0 {
        let [memory, files] = of_idle_connections(place.idle, proxied, proxy).await?;
        section.target("KB for each idle connection", memory, ..=40.0);
        section.target("descriptors for each idle connection", files, ..=2.0);
    }
    Ok(section)
}

/// Returns the KB and the descriptors that the proxy holds for each of so many idle connections.
async fn of_idle_connections(count: usize, proxied: &Connect<'_>, proxy: &ProxyProcess) -> Result<[f64; 2]> {
    let mut idle = vec![proxied().await?];
    let (memory, files) = proxy.memory_and_files()?;
    for _ in 0..count {
        idle.push(proxied().await?);
    }
    let (memory_after, files_after) = proxy.memory_and_files()?;
    Ok([memory_after - memory, files_after - files].map(|more| more / count as f64))
}

/// Counts what busy clients get done in a second.
async fn transactions(connect: &Connect<'_>) -> Result<f64> {
    let mut tasks = Vec::new();
    for _ in 0..BUSY {
        let mut client = connect().await?;
        tasks.push(tokio::spawn(async move {
            let (begun, mut count) = (Instant::now(), 0_u32);
            while begun.elapsed() < BUSY_FOR {
                client.query(SMALL).await?;
                count += 1;
            }
            Ok::<_, Error>(f64::from(count) / begun.elapsed().as_secs_f64())
        }));
    }
    let mut sum = 0.0;
    for task in tasks {
        sum += task.await??;
    }
    Ok(sum)
}

enum Client {
    Mysql(Conn),
    Postgres(tokio_postgres::Client),
}

impl Client {
    async fn query(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Mysql(client) => drop(client.query::<mysql_async::Row, _>(sql).await?),
            Self::Postgres(client) => drop(client.simple_query(sql).await?),
        }
        Ok(())
    }
}

/// The proxy in a process of its own; it ends with its standard input.
struct ProxyProcess {
    child: Child,
    port: u16,
}

impl ProxyProcess {
    fn start(url: &str, credentials: &[(&str, String)]) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .args([ARGUMENT, url])
            .envs(credentials.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("standard output is piped")?).read_line(&mut line)?;
        Ok(Self { child, port: line.trim().parse()? })
    }

    /// Returns the memory in KB and the descriptors that it holds.
    fn memory_and_files(&self) -> Result<(f64, f64)> {
        let process = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{process}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS in status")?;
        let memory = line.split_whitespace().nth(1).ok_or("a number")?.parse()?;
        Ok((memory, fs::read_dir(format!("{process}/fd"))?.count() as f64))
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// Proxies the server of a URL, and prints the port.
pub(crate) fn serve(url: &str) -> Result<()> {
    Runtime::new()?.block_on(async {
        let target: Target = match url.starts_with("mysql") {
            true => MysqlTarget::from_url(url, Registry::new().with(IamFactory::default()))?.into(),
            false => PostgresTarget::from_url(url, Registry::new().with(IamFactory::default()))?.into(),
        };
        let mut proxy = Proxy::new(Access::without_password(), Limits::default());
        let LocalAddress::Tcp(address) = proxy.listen(&Listen::Tcp(TcpPort::loopback(0)), target).await?
        else {
            return Err("not a port".into());
        };
        output::line(address.port());
        tokio::spawn(proxy.run(Duration::ZERO));
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
        Ok(())
    })
}
