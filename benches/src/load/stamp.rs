//! What identifies a message, and what else is in it.

/// Identifies a message: the first bytes of every payload, as many as fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The connection, or the publisher.
    pub(crate) sender: u32,
    /// Counts the sender's messages; wraps.
    pub(crate) sequence: u32,
}

impl Stamp {
    /// Bytes of a whole stamp.
    pub(crate) const LEN: usize = 8;

    /// Little-endian on the wire, beginning with the sequence number.
    pub(crate) const fn to_bits(self) -> u64 {
        (self.sender as u64) << 32 | self.sequence as u64
    }

    /// The inverse of `to_bits`.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self { sender: (bits >> 32) as u32, sequence: bits as u32 }
    }

    /// The stamp that the sender's message has `messages` messages later.
    pub(crate) const fn plus(self, messages: usize) -> Self {
        Self { sender: self.sender, sequence: self.sequence.wrapping_add(messages as u32) }
    }
}

/// The content of payloads of `size` bytes besides their stamp. It does not repeat within short
/// distances, so that misplaced bytes are noticed.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| ((index as u32).wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
}
