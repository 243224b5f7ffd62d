//! The host name of a database, parsed.

use std::net::IpAddr;
use std::ops::Range;

use crate::blue_green;
use crate::error::Error;
use crate::grammar::{self, AwsName, Layout};
use crate::kind::EndpointKind;
use crate::name::{self, ErrorContext};
use crate::partition::Partition;
use crate::pattern::InstancePattern;
use crate::text;

/// A parsed host name: its kind and its parts.
///
/// Two endpoints are equal if their canonical names are, so `Db.Example.com.` equals
/// `db.example.com`. They are ordered and hashed as these names, so a map keyed by endpoints can be
/// searched by name.
#[derive(Clone)]
pub struct Endpoint {
    name: String,
    layout: Layout,
}

impl Endpoint {
    /// Parses a host name or an IP address, in any case, with or without one trailing dot.
    ///
    /// # Errors
    ///
    /// Anything but a bare name is rejected. The [`ErrorKind`](crate::ErrorKind) and the message
    /// say what was found and where it belongs: a URL, user info, a path, a port, whitespace, a
    /// zone id, … The message never repeats user info or anything else that may hold a password.
    ///
    /// # Examples
    ///
    /// ```
    /// use host_pattern::{Endpoint, EndpointKind};
    ///
    /// let endpoint = Endpoint::parse("Orders.cluster-ro-abc123.us-east-2.rds.amazonaws.com.")?;
    /// assert_eq!(endpoint.kind(), EndpointKind::ReaderCluster);
    /// assert_eq!(endpoint.id(), Some("orders"));
    /// assert_eq!(endpoint.region(), Some("us-east-2"));
    /// # Ok::<(), host_pattern::Error>(())
    /// ```
    pub fn parse(host: &str) -> Result<Self, Error> {
        // Only IPv6 has colons; the digits and dots of IPv4 pass and are classified below.
        if !host.bytes().all(name::is_name_byte) {
            return match grammar::ipv6(host) {
                Some(address) => Ok(Self { name: address.to_string(), layout: Layout::Ip(address.into()) }),
                None => Err(name::misplaced_piece(host, ErrorContext::Host)),
            };
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        name::check_lengths(name, ErrorContext::Host)?;
        Ok(Self::from_canonical(name.to_ascii_lowercase()))
    }

    /// Parses a name that is already canonical.
    fn from_canonical(name: String) -> Self {
        Self { layout: grammar::classify(&name), name }
    }

    /// Returns the canonical name: in lower case, without a trailing dot, IP addresses without
    /// brackets.
    ///
    /// This is the form to sign and to use as a key.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    fn into_string(self) -> String {
        self.name
    }

    /// Returns the kind of the name.
    pub fn kind(&self) -> EndpointKind {
        match &self.layout {
            Layout::Aws(aws) => aws.kind,
            Layout::Custom => EndpointKind::Custom,
            Layout::Ip(_) => EndpointKind::Ip,
        }
    }

    /// Returns the id of the instance, cluster, custom endpoint, proxy, proxy endpoint, shard
    /// group, global database or DSQL cluster.
    pub fn id(&self) -> Option<&str> {
        Some(&self.name[..self.aws()?.id_end])
    }

    /// Returns the region in the name; a global writer, an IP address and a custom name have none.
    pub fn region(&self) -> Option<&str> {
        Some(&self.name[self.aws()?.region.clone()?])
    }

    /// Returns the partition that the suffix belongs to or, where several share it, that the region
    /// belongs to.
    ///
    /// `None` if the name does not show it: for a custom name, an IP address, and a global writer
    /// under `amazonaws.com`, which may be commercial or GovCloud.
    pub fn partition(&self) -> Option<Partition> {
        self.aws()?.partition
    }

    /// Returns the domain of the account's instances in the region, such as
    /// `abc123.us-east-2.rds.amazonaws.com`.
    ///
    /// `None` for a global writer, whose instances lie in several regions, and for names outside
    /// RDS.
    pub fn domain(&self) -> Option<&str> {
        Some(&self.name[self.aws()?.domain?..])
    }

    /// Returns the address if the host is one; an IPv4-mapped IPv6 address stays IPv6.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.layout {
            Layout::Ip(address) => Some(address),
            Layout::Aws(_) | Layout::Custom => None,
        }
    }

    /// Returns whether the name is of any RDS or Aurora kind, which excludes DSQL, custom names and
    /// IP addresses.
    pub fn is_rds(&self) -> bool {
        !matches!(self.kind(), EndpointKind::Custom | EndpointKind::Dsql | EndpointKind::Ip)
    }

    /// Returns the pattern of the instances' names, `?.` and the [`domain`](Self::domain).
    pub fn instance_pattern(&self) -> Option<InstancePattern> {
        self.domain().map(InstancePattern::of_domain)
    }

    /// Returns the writer endpoint of a cluster's reader or writer endpoint.
    ///
    /// `None` for a custom endpoint: it has its own id, and its name does not contain that of its
    /// cluster.
    pub fn writer_endpoint(&self) -> Option<Self> {
        match self.kind() {
            EndpointKind::GlobalWriter | EndpointKind::WriterCluster => Some(self.clone()),
            EndpointKind::ReaderCluster => {
                Some(Self::from_canonical(format!("{}.cluster-{}", self.id()?, self.domain()?)))
            }
            _ => None,
        }
    }

    /// Returns whether the id ends in the suffix of a blue/green deployment's green side, `-green-`
    /// and six letters or digits.
    ///
    /// For a custom name with a domain, the first label counts as the id.
    pub fn is_green(&self) -> bool {
        self.suffixed_part().is_some_and(|id| blue_green::green_suffix(id).is_some())
    }

    /// Returns whether the id ends in `-old1`, the suffix of a blue/green deployment's former blue
    /// side.
    ///
    /// For a custom name with a domain, the first label counts as the id.
    pub fn is_old(&self) -> bool {
        self.suffixed_part().is_some_and(|id| id.ends_with("-old1"))
    }

    /// Returns the endpoint without the green suffix; see
    /// [`without_green`](crate::without_green()).
    pub fn without_green(&self) -> Self {
        match self.green_suffix() {
            Some(suffix) => self.without(suffix),
            None => self.clone(),
        }
    }

    /// Returns the position of the green suffix, unless the name would change its kind without it:
    /// `10-green-abc123.0.0.1` would become an address.
    pub(crate) fn green_suffix(&self) -> Option<Range<usize>> {
        let id_end = self.id_end();
        let suffix = blue_green::green_suffix(&self.name[..id_end])?..id_end;
        // Parsed once more, because the kind depends on the whole name.
        (self.without(suffix.clone()).kind() == self.kind()).then_some(suffix)
    }

    fn without(&self, piece: Range<usize>) -> Self {
        Self::from_canonical(format!("{}{}", &self.name[..piece.start], &self.name[piece.end..]))
    }

    /// Returns the end of the id or, without one, of the first label.
    fn id_end(&self) -> usize {
        match &self.layout {
            Layout::Aws(aws) => aws.id_end,
            Layout::Custom => self.name.find('.').unwrap_or(self.name.len()),
            Layout::Ip(_) => 0,
        }
    }

    fn suffixed_part(&self) -> Option<&str> {
        let end = self.id_end();
        (end < self.name.len()).then(|| &self.name[..end])
    }

    fn aws(&self) -> Option<&AwsName> {
        match &self.layout {
            Layout::Aws(aws) => Some(aws),
            Layout::Custom | Layout::Ip(_) => None,
        }
    }
}

text::as_str!(Endpoint);
