//! Compares this machine's clock with a server's.

use std::time::{Duration, SystemTime};

use host_pattern::Region;
use http::{
    Request, Uri,
    header::{DATE, USER_AGENT},
};
use http_body_util::Empty;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use token_cache::Clock;
use tokio::time::timeout;
use wrapper_adapter::Roots;
use wrapper_iam::SystemClock;

use super::{
    cause::Code,
    report::{Report, StepName},
    tls,
};
use crate::{failure::chain, target::Target};

const LIMIT: Duration = Duration::from_secs(3);

/// Seconds of difference that the duration of a request and rounding can cause.
const TOLERATED: i64 = 30;

/// Asks a server for its time; returns by how many seconds this machine is ahead of it.
pub(super) async fn report(report: &mut Report, target: &Target, url: Option<&str>) -> Option<i64> {
    let Some(url) = url.map(str::to_owned).or_else(|| sts(target)) else {
        report.skipped(StepName::Clock, "not checked: no region, and so no STS endpoint to ask");
        return None;
    };
    let Some(origin) = origin(&url) else {
        report.skipped(StepName::Clock, "not checked: --time-url takes an http or https URL");
        return None;
    };
    let shown = origin.to_string();
    let shown = shown.trim_end_matches('/');
    let asked = match timeout(LIMIT, date(&origin)).await {
        Ok(asked) => asked,
        Err(_) => Err(format!("no answer within {LIMIT:?}")),
    };
    let date = match asked {
        Ok(date) => date,
        Err(error) => {
            let fact = format!("not checked: cannot get the time from {shown}: {error}");
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
        let remedy = "set this machine's clock by NTP: a token carries its time";
        report.warning(StepName::Clock, fact, Code::ClockOff, remedy);
    } else {
        report.ok(StepName::Clock, fact);
    }
    Some(ahead)
}

/// Returns the STS endpoint of the region.
fn sts(target: &Target) -> Option<String> {
    let region = Region::parse(&target.region()?).ok()?;
    Some(format!("https://sts.{region}.{}", region.partition().dns_suffix()))
}

/// Returns the server of a URL, without user info, path and query, which may be secret.
fn origin(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme()?.as_str().to_ascii_lowercase(), uri.authority()?);
    // With an unescaped `/` in a password, what parses as the host is a part of the password.
    let is_doubtful = uri.path().contains('@') || uri.query().is_some_and(|query| query.contains('@'));
    if !matches!(&*scheme, "http" | "https") || authority.host().is_empty() || is_doubtful {
        return None;
    }
    let port = authority.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}/", authority.host()).parse().ok()
}

/// Returns the `Date` header of a server, in seconds since 1970.
async fn date(origin: &Uri) -> Result<i64, String> {
    let tls = tls::config(tls::roots(&Roots::system()), None).map_err(|error| error.to_string())?;
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&'static [u8]>>(connector);
    // Any answer has the header, even a refusal, so no credentials are needed.
    let request = Request::head(origin).header(USER_AGENT, "rds-iam").body(Empty::new());
    let answer = client.request(request.map_err(|error| error.to_string())?).await;
    let answer = answer.map_err(|error| chain(&error))?;
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
    date.map(OffsetDateTime::unix_timestamp).ok_or_else(|| "the response has no Date header".to_owned())
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_path_and_query_of_the_server_are_left_out() {
        let shown = |url: &str| origin(url).map(|uri| uri.to_string());
        assert_eq!(
            shown("http://bob:s3cret@127.0.0.1:80/x?token=s3cret").as_deref(),
            Some("http://127.0.0.1:80/")
        );
        assert_eq!(shown("HTTPS://[::1]:443?s3cret").as_deref(), Some("https://[::1]:443/"));
        assert_eq!(shown("bob:s3cret@host"), None);
        assert_eq!(shown("ftp://bob:s3cret@host"), None);
        assert_eq!(shown("http://bob:s3/cret@host"), None);
    }
}
