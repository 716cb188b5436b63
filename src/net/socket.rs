use std::time::Duration;

use super::aside::Aside;
use super::halves::Halves;
use super::lingering::Lingering;
use super::outbox::Outbox;
use super::peer::PeerAddr;
use super::places::{Place, PlaceLimits, Standing};
use crate::proto::{Role, State, WebSocket};
use crate::time::Time;
use crate::timers::Tick;

/// One connection: its protocol state, its queued output and where it is in its life. Its stream
/// is kept apart, by the same slot.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) protocol: WebSocket,
    /// Output that the stream has not taken; `None` when there is none.
    pub(crate) outbox: Option<Box<Outbox>>,
    /// The stream took less than it was offered: only writable readiness makes it worth another
    /// try. Implies an outbox.
    pub(crate) blocked: bool,
    /// In the list of those to be flushed.
    pub(crate) dirty: bool,
    /// In the loop's own ready queue.
    pub(crate) resumed: bool,
    /// In the queue of those whose outbox emptied.
    pub(crate) drained: bool,
    /// There may be input though no readiness will say so: reading was left off.
    pub(crate) unread: bool,
    /// Little is received at once: the last message had no room in the receive buffer, and the next
    /// may be as large; or the last that was received was more than its share of a turn.
    pub(crate) receives_little: bool,
    /// The application has paused reading. Implies that the protocol is open.
    pub(crate) paused: bool,
    /// Readiness has told of the end of the stream, or of its failure.
    pub(crate) hangup: bool,
    /// `on_open` was called, so `on_close` must be.
    pub(crate) opened: bool,
    /// The handler was told of the end.
    pub(crate) told: bool,
    /// Nothing more of the peer is waited for: its close frame has come, or it was answered and has
    /// not asked for more.
    pub(crate) is_done: bool,
    /// Requests were answered that open nothing.
    pub(crate) served: bool,
    /// Which halves of the stream are open.
    pub(crate) halves: Halves,
    pub(super) lingering: Lingering,
    /// It has a subscription of which only the latest matters.
    pub(crate) conflates: bool,
    /// How many bytes its stream may hold unsent, in any case; 0: as many as it does.
    pub(crate) unsent_limit: u32,
    /// Where it stands when others need room.
    pub(super) place: Place,
    pub(super) aside: Option<Box<Aside>>,
    /// What `inbound` last came to, as the total over all connections has it.
    pub(crate) inbound_counted: usize,
    /// Which handler it belongs to; until that is known, which router it asks, with `ROUTER`.
    owner: u32,
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
    /// How many connections there may be: each has an equal share of both.
    pub(crate) connections: usize,
}

/// What a loop's connections may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketLimits {
    pub(crate) outbox: OutboxLimits,
    pub(crate) memory: MemoryCaps,
    pub(crate) places: PlaceLimits,
}

/// Marks the slot of a router among the numbers of endpoints.
const ROUTER: usize = 1 << 31;

/// The number of a router or of an endpoint, in half the room: more than 2³¹ of them would not fit
/// in memory.
const fn narrow(owner: usize) -> u32 {
    owner as u32
}

impl Socket {
    /// A connection that was accepted by the listener whose router that is.
    pub(crate) fn accepted(protocol: WebSocket, router: usize, peer: PeerAddr) -> Self {
        Self { peer, ..Self::new(protocol, router | ROUTER) }
    }

    pub(crate) fn new(protocol: WebSocket, owner: usize) -> Self {
        Self {
            protocol,
            outbox: None,
            blocked: false,
            dirty: false,
            resumed: false,
            drained: false,
            unread: false,
            receives_little: false,
            paused: false,
            hangup: false,
            conflates: false,
            unsent_limit: 0,
            place: Place::default(),
            aside: None,
            inbound_counted: 0,
            opened: false,
            told: false,
            is_done: false,
            served: false,
            halves: Halves::Both,
            lingering: Lingering::new(),
            owner: narrow(owner),
            armed: Tick::NEVER,
            peer: PeerAddr::None,
        }
    }

    /// Which handler it belongs to. No handler has the number if it asks a router yet.
    #[inline]
    pub(crate) const fn endpoint(&self) -> usize {
        self.owner as usize
    }

    /// From now on its events are that handler's.
    pub(crate) fn set_endpoint(&mut self, endpoint: usize) {
        self.owner = narrow(endpoint);
    }

