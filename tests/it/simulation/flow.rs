//! What one end of a connection accepted for sending, and what of it arrived at the other.

use eventwire::{Gap, Message, TopicId};

const GOING_AWAY: u16 = 1001;

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

/// One direction of a connection. What arrives is always a prefix of what was accepted, but for
/// broadcasts that may be missed, which a gap reports.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// In the order of the calls, of `send` and `broadcast` alike.
    accepted: Vec<Accepted>,
    /// How many have arrived, or were skipped.
    arrived: usize,
    /// How many have arrived, or were reported in a gap.
    settled: usize,
    /// The code that the sending application closed with: behind everything accepted.
    closed_with: Option<u16>,
}

#[derive(Debug)]
struct Accepted {
    digest: Digest,
    /// The topic and the number of a broadcast which may be missed.
    cast: Option<(TopicId, u64)>,
    /// It has arrived.
    got: bool,
    /// A gap reported it.
    reported: bool,
}

impl Flow {
    pub(super) fn accept(&mut self, message: Message<'_>) {
        self.accept_cast(message, None);
    }

    /// Accepts a broadcast; `cast` names one which may be missed.
    pub(super) fn accept_cast(&mut self, message: Message<'_>, cast: Option<(TopicId, u64)>) {
        assert!(self.closed_with.is_none(), "accepted behind the close: {message:.40?}");
        let digest = Digest::of(message);
        self.accepted.push(Accepted { digest, cast, got: false, reported: false });
    }

    pub(super) fn arrive(&mut self, message: Message<'_>) {
        let (digest, count) = (Digest::of(message), self.accepted.len());
        loop {
            let place = self.arrived;
            let Some(due) = self.accepted.get_mut(place) else {
                panic!("message {place} of {count}: {digest:?}");
            };
            self.arrived += 1;
            if due.cast.is_some() && due.digest != digest {
                continue;
            }
            assert_eq!(due.digest, digest, "message {place} of {count}");
            assert!(!due.reported, "{:?} was reported missing", due.cast);
            due.got = true;
            self.settled += 1;
            return;
        }
    }

    /// A gap reports that these broadcasts did not arrive.
    pub(super) fn miss(&mut self, gap: Gap) {
        let mut missed = 0;
        for accepted in &mut self.accepted {
            let reported = accepted.cast.is_some_and(|(topic, number)| {
                topic == gap.topic && (gap.first..=gap.last).contains(&number)
            });
            if reported {
                assert!(!accepted.got && !accepted.reported, "{:?} is in {gap:?}", accepted.cast);
                accepted.reported = true;
                missed += 1;
            }
        }
        assert_eq!(gap.missed(), missed, "{gap:?}");
        assert!(missed > 0, "{gap:?} is empty");
        self.settled += missed as usize;
    }

    pub(super) fn close(&mut self, code: u16) {
        self.closed_with.get_or_insert(code);
    }

    /// A close frame with `code` arrived while the receiver took everything.
    pub(super) fn arrive_close(&self, code: Option<u16>) {
        // A loop that ends says so behind everything, too.
        if code.is_some() && (code == self.closed_with || code == Some(GOING_AWAY)) {
            let missing = self.accepted[self.arrived..].iter().find(|due| due.cast.is_none());
            assert!(missing.is_none(), "closed in order before everything arrived: {missing:?}");
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.settled == self.accepted.len()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.len()
    }

    /// How many have arrived, or were reported in a gap.
    pub(super) const fn settled(&self) -> usize {
        self.settled
    }
}
