//! The mistakes that are made first: each error says what to check, and no secret.

use std::{
    io,
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

use e2e::{Fixture, HOST, USER, mysql};
use rds_testkit::{AccessKey, CertificateAuthority, Fault};
use rds_wrapper::{Error, host::resolver_fn};
use tokio::net::TcpListener;

const SECRET: &str = "hunter2-in-the-url";

/// Faults found in the errors.
#[derive(Default)]
struct Heard(Vec<String>);

impl Heard {
    fn note<T>(&mut self, mistake: &str, outcome: Result<T, Error>, says: &[&str]) {
        let error = match outcome {
            Ok(_) => return self.0.push(format!("{mistake}: no error")),
            Err(error) => error,
        };
        let text = format!("{error}\n{error:#}");
        for part in says {
            if !text.contains(part) {
                self.0.push(format!("{mistake}: no `{part}` in: {text}"));
            }
        }
        let everything = format!("{text}{error:?}{}", e2e::chain(&error));
        for secret in [SECRET, "X-Amz-Signature", "X-Amz-Security-Token"] {
            if everything.contains(secret) {
                self.0.push(format!("{mistake}: says `{secret}`: {everything}"));
            }
        }
    }

    fn end(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

async fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    listener.local_addr().expect("is bound").port()
}

/// The same mistakes with either engine.
macro_rules! mistakes {
    ($test:ident, $rig:ty, $scheme:literal, $other:expr, $connector:ty) => {
        #[tokio::test]
        async fn $test() {
            let mut heard = Heard::default();
            let other = $other.await;
            let ca = CertificateAuthority::generate().expect("is made");
            let url_at = |host: &str, port: u16, query: &str| {
                format!(
                    "{}://{USER}:{SECRET}@{host}:{port}/app?plugins=iam&wrapperConnectTimeout=6000{query}",
                    $scheme
                )
            };

            // Errors of `build`.
            let rig = <$rig>::start().await;
            let port = rig.server.port();
            let build = |url: String| rig.builder(url).build();
            let at = |query: &str| url_at(HOST, port, query);
            for (mistake, url, says) in [
                ("misspelt parameter", at("&iamRegoin=us-east-2"), "did you mean `iamRegion`"),
                ("unknown plugin", at("").replace("plugins=iam", "plugins=iamm"), "iamm"),
                (
                    "plugin of the family",
                    at("").replace("plugins=iam", "plugins=iam,efm2"),
                    "not available yet",
                ),
                ("plugin in capitals", at("").replace("plugins=iam", "plugins=IAM"), "`iam`"),
                (
                    "iamHost without the plugin",
                    at("").replace("plugins=iam", &format!("iamHost={HOST}")),
                    "plugins=iam",
                ),
                ("TLS switched off", at("&sslmode=disable"), "verify-full"),
                ("libpq's prefer", at("&sslmode=prefer"), "verify-full"),
                ("address", url_at("10.0.0.1", port, ""), "iamHost"),
                ("own domain", url_at("db.example.com", port, ""), "iamHost"),
                ("localhost", url_at("localhost", port, ""), "iamHost"),
                ("global writer", url_at("g.global-abc123.global.rds.amazonaws.com", port, ""), "iamRegion"),
                ("port in iamHost", at(&format!("&iamHost={HOST}:5432")), "iamDefaultPort"),
                ("URL as iamHost", at(&format!("&iamHost=https://{HOST}/")), "iamHost"),
                ("display name as region", at("&iamRegion=Ohio"), "iamRegion"),
                ("availability zone as region", at("&iamRegion=us-east-2a"), "us-east-2"),
                ("expiration too long", at("&iamTokenExpiration=3600"), "900"),
                ("CA file that is not there", at("&sslrootcert=/nowhere/ca.pem"), "/nowhere/ca.pem"),
                ("JDBC string", format!("jdbc:{}", at("")), "JDBC"),
                ("no scheme", at("").replace(concat!($scheme, "://"), ""), "no scheme"),
                ("in quotes", format!("'{}'", at("")), "in quotes"),
                ("password with @", at("").replace(SECRET, "hunter2-in-the-url@x/y"), "%40"),
            ] {
                let built = if url.contains("sslrootcert") {
                    <$connector>::builder(rig.registry()).connection_string(url).build()
                } else {
                    build(url)
                };
                heard.note(mistake, built, &[says]);
            }

            // Errors of a server or another service.
            let connect = async |url: String| match build(url) {
                Ok(connector) => connector.connect().await.map(drop),
                Err(error) => Err(error),
            };
            heard.note(
                "wrong region",
                connect(at("&iamRegion=us-east-1")).await,
                &["iamRegion", "us-east-1", "us-east-2"],
            );
            heard.note(
                "nothing listens",
                connect(url_at(HOST, closed_port().await, "")).await,
                &["check host and port"],
            );
            heard.note(
                "the other engine's port",
                connect(url_at(HOST, other.server.port(), "")).await,
                &["check host and port"],
            );
            let http = e2e::service_that_answers(8, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            heard.note(
                "HTTP server",
                connect(url_at(HOST, http, "")).await,
                &["an HTTP server", "check host and port"],
            );
            let unknown =
                rig.builder(at("")).resolver(resolver_fn(|_| Err(io::Error::other("no such name"))));
            heard.note(
                "wrong host",
                unknown.build().expect("builds").connect().await.map(drop),
                &["cannot resolve", "check"],
            );
            let stranger = at("").replace(USER, "stranger");
            heard.note("unknown user", connect(stranger).await, &["stranger", "check first"]);
            let signed = at("&iamDefaultPort=1234");
            heard.note("wrong signed port", connect(signed).await, &["iamDefaultPort"]);
            let plain = at("").replace("plugins=iam&", "");
            heard.note("no plugin", connect(plain + "&sslmode=verify-full").await, &["plugins=iam"]);

            for (mistake, fault, says) in [
                (
                    "no TLS",
                    Fault::NoTls,
                    &["does not offer TLS, so nothing secret was sent", "check that host and port"][..],
                ),
                (
                    "wrong CA",
                    Fault::CertificateFrom(ca),
                    &["not signed by a trusted authority", "sslrootcert"],
                ),
                (
                    "certificate of another",
                    Fault::CertificateFor("db.example".into()),
                    &["certificate is not for"],
                ),
                ("certificate past its end", Fault::CertificateExpired, &["period of validity"]),
            ] {
                rig.server.inject_always(fault);
                heard.note(mistake, connect(at("")).await, says);
                rig.server.clear_faults();
            }

            let rig = <$rig>::start().await;
            let url = url_at(HOST, rig.server.port(), "");
            rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
            let denied = rig.builder(url).build().expect("builds").connect().await.map(drop);
            heard.note("policy", denied, &["rds-db:connect", "check first"]);
            let rig = <$rig>::start().await;
            let connect =
                async || rig.builder(url_at(HOST, rig.server.port(), "")).build()?.connect().await.map(drop);
            rig.source.fail();
            heard.note("source that fails", connect().await, &["AWS credentials"]);
            rig.source.set(&AccessKey::new("AKIAIOSFODNN7EXAMPLE", "other"), None);
            heard.note("unknown key", connect().await, &["…MPLE", "check first"]);
            rig.tokens.clear();
            rig.source.set(rig.server.access_key(), Some(SystemTime::UNIX_EPOCH));
            heard.note("expired keys", connect().await, &["expired", "renew"]);
            rig.tokens.clear();
            rig.source.set(rig.server.access_key(), None);
            rig.server.advance(Duration::from_secs(20 * 60));
            heard.note("clock", connect().await, &["clock"]);
            heard.end();
        }
    };
}

mistakes!(
    first_mistakes_with_postgres_are_told,
    Fixture,
    "postgres",
    async { mysql::Fixture::start().await },
    rds_wrapper::pg::Connector
);
mistakes!(
    first_mistakes_with_mysql_are_told,
    mysql::Fixture,
    "mysql",
    async { Fixture::start().await },
    rds_wrapper::mysql::Connector
);
