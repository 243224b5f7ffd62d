//! The log of all crates, searched for secrets.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
};

use crate::verdict::Verdict;

/// A part of every secret of the soak, made of characters that no encoding changes.
pub(crate) const MARK: &str = "sOaKmArK";

/// The searched log: each record is checked and discarded.
#[derive(Clone)]
pub(crate) struct Log {
    secrets: Arc<Vec<String>>,
    verdict: Arc<Verdict>,
    bytes: Arc<AtomicU64>,
}

impl Log {
    /// Installs the search for everything logged at TRACE, through `tracing` and `log`.
    pub(crate) fn install(verdict: Arc<Verdict>, further: &[&str]) -> Self {
        let mut secrets = e2e::forms(MARK);
        secrets.extend(["X-Amz-Signature=", "X-Amz-Security-Token="].map(str::to_owned));
        secrets.extend(further.iter().flat_map(|secret| e2e::forms(secret)));
        let log = Self { secrets: Arc::new(secrets), verdict, bytes: Arc::default() };
        let writer = log.clone();
        tracing_log::LogTracer::init().expect("the bridge from log is set once");
        let everything = fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .with_span_events(FmtSpan::NEW)
            .with_filter(LevelFilter::TRACE);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(everything))
            .expect("the subscriber is set once");
        log
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl io::Write for Log {
    /// Takes one record: the layer writes each at once.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.bytes.fetch_add(record.len() as u64, Ordering::Relaxed);
        let text = String::from_utf8_lossy(record);
        if let Some(at) = self.secrets.iter().find_map(|secret| text.find(secret.as_str())) {
            self.verdict.breach(format!("a secret in the log, after: {}", &text[..at]));
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
