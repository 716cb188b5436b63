//! What one end of a connection accepted for sending, and what of it arrived at the other.

use eventwire::Message;

/// Enough of a message to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    text: bool,
    len: usize,
    hash: u64,
}

impl Digest {
    pub(super) fn of(message: Message<'_>) -> Self {
        let bytes = message.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325;
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        Self { text: message.as_text().is_some(), len: bytes.len(), hash }
    }
}

/// One direction of a connection. What arrives is always a prefix of what was accepted.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// In the order of the calls, of `send` and `broadcast` alike.
    accepted: Vec<Digest>,
    arrived: usize,
    /// The code that the sending application closed with: behind everything accepted.
    closed_with: Option<u16>,
}

impl Flow {
    pub(super) fn accept(&mut self, message: Message<'_>) {
        assert!(self.closed_with.is_none(), "accepted behind the close: {message:.40?}");
        self.accepted.push(Digest::of(message));
    }

    pub(super) fn arrive(&mut self, message: Message<'_>) {
        let (digest, place) = (Digest::of(message), self.arrived);
        let due = self.accepted.get(place);
        assert_eq!(due, Some(&digest), "message {place} of {}", self.accepted.len());
        self.arrived += 1;
    }

    pub(super) fn close(&mut self, code: u16) {
        self.closed_with.get_or_insert(code);
    }

    /// A close frame with `code` arrived while the receiver took everything.
    pub(super) fn arrive_close(&self, code: Option<u16>) {
        if code.is_some() && code == self.closed_with {
            let (arrived, accepted) = (self.arrived, self.accepted.len());
            assert_eq!(arrived, accepted, "closed in order before everything arrived");
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.arrived == self.accepted.len()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.len()
    }

    pub(super) const fn arrived(&self) -> usize {
        self.arrived
    }
}
