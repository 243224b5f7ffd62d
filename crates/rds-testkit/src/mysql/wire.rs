//! Packets over a stream, with their sequence numbers.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::State;

/// The longest packet accepted from a client.
const LONGEST: usize = 1 << 20;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection's stream and the number of the next packet.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    next: u8,
    encrypted: bool,
}

impl Wire {
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), next: 0, encrypted: false }
    }

    /// Continues over TLS and returns the name that the client asked for.
    pub(super) async fn encrypt(self, config: Arc<ServerConfig>) -> io::Result<(Self, Option<String>)> {
        let stream = TlsAcceptor::from(config).accept(self.stream).await?;
        let server_name = stream.get_ref().1.server_name().map(str::to_owned);
        Ok((Self { stream: Box::new(stream), encrypted: true, ..self }, server_name))
    }

    /// Reads one packet; the answer continues its numbers.
    pub(super) async fn read(&mut self, state: &State) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await?;
        let [a, b, c, number] = header;
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        // Far below 2^24 - 1 bytes, from which on a packet would continue in the next one.
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut packet = vec![0; length];
        self.stream.read_exact(&mut packet).await?;
        self.next = number.wrapping_add(1);
        if !self.encrypted {
            let mut traffic = state.traffic();
            traffic.add_clear_text(&header);
            traffic.add_clear_text(&packet);
        }
        Ok(packet)
    }

    pub(super) async fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.send_all(&[packet]).await
    }

    /// Sends packets in one write.
    pub(super) async fn send_all<P: AsRef<[u8]>>(&mut self, packets: &[P]) -> io::Result<()> {
        let bytes = self.number(packets);
        self.send_bytes(&bytes).await
    }

    /// Sends the first half of the packets' bytes; the connection then ends with this error.
    pub(super) async fn send_half<P: AsRef<[u8]>>(&mut self, packets: &[P]) -> io::Error {
        let bytes = self.number(packets);
        let sent = self.send_bytes(&bytes[..bytes.len() / 2]).await;
        sent.err().unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }

    fn number<P: AsRef<[u8]>>(&mut self, packets: &[P]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for packet in packets {
            let packet = packet.as_ref();
            // All packets here are far shorter than 2^24 bytes.
            bytes.extend(&(packet.len() as u32).to_le_bytes()[..3]);
            bytes.push(self.next);
            bytes.extend(packet);
            self.next = self.next.wrapping_add(1);
        }
        bytes
    }

    /// Sends bytes as they are, for packets that no honest server sends.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Relays bytes between the client and another server until both have finished.
    pub(super) async fn splice(&mut self, mut other: TcpStream) -> io::Result<()> {
        copy_bidirectional(&mut self.stream, &mut other).await.map(drop)
    }

    /// Shuts the stream down, with TLS's close_notify.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

/// Reads the pieces of a packet, in order; a missing one is an error.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(io::ErrorKind::InvalidData)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn number(&mut self) -> io::Result<u32> {
        let mut number = [0; 4];
        number.copy_from_slice(self.bytes(4)?);
        Ok(u32::from_le_bytes(number))
    }

    /// Reads up to the next NUL, or all that is left.
    pub(super) fn text(&mut self) -> io::Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.0 = self.0.get(1..).unwrap_or_default();
        Ok(text)
    }
}

/// Writes text with its length prefix.
pub(super) fn push_text(packet: &mut Vec<u8>, text: &str) {
    push_length(packet, text.len() as u64);
    packet.extend(text.as_bytes());
}

/// Writes a length-encoded integer of one, three, four or nine bytes.
pub(super) fn push_length(packet: &mut Vec<u8>, number: u64) {
    let bytes = number.to_le_bytes();
    match number {
        // 0xfb means NULL and 0xff an error, so 250 is the most that one byte holds.
        0..=250 => packet.push(bytes[0]),
        251..=0xffff => packet.extend([0xfc, bytes[0], bytes[1]]),
        0x1_0000..=0xff_ffff => packet.extend([0xfd, bytes[0], bytes[1], bytes[2]]),
        _ => {
            packet.push(0xfe);
            packet.extend(bytes);
        }
    }
}