    /// The slot of the router that it asks, if it was accepted and has no handler yet.
    pub(crate) fn router(&self) -> Option<usize> {
        let owner = self.endpoint();
        (owner & ROUTER != 0).then_some(owner ^ ROUTER)
    }

    /// Whether messages can be sent.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.protocol.is_open() && !self.is_dead()
    }

    /// Whether the stream is of no more use: the slot is to be freed.
    #[inline]
    pub(crate) fn is_dead(&self) -> bool {
        self.halves == Halves::Dead
    }

    /// Whether nothing of what the peer sends is handed over any more.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.protocol.state(), State::Closing | State::Closed)
    }

    /// Whether our half of the stream is to end. A client leaves it to the server to begin, once
    /// both close frames were exchanged (RFC 6455 §7.1.1).
    pub(crate) fn has_said_all(&self) -> bool {
        let waits = self.is_done && self.is_client() && self.halves == Halves::Both;
        self.outbox.is_none() && self.protocol.state() == State::Closed && !waits
    }

    /// Whether ending TCP is up to this end, as soon as it has said all: the peer has.
    pub(crate) fn ends_tcp(&self) -> bool {
        self.is_done && !self.is_client()
    }

    /// Whether this program makes the connection, and it is not open yet.
    pub(crate) fn is_being_made(&self) -> bool {
        self.is_client() && self.protocol.state() == State::Connecting
    }

    fn is_client(&self) -> bool {
        self.protocol.role() == Role::Client
    }

    /// Where the connection stands by what is known of it, if the stream has sent whatever it took.
    pub(super) fn standing(&self) -> Standing {
        let has_more = self.unread || self.resumed || self.leftover().is_some();
        match self.protocol.state() {
            _ if self.is_dead() => Standing::Gone,
            State::Connecting if self.is_client() => Standing::Open,
            State::Connecting | State::Closed if self.outbox.is_some() => Standing::Answering,
            State::Connecting if !self.protocol.is_between_requests() => Standing::Asking,
            State::Connecting if has_more => Standing::Answering,
            State::Connecting => Standing::Idle,
            State::Open | State::Closing => Standing::Open,
            State::Closed => Standing::Leaving,
        }
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
        self.protocol.buffered_bytes() + self.leftover().map_or(0, |left| left.storage.len())
    }

    /// Whether so much waits that nothing more should be asked of the peer.
    pub(crate) fn is_backed_up(&self, limits: &OutboxLimits) -> bool {
        self.queued() > limits.soft
    }

    /// Whether its deadline may be another than its next sign of life.
    pub(crate) fn is_pressed(&self) -> bool {
        self.outbox.is_some() || self.aside.is_some() || self.protocol.awaits_peer()
    }

    /// Whether what the peer sent is left lying: it is paused, held back until it has read, or has
    /// used up its share of a turn.
    pub(crate) fn is_unheard(&self) -> bool {
        let waits = self.unread || self.leftover().is_some();
        self.paused || (waits && self.protocol.is_open())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::net::aside::Leftover;
    use crate::proto::{BufferPool, Limits, MaskKeys, Role, Workspace};

    #[test]
    fn nobody_is_late_with_what_waits_here() {
        let limits = OutboxLimits { soft: 1, hard: 1, stall: Duration::ZERO };
        let now = Time::BEGINNING;
        let protocol = WebSocket::opened(Role::Client, Arc::new(Limits::default()), now);
        let mut socket = Socket::new(protocol, 0);
        let (mut out, mut pool) = (Vec::new(), BufferPool::default());
        let mut keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(0));
        let mut workspace = Workspace { out: &mut out, mask_keys: &mut keys, pool: &mut pool, now };
        // The first of several fragments.
        assert!(socket.protocol.handle_input(&mut [0x01, 0x00], &mut workspace).is_ok());
        let deadline = socket.deadline(&limits);
        assert!(deadline.is_some() && socket.is_pressed());
        socket.set_leftover(Leftover { storage: vec![0x80, 0x00], range: 0..2 });
        assert_eq!(socket.deadline(&limits), None);
        assert!(socket.is_pressed(), "the deadline is looked at when it was handled");
        assert!(socket.take_leftover().is_some());
        assert_eq!(socket.deadline(&limits), deadline);
    }
}
