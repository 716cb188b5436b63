//! The output of the connection whose input is being handled, gathered for one send.

use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use super::outbox::{MAX_SLICES, Outbox, OutboxPool, end_of_begun};
use crate::proto::{FrameHeader, Payload, Role, write_payload};

/// Payloads from this length on are sent from where they lie; a copy of shorter ones is cheaper
/// than another slice in the send.
pub(crate) const REUSE: usize = 4 * 1024;

/// Output in order: copied bytes with, now and then, a piece that is not copied.
///
/// A connection's cork never outlives the handling of one receive, because pieces may lie in the
/// receive buffer.
#[derive(Debug, Default)]
pub(crate) struct Cork {
    bytes: Vec<u8>,
    /// The pieces so far; bytes from `covered` on follow them.
    pieces: Vec<Piece>,
    covered: usize,
    /// Length of all pieces that are not in `bytes`.
    uncopied: usize,
    /// How much, at the front, is answers to requests, and no frames.
    plain: usize,
    /// Whether some piece lies in storage that is lent to a handler.
    lent: bool,
}

#[derive(Debug)]
enum Piece {
    /// In `Cork::bytes`.
    Copied(Range<usize>),
    /// In the receive buffer.
    Received(Range<usize>),
    /// An assembled message in its own storage; empty until the handler gives it back.
    Assembled(Vec<u8>, Range<usize>),
    Shared(Bytes),
}

/// A header to be written in front of a payload that is sent from where it lies, once the handler
/// that was lent the payload has returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reuse {
    /// Which piece it is.
    piece: usize,
    /// Where the payload begins.
    payload: usize,
    header: [u8; FrameHeader::MAX_LEN],
    header_len: usize,
}

