//! The server's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.

use std::io;
use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};

use super::wire::Wire;
use crate::hash::{equal, hmac_sha256, sha256};
use crate::random;

/// PostgreSQL's default, `scram_iterations`.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// Runs the exchange and returns whether the client knows `password`. Without a password it is
/// still run and fails, as in PostgreSQL for unknown users.
pub(super) async fn check(wire: &mut Wire, password: Option<&str>) -> io::Result<bool> {
    let mechanisms = vec!["SCRAM-SHA-256".to_owned()];
    wire.send(PgWireBackendMessage::Authentication(Authentication::SASL(mechanisms))).await?;
    let first =
        PasswordMessageFamily::Raw(wire.read_password().await?[..].into()).into_sasl_initial_response()?;
    let first = text(first.data.as_deref().unwrap_or_default())?;
    let (header, client_first) = split_header(first)?;
    let client_nonce = attribute(client_first, "r=")?;

    // The server's part makes the nonce fresh: a recorded exchange cannot be replayed.
    let (salt, nonce) = (random::bytes::<16>()?, format!("{client_nonce}{}", random::name::<24>()?));
    let server_first = format!("r={nonce},s={},i={ITERATIONS}", BASE64.encode(salt));
    let message = Authentication::SASLContinue(server_first.clone().into());
    wire.send(PgWireBackendMessage::Authentication(message)).await?;

    let last = wire.read_password().await?;
    let last = text(&last)?;
    // The proof is the last attribute, and signs all before it (RFC 5802, sections 3 and 7).
    let (without_proof, _) = last.rsplit_once(",p=").ok_or_else(malformed)?;
    let proof = BASE64.decode(attribute(last, "p=")?).map_err(|_| malformed())?;
    // The header is repeated, so that no one on the way can remove the channel binding.
    let is_bound = attribute(last, "c=")? == BASE64.encode(header) && attribute(last, "r=")? == nonce;
    let Some(password) = password else { return Ok(false) };

    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password.as_bytes(), &mut salted);
    let signed = format!("{client_first},{server_first},{without_proof}");
    let client_key = hmac_sha256(&salted, b"Client Key");
    let client_signature = hmac_sha256(&sha256(&client_key), signed.as_bytes());
    let expected = client_key.iter().zip(client_signature).map(|(key, sign)| key ^ sign).collect::<Vec<_>>();
    if !is_bound || !equal(&expected, &proof) {
        return Ok(false);
    }
    let server_signature = hmac_sha256(&hmac_sha256(&salted, b"Server Key"), signed.as_bytes());
    let message = Authentication::SASLFinal(format!("v={}", BASE64.encode(server_signature)).into());
    wire.feed(PgWireBackendMessage::Authentication(message))?;
    Ok(true)
}

/// Splits `n,,` or `y,,` off the client's first message.
fn split_header(first: &str) -> io::Result<(&str, &str)> {
    let at = first.match_indices(',').nth(1).ok_or_else(malformed)?.0 + 1;
    Ok(first.split_at(at))
}

fn attribute<'a>(message: &'a str, name: &str) -> io::Result<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name)).ok_or_else(malformed)
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| malformed())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed SCRAM message")
}
