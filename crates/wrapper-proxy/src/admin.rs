//! Health and metrics over HTTP, on an address of their own.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    Handle, Stats, descriptors,
    limits::{Handshake, Handshakes},
};

/// The time for one request, so that a silent client does not hold a descriptor.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections at once; above that the oldest is dropped for the next.
const MOST_CONNECTIONS: usize = 16;

/// Prometheus' text format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const METRICS_TYPE: &str = "text/plain; version=0.0.4";

/// Answers `/liveness`, `/readiness` and `/metrics` without a login at any target.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    handle: Handle,
    targets: Vec<String>,
}

impl Admin {
    /// Listens on a loopback address, and reports the proxy of this handle. `targets` are the names
    /// of its targets in metrics, in the order of [`Handle::stats`].
    ///
    /// # Errors
    ///
    /// An error that names the address, if other machines can reach it or it cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        handle: Handle,
        targets: impl IntoIterator<Item = String>,
    ) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let message = format!("other machines can reach {address}: use 127.0.0.1 for health and metrics");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        Ok(Self { listener, handle, targets: targets.into_iter().collect() })
    }

    /// Returns the address; port 0 was replaced by the free port that was taken.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests without end, one for each connection; a silent client delays no probe.
    pub async fn run(self) {
        let (admin, places) = (Arc::new(self), Handshakes::default());
        loop {
            let Ok((stream, _)) = admin.listener.accept().await else {
                tokio::time::sleep(descriptors::PAUSE).await;
                continue;
            };
            let (admin, place) = (Arc::clone(&admin), places.begin(MOST_CONNECTIONS));
            tokio::spawn(async move { admin.serve(stream, place).await });
        }
    }

    async fn serve(&self, stream: TcpStream, place: Handshake) {
        let answer = service_fn(|request: Request<Incoming>| {
            let response = self.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection =
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), answer);
        // Errors are ignored: the client disconnected or sent something other than HTTP.
        tokio::select! {
            _ = timeout(REQUEST_TIMEOUT, connection) => {}
            () = place.displaced() => {}
        }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if !host.is_some_and(is_loopback) {
            // DNS rebinding: a web page can point its own name to this address.
            return text(
                StatusCode::MISDIRECTED_REQUEST,
                "Host must be 127.0.0.1, [::1] or localhost\n".to_owned(),
            );
        }
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is supported\n".to_owned());
        }
        match request.uri().path() {
            "/liveness" => text(StatusCode::OK, "alive\n".to_owned()),
            "/readiness" if self.handle.is_accepting() => text(StatusCode::OK, "ready\n".to_owned()),
            "/readiness" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()),
            "/metrics" => text(StatusCode::OK, metrics(&self.targets, &self.handle.stats())),
            _ => text(StatusCode::NOT_FOUND, "/liveness, /readiness, /metrics\n".to_owned()),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(METRICS_TYPE));
    response
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// One metric: name, type, help text, and how to read it.
type Metric = (&'static str, &'static str, &'static str, fn(&Stats) -> u64);

const METRICS: &[Metric] = &[
    ("rds_iam_proxy_sessions", "gauge", "Open sessions.", |stats| stats.open),
    ("rds_iam_proxy_sessions_total", "counter", "Opened sessions.", |stats| stats.opened),
    (
        "rds_iam_proxy_clients_refused_total",
        "counter",
        "Clients refused before a login at the server.",
        |stats| stats.refused_clients,
    ),
    ("rds_iam_proxy_logins_failed_total", "counter", "Clients whose login at the server failed.", |stats| {
        stats.failed_logins
    }),
    ("rds_iam_proxy_cancels_total", "counter", "Forwarded cancel requests.", |stats| stats.cancels),
    (
        "rds_iam_proxy_client_bytes_total",
        "counter",
        "Bytes moved to the server by ended sessions.",
        |stats| stats.bytes_from_clients,
    ),
    ("rds_iam_proxy_server_bytes_total", "counter", "Bytes moved to clients by ended sessions.", |stats| {
        stats.bytes_from_server
    }),
];

fn metrics(targets: &[String], stats: &[Stats]) -> String {
    let mut text = String::new();
    for (name, kind, help, read) in METRICS {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (target, stats) in targets.iter().zip(stats) {
            let target = target.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            text.push_str(&format!("{name}{{target=\"{target}\"}} {}\n", read(stats)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{Access, Limits, Proxy};

    async fn admin() -> (Admin, Handle) {
        let handle = Proxy::new(Access::without_password(), Limits::default()).handle();
        let address = "127.0.0.1:0".parse().expect("an address");
        let admin = Admin::bind(address, handle.clone(), ["app".to_owned()]).await.expect("listens");
        (admin, handle)
    }

    fn status(admin: &Admin, method: &str, host: &str, path: &str) -> u16 {
        let request = Request::builder().method(method).uri(path).header(header::HOST, host).body(());
        admin.answer(&request.expect("is right")).status().as_u16()
    }

    #[tokio::test]
    async fn readiness_ends_with_the_drain_and_liveness_does_not() {
        let (admin, handle) = admin().await;
        assert_eq!(status(&admin, "GET", "localhost:1", "/readiness"), 200);

        handle.drain();

        assert_eq!(status(&admin, "GET", "127.0.0.1", "/readiness"), 503);
        assert_eq!(status(&admin, "GET", "[::1]:9", "/liveness"), 200);
    }

    #[tokio::test]
    async fn foreign_names_and_other_methods_are_refused() {
        let (admin, _) = admin().await;
        assert_eq!(status(&admin, "GET", "evil.example", "/metrics"), 421);
        assert_eq!(status(&admin, "GET", "127.0.0.1.evil.example", "/metrics"), 421);
        assert_eq!(status(&admin, "POST", "localhost", "/metrics"), 405);
        assert_eq!(status(&admin, "GET", "localhost", "/"), 404);
        let outside = "0.0.0.0:0".parse().expect("an address");
        assert!(Admin::bind(outside, admin.handle.clone(), []).await.is_err());
    }

    #[tokio::test]
    async fn probe_is_answered_beside_silent_clients() {
        let (admin, _) = admin().await;
        let address = admin.address().expect("has one");
        tokio::spawn(admin.run());
        let mut silent = Vec::new();
        for _ in 0..2 * MOST_CONNECTIONS {
            silent.push(tokio::net::TcpStream::connect(address).await.expect("listens"));
        }

        let mut probe = tokio::net::TcpStream::connect(address).await.expect("listens");
        probe.write_all(b"GET /liveness HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("is sent");
        let mut answer = String::new();
        let read = timeout(REQUEST_TIMEOUT / 2, probe.read_to_string(&mut answer)).await;

        read.expect("in time").expect("is read");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    #[test]
    fn metrics_are_in_prometheus_text_with_escaped_names() {
        let stats = Stats { open: 2, ..Stats::default() };
        let text = metrics(&["a\"b".to_owned()], &[stats]);
        assert!(
            text.contains(
                "# TYPE rds_iam_proxy_sessions gauge\nrds_iam_proxy_sessions{target=\"a\\\"b\"} 2\n"
            )
        );
    }
}
