/// Signs tokens for the tests, with every part open to be bent.
///
/// It shares no code with the server's verifier.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) user: String,
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) session_token: Option<String>,
    pub(crate) at: std::time::SystemTime,
    pub(crate) expires: u32,
}

impl Signer {
    pub(crate) fn new(server: &rds_testkit::PostgresServer) -> Self {
        let key = server.access_key();
        Self {
            host: server.host().to_owned(),
            port: server.signed_port(),
            region: server.region().to_owned(),
            service: "rds-db".to_owned(),
            user: server.user().to_owned(),
            access_key_id: key.access_key_id().to_owned(),
            secret: key.secret_access_key().to_owned(),
            session_token: key.session_token().map(str::to_owned),
            at: server.token_policy().now(),
            expires: 900,
        }
    }

    pub(crate) fn sign(&self) -> String {
        let date = date(self.at);
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let mut query = format!(
            "Action=connect&DBUser={}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F{}\
             &X-Amz-Date={date}&X-Amz-Expires={}",
            escape(&self.user),
            self.access_key_id,
            escape(&scope),
            self.expires
        );
        if let Some(session_token) = &self.session_token {
            query += &format!("&X-Amz-Security-Token={}", escape(session_token));
        }
        query += "&X-Amz-SignedHeaders=host";
        let endpoint = format!("{}:{}", self.host, self.port);
        let request = format!("GET\n/\n{query}\nhost:{endpoint}\n\nhost\n{}", hex(sha256(b"")));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(sha256(request.as_bytes())));
        let mut key = hmac(format!("AWS4{}", self.secret).as_bytes(), &date[..8]);
        for part in [&*self.region, &*self.service, "aws4_request", &*text] {
            key = hmac(key.as_ref(), part);
        }
        format!("{endpoint}/?{query}&X-Amz-Signature={}", hex(key))
    }
}

fn sha256(data: &[u8]) -> aws_lc_rs::digest::Digest {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data)
}

fn hmac(key: &[u8], text: &str) -> aws_lc_rs::hmac::Tag {
    use aws_lc_rs::hmac;
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn escape(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Formats a time as `YYYYMMDDTHHMMSSZ`, by counting off the years and months since 1970.
fn date(at: std::time::SystemTime) -> String {
    let seconds = at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (mut days, mut year, mut month) = (seconds / 86_400, 1970, 0);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{:02}{:02}T{hour:02}{minute:02}{second:02}Z", month + 1, days + 1)
}
