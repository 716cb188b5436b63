use super::disconnect::Disconnect;
use super::halves::Halves;
use super::life::Life;
use super::limits::OutboxLimits;
use super::lingering::Lingering;
use super::lists::Lists;
use super::outbox::Outbox;
use super::peer::PeerAddr;
use super::places::{Place, Standing};
use super::protocol::Protocol;
use super::rare_state::{End, RareState};
use super::reading::{RateState, ReadDebt, ReadPermission};
use super::unsent_limit::UnsentLimit;
use crate::proto::{RequestStage, Role, State};
use crate::time::Time;
use crate::timers::Tick;

/// One connection: its protocol state, its queued output and where it is in its life. Its stream
/// is kept apart, by the same slot.
///
/// Its life has four sides, each a state machine with a diagram of its own. Usually they go
/// together from left to right:
///
/// ```text
///  protocol:  Connecting ─────► Open ──────► Closing ──────► Closed         Protocol
///  handler:   Opening  Served   Open ──────────────► Closed                 Life
///  stream:    Both ──────────────────────────────────────► Theirs, Neither  Halves
///  place:     Asking   Idle     Open ──────────────────────► Leaving, Gone  Standing
/// ```
///
/// Beside them, reading stops and goes on: `paused` by the application, by `rate` limits, `unread`
/// while the peer is slow to read, for the rest of the turn when its share is used up. Writing is
/// `blocked` while the stream takes nothing.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) protocol: Protocol,
    /// Output that the stream has not taken; `None` when there is none.
    pub(crate) outbox: Option<Box<Outbox>>,
    /// The stream took less than it was offered: only writable readiness makes it worth another
    /// try. Implies an outbox.
    pub(crate) blocked: bool,
    pub(crate) lists: Lists,
    /// Reading has stopped until the peer reads. There may be input that no readiness will report.
    pub(crate) unread: bool,
    /// Little is received at once: the last message did not fit in the receive buffer, and the next
    /// may be as large; or the last input was more than its share of a turn.
    pub(crate) receives_little: bool,
    /// The application has paused reading. Implies that the protocol is open.
    pub(crate) paused: bool,
    pub(crate) rate: RateState,
    /// Readiness has reported the end of the stream, or its failure.
    pub(crate) hangup: bool,
    pub(crate) life: Life,
    pub(crate) halves: Halves,
    pub(crate) lingering: Lingering,
    pub(crate) unsent: UnsentLimit,
    /// Where it stands when others need a place.
    pub(super) place: Place,
    pub(crate) rare: RareState,
    /// The value of [`inbound`](Self::inbound) that is part of the total of all connections.
    pub(crate) inbound_counted: usize,
    /// The index of its handler. Until that is known, the slot of its endpoint, marked with
    /// `ENDPOINT`.
    owner: u32,
    /// The tick of its newest entry in the wheel of deadlines.
    pub(crate) armed: Tick,
    pub(crate) peer: PeerAddr,
}

/// Marks the slot of an endpoint among the indexes of handlers.
const ENDPOINT: usize = 1 << 31;

/// The index of a handler or of an endpoint, in half the space: memory does not suffice for more.
const fn narrow(owner: usize) -> u32 {
    owner as u32
}

impl Socket {
    /// A connection that was accepted for the endpoint in that slot.
    pub(crate) fn accepted(protocol: impl Into<Protocol>, endpoint: usize, peer: PeerAddr) -> Self {
        Self { peer, ..Self::new(protocol, endpoint | ENDPOINT) }
    }

    pub(crate) fn new(protocol: impl Into<Protocol>, owner: usize) -> Self {
        Self {
            protocol: protocol.into(),
            outbox: None,
            blocked: false,
            lists: Lists::default(),
            unread: false,
            receives_little: false,
            paused: false,
            rate: RateState::Unlimited,
            hangup: false,
            unsent: UnsentLimit::default(),
            place: Place::default(),
            rare: RareState::default(),
            inbound_counted: 0,
            life: Life::Opening,
            halves: Halves::Both,
            lingering: Lingering::new(),
            owner: narrow(owner),
            armed: Tick::NEVER,
            peer: PeerAddr::None,
        }
    }

    /// Begins anew with another stream: what is kept of it elsewhere stays right.
    pub(super) fn restart(&mut self, protocol: Protocol) {
        let fresh = Self::new(protocol, self.handler());
        *self = Self {
            lists: self.lists,
            place: std::mem::take(&mut self.place),
            rare: std::mem::take(&mut self.rare),
            inbound_counted: self.inbound_counted,
            armed: self.armed,
            life: self.life,
            ..fresh
        };
    }

    /// The index of its handler. No handler has that index while it is not known.
    #[inline]
    pub(crate) const fn handler(&self) -> usize {
        self.owner as usize
    }

