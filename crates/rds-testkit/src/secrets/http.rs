//! The part of HTTP/1.1 that clients of AWS services use.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The limits of a request's parts, above those of any client.
const LONGEST: u64 = 64 * 1024;

/// A request, with its headers' names in lower case.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection; `None` at its end.
    pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut head = stream.take(LONGEST);
        let mut line = String::new();
        if head.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let mut parts = line.split_whitespace();
        let (Some(method), Some(target)) = (parts.next(), parts.next()) else { return Err(malformed()) };
        let (method, target) = (method.to_owned(), target.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            // Without an empty line at its end the head was too long, or truncated.
            if head.read_line(&mut line).await? == 0 {
                return Err(malformed());
            }
            if line.trim_end().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut request = Self { method, path, query, headers, body: Vec::new() };
        let length =
            request.header("content-length").unwrap_or("0").parse::<u64>().map_err(|_| malformed())?;
        // The SDK sends a length; chunks would need a decoder that nobody uses.
        if length > LONGEST || request.header("transfer-encoding").is_some() {
            return Err(malformed());
        }
        request.body = vec![0; length as usize];
        stream.read_exact(&mut request.body).await?;
        Ok(Some(request))
    }

    /// Returns a header by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Answers with JSON, as the service does.
pub(super) async fn respond(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    kind: Option<&str>,
    body: &str,
) -> io::Result<()> {
    let reason = if status == 200 { "OK" } else { "Error" };
    let kind = kind.map(|kind| format!("x-amzn-errortype: {kind}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/x-amz-json-1.1\r\n{kind}content-length: \
         {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.flush().await
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