impl Cork {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.pieces.is_empty()
    }

    /// Bytes gathered.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.uncopied
    }

    /// Bytes gathered by copying.
    pub(crate) fn copied(&self) -> usize {
        self.bytes.len()
    }

    /// All that was gathered so far is no frames.
    pub(crate) fn mark_plain(&mut self) {
        self.plain = self.len();
    }

    /// Whether it can be sent while a handler runs.
    pub(crate) const fn is_self_contained(&self) -> bool {
        !self.lent
    }

    /// Where copied output is appended.
    pub(crate) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    #[inline]
    pub(crate) fn push_frame(&mut self, payload: &Payload<'_>, key: Option<[u8; 4]>) {
        write_payload(payload, key, &mut self.bytes);
    }

    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        self.push(bytes.len(), Piece::Shared(bytes));
    }

    /// Sends a whole unmasked payload, which begins at `start` of the receive buffer, or of its
    /// own storage if it was assembled, from where it lies. The client's header in front of it,
    /// with its mask, is longer than the server's will be; `None` where it is not in front,
    /// because it came with an earlier receive.
    pub(crate) fn reuse(
        &mut self,
        payload: &Payload<'_>,
        start: usize,
        assembled: bool,
    ) -> Option<Reuse> {
        let mut header = [0; FrameHeader::MAX_LEN];
        let header_len = payload.header(None).encode(&mut header);
        let range = start.checked_sub(header_len)?..start + payload.bytes.len();
        self.lent = true;
        let piece = if assembled {
            Piece::Assembled(Vec::new(), range.clone())
        } else {
            Piece::Received(range.clone())
        };
        self.push(range.len(), piece);
        Some(Reuse { piece: self.pieces.len() - 1, payload: start, header, header_len })
    }

    fn push(&mut self, len: usize, piece: Piece) {
        if self.covered < self.bytes.len() {
            self.pieces.push(Piece::Copied(self.covered..self.bytes.len()));
            self.covered = self.bytes.len();
        }
        self.uncopied += len;
        self.pieces.push(piece);
    }

    /// Hands over the storage of the assembled message that `reuse` sends.
    pub(crate) fn fill_assembled(&mut self, reuse: &Reuse, mut storage: Vec<u8>) {
        reuse.write_header(&mut storage);
        if let Some(Piece::Assembled(slot, _)) = self.pieces.get_mut(reuse.piece) {
            *slot = storage;
        }
    }

    /// All of it, if it lies in one place: it was all copied, or is one piece that was not.
    #[inline]
    pub(crate) fn as_slice<'a>(&'a self, received: &'a [u8]) -> Option<&'a [u8]> {
        if self.pieces.is_empty() { Some(&self.bytes) } else { self.as_piece(received) }
    }

    #[inline(never)]
    fn as_piece<'a>(&'a self, received: &'a [u8]) -> Option<&'a [u8]> {
        match &self.pieces[..] {
            [piece] if self.bytes.is_empty() => Some(self.resolve(piece, received)),
            _ => None,
        }
    }

    /// The slices to send, as many as fit, and their length in all.
    pub(crate) fn slices<'a>(
        &'a self,
        received: &'a [u8],
        slices: &mut [IoSlice<'a>; MAX_SLICES],
    ) -> (usize, usize) {
        let tail = &self.bytes[self.covered..];
        let pieces = self.pieces.iter().map(|piece| self.resolve(piece, received));
        let mut count = 0;
        let mut bytes = 0;
        for slice in pieces.chain([tail]).filter(|slice| !slice.is_empty()).take(MAX_SLICES) {
            slices[count] = IoSlice::new(slice);
            count += 1;
            bytes += slice.len();
        }
        (count, bytes)
    }

    fn resolve<'a>(&'a self, piece: &'a Piece, received: &'a [u8]) -> &'a [u8] {
        match piece {
            Piece::Copied(range) => &self.bytes[range.clone()],
            Piece::Received(range) => &received[range.clone()],
            Piece::Assembled(storage, range) => &storage[range.clone()],
            Piece::Shared(bytes) => bytes,
        }
    }

    /// Moves everything after the first `sent` bytes to an empty outbox. `receiver` is the role of
    /// the peer.
    pub(crate) fn spill(
        &mut self,
        mut sent: usize,
        received: &[u8],
        receiver: Role,
        outbox: &mut Outbox,
        pool: &mut OutboxPool,
    ) {
        outbox.set_plain(self.plain.saturating_sub(sent));
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.push(Piece::Copied(self.covered..self.bytes.len()));
        for piece in pieces.drain(..) {
            let frames = self.resolve(&piece, received);
            let len = frames.len();
            let skip = sent.min(len);
            sent -= skip;
            if 0 < skip && skip < len {
                outbox.resume_frame(end_of_begun(frames, 0, skip, receiver) - skip);
            }
            if skip == len {
                if let Piece::Assembled(storage, _) = piece {
                    pool.buffers.give(storage);
                }
                continue;
            }
            match piece {
                Piece::Copied(range) => {
                    outbox.push_bytes(&self.bytes[range.start + skip..range.end], pool);
                }
                Piece::Received(range) => {
                    outbox.push_bytes(&received[range.start + skip..range.end], pool);
                }
                Piece::Assembled(storage, range) => {
                    outbox.push_assembled(storage, range.start + skip..range.end, pool);
                }
                Piece::Shared(bytes) => outbox.push_shared(&bytes, skip..bytes.len(), pool),
            }
        }
        self.pieces = pieces;
        self.clear(pool);
    }

    /// Forgets everything, keeping storage for the next.
    #[inline]
    pub(crate) fn clear(&mut self, pool: &mut OutboxPool) {
        while let Some(piece) = self.pieces.pop() {
            if let Piece::Assembled(storage, _) = piece {
                pool.buffers.give(storage);
            }
        }
        self.bytes.clear();
        self.plain = 0;
        self.covered = 0;
        self.uncopied = 0;
        self.lent = false;
    }
}

impl Reuse {
    /// Writes the header in front of the payload. `storage` is what the payload lies in.
    pub(crate) fn write_header(&self, storage: &mut [u8]) {
        let header = &self.header[..self.header_len];
        storage[self.payload - self.header_len..self.payload].copy_from_slice(header);
    }
}
