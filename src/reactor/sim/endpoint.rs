//! One end of a connection: the bytes that have arrived and those under way.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

/// One end of a connection, which may not be established yet.
///
/// Invariant: `coming_bytes` is the number of bytes in `coming`. After the FIN has arrived
/// (`is_finished`), no bytes are under way.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The other end, which exists as long as this one. `None` until the connection is established.
    pub(super) other: Option<u64>,
    pub(super) remote: SocketAddr,
    /// The key of its registration. An end without one raises no edges.
    pub(super) key: Option<u64>,
    /// The state of a raw peer. `None` if the engine has this end.
    pub(super) script: Option<Script>,
    /// Under way to this end, in order. A segment arrives no earlier than those ahead of it.
    coming: VecDeque<Segment>,
    /// The bytes in `coming`.
    coming_bytes: usize,
    /// Arrived and not received.
    pub(super) received: VecDeque<u8>,
    /// The halves of the connection that have ended.
    ended: Ended,
    /// Accepts no bytes for a while, whatever room there is. The end of that is planned.
    pub(super) choked: bool,
    /// A writable edge must follow as soon as there is room.
    pub(super) wants_room: bool,
    /// An edge is due and not reported.
    pub(super) edge: bool,
    /// Dropped by its owner. Bytes that arrive later are answered with a reset.
    pub(super) closed: bool,
}

/// What of a connection has ended, as one end knows it.
///
/// ```text
///            this end's FIN
/// Neither ────────────────▶ Ours
///    │ the other end's FIN    │
///    ▼                        ▼
/// Theirs ─────────────────▶ Both
/// ```
///
/// A reset leads from each of them to `All`, and so does a connection that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Neither,
    /// This end sent its FIN.
    Ours,
    /// The other end's FIN has arrived. `received` has the bytes before it.
    Theirs,
    Both,
    /// Reset, or never connected. Nothing is sent or arrives any more.
    All {
        /// The other end's FIN had arrived.
        after_fin: bool,
        /// Why, until a call has returned it.
        error: Option<ErrorKind>,
    },
}

/// The state of a raw peer, which a test drives.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Not sent, because there is no room or no connection so far.
    pub(super) outgoing: VecDeque<u8>,
    /// The FIN follows the last byte of `outgoing`.
    pub(super) finishing: bool,
    /// Received. The test takes it from here.
    pub(super) taken: Vec<u8>,
    /// Receives nothing for now. Arriving bytes fill the window.
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
            ended: Ended::Neither,
            choked: false,
            wants_room: false,
            edge: false,
            closed: false,
        }
    }

    /// Whether the connection was reset, or could not be made.
    pub(super) const fn is_dead(&self) -> bool {
        matches!(self.ended, Ended::All { .. })
    }

    /// Whether the other end's FIN has arrived.
    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.ended, Ended::Theirs | Ended::Both | Ended::All { after_fin: true, .. })
    }

    /// Whether this end sent its FIN, or can send nothing any more.
    pub(super) const fn is_shut(&self) -> bool {
        matches!(self.ended, Ended::Ours | Ended::Both | Ended::All { .. })
    }

    /// This end sends its FIN. Returns whether it had.
    pub(super) const fn shut(&mut self) -> bool {
        let was_shut = self.is_shut();
        match self.ended {
            Ended::Neither => self.ended = Ended::Ours,
            Ended::Theirs => self.ended = Ended::Both,
            Ended::Ours | Ended::Both | Ended::All { .. } => {}
        }
        was_shut
    }

    /// The other end's FIN has arrived.
    pub(super) const fn finish(&mut self) {
        match &mut self.ended {
            Ended::Neither => self.ended = Ended::Theirs,
            Ended::Ours => self.ended = Ended::Both,
            Ended::All { after_fin, .. } => *after_fin = true,
            Ended::Theirs | Ended::Both => {}
        }
    }

    /// Takes the error that ended the connection, which one call returns.
    pub(super) const fn take_error(&mut self) -> Option<ErrorKind> {
        match &mut self.ended {
            Ended::All { error, .. } => error.take(),
            Ended::Neither | Ended::Ours | Ended::Theirs | Ended::Both => None,
        }
    }

    pub(super) const fn is_connecting(&self) -> bool {
        self.other.is_none() && !self.is_dead()
    }

    /// Whether it is connected, and neither reset nor dropped.
    pub(super) const fn is_live(&self) -> bool {
        self.other.is_some() && !self.is_dead() && !self.closed
    }

    /// How many bytes of the window towards this end are used.
    pub(super) fn window_bytes(&self) -> usize {
        self.received.len() + self.coming_bytes
    }

    /// Whether the last segment under way to this end is bytes.
    pub(super) fn bytes_come_last(&self) -> bool {
        matches!(self.coming.back(), Some(Segment { content: Content::Bytes(_), .. }))
    }

    /// Appends `content` to what is under way. It arrives at `due`, or with what is ahead of it if
    /// that is later.
    pub(super) fn push(&mut self, due: Duration, content: Content) {
        if let Content::Bytes(bytes) = &content {
            self.coming_bytes += bytes.len();
        }
        self.coming.push_back(Segment { due, content });
    }

    /// Takes the next segment if it is due at `now`.
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

    /// Makes the bytes that were not received arrive again at `due`, ahead of all others.
    pub(super) fn take_back(&mut self, due: Duration) {
        debug_assert!(!self.is_finished(), "bytes would arrive behind the end of the stream");
        let bytes: Vec<u8> = mem::take(&mut self.received).into();
        self.coming_bytes += bytes.len();
        self.coming.push_front(Segment { due, content: Content::Bytes(bytes) });
    }

    /// Stores arriving bytes. A raw peer that reads has them at once, everyone else must receive
    /// them.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        match &mut self.script {
            Some(script) if !script.paused => script.taken.extend_from_slice(bytes),
            _ => self.received.extend(bytes),
        }
    }

    /// Drops everything under way to this end.
    pub(super) fn clear_coming(&mut self) {
        self.coming.clear();
        self.coming_bytes = 0;
    }

    /// Ends the connection at this end with `error`. Bytes that have arrived can still be read.
    pub(super) fn kill(&mut self, error: ErrorKind) {
        self.clear_coming();
        let after_fin = self.is_finished();
        // A reset after a FIN shows only when sending (Linux: EPIPE in CLOSE-WAIT).
        let error = Some(if after_fin { ErrorKind::BrokenPipe } else { error });
        self.ended = Ended::All { after_fin, error };
        if let Some(script) = &mut self.script {
            script.outgoing.clear();
        }
    }

    /// Reads into `buffer`, which is not empty. `None` if the caller must wait.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<Result<usize, ErrorKind>> {
        if !self.received.is_empty() {
            let count = buffer.len().min(self.received.len());
            copy_front(&self.received, &mut buffer[..count]);
            self.received.drain(..count);
            return Some(Ok(count));
        }
        if self.is_finished() {
            return Some(Ok(0));
        }
        match self.take_error() {
            Some(error) => Some(Err(error)),
            None if self.is_dead() => Some(Ok(0)),
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