    /// Gives its events to that handler from now on.
    pub(crate) fn set_handler(&mut self, handler: usize) {
        self.owner = narrow(handler);
    }

    /// The slot of its endpoint, if it was accepted and its handler is not known.
    pub(crate) fn endpoint(&self) -> Option<usize> {
        let owner = self.handler();
        (owner & ENDPOINT != 0).then_some(owner ^ ENDPOINT)
    }

    /// Whether messages can be sent.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.protocol.is_open() && !self.is_dead()
    }

    /// Whether the stream is given up: the slot will be freed.
    #[inline]
    pub(crate) fn is_dead(&self) -> bool {
        self.halves == Halves::Dead
    }

    /// Whether input is no longer handed over.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.protocol.state(), State::Closing | State::Closed)
    }

    /// Whether our half of the stream has to end. After both close frames, a client leaves it to
    /// the server to begin (RFC 6455 §7.1.1).
    pub(crate) fn has_said_all(&self) -> bool {
        let waits = self.lingering.is_done() && self.is_client() && self.halves == Halves::Both;
        let has_ended = self.protocol.state() == State::Closed || self.is_closing_stream();
        self.outbox.is_none() && has_ended && !waits
    }

    /// Whether it is a raw stream or a response that is closed by this end: what is queued leaves,
    /// then our half ends, and then the peer's end is awaited.
    pub(crate) fn is_closing_stream(&self) -> bool {
        !self.protocol.has_close_frames()
            && self.protocol.state() == State::Closing
            && !self.is_dead()
    }

    /// Whether this end ends TCP, once all is written: the peer has said all.
    pub(crate) fn ends_tcp(&self) -> bool {
        self.lingering.is_done() && !self.is_client()
    }

    /// Whether this program is making the connection: it is not open.
    pub(crate) fn is_being_made(&self) -> bool {
        self.is_client() && self.protocol.state() == State::Connecting
    }

    fn is_client(&self) -> bool {
        self.protocol.role() == Role::Client
    }

    /// Whether the application has closed a raw stream, and learns of the end once the peer has
    /// ended its half, too.
    pub(crate) fn awaits_orderly_end(&self) -> bool {
        let end = self.rare.end();
        let is_closed =
            matches!(end, Some(End::Disconnect(Disconnect::ClosedByApplication { .. })));
        is_closed && self.is_closing_stream()
    }

    /// Whether its peer has something to do before it is open, and has not done it.
    fn asks(&self) -> bool {
        self.protocol.is_stream() || self.protocol.request_stage() == Some(RequestStage::Asking)
    }

    /// Whether its request awaits a response that comes later.
    pub(crate) fn awaits_response(&self) -> bool {
        self.protocol.awaits_response() && !self.is_dead()
    }

    /// Whether it is a stream of server-sent events.
    pub(crate) fn is_event_stream(&self) -> bool {
        self.protocol.response().is_some_and(|response| response.body().is_events())
    }

    /// Where the connection stands, if the stream has sent all that it took.
    pub(super) fn standing(&self) -> Standing {
        let has_more =
            self.unread || self.lists.contains(Lists::TO_READ) || self.rare.leftover().is_some();
        match self.protocol.state() {
            _ if self.is_dead() => Standing::Gone,
            State::Connecting if self.is_client() => Standing::Open,
            State::Connecting | State::Closed if self.outbox.is_some() => Standing::Answering,
            State::Connecting if self.asks() => Standing::Asking,
            State::Connecting if self.protocol.awaits_response() => Standing::Answering,
            State::Connecting if has_more => Standing::Answering,
            State::Connecting => Standing::Idle,
            State::Open | State::Closing => Standing::Open,
            State::Closed => Standing::Leaving,
        }
    }

    /// Takes the outbox away, with all that the stream has not taken.
    pub(crate) fn take_outbox(&mut self) -> Option<Box<Outbox>> {
        self.blocked = false;
        self.outbox.take()
    }

    /// Bytes in the outbox.
    pub(crate) fn queued(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.bytes())
    }

    /// Bytes of storage that its unfinished message and its unhandled input hold.
    pub(crate) fn inbound(&self) -> usize {
        self.protocol.buffered_bytes() + self.rare.leftover().map_or(0, |left| left.storage.len())
    }

    /// Whether more than the soft limit waits.
    pub(crate) fn is_backed_up(&self, limits: &OutboxLimits) -> bool {
        self.queued() > limits.soft
    }

    /// Whether anything is pending that its deadline, its place or its memory may depend on. The
    /// deadline of all others is that of the peer's next sign of life.
    pub(crate) fn has_pending_state(&self) -> bool {
        self.outbox.is_some() || !self.rare.is_none() || self.protocol.awaits_peer()
    }

    /// How much of the peer's input may be received. Servers bound what a client that does not read
    /// can make them hold. Clients do not: if both ends waited for the other to read, neither
    /// would.
    pub(crate) fn read_permission(&self, limits: &OutboxLimits) -> ReadPermission {
        let Some(outbox) = &self.outbox else {
            return ReadPermission::All;
        };
        let state = self.protocol.state();
        let is_handled = matches!(state, State::Connecting | State::Open);
        let is_slow = outbox.bytes() > limits.soft && self.protocol.role() == Role::Server;
        if !(is_handled && is_slow) {
            return ReadPermission::All;
        }
        // A portion may complete the message under way, and the reply may be as long.
        let reply =
            self.protocol.buffered_bytes().max(limits.reply()) + 2 * ReadDebt::PORTION_BYTES_MAX;
        let capacity = limits.hard.saturating_add(limits.reply()).saturating_sub(outbox.bytes());
        if state == State::Open && reply <= capacity && outbox.read_debt.is_paid() {
            ReadPermission::Portion
        } else {
            ReadPermission::Nothing
        }
    }

    /// Counts bytes that came after the end of the connection; whether they may.
    pub(crate) fn admit_late(&mut self, count: usize) -> bool {
        let least = match self.protocol.state() {
            State::Closing => Lingering::CLOSING_BYTES_MAX,
            _ => Lingering::CLOSED_BYTES_MAX,
        };
        let message = if self.life.was_open() { self.protocol.longest_message() } else { 0 };
        self.lingering.admit(count, least.saturating_add(message))
    }

    /// Whether rate limits hold for its input.
    pub(crate) fn is_rate_limited(&self) -> bool {
        self.rate != RateState::Unlimited
    }

    /// Whether it is open and rate limits hold for what it receives. A response that is sent in
    /// pieces receives nothing.
    pub(crate) fn has_limited_input(&self) -> bool {
        self.is_rate_limited() && self.is_open() && self.protocol.response().is_none()
    }

    /// Whether it is not read from by the application's wish or because of a rate limit.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused || self.rate == RateState::Paused
    }

    /// Whether what the peer sent is left unread: it is paused by the application or a rate limit,
    /// slow to read itself, or has used up its share of a turn.
    pub(crate) fn is_left_unread(&self) -> bool {
        let waits = self.unread || self.rare.leftover().is_some();
        self.is_paused() || (waits && self.protocol.is_open())
    }

    /// Whether the peer has missed a deadline of the protocol by that moment.
    pub(crate) fn is_late(&self, by: Time) -> bool {
        self.protocol_deadline().is_some_and(|deadline| deadline <= by)
    }

    /// The next moment at which something is due for it.
    pub(crate) fn deadline(&self, limits: &OutboxLimits) -> Option<Time> {
        match (self.protocol_deadline(), self.stall_deadline(limits)) {
            (Some(protocol), Some(stall)) => Some(protocol.min(stall)),
            (protocol, stall) => protocol.or(stall),
        }
    }

    /// The deadline of the protocol. Peers that are not read from have none, and neither has the
    /// application while a piece of its response waits for the client.
    fn protocol_deadline(&self) -> Option<Time> {
        let waits_for_client = self.outbox.is_some()
            && self.protocol.state() == State::Open
            && self.protocol.response().is_some_and(|response| !response.body().is_events());
        if self.is_left_unread() || waits_for_client { None } else { self.protocol.deadline() }
    }

    /// By when an outbox above the soft limit must have made progress.
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
    use std::time::Duration;

    use crate::net::rare_state::Leftover;
    use crate::proto::{BufferPool, Limits, MaskKeys, Role, WebSocket, Workspace};

    #[test]
    fn an_idle_connection_takes_little_memory() {
        assert!(size_of::<Socket>() <= 136);
    }

    #[test]
    fn a_peer_whose_input_waits_here_has_no_deadline() {
        let limits = OutboxLimits { soft: 1, hard: 1, stall: Duration::ZERO };
        let now = Time::BEGINNING;
        let protocol = WebSocket::opened(Role::Client, Arc::new(Limits::default()), now);
        let mut socket = Socket::new(protocol, 0);
        let (mut out, mut pool) = (Vec::new(), BufferPool::default());
        let mut keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(0));
        let mut workspace = Workspace { out: &mut out, mask_keys: &mut keys, pool: &mut pool, now };
        // The first of several fragments.
        let web_socket = socket.protocol.web_socket_mut().expect("it is one");
        assert!(web_socket.handle_input(&mut [0x01, 0x00], &mut workspace).is_ok());
        let deadline = socket.deadline(&limits);
        assert!(deadline.is_some() && socket.has_pending_state());
        socket.rare.set_leftover(Leftover { storage: vec![0x80, 0x00], range: 0..2 });
        assert_eq!(socket.deadline(&limits), None);
        assert!(socket.has_pending_state(), "the deadline is looked at when it was handled");
        assert!(socket.rare.take_leftover().is_some());
        assert_eq!(socket.deadline(&limits), deadline);
    }
}
