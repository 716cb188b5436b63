//! The output of the connection whose input is being handled, gathered for one send.

use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use super::framing::{Envelope, Framing};
use super::outbox::{FrameStorage, Offer, Outbox, OutboxPool, SLICES_MAX, end_of_begun};
use crate::proto::{FrameHeader, Message, Payload, write_payload};

/// Payloads from this length on are sent from where they lie; a copy of shorter ones is cheaper
/// than another slice in the send.
pub(crate) const REUSE_BYTES_MIN: usize = 4 * 1024;

/// Output in order: copied bytes, and now and then a piece that is not copied.
///
/// A connection's cork never outlives the handling of one receive, because pieces may lie in the
/// receive buffer.
#[derive(Debug)]
pub(crate) struct Cork {
    /// The message that the handler is lent.
    message: Option<Lent>,
    /// How that message is sent back from where it lies.
    reuse: Option<Reuse>,
    bytes: Vec<u8>,
    /// The pieces so far; bytes from `covered` on follow them.
    pieces: Vec<Piece>,
    covered: usize,
    /// The length of all pieces that are not in `bytes`.
    uncopied: usize,
    /// How much, at the front, is HTTP responses, and no frames.
    http: usize,
    /// Whether some piece lies in storage that is lent to a handler.
    lent: bool,
}

/// Where a message lies that a handler is lent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent {
    /// Its payload's address: compared, never followed.
    address: usize,
    len: usize,
    /// Where the payload begins in its storage.
    payload: usize,
    is_assembled: bool,
}

impl Lent {
    /// A message whose payload begins there in the receive buffer.
    pub(crate) fn received(message: Message<'_>, payload: usize) -> Self {
        Self::new(message, payload, false)
    }

    /// A message whose payload begins there in its own storage.
    pub(crate) fn assembled(message: Message<'_>, payload: usize) -> Self {
        Self::new(message, payload, true)
    }

    fn new(message: Message<'_>, payload: usize, is_assembled: bool) -> Self {
        let bytes = message.as_bytes();
        Self { address: bytes.as_ptr() as usize, len: bytes.len(), payload, is_assembled }
    }

    fn is(&self, payload: &[u8]) -> bool {
        self.address == payload.as_ptr() as usize && self.len == payload.len()
    }
}

/// The rest of a cork, after the stream has taken less than all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsent<'a> {
    /// How many bytes of it were sent.
    pub(crate) sent: usize,
    /// The receive buffer, in which pieces may lie.
    pub(crate) received: &'a [u8],
    /// What it is made of.
    pub(crate) framing: Framing,
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

