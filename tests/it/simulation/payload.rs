//! Random messages.

use eventwire::{Message, TopicId};

use crate::shared::Random;

/// A message that owns its payload.
pub(super) enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// A payload of `len` bytes, text or binary.
    pub(super) fn random(random: &mut Random, len: usize) -> Self {
        if random.percent(40) {
            let first = random.below(26);
            let letters = (0..len).map(|at| b'a' + ((first + at * 7 + at / 26) % 26) as u8);
            return Self::Text(String::from_utf8(letters.collect()).expect("letters"));
        }
        Self::Binary(random.bytes(len))
    }

    /// Makes it different from every other broadcast.
    pub(super) fn make_unique(&mut self, topic: TopicId, number: u64) {
        let mark = format!("{topic:?} {number}");
        match self {
            Self::Text(text) => text.push_str(&mark),
            Self::Binary(bytes) => bytes.extend_from_slice(mark.as_bytes()),
        }
    }

    pub(super) fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes.into(),
        }
    }
}
