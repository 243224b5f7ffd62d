//! Packets: three bytes of length, a sequence number, and the payload.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::allowance::Allowance;

/// Capability flags, by their names in MySQL's documentation without `CLIENT_`.
pub(crate) mod capability {
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const COMPRESS: u32 = 1 << 5;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const LENENC_PROOF: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    pub(crate) const OPTIONAL_METADATA: u32 = 1 << 25;
    pub(crate) const ZSTD: u32 = 1 << 26;
    pub(crate) const QUERY_ATTRIBUTES: u32 = 1 << 27;
    pub(crate) const MULTI_FACTOR: u32 = 1 << 28;
    pub(crate) const SSL_VERIFY: u32 = 1 << 30;
}

/// The packet that ends a session, COM_QUIT.
pub(crate) const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

/// [`QUIT`] in the frame of a compressed session, with zlib and with zstd: the frame's length, its
/// sequence number, and the length before the compression, which is 0 for bytes sent as they are.
pub(crate) const COMPRESSED_QUIT: [u8; 12] = [5, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];

/// One packet.
pub(crate) struct Packet {
    pub(crate) number: u8,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    /// Reads one packet within the allowance.
    pub(crate) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        allowance: &mut Allowance,
    ) -> io::Result<Self> {
        let mut header = [0; 4];
        stream.read_exact(&mut header).await?;
        let [a, b, c, number] = header;
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        // Before the allocation: the peer chooses the length.
        allowance.take(header.len() + length)?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        Ok(Self { number, payload })
    }
}

/// Sends one packet.
pub(crate) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    number: u8,
    payload: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length < 0xff_ff_ff);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let [a, b, c, _] = length.to_le_bytes();
    stream.write_all(&[&[a, b, c, number][..], payload].concat()).await?;
    stream.flush().await
}

/// Returns code and message of an ERR packet; `None` for any other packet.
pub(crate) fn refusal(payload: &[u8]) -> Option<(u16, String)> {
    let [0xff, low, high, rest @ ..] = payload else { return None };
    let text = match rest {
        // The SQLSTATE, which is missing in place of a greeting.
        [b'#', _, _, _, _, _, text @ ..] => text,
        text => text,
    };
    Some((u16::from_le_bytes([*low, *high]), String::from_utf8_lossy(text).into_owned()))
}

/// Reads the fields of a payload in order; a missing one is `None`.
pub(crate) struct Pieces<'a>(pub(crate) &'a [u8]);

impl<'a> Pieces<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(crate) fn number(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// Reads up to the next NUL, or to the end.
    pub(crate) fn text(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        text
    }

    /// Reads a length-encoded string.
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.bytes(length)
    }

    /// Reads a length-encoded integer, of one, three, four or nine bytes.
    pub(crate) fn length(&mut self) -> Option<usize> {
        let bytes = match self.byte()? {
            0xfc => self.bytes(2)?,
            0xfd => self.bytes(3)?,
            0xfe => self.bytes(8)?,
            0xfb | 0xff => return None,
            short => return Some(short.into()),
        };
        let number = bytes.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        number.try_into().ok()
    }
}
