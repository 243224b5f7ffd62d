//! The bounded record of data that clients should not have sent, and how their sessions ended.

use std::collections::VecDeque;

/// The maximum number of recorded clear-text bytes; the oldest are dropped first.
const MOST_CLEAR_TEXT: usize = 1 << 20;

/// The maximum number of recorded bytes of files; the oldest packets are dropped first, the last
/// one is kept.
const MOST_OF_FILES: usize = 16 << 20;

/// Data that a careful client never sends, and how clients ended their sessions.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    clear_text: VecDeque<u8>,
    files: VecDeque<Vec<u8>>,
    bytes_of_files: usize,
    /// The sessions whose client sent COM_QUIT.
    pub(super) closed: usize,
    /// The sessions whose client broke off.
    pub(super) aborted: usize,
}

impl Traffic {
    pub(super) fn add_clear_text(&mut self, bytes: &[u8]) {
        self.clear_text.extend(bytes);
        let excess = self.clear_text.len().saturating_sub(MOST_CLEAR_TEXT);
        self.clear_text.drain(..excess);
    }

    pub(super) fn clear_text(&self) -> Vec<u8> {
        self.clear_text.iter().copied().collect()
    }

    pub(super) fn add_file(&mut self, packet: Vec<u8>) {
        self.bytes_of_files += packet.len();
        self.files.push_back(packet);
        while self.bytes_of_files > MOST_OF_FILES && self.files.len() > 1 {
            self.bytes_of_files -= self.files.pop_front().map_or(0, |oldest| oldest.len());
        }
    }

    pub(super) fn files(&self) -> Vec<Vec<u8>> {
        self.files.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_clear_text_is_kept() {
        let mut traffic = Traffic::default();
        traffic.add_clear_text(b"first");
        traffic.add_clear_text(&vec![b'x'; MOST_CLEAR_TEXT - 2]);
        traffic.add_clear_text(b"y");
        let kept = traffic.clear_text();
        assert_eq!((kept.len(), &kept[..2], kept.last()), (MOST_CLEAR_TEXT, &b"tx"[..], Some(&b'y')));
    }

    #[test]
    fn only_the_last_packets_of_files_are_kept() {
        let mut traffic = Traffic::default();
        for byte in 0..20 {
            traffic.add_file(vec![byte; 1 << 20]);
        }
        let first = traffic.files().iter().map(|packet| packet[0]).collect::<Vec<_>>();
        assert_eq!(first, (4..20).collect::<Vec<_>>());
        traffic.add_file(vec![20; MOST_OF_FILES + 1]);
        assert_eq!(traffic.files().len(), 1);
    }
}
