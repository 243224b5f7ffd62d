//! This machine's clock against a server's.

use std::{
    io,
    time::{Duration, SystemTime},
};

use host_pattern::Region;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use token_cache::Clock;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use wrapper_adapter::Roots;
use wrapper_iam::SystemClock;

use super::{
    report::{Report, StepName},
    subject::Subject,
    tls,
};

const LIMIT: Duration = Duration::from_secs(3);

/// More than a request takes and a second's rounding explain.
const TOLERATED: i64 = 30;

/// The most of an answer that is read for its headers.
const HEADERS: u64 = 16 * 1024;

/// Asks a server for its time; returns by how many seconds this machine is ahead of it.
pub(super) async fn report(report: &mut Report, subject: &Subject, url: Option<&str>) -> Option<i64> {
    let Some(url) = url.map(str::to_owned).or_else(|| sts(subject)) else {
        report.skipped(StepName::Clock, "no region, so no server to ask for the time");
        return None;
    };
    let shown = origin(&url);
    let asked = match timeout(LIMIT, date(&url)).await {
        Ok(asked) => asked,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    let date = match asked {
        Ok(date) => date,
        Err(error) => {
            let fact = format!("not checked, as {shown} gave no time: {error}");
            report.skipped(StepName::Clock, &fact);
            return None;
        }
    };
    let ahead = seconds(SystemClock.now()) - date;
    let seconds = ahead.abs();
    let fact = match ahead {
        0 => format!("agrees with {shown}"),
        ..0 => format!("{seconds} s behind {shown}"),
        1.. => format!("{seconds} s ahead of {shown}"),
    };
    if ahead.abs() > TOLERATED {
        report.warning(StepName::Clock, fact, "set this machine's clock by ntp: a token carries its time");
    } else {
        report.ok(StepName::Clock, fact);
    }
    Some(ahead)
}

/// The server that every region has and that the credentials are about.
fn sts(subject: &Subject) -> Option<String> {
    let region = Region::parse(subject.target().ok()?.region()).ok()?;
    Some(format!("https://sts.{region}.{}", region.partition().dns_suffix()))
}

/// A URL without user info, path and query, which may be secret.
fn origin(url: &str) -> String {
    let authority =
        url.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    // A password may hold a `/` that is not percent-coded.
    let host = authority.map(|authority| match url.matches('@').count() {
        0 => authority,
        _ => authority.rsplit_once('@').map_or("", |(_, host)| host),
    });
    let is_shown = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let scheme = if url.starts_with("https://") { "https" } else { "http" };
    match host {
        Some(host) if !host.is_empty() && host.chars().all(is_shown) => format!("{scheme}://{host}"),
        _ => "the server of --time-url".to_owned(),
    }
}

/// The `Date` header of a server, in seconds since 1970.
async fn date(url: &str) -> io::Result<i64> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "it is no http or https url");
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (authority, if scheme == "https" { 443 } else { 80 }),
    };
    let stream = TcpStream::connect((host, port)).await?;
    match scheme {
        "http" => ask(stream, authority).await,
        "https" => {
            let config = tls::config(tls::roots(&Roots::system()), None).map_err(io::Error::other)?;
            ask(tls::connect(config, host, stream).await?, authority).await
        }
        _ => Err(wrong()),
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> io::Result<i64> {
    let request =
        format!("HEAD / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: rds-iam\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    // A server may break off once it has said what counts.
    let read = stream.take(HEADERS).read_to_end(&mut answer).await;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| match read {
        Err(error) => error,
        Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "its answer has no date"),
    })
}

fn parse(answer: &str) -> Option<i64> {
    let headers = answer.lines().skip(1).take_while(|line| !line.is_empty());
    let mut fields = headers.filter_map(|line| line.split_once(':'));
    let (_, date) = fields.find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    let date = OffsetDateTime::parse(date.trim(), &Rfc2822).ok()?;
    Some(date.unix_timestamp())
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_read_from_the_headers() {
        let answer = "HTTP/1.1 302 Found\r\ndate: Wed, 15 Jan 2025 12:34:56 GMT\r\n\r\n";
        assert_eq!(parse(answer), Some(1_736_944_496));
    }

    #[test]
    fn user_info_and_query_of_the_server_are_not_shown() {
        assert_eq!(origin("http://bob:s3cret@127.0.0.1:80/x?token=s3cret"), "http://127.0.0.1:80");
        assert_eq!(origin("https://[::1]:443#s3cret"), "https://[::1]:443");
        assert_eq!(origin("bob:s3cret@host"), "the server of --time-url");
        assert_eq!(origin("http://bob:s3/cret@host"), "the server of --time-url");
    }

    #[test]
    fn date_missing() {
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\nDate: Wed, 15 Jan 2025 12:34:56 GMT\r\n"), None);
        assert_eq!(parse("Date: Wed, 15 Jan 2025 12:34:56 GMT"), None);
        assert_eq!(parse(""), None);
    }
}
