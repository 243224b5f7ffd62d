//! How often a user who is always refused is warned of.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use tracing_subscriber::{Layer, filter::LevelFilter, fmt::MakeWriter, layer::SubscriberExt};
use wrapper_core::{
    ConnectRequest, Error, ErrorKind, ServerError,
    adapter::{MockDriver, Wrapper},
};
use wrapper_iam::{IamPlugin, IamSettings, IamTokenProvider};

#[derive(Clone, Default)]
struct TraceCapture(Arc<Mutex<Vec<u8>>>);

impl TraceCapture {
    fn lines(&self) -> Vec<String> {
        let captured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&captured).lines().map(str::to_owned).collect()
    }
}

impl Write for TraceCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for TraceCapture {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn refusal() -> Error {
    let answer = ServerError::new("28000", "PAM authentication failed", None);
    Error::new(ErrorKind::Login, "refused").with_source(answer).with_stale_password()
}

#[tokio::test(start_paused = true)]
async fn user_that_is_always_refused_is_warned_of_once_a_minute_with_a_count() {
    let capture = TraceCapture::default();
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(capture.clone());
    let layer = layer.with_filter(LevelFilter::WARN);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let keys = Credentials::new("AKIAEXAMPLE", "secret", None, None, "test");
    let tokens = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
        .expect("builds");
    let driver = MockDriver::new();
    let wrapper =
        Wrapper::new(driver.clone(), vec![Arc::new(IamPlugin::new(tokens, IamSettings::default()))]);

    // Three minutes, one connect each second.
    for _ in 0..180 {
        driver.fail(refusal());
        let request = ConnectRequest::new("db.abc123.us-east-2.rds.amazonaws.com", 5432, "nobody");
        wrapper.connect(request).await.expect_err("is refused");
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    let lines = capture.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, refused) in lines.iter().zip([1, 60, 60]) {
        assert!(line.contains("connect refused") && line.contains("user=\"nobody\""), "{line}");
        assert!(line.contains(&format!("refused={refused} ")), "{line}");
    }
}
