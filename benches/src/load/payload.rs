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

    /// The bits that payloads of `size` bytes carry.
    pub(crate) const fn carried(size: usize) -> u64 {
        if size >= Self::LEN { u64::MAX } else { (1 << (8 * size)) - 1 }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_survive_the_wire() {
        let stamp = Stamp { sender: 7, sequence: u32::MAX };
        assert_eq!(Stamp::from_bits(stamp.to_bits()), stamp);
        assert_eq!(stamp.plus(1), Stamp { sender: 7, sequence: 0 });
    }

    #[test]
    fn short_payloads_carry_what_fits() {
        assert_eq!(Stamp::carried(0), 0);
        assert_eq!(Stamp::carried(1), 0xff);
        assert_eq!(Stamp::carried(7), u64::MAX >> 8);
        assert_eq!(Stamp::carried(8), u64::MAX);
        assert_eq!(Stamp::carried(1000), u64::MAX);
    }
}
