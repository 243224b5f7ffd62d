//! A cache on 127.0.0.1 that authenticates users by IAM token, as ElastiCache does.
//!
//! It verifies tokens, signature included, independently of the library, and implements only `AUTH`
//! and `PING`.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use rds_wrapper::iam::Clock;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Iso8601};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::Result;

/// The login that a cache accepts: one user, with tokens of one key.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The name that tokens are signed for.
    pub name: String,
    /// The region of the credential scope.
    pub region: String,
    /// The only user.
    pub user: String,
    /// The access key ID and secret of the only key.
    pub key: (String, String),
}

impl Cache {
    /// Starts a server that runs until the runtime ends, and returns its port.
    ///
    /// # Errors
    ///
    /// Returns the reason why it cannot listen.
    pub async fn serve(self, clock: Arc<dyn Clock>) -> Result<u16> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (cache, clock) = (self.clone(), Arc::clone(&clock));
                tokio::spawn(async move { cache.talk(stream, &*clock).await });
            }
        });
        Ok(port)
    }

    async fn talk(&self, stream: TcpStream, clock: &dyn Clock) -> Result {
        let mut stream = BufReader::new(stream);
        let mut is_in = false;
        while let Some(command) = read_command(&mut stream).await? {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let answer = match words[..] {
                ["AUTH", user, token] => {
                    is_in = self.lets_in(user, token, clock.now());
                    if is_in {
                        "+OK"
                    } else {
                        "-WRONGPASS invalid username-password pair or user is disabled."
                    }
                }
                _ if !is_in => "-NOAUTH Authentication required.",
                ["PING"] => "+PONG",
                _ => "+OK",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }

    /// Returns whether a token's parameters, validity and signature are right.
    fn lets_in(&self, user: &str, token: &str, now: SystemTime) -> bool {
        let Some((name, query)) = token.split_once("/?") else { return false };
        let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let value = |wanted| pairs.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| *value);
        let (date_time, expires) = (value("X-Amz-Date"), value("X-Amz-Expires").parse().unwrap_or(0));
        let Ok(signed_at) = OffsetDateTime::parse(date_time, &Iso8601::PARSING) else { return false };
        let signed_at = SystemTime::from(signed_at);
        let scope = format!("{}/{}/elasticache/aws4_request", &date_time[..8], self.region);
        name == self.name
            && user == self.user
            && (value("Action"), value("User")) == ("connect", user)
            && value("X-Amz-Credential") == format!("{}/{scope}", self.key.0).replace('/', "%2F")
            // SigV4 tolerates clocks that are five minutes apart.
            && signed_at <= now + Duration::from_secs(300)
            && now < signed_at + Duration::from_secs(expires)
            && value("X-Amz-Signature") == self.signature(pairs.clone(), signed_at, date_time, &scope)
    }

    /// Signs the request that a token stands for: all its parameters but the signature.
    fn signature(
        &self,
        mut pairs: Vec<(&str, &str)>,
        signed_at: SystemTime,
        date_time: &str,
        scope: &str,
    ) -> String {
        pairs.retain(|(name, _)| *name != "X-Amz-Signature");
        pairs.sort_unstable();
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (query, payload) = (query.join("&"), hex(&Sha256::digest("")));
        let request = format!("GET\n/\n{query}\nhost:{}\n\nhost\n{payload}", self.name);
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{date_time}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
        let key = generate_signing_key(&self.key.1, signed_at, &self.region, "elasticache");
        calculate_signature(key, to_sign.as_bytes())
    }
}

/// Reads a RESP array of bulk strings, the form in which clients send commands.
async fn read_command(stream: &mut BufReader<TcpStream>) -> Result<Option<Vec<String>>> {
    let Some(count) = read_number(stream, '*').await? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count.min(16) {
        let length = read_number(stream, '$').await?.ok_or("the command ends early")?;
        let mut word = vec![0; length.min(65_536) + 2];
        stream.read_exact(&mut word).await?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word)?);
    }
    Ok(Some(words))
}

async fn read_number(stream: &mut BufReader<TcpStream>, mark: char) -> Result<Option<usize>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end().strip_prefix(mark).ok_or("not what clients send")?.parse()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
