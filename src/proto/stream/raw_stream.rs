use std::sync::Arc;

use super::data::Data;
use super::limits::StreamLimits;
use crate::proto::proxy_protocol::{HEADER_BYTES_MAX, InvalidProxyHeader, header_len};
use crate::proto::{BufferPool, Role, State, TimedOut};
use crate::time::Time;

/// One raw stream, without I/O: the input that its owner has not used, and its deadlines.
///
/// Its states are those of a WebSocket:
///
/// ```text
///  Connecting ──open──► Open ──close──► Closing ──the peer's end──► Closed
///      │                  │                │                          ▲
///      └──────────────────┴── terminate, deadline ────────────────────┘
/// ```
///
/// The owner takes what is kept, appends what came, lends both to the application, and
/// [keeps](Self::keep) what that has not used.
#[derive(Debug)]
pub(crate) struct RawStream {
    limits: Arc<StreamLimits>,
    role: Role,
    state: State,
    /// A header of the PROXY protocol must come first.
    expects_proxy_header: bool,
    /// What is kept is lent again although no more has come, because reading was paused.
    lends_again: bool,
    /// Input that the application has not used.
    kept: Vec<u8>,
    /// When the peer last sent something, or took output that had to wait.
    last_active: Time,
    /// When the current state began.
    waiting_since: Time,
}

/// What is wrong with the use of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputError {
    /// More is left unused than may be kept.
    Unused {
        /// How much may be.
        limit: usize,
    },
    /// More was used than there was.
    Overused {
        /// How much was used.
        used: usize,
        /// How much there was.
        lent: usize,
    },
}

impl RawStream {
    /// A stream that is not open: it is being connected, or encrypted.
    pub(crate) fn new(role: Role, limits: Arc<StreamLimits>, now: Time) -> Self {
        Self {
            limits,
            role,
            state: State::Connecting,
            expects_proxy_header: false,
            lends_again: false,
            kept: Vec::new(),
            last_active: now,
            waiting_since: now,
        }
    }

    /// A header of the PROXY protocol must come before all else.
    #[must_use]
    pub(crate) fn behind_proxy(self) -> Self {
        Self { expects_proxy_header: true, ..self }
    }

    pub(crate) const fn expects_proxy_header(&self) -> bool {
        self.expects_proxy_header
    }

    /// Reads the header of the PROXY protocol at the front of `input`. Returns how many bytes
    /// belong to it, and the header once it is whole.
    ///
    /// # Errors
    ///
    /// If there is no such header.
    pub(crate) fn read_proxy_header(
        &mut self,
        input: &[u8],
    ) -> Result<(usize, Option<Vec<u8>>), InvalidProxyHeader> {
        // It is short, comes once, and nearly always whole, so that it is parsed again.
        let before = self.kept.len();
        let take = input.len().min(HEADER_BYTES_MAX - before);
        self.kept.extend_from_slice(&input[..take]);
        match header_len(&self.kept)? {
            Some(len) if len <= self.kept.len() => {
                let mut header = std::mem::take(&mut self.kept);
                header.truncate(len);
                self.expects_proxy_header = false;
                Ok((len - before, Some(header)))
            }
            _ => Ok((take, None)),
        }
    }

    #[inline]
    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    #[inline]
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// It is connected: input is handed over from now on.
    pub(crate) fn open(&mut self, now: Time) {
        debug_assert_eq!(self.state, State::Connecting);
        self.enter(State::Open, now);
        self.last_active = now;
    }

    /// Whether what is kept is lent again although no more has come.
    pub(crate) const fn lends_again(&self) -> bool {
        self.lends_again
    }

    /// How many bytes are kept.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// A copy of what is kept, at the front of `buffer`. It remains kept until it is
    /// [taken](Self::take_kept).
    pub(crate) fn copy_kept(&self, buffer: &mut [u8]) {
        buffer[..self.kept.len()].copy_from_slice(&self.kept);
    }

    /// Takes what is kept; more has come, or it is to be lent again.
    #[inline]
    pub(crate) fn take_kept(&mut self, now: Time) -> Vec<u8> {
        self.last_active = now;
        self.lends_again = false;
        std::mem::take(&mut self.kept)
    }

    /// Keeps the rest of `data`, of which the first `used` bytes were used. `again`: it is to be
    /// lent although no more comes, so that it is not limited until then.
    ///
    /// # Errors
    ///
    /// If that is more than may be kept, or more was used than was lent. Nothing is kept then, nor
    /// if the stream is not open any more.
    pub(crate) fn keep(
        &mut self,
        data: Data<'_>,
        used: usize,
        again: bool,
        pool: &mut BufferPool,
    ) -> Result<(), InputError> {
        if self.state != State::Open {
            data.give_back(pool);
            return Ok(());
        }
        let len = data.as_slice().len();
        let checked = match len.checked_sub(used) {
            None => Err(InputError::Overused { used, lent: len }),
            Some(left) if left > self.limits.kept && !again => {
                Err(InputError::Unused { limit: self.limits.kept })
            }
            Some(left) => Ok(left),
        };
        let is_kept = checked.is_ok_and(|left| left > 0);
        if is_kept {
            self.kept = data.into_rest(used, pool);
            self.lends_again = again;
        } else {
            data.give_back(pool);
        }
        checked.map(drop)
    }

    /// Bytes of storage that the kept input takes.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.kept.capacity()
    }

    /// Begins to close: nothing more is handed over.
    pub(crate) fn close(&mut self, now: Time) {
        match self.state {
            State::Open => self.enter(State::Closing, now),
            State::Connecting => self.enter(State::Closed, now),
            State::Closing | State::Closed => {}
        }
    }

    /// Ends it: the peer's end is all that is awaited.
    pub(crate) fn terminate(&mut self, now: Time) {
        self.enter(State::Closed, now);
    }

    fn enter(&mut self, state: State, now: Time) {
        self.state = state;
        self.waiting_since = now;
        if state != State::Open {
            self.kept = Vec::new();
            self.lends_again = false;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let limits = &*self.limits;
        match self.state {
            State::Connecting => self.waiting_since.checked_add(limits.connect_timeout),
            State::Open => self.last_active.checked_add(limits.idle_timeout?),
            State::Closing | State::Closed => self.waiting_since.checked_add(limits.close_timeout),
        }
    }

    /// Whether anything is pending but the peer's next bytes.
    #[inline]
    pub(crate) fn awaits_peer(&self) -> bool {
        self.state != State::Open || !self.kept.is_empty()
    }

    /// The peer took some of the output, or could not send for a while.
    pub(crate) fn note_progress(&mut self, now: Time) {
        self.last_active = now;
        if matches!(self.state, State::Closing | State::Closed) {
            self.waiting_since = now;
        }
    }

    /// Acts on the deadline, if it has come: the stream is closed.
    ///
    /// # Errors
    ///
    /// The deadline that the peer missed.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Result<(), TimedOut> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let missed = match self.state {
            State::Connecting => TimedOut::Handshake,
            State::Open => TimedOut::Idle,
            State::Closing | State::Closed => TimedOut::Close,
        };
        self.enter(State::Closed, now);
        Err(missed)
    }
}
