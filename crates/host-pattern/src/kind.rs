//! The kinds of endpoints.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::name::one_of;

/// The kind of a host name.
///
/// `Display` prints a description: "cluster writer endpoint".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointKind {
    /// Any other valid DNS name, such as your own CNAME or `localhost`.
    Custom,
    /// A custom endpoint of an Aurora cluster, `<id>.cluster-custom-…`.
    CustomCluster,
    /// An Aurora DSQL cluster, `<26 letters and digits>.dsql.<region>.on.aws`.
    Dsql,
    /// The writer of an Aurora global database, `<id>.global-….global.rds.…`; its region changes
    /// with a switchover.
    GlobalWriter,
    /// One database instance, `<id>.<domain id>.…`.
    Instance,
    /// An IPv4 or IPv6 address.
    Ip,
    /// The default endpoint of an RDS Proxy, `<id>.proxy-…`.
    Proxy,
    /// A further endpoint of an RDS Proxy, `<id>.endpoint.proxy-…`.
    ProxyEndpoint,
    /// The reader endpoint of a cluster, `<id>.cluster-ro-…`.
    ReaderCluster,
    /// A DB shard group of an Aurora Limitless database, `<id>.shardgrp-…`.
    ShardGroup,
    /// The writer endpoint of a cluster, `<id>.cluster-…`.
    WriterCluster,
}

impl EndpointKind {
    const ALL: [Self; 11] = [
        Self::Custom,
        Self::CustomCluster,
        Self::Dsql,
        Self::GlobalWriter,
        Self::Instance,
        Self::Ip,
        Self::Proxy,
        Self::ProxyEndpoint,
        Self::ReaderCluster,
        Self::ShardGroup,
        Self::WriterCluster,
    ];

    /// Returns a description such as `cluster writer endpoint`, which `parse` reads back.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "custom domain name",
            Self::CustomCluster => "custom cluster endpoint",
            Self::Dsql => "DSQL cluster endpoint",
            Self::GlobalWriter => "global database writer endpoint",
            Self::Instance => "instance endpoint",
            Self::Ip => "IP address",
            Self::Proxy => "proxy",
            Self::ProxyEndpoint => "proxy endpoint",
            Self::ReaderCluster => "cluster reader endpoint",
            Self::ShardGroup => "shard group endpoint",
            Self::WriterCluster => "cluster writer endpoint",
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EndpointKind {
    type Err = Error;

    /// Parses the text of [`as_str`](Self::as_str), ignoring case.
    fn from_str(text: &str) -> Result<Self, Error> {
        one_of(&Self::ALL, Self::as_str, text).ok_or_else(|| {
            Error::new(
                ErrorKind::EndpointKind,
                "unknown kind of endpoint, expected one such as `instance endpoint`",
            )
        })
    }
}