/// A header to be written in front of a payload that is sent from where it lies, after the handler
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
    pub(crate) const fn new() -> Self {
        Self {
            message: None,
            reuse: None,
            bytes: Vec::new(),
            pieces: Vec::new(),
            covered: 0,
            uncopied: 0,
            http: 0,
            lent: false,
        }
    }

    /// Whether nothing is gathered, and nothing lent: as it is between two connections.
    pub(crate) fn is_unused(&self) -> bool {
        self.is_empty() && self.message.is_none() && self.reuse.is_none()
    }

    /// The handler is lent a message. Sending that back needs no copy.
    pub(crate) const fn lend(&mut self, message: Lent) {
        self.message = Some(message);
    }

    /// Takes a lent message back; the header is still to be written if it is sent back.
    pub(crate) const fn take_back(&mut self) -> Option<Reuse> {
        self.message = None;
        self.reuse.take()
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.pieces.is_empty()
    }

    /// Bytes gathered.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.uncopied
    }

    /// All that was gathered so far is HTTP responses.
    pub(crate) fn mark_http(&mut self) {
        self.http = self.len();
    }

    /// Whether it can be sent while a handler runs.
    pub(crate) const fn is_self_contained(&self) -> bool {
        !self.lent
    }

    /// Where copied output is appended.
    pub(crate) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends a server's frame.
    #[inline]
    pub(crate) fn push_frame(&mut self, payload: &Payload<'_>) {
        write_payload(payload, None, &mut self.bytes);
    }

    /// Appends a message, without a copy if it sends the lent one back. `false` if that needs a
    /// copy of more than `copied_max` bytes in all, which cannot be sent while the message is lent.
    pub(crate) fn push_payload(
        &mut self,
        payload: &Payload<'_>,
        envelope: Envelope,
        copied_max: usize,
    ) -> bool {
        let len = payload.bytes.len();
        let has_room = matches!(envelope, Envelope::Frame(None) | Envelope::Nothing);
        let is_reusable = len >= REUSE_BYTES_MIN && has_room && self.reuse.is_none();
        let message = self.message.filter(|lent| is_reusable && lent.is(payload.bytes));
        let reuse = message.and_then(|lent| self.reuse(payload, envelope, lent));
        if reuse.is_some() {
            self.reuse = reuse;
            return true;
        }
        let copied = self.bytes.len();
        if copied > 0 && copied + len > copied_max && !self.is_self_contained() {
            return false;
        }
        envelope.write(payload, &mut self.bytes);
        true
    }

    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        self.push(bytes.len(), Piece::Shared(bytes));
    }

    /// Sends the whole payload of a lent message, unmasked, from where it lies. The client's header
    /// in front of it, with its mask, is longer than the server's will be; `None` where it is not
    /// in front, because it came with an earlier receive.
    fn reuse(&mut self, payload: &Payload<'_>, envelope: Envelope, lent: Lent) -> Option<Reuse> {
        let start = lent.payload;
        let mut header = [0; FrameHeader::MAX_LEN];
        let header_len = match envelope {
            Envelope::Frame(_) => payload.header(None).encode(&mut header),
            Envelope::Nothing | Envelope::Chunk | Envelope::Event => 0,
        };
        let range = start.checked_sub(header_len)?..start + payload.bytes.len();
        self.lent = true;
        let piece = if lent.is_assembled {
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

    /// Fills in the slices to send, as many as fit.
    pub(crate) fn slices<'a>(
        &'a self,
        received: &'a [u8],
        slices: &mut [IoSlice<'a>; SLICES_MAX],
    ) -> Offer {
        let tail = &self.bytes[self.covered..];
        let pieces = self.pieces.iter().map(|piece| self.resolve(piece, received));
        let mut offer = Offer::default();
        for slice in pieces.chain([tail]).filter(|slice| !slice.is_empty()).take(SLICES_MAX) {
            slices[offer.slices] = IoSlice::new(slice);
            offer.slices += 1;
            offer.bytes += slice.len();
        }
        offer
    }

    fn resolve<'a>(&'a self, piece: &'a Piece, received: &'a [u8]) -> &'a [u8] {
        match piece {
            Piece::Copied(range) => &self.bytes[range.clone()],
            Piece::Received(range) => &received[range.clone()],
            Piece::Assembled(storage, range) => &storage[range.clone()],
            Piece::Shared(bytes) => bytes,
        }
    }

    /// Moves everything that was not sent to an outbox.
    pub(crate) fn spill(
        &mut self,
        unsent: Unsent<'_>,
        outboxes: &mut OutboxPool,
        storage: &mut FrameStorage,
    ) -> Box<Outbox> {
        let Unsent { mut sent, received, framing } = unsent;
        let mut outbox = outboxes.take(storage);
        outbox.set_http(self.http.saturating_sub(sent));
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.push(Piece::Copied(self.covered..self.bytes.len()));
        for piece in pieces.drain(..) {
            let frames = self.resolve(&piece, received);
            let len = frames.len();
            let skip = sent.min(len);
            sent -= skip;
            if 0 < skip && skip < len {
                outbox.resume_frame(end_of_begun(frames, 0, skip, framing) - skip);
            }
            if skip == len {
                if let Piece::Assembled(message, _) = piece {
                    storage.buffers.give(message);
                }
                continue;
            }
            match piece {
                Piece::Copied(range) => {
                    outbox.push_bytes(&self.bytes[range.start + skip..range.end], storage);
                }
                Piece::Received(range) => {
                    outbox.push_bytes(&received[range.start + skip..range.end], storage);
                }
                Piece::Assembled(message, range) => {
                    outbox.push_assembled(message, range.start + skip..range.end, storage);
                }
                Piece::Shared(bytes) => outbox.push_shared(&bytes, skip..bytes.len(), storage),
            }
        }
        self.pieces = pieces;
        self.clear(storage);
        outbox
    }

    /// Empties it, keeping storage for the next.
    #[inline]
    pub(crate) fn clear(&mut self, storage: &mut FrameStorage) {
        while let Some(piece) = self.pieces.pop() {
            if let Piece::Assembled(message, _) = piece {
                storage.buffers.give(message);
            }
        }
        self.bytes.clear();
        self.http = 0;
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
