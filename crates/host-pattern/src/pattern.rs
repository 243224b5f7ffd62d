//! Patterns of instances' host names.

use std::net::Ipv4Addr;

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::grammar;
use crate::kind::EndpointKind;
use crate::name::{self, ErrorContext};
use crate::text;

#[cfg(test)]
mod tests;

/// A pattern of instances' host names, with `?` in place of the instance id and an optional port.
///
/// `?.abc123.us-east-2.rds.amazonaws.com`, `?.my-domain.example`, `db-?.internal.example:6432`.
#[derive(Clone)]
pub struct InstancePattern {
    text: String,
    /// The position of `?`.
    mark: usize,
    /// The end of the name, which is the position of the port's colon if there is one.
    name_end: usize,
    port: Option<u16>,
}

impl InstancePattern {
    /// Parses a pattern, in any case, with or without one trailing dot behind the name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Placeholder`] unless the pattern has exactly one `?` and a domain, with a
    /// suggestion; [`ErrorKind::PatternKind`] for the name of a proxy, cluster, shard
    /// group or DSQL endpoint, which have no instances below them; [`ErrorKind::Ip`] for an IP
    /// address, below which no name resolves; [`ErrorKind::Port`] unless the port is 1 to 65535;
    /// otherwise the kinds of [`Endpoint::parse`].
    ///
    /// # Examples
    ///
    /// ```
    /// use host_pattern::InstancePattern;
    ///
    /// let pattern = InstancePattern::parse("db-?.internal.example:6432")?;
    /// assert_eq!(pattern.host("instance-1")?, "db-instance-1.internal.example");
    /// assert_eq!(pattern.instance_id("db-instance-1.internal.example"), Some("instance-1"));
    /// assert_eq!(pattern.port(), Some(6432));
    /// # Ok::<(), host_pattern::Error>(())
    /// ```
    pub fn parse(pattern: &str) -> Result<Self, Error> {
        // First, so that a valid IPv6 address is refused as such, not as malformed or for its port.
        let bracketed = pattern.rsplit_once(':').map(|(name, _)| name).filter(|name| name.ends_with(']'));
        if grammar::ipv6(bracketed.unwrap_or(pattern)).is_some() {
            return Err(ip());
        }
        let (name, port) = split_port(pattern)?;
        if !name.bytes().all(is_pattern_byte) {
            return Err(name::misplaced_piece(pattern, ErrorContext::Pattern));
        }
        // The port joins only at the end: the limits are those of the name alone.
        let mut text = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        name::check_lengths(&text, ErrorContext::Pattern)?;
        if is_ip_domain(&text) {
            return Err(ip());
        }
        let mark = wildcard(&text)?;
        check_kind(&text)?;
        let name_end = text.len();
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        Ok(Self { text, mark, name_end, port })
    }

    /// Creates the pattern of an RDS endpoint's domain, which is canonical and short enough for a
    /// name with an id.
    pub(crate) fn of_domain(domain: &str) -> Self {
        let text = format!("?.{domain}");
        Self { mark: 0, name_end: text.len(), text, port: None }
    }

    /// Returns the canonical pattern: in lower case, without a trailing dot, with its port.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the port of the pattern, if it has one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns what follows the label with the `?`, such as `abc123.us-east-2.rds.amazonaws.com`.
    ///
    /// None for a pattern of one label (`db-?`).
    pub fn domain(&self) -> Option<&str> {
        self.after().split_once('.').map(|(_, domain)| domain)
    }

    /// Builds the canonical host name of an instance, without the port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InstanceId`] unless the id is one label of letters, digits, hyphens and
    /// underscores and leaves the name within the limits of DNS: an id cannot lead out of the
    /// pattern's domain.
    pub fn host(&self, instance_id: &str) -> Result<String, Error> {
        if !self.matches(instance_id) {
            return Err(refused_id(instance_id));
        }
        Ok(format!("{}{}{}", self.before(), instance_id.to_ascii_lowercase(), self.after()))
    }

    /// Returns the instance id of a host name that matches the pattern.
    ///
    /// The host may be in any case and have one trailing dot; the id is returned as it is written
    /// there.
    pub fn instance_id<'a>(&self, host: &'a str) -> Option<&'a str> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let (before, after) = (self.before(), self.after());
        let end = host.len().checked_sub(after.len())?;
        let id = host.get(before.len()..end)?;
        let is_of_domain = host.get(..before.len())?.eq_ignore_ascii_case(before)
            && host.get(end..)?.eq_ignore_ascii_case(after);
        (is_of_domain && self.matches(id)).then_some(id)
    }

    fn into_string(self) -> String {
        self.text
    }

    fn before(&self) -> &str {
        &self.text[..self.mark]
    }

    fn after(&self) -> &str {
        &self.text[self.mark + 1..self.name_end]
    }

    /// Returns whether the id is one label and keeps its label and the name within the limits of
    /// DNS.
    fn matches(&self, id: &str) -> bool {
        let before = self.before().rsplit('.').next().map_or(0, str::len);
        let after = self.after().split('.').next().map_or(0, str::len);
        !id.is_empty()
            && id.bytes().all(|byte| name::is_name_byte(byte) && byte != b'.')
            // RFC 1035, section 2.3.4. The id takes the place of the `?`, hence one less below.
            && before + id.len() + after <= 63
            && self.name_end - 1 + id.len() <= 253
    }
}

