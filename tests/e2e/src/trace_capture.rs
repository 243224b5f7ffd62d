//! Everything that any crate logs, captured in order to search it for secrets.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
};

/// The records so far, at TRACE, of `tracing` and `log`.
#[derive(Clone, Debug)]
pub struct TraceCapture(Arc<Mutex<Vec<u8>>>);

impl TraceCapture {
    /// Captures what this process logs from now on, with these moments of spans.
    ///
    /// # Panics
    ///
    /// If the process has a subscriber: a test that calls this is a binary of its own.
    pub fn install(spans: FmtSpan) -> Self {
        let capture = Self(Arc::default());
        let writer = capture.clone();
        tracing_log::LogTracer::init().expect("the bridge from log is set once");
        let everything = fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .with_span_events(spans)
            .with_filter(LevelFilter::TRACE);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(everything))
            .expect("the subscriber is set once");
        capture
    }

    /// Takes what was logged since the last call.
    pub fn take(&self) -> String {
        let logged = std::mem::take(&mut *self.0.lock().expect("no writer panics"));
        String::from_utf8_lossy(&logged).into_owned()
    }
}

impl io::Write for TraceCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
