//! The parts of a request, checked and rendered once.

use std::{fmt, ops::Range, time::Duration};

use sha2::{Digest, Sha256};

use super::{ALGORITHM_AND_CREDENTIAL, DATE, Presign};
use crate::{
    Error, ErrorKind,
    encode::{percent_encoded, push_percent_encoded},
    host,
    region::{self, shown},
};

/// The hash of the empty payload.
const EMPTY_PAYLOAD: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The prefix reserved for the names that a signature adds, today or later.
const RESERVED: &str = "X-Amz-";
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.
const MAX_LIFETIME: Duration = Duration::from_secs(604_800);
/// Capacity for a request of ordinary length beside its host, so that its buffers are allocated
/// once.
const LEAD_LEN: usize = 160;
const SUFFIX_LEN: usize = 160;

/// The parts of a request to be signed.
///
/// The setters accept any value; [`build`](Self::build) validates them. Service, region and
/// lifetime have no default.
#[derive(Clone)]
pub struct PresignBuilder {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
    path: String,
    query: Vec<(String, String)>,
    unsigned_query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    service: String,
    region: String,
    lifetime: Option<Duration>,
    max_lifetime: Duration,
    base64url: Option<String>,
}

impl PresignBuilder {
    pub(super) fn new(scheme: &'static str, host: &str) -> Self {
        Self {
            scheme,
            host: host.to_owned(),
            port: None,
            path: "/".to_owned(),
            query: Vec::new(),
            unsigned_query: Vec::new(),
            headers: Vec::new(),
            service: String::new(),
            region: String::new(),
            lifetime: None,
            max_lifetime: MAX_LIFETIME,
            base64url: None,
        }
    }

    /// Omits the scheme from the token's text, as in the passwords of databases.
    pub fn without_scheme(mut self) -> Self {
        self.scheme = "";
        self
    }

    /// Sets the port, which is then signed and written even if it is the scheme's default. Default:
    /// none.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the path, limited to unreserved characters and single slashes, so that it needs no
    /// encoding. Default: `/`.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Adds a query parameter. Both parts are taken as plain text and percent-encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a query parameter behind the signature, which does not cover it.
    pub fn unsigned_query(mut self, name: &str, value: &str) -> Self {
        self.unsigned_query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a signed header beside `host`. The name is lower-cased; each run of blanks in the value
    /// becomes one.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        // The canonical form of SigV4: trimmed, and runs of blanks as one.
        let value = value.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        self.headers.push((name.to_ascii_lowercase(), value));
        self
    }

    /// Sets the name under which the service is signed, such as `rds-db`.
    pub fn service(mut self, service: &str) -> Self {
        service.clone_into(&mut self.service);
        self
    }