text::as_str!(InstancePattern);

fn is_pattern_byte(byte: u8) -> bool {
    name::is_name_byte(byte) || byte == b'?'
}

fn split_port(pattern: &str) -> Result<(&str, Option<u16>), Error> {
    match pattern.rsplit_once(':') {
        Some((name, port)) if name.bytes().all(is_pattern_byte) && port.bytes().all(is_pattern_byte) => {
            let port = name::port_number(port).ok_or_else(|| {
                let message = "the port behind an instance pattern is a number from 1 to 65535";
                Error::new(ErrorKind::Port, message)
            })?;
            Ok((name, Some(port)))
        }
        _ => Ok((pattern, None)),
    }
}

/// Returns whether the last four labels are an IPv4 address, with any number in place of `?`.
fn is_ip_domain(name: &str) -> bool {
    let tail = name.rmatch_indices('.').nth(3).map_or(name, |(dot, _)| &name[dot + 1..]);
    tail.replace('?', "1").parse::<Ipv4Addr>().is_ok()
}

fn ip() -> Error {
    let message = "found an IP address in an instance pattern, names below one never resolve, expected a \
                   domain as in `?.abc123.us-east-2.rds.amazonaws.com`";
    Error::new(ErrorKind::Ip, message)
}

/// Returns the position of the one `?`.
fn wildcard(name: &str) -> Result<usize, Error> {
    let refuse = |message: String| Err(Error::new(ErrorKind::Placeholder, message));
    let mut marks = name.match_indices('?');
    match (marks.next(), marks.next()) {
        (None, _) => {
            refuse(format!("no `?` in instance pattern `{name}`, did you mean `{}`", suggestion(name)))
        }
        (Some(_), Some(_)) => {
            refuse(format!("more than one `?` in instance pattern `{name}`, expected exactly one"))
        }
        (Some(_), None) if name == "?" => refuse(
            "instance pattern `?` has no domain, expected one such as `?.my-domain.example`".to_owned(),
        ),
        (Some((mark, _)), None) => Ok(mark),
    }
}

/// Suggests the pattern of an RDS name, the name with its first label replaced, or a pattern below
/// a short name.
fn suggestion(name: &str) -> String {
    let pattern = Endpoint::parse(name).ok().and_then(|endpoint| endpoint.instance_pattern());
    match (pattern, name.split_once('.')) {
        (Some(pattern), _) => pattern.text,
        (None, Some((_, rest))) if rest.contains('.') => format!("?.{rest}"),
        (None, Some(_)) => format!("?.{name}"),
        (None, None) => "?.my-domain.example".to_owned(),
    }
}

fn check_kind(name: &str) -> Result<(), Error> {
    let Ok(endpoint) = Endpoint::parse(&name.replace('?', "x")) else { return Ok(()) };
    let kind = match endpoint.kind() {
        EndpointKind::Custom | EndpointKind::Instance => return Ok(()),
        kind => kind,
    };
    let meant = endpoint.domain().filter(|domain| name.ends_with(domain));
    let remedy = match meant {
        Some(domain) => format!("did you mean `?.{domain}`"),
        None => "expected one such as `?.abc123.us-east-2.rds.amazonaws.com`".to_owned(),
    };
    let message = format!("instance pattern `{name}` names a {kind}, {remedy}");
    Err(Error::new(ErrorKind::PatternKind, message))
}

fn refused_id(id: &str) -> Error {
    let message = match (name::shown(id), id.split('.').find(|label| !label.is_empty())) {
        (None, _) if id.is_empty() => "empty instance id, expected one such as `instance-1`".to_owned(),
        (None, _) => {
            "instance id with other characters than letters, digits, hyphens and underscores".to_owned()
        }
        (Some(shown), Some(first)) if id.contains('.') => {
            format!("instance id {shown} has a dot, expected one label such as {}", name::cut(first))
        }
        (Some(shown), _) => {
            format!("instance id {shown} of {} characters makes no valid host name", id.len())
        }
    };
    Error::new(ErrorKind::InstanceId, message)
}
