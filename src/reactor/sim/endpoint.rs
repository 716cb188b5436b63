//! One end of a connection: what has arrived, what is on its way, and what may still be sent.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

/// One end of a connection, made or in the making.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The other end, which lives as long as this one; `None` until the connection is made.
    pub(super) other: Option<u64>,
    pub(super) remote: SocketAddr,
    /// The key of its registration. An end without one raises no edges.
    pub(super) key: Option<u64>,
    /// What drives this end, when it is not the engine.
    pub(super) script: Option<Script>,
    /// On their way to this end, in order: nothing overtakes what is ahead of it.
    coming: VecDeque<Segment>,
    /// The bytes in `coming`.
    coming_bytes: usize,
    /// Arrived and not yet received.
    pub(super) received: VecDeque<u8>,
    /// The other end's FIN has arrived; `received` holds all that came before it.
    pub(super) finished: bool,
    /// This end sent its FIN.
    pub(super) shut: bool,
    /// Reset, or never connected: nothing goes out or comes in any more.
    pub(super) dead: bool,
    /// Why it is dead, until a call has told it.
    pub(super) error: Option<ErrorKind>,
    /// Takes no bytes for a while, whatever the room; a lift of the choke is planned.
    pub(super) choked: bool,
    /// A writable edge is owed as soon as there is room.
    pub(super) wants_room: bool,
    /// An edge is due and not yet reported.
    pub(super) edge: bool,
    /// Dropped by its owner. Bytes that still arrive are answered with a reset.
    pub(super) closed: bool,
}

/// The state of a peer that a test drives.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Not yet sent, for want of room or of a connection.
    pub(super) outgoing: VecDeque<u8>,
    /// The FIN follows the last byte of `outgoing`.
    pub(super) finishing: bool,
    /// Received, for the test to take.
    pub(super) taken: Vec<u8>,
    /// Receives nothing for now: what arrives fills the window.
    pub(super) paused: bool,
}

#[derive(Debug)]
struct Segment {
    due: Duration,
    content: Content,
}

/// What travels from one end to the other.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

impl Endpoint {
    pub(super) const fn new(
        other: Option<u64>,
        remote: SocketAddr,
        script: Option<Script>,
    ) -> Self {
        Self {
            other,
            remote,
            key: None,
            script,
            coming: VecDeque::new(),
            coming_bytes: 0,
            received: VecDeque::new(),
            finished: false,
            shut: false,
            dead: false,
            error: None,
            choked: false,
            wants_room: false,
            edge: false,
            closed: false,
        }
    }

    pub(super) const fn is_connecting(&self) -> bool {
        self.other.is_none() && !self.dead
    }

    /// Connected, and neither reset nor dropped.
    pub(super) const fn is_live(&self) -> bool {
        self.other.is_some() && !self.dead && !self.closed
    }

    /// The bytes that the window of this direction holds.
    pub(super) fn held(&self) -> usize {
        self.received.len() + self.coming_bytes
    }

    /// Whether bytes are the last thing on the way to this end.
    pub(super) fn bytes_come_last(&self) -> bool {
        matches!(self.coming.back(), Some(Segment { content: Content::Bytes(_), .. }))
    }

    /// Queues `content` behind what is on its way already: it arrives at `due`, or as soon as
    /// what is ahead of it has.
    pub(super) fn push(&mut self, due: Duration, content: Content) {
        if let Content::Bytes(bytes) = &content {
            self.coming_bytes += bytes.len();
        }
        self.coming.push_back(Segment { due, content });
    }

    /// Takes what arrives next, when it is due at `now`.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Content> {
        if self.coming.front().is_none_or(|segment| segment.due > now) {
            return None;
        }
        let content = self.coming.pop_front()?.content;
        if let Content::Bytes(bytes) = &content {
            self.coming_bytes -= bytes.len();
        }
        Some(content)
    }

    /// Makes what was not yet received arrive once more at `due`, ahead of all that follows.
    pub(super) fn take_back(&mut self, due: Duration) {
        debug_assert!(!self.finished, "bytes would arrive behind the end of the stream");
        let bytes: Vec<u8> = mem::take(&mut self.received).into();
        self.coming_bytes += bytes.len();
        self.coming.push_front(Segment { due, content: Content::Bytes(bytes) });
    }

    /// Bytes have arrived: a reading script has them at once, anyone else must receive them.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        match &mut self.script {
            Some(script) if !script.paused => script.taken.extend_from_slice(bytes),
            _ => self.received.extend(bytes),
        }
    }

    /// Nothing that is on its way arrives any more.
    pub(super) fn clear_coming(&mut self) {
        self.coming.clear();
        self.coming_bytes = 0;
    }

    /// Ends this end for `error`. What was received remains to be read.
    pub(super) fn kill(&mut self, error: ErrorKind) {
        self.clear_coming();
        self.dead = true;
        // A reset behind a FIN is noticed by sending only (Linux: EPIPE in CLOSE-WAIT).
        self.error = Some(if self.finished { ErrorKind::BrokenPipe } else { error });
        if let Some(script) = &mut self.script {
            script.outgoing.clear();
        }
    }

    /// The next bytes for `buffer`, which is not empty; `None` when there is nothing to say yet.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<Result<usize, ErrorKind>> {
        if !self.received.is_empty() {
            let count = buffer.len().min(self.received.len());
            copy_front(&self.received, &mut buffer[..count]);
            self.received.drain(..count);
            return Some(Ok(count));
        }
        if self.finished {
            return Some(Ok(0));
        }
        match self.error.take() {
            Some(error) => Some(Err(error)),
            None if self.dead => Some(Ok(0)),
            None => None,
        }
    }
}

/// Takes the first `count` bytes.
pub(super) fn take_front(queue: &mut VecDeque<u8>, count: usize) -> Vec<u8> {
    if count == queue.len() {
        return mem::take(queue).into();
    }
    let mut bytes = vec![0; count];
    copy_front(queue, &mut bytes);
    queue.drain(..count);
    bytes
}

/// Copies the first bytes, as many as `to` has room for.
fn copy_front(queue: &VecDeque<u8>, to: &mut [u8]) {
    let (front, back) = queue.as_slices();
    let split = to.len().min(front.len());
    let (first, second) = to.split_at_mut(split);
    first.copy_from_slice(&front[..split]);
    second.copy_from_slice(&back[..second.len()]);
}
