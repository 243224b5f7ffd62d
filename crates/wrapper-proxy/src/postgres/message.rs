//! Messages after the startup packet.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroize;

use crate::allowance::Allowance;

/// One message, as received.
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// The length of tag and length field.
    pub(crate) const HEADER: usize = 5;

    /// Reads one message within the allowance.
    pub(crate) async fn read(
        peer: &mut (impl AsyncRead + Unpin),
        allowance: &mut Allowance,
    ) -> io::Result<Self> {
        let tag = peer.read_u8().await?;
        let length = peer.read_u32().await?;
        if length < 4 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "invalid message length"));
        }
        // Before the allocation: the peer chooses the length.
        allowance.take(length as usize + 1)?;
        let mut bytes = vec![0; length as usize + 1];
        bytes[0] = tag;
        bytes[1..Self::HEADER].copy_from_slice(&length.to_be_bytes());
        peer.read_exact(&mut bytes[Self::HEADER..]).await?;
        Ok(Self { bytes })
    }

    /// Creates a message.
    pub(crate) fn new(tag: u8, body: &[u8]) -> Self {
        let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
        Self { bytes: [&[tag], &length.to_be_bytes()[..], body].concat() }
    }

    pub(crate) fn tag(&self) -> u8 {
        self.bytes[0]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[Self::HEADER..]
    }

    /// Returns the whole message, to forward it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Overwrites the message in memory.
    pub(crate) fn zeroize(mut self) {
        self.bytes.zeroize();
    }

    /// Returns the method number of an authentication message, and its data.
    pub(crate) fn authentication(&self) -> Option<(u32, &[u8])> {
        let (number, rest) = self.body().split_first_chunk::<4>()?;
        Some((u32::from_be_bytes(*number), rest))
    }

    /// Returns name and value of a `ParameterStatus` message.
    pub(crate) fn parameter(&self) -> Option<(String, String)> {
        let mut texts = self.body().split(|byte| *byte == 0);
        let mut next = || texts.next().map(|text| String::from_utf8_lossy(text).into_owned());
        Some((next()?, next()?))
    }

    /// Returns the fields of an `ErrorResponse`.
    pub(crate) fn fields(&self) -> Fields {
        let fields = self.body().split(|byte| *byte == 0).filter_map(|field| {
            let (name, value) = field.split_first()?;
            Some((*name, String::from_utf8_lossy(value).into_owned()))
        });
        Fields(fields.collect())
    }
}

/// The fields of a server's error:
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
pub(crate) struct Fields(Vec<(u8, String)>);

impl Fields {
    pub(crate) fn get(&self, name: u8) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

/// Creates an `ErrorResponse` that ends a connection.
pub(crate) fn error_response(code: &str, message: &str, detail: Option<&str>) -> Message {
    let mut body = Vec::new();
    let fields = [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message)];
    for (name, value) in fields.into_iter().chain(detail.map(|detail| (b'D', detail))) {
        body.push(name);
        body.extend(value.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    body.push(0);
    Message::new(b'E', &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> io::Result<Message> {
        Message::read(&mut bytes, &mut Allowance::of_server()).await
    }

    #[tokio::test]
    async fn error_response_is_read_back() {
        let sent = error_response("28000", "PAM authentication failed\0", Some("why\nand what to do"));
        let fields = read(sent.as_bytes()).await.expect("reads").fields();

        assert_eq!(fields.get(b'C'), Some("28000"));
        assert_eq!(fields.get(b'M'), Some("PAM authentication failed"));
        assert_eq!(fields.get(b'D'), Some("why\nand what to do"));
        assert_eq!(fields.get(b'H'), None);
    }

    #[tokio::test]
    async fn parameter_and_authentication_are_read() {
        let status = Message::new(b'S', b"in_hot_standby\0off\0");
        assert_eq!(status.parameter(), Some(("in_hot_standby".to_owned(), "off".to_owned())));
        let clear = Message::new(b'R', &[0, 0, 0, 3]);
        assert_eq!(clear.authentication(), Some((3, &[][..])));
        assert_eq!(Message::new(b'R', &[0]).authentication(), None);
    }

    #[tokio::test]
    async fn impossible_length_is_refused_before_memory_is_taken() {
        for length in [0_u32, 3, Allowance::SERVER as u32 + 1, u32::MAX] {
            let bytes = [&b"N"[..], &length.to_be_bytes()].concat();
            assert!(read(&bytes).await.is_err(), "{length}");
        }
    }
}
