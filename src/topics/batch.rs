//! Frames that leave together.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::proto::{FrameHeader, Message, Payload};
use crate::slots::Key;

/// Encoded frames one behind the other.
#[derive(Debug, Default)]
pub(super) struct Batch<B> {
    pub(super) frames: B,
    /// Ascending; the last ends where `frames` ends.
    pub(super) marks: Vec<Mark>,
    /// How many of `marks` must not be compressed.
    pub(super) verbatim: usize,
}

/// One frame of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Its number among the broadcasts to all topics.
    pub(super) sequence: u64,
    /// Its number among those to this topic.
    pub(super) number: u64,
    pub(super) end: usize,
    /// The subscriber that it leaves out.
    pub(super) except: Option<Key>,
    /// It may be compressed where that was agreed.
    pub(super) may_compress: bool,
}

impl<B> Batch<B> {
    pub(super) fn last(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.sequence)
    }

    /// Where the frames begin that come after number `sequence`.
    pub(super) fn offset_after(&self, sequence: u64) -> usize {
        let before = self.marks.partition_point(|mark| mark.sequence <= sequence);
        before.checked_sub(1).map_or(0, |last| self.marks[last].end)
    }

    /// Where the frames begin that come after number `sequence`, and how many they are. As a rule
    /// that is all of them, which one comparison tells without a search.
    #[inline]
    pub(super) fn rest_after(&self, sequence: u64) -> (usize, usize) {
        match self.marks.first() {
            Some(first) if first.sequence <= sequence => {
                (self.offset_after(sequence), self.marks_after(sequence).len())
            }
            _ => (0, self.marks.len()),
        }
    }

    /// Whether all frames may be compressed, or none; nothing if that differs.
    pub(super) fn may_compress(&self) -> Option<bool> {
        match self.verbatim {
            0 => Some(true),
            all if all == self.marks.len() => Some(false),
            _ => None,
        }
    }

    /// The frames that come after number `sequence`.
    pub(super) fn marks_after(&self, sequence: u64) -> &[Mark] {
        &self.marks[self.marks.partition_point(|mark| mark.sequence <= sequence)..]
    }
}

/// Frames to append to a connection's output.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) frames: Frames<'a>,
    /// They may be compressed where that was agreed.
    pub(crate) may_compress: bool,
    /// The topic that they were broadcast to, if it is one.
    pub(crate) topic: Option<Key>,
}

/// Where the frames of a run lie.
#[derive(Clone, Debug)]
pub(crate) enum Frames<'a> {
    /// In a batch that no longer changes: may be kept by reference.
    Shared(&'a Bytes, Range<usize>),
    /// In a batch that still grows: must be copied.
    Open(&'a [u8]),
}

impl<'a> Run<'a> {
    /// Frames that are sent as they are.
    pub(crate) fn verbatim(frames: &'a Bytes, topic: Option<Key>) -> Self {
        Self { frames: Frames::Shared(frames, 0..frames.len()), may_compress: false, topic }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.frames {
            Frames::Shared(bytes, range) => &bytes[range.clone()],
            Frames::Open(bytes) => bytes,
        }
    }
}

/// Appends the message as a server sends it.
pub(super) fn encode(message: Message<'_>, frames: &mut BytesMut) {
    let mut bytes = [0; FrameHeader::MAX_LEN];
    let len = Payload::from(message).header(None).encode(&mut bytes);
    frames.reserve(len + message.len());
    frames.extend_from_slice(&bytes[..len]);
    frames.extend_from_slice(message.as_bytes());
}
