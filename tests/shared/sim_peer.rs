//! The scripted peer of the simulated network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::Role;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::PeerId;

use super::{Arrived, Random, take_frame};

/// The far end of a simulated connection. It sends bytes and takes heads and frames apart; what it
/// sends and what must arrive is decided by the script that owns it.
#[derive(Debug)]
pub(crate) struct SimPeer {
    id: PeerId,
    role: Role,
    /// Pieces that are still to be sent, one call each.
    outgoing: VecDeque<Vec<u8>>,
    /// Received, and not taken.
    input: Vec<u8>,
    /// When it stopped reading.
    paused: Option<Duration>,
}

impl SimPeer {
    /// A client that connects to a listener of the loop's.
    pub(crate) fn connect(reactor: &mut SimReactor, address: SocketAddr) -> Self {
        Self::new(reactor.peer_connect(address), Role::Client)
    }

    pub(crate) fn new(id: PeerId, role: Role) -> Self {
        Self { id, role, outgoing: VecDeque::new(), input: Vec::new(), paused: None }
    }

    pub(crate) const fn id(&self) -> PeerId {
        self.id
    }

    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    // Sending.

    /// Sends bytes at once.
    pub(crate) fn send(&self, bytes: &[u8], reactor: &mut SimReactor) {
        reactor.peer_send(self.id, bytes);
    }

    /// Queues pieces for [`SimPeer::send_some`].
    pub(crate) fn queue(&mut self, pieces: impl IntoIterator<Item = Vec<u8>>) {
        self.outgoing.extend(pieces);
    }

    pub(crate) fn has_sent_all(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends a few of the queued pieces, or none.
    pub(crate) fn send_some(&mut self, reactor: &mut SimReactor, random: &mut Random) {
        while !self.outgoing.is_empty() && random.percent(60) {
            if let Some(piece) = self.outgoing.pop_front() {
                reactor.peer_send(self.id, &piece);
            }
        }
    }

    // Receiving.

    /// Receives what has arrived; returns whether anything has.
    pub(crate) fn receive(&mut self, reactor: &mut SimReactor) -> bool {
        let received = reactor.peer_received(self.id);
        self.input.extend_from_slice(&received);
        !received.is_empty()
    }

    /// What was received and not taken.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Takes an HTTP head, once it is whole.
    pub(crate) fn take_head(&mut self) -> Option<Vec<u8>> {
        let end = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        Some(self.input.drain(..end + 4).collect())
    }

    /// Takes a frame, once it is whole.
    pub(crate) fn take_frame(&mut self) -> Option<Arrived> {
        take_frame(&mut self.input, self.role)
    }

    pub(crate) fn stop_reading(&mut self, reactor: &mut SimReactor) {
        self.paused = Some(reactor.elapsed());
        reactor.peer_stop_reading(self.id);
    }

    pub(crate) fn resume(&mut self, reactor: &mut SimReactor) {
        self.paused = None;
        reactor.peer_resume(self.id);
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// How long it has not been reading.
    pub(crate) fn paused_for(&self, reactor: &SimReactor) -> Option<Duration> {
        self.paused.map(|since| reactor.elapsed() - since)
    }

    // The end.

    /// Ends its half of the stream.
    pub(crate) fn finish(&self, reactor: &mut SimReactor) {
        reactor.peer_close(self.id);
    }

    pub(crate) fn reset(&self, reactor: &mut SimReactor) {
        reactor.peer_reset(self.id);
    }

    /// Vanishes without a word.
    pub(crate) fn vanish(&self, reactor: &mut SimReactor) {
        reactor.peer_drop(self.id);
    }

    /// Whether the engine has ended the stream.
    pub(crate) fn is_closed(&self, reactor: &SimReactor) -> bool {
        reactor.peer_is_closed(self.id)
    }

    pub(crate) fn was_reset(&self, reactor: &SimReactor) -> bool {
        reactor.peer_was_reset(self.id)
    }
}
