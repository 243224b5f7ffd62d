//! What a server counts as clients that broke off: a session that the proxy ends for a client which
//! is gone must not be one, whether it is compressed or not.

use std::time::Duration;

use mysql_async::{Compression, Conn, OptsBuilder, prelude::Queryable};
use tokio::{
    io::{AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    key,
    proxied::{PASSWORD, Proxy},
};
use crate::{
    Result,
    environment::{Environment, FORWARDED, Observation},
    programs::Programs,
    report::Report,
};

/// How long each step may take.
const LIMIT: Duration = Duration::from_secs(30);

const ABORTED: &str = "Aborted_clients";

/// The user of the proxy's sessions.
const USER: &str = "jane";

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, programs: &Programs, report: &mut Report) -> Result<()> {
    environment.record(&[&key()])?;
    for (name, compression) in [("a client", None), ("a compressing client", Some(Compression::default()))] {
        let seen = environment.observe_fallible(cut(environment, programs, compression)).await?;
        let case = format!("{name} that is cut while the proxy logs in");
        report.row(environment.engine.name(), &case, "0 aborted, no token; accepted", &seen);
    }
    Ok(())
}

/// Cuts a client at the moment at which the proxy logs in for it, and lets the login go on.
async fn cut(
    environment: &Environment,
    programs: &Programs,
    compression: Option<Compression>,
) -> Result<Observation> {
    let (user, password) = FORWARDED;
    let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").prefer_socket(false);
    let observer = options.clone().tcp_port(environment.port).user(Some(user)).pass(Some(password));
    let mut observer = Conn::new(observer).await?;
    let before = aborted(&mut observer).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (reached, goes_on) = (Notify::new(), Notify::new());
    let gate = async {
        let (mut proxy, _) = listener.accept().await?;
        let mut server = TcpStream::connect(("127.0.0.1", environment.port)).await?;
        let ((mut from_proxy, mut to_proxy), (mut from_server, mut to_server)) =
            (proxy.split(), server.split());
        let login = async {
            // The proxy says nothing before its client's login.
            from_proxy.readable().await?;
            reached.notify_one();
            goes_on.notified().await;
            copy(&mut from_proxy, &mut to_server).await?;
            // A session that was left without its end is one that broke off.
            to_server.shutdown().await
        };
        let _ = tokio::join!(login, copy(&mut from_server, &mut to_proxy));
        Result::Ok(())
    };
    // The token is for the server's own port, behind the gate.
    let authority = format!("{}&iamDefaultPort={}", environment.authority().display(), environment.port);
    let more = ["--lazy", "--drain-timeout", "1"];
    let port = listener.local_addr()?.port();
    let proxy =
        Proxy::start(environment.engine, programs, port, &authority, &key().variables(), &more).await?;
    let options = options.tcp_port(proxy.port).user(Some(USER)).pass(Some(PASSWORD));
    let client = tokio::spawn(Conn::new(options.db_name(Some("app")).compression(compression)));
    let case = async {
        timeout(LIMIT, reached.notified()).await.map_err(|_| "no login at the server")?;
        let ended = async {
            // Without sessions to drain it ends its clients after a second, and waits for logins.
            let (told, client) = tokio::join!(proxy.end(), async {
                let outcome = timeout(LIMIT, client).await;
                goes_on.notify_one();
                outcome
            });
            if client.map_err(|_| "the client is not cut")??.is_ok() {
                return Err("the client was let in".into());
            }
            told
        };
        let mut seen: Observation = ended.await?;
        let left = async {
            while is_connected(&mut observer).await? {
                sleep(Duration::from_millis(20)).await;
            }
            aborted(&mut observer).await
        };
        let after = timeout(LIMIT, left).await.map_err(|_| "the session does not end at the server")??;
        let count = after - before;
        seen.text = format!("{count} aborted, {}", seen.text);
        observer.disconnect().await?;
        Ok(seen)
    };
    // A case that fails ends the wait for the proxy too.
    let ((), seen) = tokio::try_join!(gate, case)?;
    Ok(seen)
}

/// Returns how many clients broke off so far.
async fn aborted(observer: &mut Conn) -> Result<u64> {
    let row: Option<(String, u64)> =
        observer.query_first(format!("SHOW GLOBAL STATUS LIKE '{ABORTED}'")).await?;
    Ok(row.ok_or("no status")?.1)
}

/// Returns whether the proxy has a session, or a login under way.
async fn is_connected(observer: &mut Conn) -> Result<bool> {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user IN ('{USER}', 'unauthenticated user')"
    );
    let count: Option<u64> = observer.query_first(sql).await?;
    Ok(count.ok_or("no count")? > 0)
}
