use std::ops::Range;

use super::shared::{SharedFrames, Slice};
use crate::net::framing::Framing;
use crate::proto::FrameHeader;

/// Copied frames are gathered up to this many bytes before another piece of storage is begun.
pub(super) const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Whole frames. Only of the front chunk of an outbox may bytes have been sent.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Frames that were copied; the last chunk grows. The first `sent` bytes were sent.
    Copied { bytes: Vec<u8>, sent: usize },
    /// An assembled message in its own storage, its header in the headroom.
    Assembled(Vec<u8>, Range<usize>),
    /// Frames that other connections get, too. The first `sent` bytes were sent.
    Shared { slice: Slice, sent: usize },
    /// The newest pong that waits. It is sent before all frames that were not begun, and replaces
    /// an older one (RFC 6455 §5.5.3 allows it), so that the pings of a peer that does not read
    /// cannot fill memory.
    Pong { bytes: Vec<u8>, sent: usize },
}

/// Less storage than this is not worth giving back.
const SPARE_BYTES_MIN: usize = 4 * 1024;

impl Chunk {
    pub(super) fn as_slice<'a>(&'a self, shared: &'a SharedFrames) -> &'a [u8] {
        match self {
            Self::Copied { bytes, sent } | Self::Pong { bytes, sent } => &bytes[*sent..],
            Self::Assembled(storage, range) => &storage[range.clone()],
            Self::Shared { slice, sent } => shared.get(slice, *sent),
        }
    }

    /// Bytes that are still to be sent.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Copied { bytes, sent } | Self::Pong { bytes, sent } => bytes.len() - sent,
            Self::Assembled(_, range) => range.len(),
            Self::Shared { slice, sent } => slice.range.len() - sent,
        }
    }

    /// Bytes of memory that it holds by itself.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Copied { bytes, .. } | Self::Pong { bytes, .. } => bytes.capacity(),
                Self::Assembled(storage, _) => storage.capacity(),
                Self::Shared { .. } => 0,
            }
    }

    /// Whether it holds much more than what is still to be sent.
    pub(super) fn is_wasteful(&self) -> bool {
        !matches!(self, Self::Shared { .. }) && self.memory() > 2 * self.len() + SPARE_BYTES_MIN
    }

    pub(super) fn skip(&mut self, count: usize) {
        match self {
            Self::Copied { sent, .. } | Self::Shared { sent, .. } | Self::Pong { sent, .. } => {
                *sent += count;
            }
            Self::Assembled(_, range) => range.start += count,
        }
    }

    /// Keeps the first `count` of the bytes that are still to be sent. Returns where they end, from
    /// the chunk's first byte on.
    pub(super) fn keep(&mut self, count: usize) -> usize {
        match self {
            Self::Copied { bytes, sent } | Self::Pong { bytes, sent } => {
                bytes.truncate(*sent + count);
                bytes.len()
            }
            Self::Shared { slice, sent } => {
                slice.range.end = slice.range.start + *sent + count;
                slice.range.len()
            }
            Self::Assembled(_, range) => {
                range.end = range.start + count;
                range.end
            }
        }
    }

    /// Frames that are copied to storage of exactly their length.
    pub(super) fn copy(frames: &[u8]) -> Self {
        Self::Copied { bytes: frames.to_vec(), sent: 0 }
    }

    /// How many of the bytes that are still to be sent belong to a frame that was begun. `boundary`
    /// is where, from the chunk's first byte on, the first frame begins of which nothing was sent
    /// when the chunk was made.
    pub(super) fn begun(&self, boundary: usize, framing: Framing, shared: &SharedFrames) -> usize {
        match self {
            Self::Copied { bytes, sent } => end_of_begun(bytes, boundary, *sent, framing) - sent,
            Self::Shared { slice, sent } => {
                end_of_begun(shared.get(slice, 0), boundary, *sent, framing) - sent
            }
            Self::Pong { sent: 0, .. } => 0,
            // One frame.
            Self::Assembled(..) | Self::Pong { .. } if framing.is_framed() => self.len(),
            Self::Assembled(..) | Self::Pong { .. } => 0,
        }
    }
}

/// The end of the frame of which some was sent, when `sent` bytes of `frames` were; or `sent` if
/// there is none. Frames begin at `from`; what does not look like one counts as begun. A raw stream
/// has no frames.
pub(crate) fn end_of_begun(frames: &[u8], from: usize, sent: usize, framing: Framing) -> usize {
    let Some(receiver) = framing.receiver() else {
        return sent;
    };
    let mut end = from;
    while end < sent {
        match FrameHeader::parse_agreed(&frames[end..], receiver, true) {
            Ok(Some((header, len))) => end += len + header.len as usize,
            _ => return frames.len(),
        }
    }
    end
}