    /// Sets the region to sign for, trimmed and lower-cased.
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// Sets how long the signature is valid: whole seconds, from 1 second to 7 days.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Lowers the maximum lifetime to the service's own, which is below SigV4's.
    pub(crate) fn max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.max_lifetime = max_lifetime;
        self
    }

    /// Writes the token as `prefix` and the base64url form of its text, without padding, as bearer
    /// tokens are.
    pub fn base64url(mut self, prefix: &str) -> Self {
        self.base64url = Some(prefix.to_owned());
        self
    }

    /// Checks the parts and renders everything that does not change between two signatures.
    ///
    /// # Errors
    ///
    /// `InvalidHost`, `InvalidPort`, `InvalidPath`, `InvalidQuery`, `InvalidHeader`,
    /// `InvalidService`, `MissingRegion`, `InvalidRegion` or `InvalidLifetime` of [`ErrorKind`],
    /// each for the part of that name.
    pub fn build(&self) -> Result<Presign, Error> {
        let host = host::canonical(&self.host)?;
        let authority = match self.port {
            None => host,
            Some(0) => {
                return Err(Error::new(ErrorKind::InvalidPort, "port is 0: give the port of the endpoint"));
            }
            Some(port) => format!("{host}:{port}"),
        };
        self.check_path()?;
        self.check_query()?;
        self.check_service()?;
        let region = region::parse(&self.region)?;
        let lifetime = self.checked_lifetime()?;
        let headers = self.canonical_headers(&authority)?;
        let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let signed_headers = ["&X-Amz-SignedHeaders=", &percent_encoded(&signed)].concat();

        let mut lead = String::with_capacity(LEAD_LEN + authority.len());
        lead.extend([self.scheme, &authority, &self.path, "?"]);
        let query = push_query(&mut lead, &self.query);
        lead.push_str(ALGORITHM_AND_CREDENTIAL);
        let mut unsigned = String::new();
        for (name, value) in &self.unsigned_query {
            unsigned.push('&');
            push_percent_encoded(&mut unsigned, name);
            unsigned.push('=');
            push_percent_encoded(&mut unsigned, value);
        }

        let mut canonical_prefix =
            Sha256::new().chain_update("GET\n").chain_update(&self.path).chain_update("\n");
        let mut canonical_suffix = String::with_capacity(SUFFIX_LEN + authority.len());
        canonical_suffix.push_str(&signed_headers);
        // The token keeps the order of the calls; only the canonical query is sorted.
        for (name, value) in sorted(&lead, query) {
            // `check_query` rejects the reserved names, so each name sorts before or after all of
            // them.
            if name < RESERVED {
                [name, "=", value, "&"].into_iter().for_each(|part| canonical_prefix.update(part));
            } else {
                canonical_suffix.extend(["&", name, "=", value]);
            }
        }
        canonical_prefix.update(ALGORITHM_AND_CREDENTIAL);
        canonical_suffix.push('\n');
        for (name, value) in &headers {
            canonical_suffix.extend([*name, ":", *value, "\n"]);
        }
        // The headers end with an empty line; their names and the hash of the payload follow.
        canonical_suffix.extend(["\n", &signed, "\n", EMPTY_PAYLOAD]);

        Ok(Presign {
            service: self.service.clone(),
            lifetime,
            scope_line: ["/", &region, "/", &self.service, "/aws4_request\n"].concat(),
            lead,
            scope_to_time: ["%2F", &region, "%2F", &self.service, "%2Faws4_request", DATE].concat(),
            region,
            expires: format!("&X-Amz-Expires={}", lifetime.as_secs()),
            signed_headers,
            unsigned,
            base64url: self.base64url.clone(),
            canonical_prefix,
            canonical_suffix,
        })
    }

    /// Rejects a path that would need encoding or normalisation: some services encode a path twice,
    /// some normalise it, some do neither, and only a plain path is signed the same way by all.
    fn check_path(&self) -> Result<(), Error> {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let plain = |segment: &str| !matches!(segment, "." | "..") && segment.bytes().all(unreserved);
        match self.path.strip_prefix('/') {
            Some(rest) if rest.split('/').all(plain) && !self.path.contains("//") => Ok(()),
            _ => Err(Error::new(
                ErrorKind::InvalidPath,
                format!(
                    "path {} is not absolute and plain: use / and unreserved characters",
                    shown(&self.path)
                ),
            )),
        }
    }

    fn check_query(&self) -> Result<(), Error> {
        for (name, _) in self.query.iter().chain(&self.unsigned_query) {
            if name.is_empty() {
                return Err(Error::new(
                    ErrorKind::InvalidQuery,
                    "query name is empty: give each parameter a name",
                ));
            }
            let reserved =
                name.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED));
            if reserved {
                let message =
                    format!("query name {} is reserved for the signature: leave it out", shown(name));
                return Err(Error::new(ErrorKind::InvalidQuery, message));
            }
        }
        Ok(())
    }

    fn check_service(&self) -> Result<(), Error> {
        if region::is_scope_part(&self.service) {
            return Ok(());
        }
        let message = format!(
            "service {} is missing or malformed: use a signing name such as rds-db",
            shown(&self.service)
        );
        Err(Error::new(ErrorKind::InvalidService, message))
    }

    fn checked_lifetime(&self) -> Result<Duration, Error> {
        let what = match self.lifetime {
            Some(lifetime)
                if lifetime.subsec_nanos() == 0 && !lifetime.is_zero() && lifetime <= self.max_lifetime =>
            {
                return Ok(lifetime);
            }
            Some(lifetime) => format!("lifetime of {lifetime:?}"),
            None => "missing lifetime".to_owned(),
        };
        let message = format!("{what}: use whole seconds from 1 to {}", self.max_lifetime.as_secs());
        Err(Error::new(ErrorKind::InvalidLifetime, message))
    }

    /// Returns the headers in the order in which they are signed.
    fn canonical_headers<'a>(&'a self, authority: &'a str) -> Result<Vec<(&'a str, &'a str)>, Error> {
        let invalid = |name: &str, what| {
            Err(Error::new(ErrorKind::InvalidHeader, format!("header {} {what}", shown(name))))
        };
        // SigV4 requires `host` among the signed headers of an HTTP/1.1 request.
        let mut headers = vec![("host", authority)];
        for (name, value) in &self.headers {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
                return invalid(name, "is not a header name: use letters, digits and hyphens");
            }
            if headers.iter().any(|(other, _)| other == name) {
                return invalid(name, "is given twice: leave one out, host is always there");
            }
            if !value.bytes().all(|b| matches!(b, b' '..=b'~')) {
                return invalid(name, "has a value that is not printable ASCII: encode it first");
            }
            headers.push((name, value));
        }
        headers.sort_unstable();
        Ok(headers)
    }
}

impl fmt::Debug for PresignBuilder {
    /// Omits the query and the header values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignBuilder")
            .field("service", &self.service)
            .field("region", &self.region)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// Appends the parameters, encoded and with an `&` behind each; returns where the names and values
/// stand.
fn push_query(out: &mut String, query: &[(String, String)]) -> Vec<[Range<usize>; 2]> {
    let mut places = Vec::with_capacity(query.len());
    for (name, value) in query {
        let start = out.len();
        push_percent_encoded(out, name);
        let end = out.len();
        out.push('=');
        push_percent_encoded(out, value);
        places.push([start..end, end + 1..out.len()]);
        out.push('&');
    }
    places
}

/// Returns encoded parameters as SigV4 sorts them: by name and then by value.
fn sorted(text: &str, places: Vec<[Range<usize>; 2]>) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = places.into_iter().map(|[name, value]| (&text[name], &text[value])).collect();
    pairs.sort_unstable();
    pairs
}
