use std::time::Duration;

use super::aside::Aside;
use super::outbox::Outbox;
use super::peer::PeerAddr;
use crate::proto::{Connection, State};
use crate::time::Time;
use crate::timers::Tick;

/// One connection: its protocol state, its queued output and where it is in its life. Its stream
/// is kept apart, by the same slot.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) protocol: Connection,
    /// Output that the stream has not taken; `None` when there is none.
    pub(crate) outbox: Option<Box<Outbox>>,
    /// The stream took less than it was offered: only writable readiness makes it worth another
    /// try. Implies an outbox.
    pub(crate) blocked: bool,
    /// In the list of those to be flushed.
    pub(crate) dirty: bool,
    /// In the loop's own ready queue.
    pub(crate) resumed: bool,
    /// There may be input though no readiness will say so: reading was left off.
    pub(crate) unread: bool,
    /// The last message had no room in the receive buffer: the next may be as large.
    pub(crate) expects_large: bool,
    /// The application has paused reading. Implies that the protocol is open.
    pub(crate) paused: bool,
    /// Readiness has told of the end of the stream, or of its failure.
    pub(crate) hangup: bool,
    /// `on_open` was called, so `on_close` must be.
    pub(crate) opened: bool,
    /// The handler was told of the end.
    pub(crate) told: bool,
    /// The peer's close frame has come.
    pub(crate) answered: bool,
    /// Our half of the stream is ended.
    pub(crate) shut: bool,
    /// The peer's half of the stream is ended.
    pub(crate) eof: bool,
    /// Requests were answered that open nothing.
    pub(crate) served: bool,
    /// The stream is of no more use: the slot is to be freed.
    pub(crate) dead: bool,
    pub(super) aside: Option<Box<Aside>>,
    /// What `inbound` last came to, as the total over all connections has it.
    pub(crate) inbound_counted: usize,
    /// Which handler it belongs to.
    endpoint: u32,
    /// Which listener's it is, if it was accepted.
    site: u16,
    /// The tick of its newest entry in the wheel of deadlines.
    pub(crate) armed: Tick,
    pub(crate) peer: PeerAddr,
}

/// When queued output is too much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    /// Above this many bytes a server does not read from the peer, which must make progress.
    pub(crate) soft: usize,
    /// No message is queued that makes it more than this many bytes.
    pub(crate) hard: usize,
    /// How long the outbox may stay above `soft` without progress since it passed it.
    pub(crate) stall: Duration,
}

/// What all connections of a loop may hold together, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryCaps {
    /// Unfinished messages, and input that is left over.
    pub(crate) inbound: usize,
    /// Outboxes.
    pub(crate) outbound: usize,
}

impl Socket {
    /// A connection that was accepted by the listener whose site that is.
    pub(crate) fn accepted(protocol: Connection, site: usize, peer: PeerAddr) -> Self {
        let site = u16::try_from(site).expect("fewer listeners than descriptors");
        Self { site, peer, ..Self::new(protocol, usize::MAX) }
    }

    pub(crate) fn new(protocol: Connection, endpoint: usize) -> Self {
        Self {
            protocol,
            outbox: None,
            blocked: false,
            dirty: false,
            resumed: false,
            unread: false,
            expects_large: false,
            paused: false,
            hangup: false,
            aside: None,
            inbound_counted: 0,
            opened: false,
            told: false,
            answered: false,
            shut: false,
            eof: false,
            served: false,
            dead: false,
            // None yet, for one that was accepted.
            endpoint: u32::try_from(endpoint).unwrap_or(u32::MAX),
            site: 0,
            armed: Tick::NEVER,
            peer: PeerAddr::None,
        }
    }

    /// Which handler it belongs to.
    #[inline]
    pub(crate) const fn endpoint(&self) -> usize {
        self.endpoint as usize
    }

    /// From now on its events are that handler's.
    pub(crate) fn set_endpoint(&mut self, endpoint: usize) {
        self.endpoint = u32::try_from(endpoint).expect("fewer than 2^32 handlers fit in memory");
    }

    pub(crate) const fn site(&self) -> usize {
        self.site as usize
    }

    /// Whether messages can be sent.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.protocol.is_open() && !self.dead
    }

    /// Takes the outbox away, and with it what the stream had no room for.
    pub(crate) fn take_outbox(&mut self) -> Option<Box<Outbox>> {
        self.blocked = false;
        self.outbox.take()
    }

    /// Bytes in the outbox.
    pub(crate) fn queued(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.bytes())
    }

    /// Bytes of storage that its unfinished message and what is left over of its input hold.
    pub(crate) fn inbound(&self) -> usize {
        self.protocol.held() + self.leftover().map_or(0, |left| left.storage.len())
    }

    /// Whether so much waits that nothing more should be asked of the peer.
    pub(crate) fn is_backed_up(&self, limits: &OutboxLimits) -> bool {
        self.queued() > limits.soft
    }

    /// Whether its deadline may be another than its next sign of life.
    pub(crate) fn is_pressed(&self) -> bool {
        self.outbox.is_some() || self.aside.is_some() || self.protocol.is_pressed()
    }

    /// Whether what the peer sent is left lying: it is paused, or held back until it has read.
    pub(crate) fn is_unheard(&self) -> bool {
        self.paused || (self.unread && self.protocol.is_open())
    }

    /// Whether a deadline of the protocol's has come by that moment.
    pub(crate) fn is_late(&self, by: Time) -> bool {
        !self.is_unheard() && self.protocol.deadline().is_some_and(|deadline| deadline <= by)
    }

    /// The next moment at which something is due.
    pub(crate) fn deadline(&self, limits: &OutboxLimits) -> Option<Time> {
        // Who is not listened to cannot be late.
        let protocol = if self.is_unheard() { None } else { self.protocol.deadline() };
        match (protocol, self.stall_deadline(limits)) {
            (Some(protocol), Some(stall)) => Some(protocol.min(stall)),
            (protocol, stall) => protocol.or(stall),
        }
    }

    /// When an outbox that is too full must have made progress.
    pub(crate) fn stall_deadline(&self, limits: &OutboxLimits) -> Option<Time> {
        if self.protocol.state() != State::Open || !self.is_backed_up(limits) {
            return None;
        }
        self.outbox.as_ref()?.stalled_since()?.checked_add(limits.stall)
    }
}
