//! Frames that leave together.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::proto::{FrameHeader, Message};
use crate::slots::Key;

/// Encoded frames one behind the other.
#[derive(Debug, Default)]
pub(super) struct Batch<B> {
    pub(super) frames: B,
    /// Ascending; the last ends where `frames` ends.
    pub(super) marks: Vec<Mark>,
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

    /// The frames that come after number `sequence`.
    pub(super) fn marks_after(&self, sequence: u64) -> &[Mark] {
        &self.marks[self.marks.partition_point(|mark| mark.sequence <= sequence)..]
    }
}

/// Frames to append to a connection's output.
#[derive(Debug)]
pub(crate) enum Run<'a> {
    /// Part of a batch that no longer changes: may be kept by reference.
    Shared(&'a Bytes, Range<usize>),
    /// Part of a batch that still grows: must be copied.
    Open(&'a [u8]),
}

impl Run<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes, range) => &bytes[range.clone()],
            Self::Open(bytes) => bytes,
        }
    }
}

/// Appends the message as a server sends it.
pub(super) fn encode(message: Message<'_>, frames: &mut BytesMut) {
    let header =
        FrameHeader { fin: true, opcode: message.opcode(), mask: None, len: message.len() as u64 };
    let mut bytes = [0; FrameHeader::MAX_LEN];
    let len = header.encode(&mut bytes);
    frames.reserve(len + message.len());
    frames.extend_from_slice(&bytes[..len]);
    frames.extend_from_slice(message.as_bytes());
}
