//! How much memory all connections hold together, and which of them hold more than their share.

use std::time::Duration;

use crate::net::disconnect::MemoryLimit;
use crate::net::holders::{Activity, Holders, Rank};
use crate::net::limits::MemoryCaps;
use crate::net::socket::Socket;
use crate::proto::State;
use crate::slots::Key;
use crate::time::Time;

/// A peer counts as reading for as long as this after it took something that had to wait.
const READING_DURATION: Duration = Duration::from_secs(1);

/// What all connections hold of their input, and who holds more of input or output than its share.
#[derive(Debug)]
pub(crate) struct Memory {
    caps: MemoryCaps,
    /// The sum of `Socket::inbound_counted`.
    inbound: usize,
    /// Connections with an unfinished message, or with input that is not handled.
    input_holders: Holders,
    /// Connections with output that waits for the peer.
    output_holders: Holders,
}

impl Memory {
    pub(super) fn new(caps: MemoryCaps) -> Self {
        Self {
            caps,
            inbound: 0,
            input_holders: Holders::default(),
            output_holders: Holders::default(),
        }
    }

    /// Bytes that all connections hold of their input.
    pub(super) const fn inbound(&self) -> usize {
        self.inbound
    }

    pub(super) const fn cap(&self, kind: MemoryLimit) -> usize {
        match kind {
            MemoryLimit::Inbound => self.caps.inbound,
            MemoryLimit::Outbound => self.caps.outbound,
        }
    }

    /// What a connection may hold whatever the others do.
    pub(super) const fn fair_share(&self, kind: MemoryLimit) -> usize {
        self.cap(kind) / self.caps.connections
    }

    /// Counts what the connection holds of its input, after that may have changed.
    pub(super) fn count_inbound(&mut self, conn: Key, socket: &mut Socket, now: Time) {
        let bytes = socket.inbound();
        if bytes == 0 && socket.inbound_counted == 0 {
            return;
        }
        self.inbound = self.inbound - socket.inbound_counted + bytes;
        socket.inbound_counted = bytes;
        let is_much = bytes > self.fair_share(MemoryLimit::Inbound);
        let rank = is_much.then(|| Rank::new(Activity::Idle, now, bytes));
        self.input_holders.set(conn, rank);
    }

    /// Ranks the connection among those with output that waits, after that may have changed.
    pub(super) fn rank_output(&mut self, conn: Key, socket: Option<&Socket>) {
        let share = self.fair_share(MemoryLimit::Outbound);
        self.output_holders.set(conn, socket.and_then(|socket| output_rank(socket, share)));
    }

    /// A connection is removed.
    pub(super) fn remove(&mut self, conn: Key, socket: &Socket) {
        self.inbound -= socket.inbound_counted;
        self.pass_over_input(conn);
        self.pass_over_output(conn);
    }

    /// The connection to close first for its input.
    pub(super) fn first_input_holder(&self) -> Option<Key> {
        self.input_holders.first().map(|(_, conn)| conn)
    }

    /// Leaves a connection out until its input changes.
    pub(super) fn pass_over_input(&mut self, conn: Key) {
        self.input_holders.set(conn, None);
    }

    /// The connection to close first for its output, if one may be closed for the others.
    pub(super) fn first_output_holder(&self, now: Time) -> Option<Key> {
        let first = self.output_holders.first();
        first.filter(|(rank, _)| may_be_closed(*rank, now)).map(|(_, conn)| conn)
    }

    /// Leaves a connection out until it is ranked again.
    pub(super) fn pass_over_output(&mut self, conn: Key) {
        self.output_holders.set(conn, None);
    }
}

/// Whether a connection of that rank may be closed for others.
fn may_be_closed(rank: Rank, now: Time) -> bool {
    let reading_since = now.as_nanos().saturating_sub(READING_DURATION.as_nanos() as u64);
    rank.activity() != Activity::Reading || rank.is_before(Time::from_nanos(reading_since))
}

/// The rank of a connection among those with output that waits, if it holds more than its share.
/// One that is being made has only its request.
fn output_rank(socket: &Socket, share: usize) -> Option<Rank> {
    let waits = socket.blocked && !socket.is_being_made();
    let outbox = socket.outbox.as_ref().filter(|_| waits)?;
    let (progress, cost) = (outbox.progress.unwrap_or(Time::BEGINNING), outbox.cost());
    let activity = match socket.protocol.state() {
        State::Closing | State::Closed => Activity::Ending,
        State::Connecting | State::Open if outbox.is_read() => Activity::Reading,
        State::Connecting | State::Open => Activity::Idle,
    };
    (activity == Activity::Ending || cost > share).then(|| Rank::new(activity, progress, cost))
}
