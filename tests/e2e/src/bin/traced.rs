//! Connects to the URLs that it is given, with credentials of the default chain or of `--profile
//! NAME`, or as `--parameters TEXT` at the end of each URL says, and writes everything that any
//! crate has to say to standard error.
//!
//! A program of its own, because the default chain reads the environment of the process.

use rds_wrapper::{IamFactory, IamTokenProvider, Value, pg::Connector, plugins};
use tracing_subscriber::{Layer, filter::LevelFilter, fmt, layer::SubscriberExt};

#[tokio::main]
async fn main() {
    tracing_log::LogTracer::init().expect("the bridge from log is set once");
    let everything = fmt::layer()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_span_events(fmt::format::FmtSpan::FULL)
        .with_filter(LevelFilter::TRACE);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(everything))
        .expect("the subscriber is set once");

    let mut urls: Vec<String> = std::env::args().skip(1).collect();
    let mut tokens = IamTokenProvider::builder();
    if urls.first().is_some_and(|first| first == "--profile") {
        tokens = tokens.profile(urls.remove(1));
        urls.remove(0);
    }
    let mut parameters = None;
    if urls.first().is_some_and(|first| first == "--parameters") {
        parameters = Some(urls.remove(1));
        urls.remove(0);
    }
    let tokens = tokens.build().expect("builds");
    for url in urls {
        let value = Value::from(url.as_str());
        let registry = match &parameters {
            Some(_) => plugins(),
            None => plugins().with(IamFactory::new(tokens.clone())),
        };
        let url = url + parameters.as_deref().unwrap_or_default();
        let connector = Connector::builder(registry)
            .connection_string(&url)
            .on_event(|event| tracing::info!(?event, "an event"))
            .build();
        tracing::info!(?value, ?connector, ?tokens, "a connector");
        let Ok(connector) = connector else { continue };
        let config = connector.driver_config().await;
        tracing::info!(?config, driver = ?config.as_ref().map(|config| config.config()), "the driver's");
        match connector.connect().await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                let row = client.query_one("SELECT current_user", &[]).await.expect("the server answers");
                tracing::info!(user = row.get::<_, &str>(0), "connected");
            }
            Err(error) => {
                let mut cause: Option<&dyn std::error::Error> = Some(&error);
                while let Some(error) = cause {
                    tracing::info!(%error, ?error, "refused");
                    cause = error.source();
                }
            }
        }
    }
    tracing::info!(stats = ?tokens.stats(), "done");
}
