//! Raw peers: the far ends of connections, driven by a test instead of an event loop.

use std::io;
use std::mem;
use std::net::SocketAddr;

use super::SimReactor;
use super::endpoint::{Endpoint, Script};

/// A raw peer of a [`SimReactor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

/// The most connections that wait for [`SimReactor::peer_accept`]. Further ones retry.
const PEER_BACKLOG: u32 = 1024;

/// Raw peers. These calls alone deliver nothing: what a peer sends, and what is sent to it, arrives
/// while the event loop polls. A peer that does not exist counts as closed, and calls for it do
/// nothing.
impl SimReactor {
    /// Begins to connect a peer to `address`. It may send at once; its bytes then wait. If there is
    /// no listener, the peer is reset.
    pub fn peer_connect(&mut self, address: SocketAddr) -> PeerId {
        self.reap();
        let due = self.network.env.arrival();
        let id = self.network.attempt(address, Some(Script::default()), due, None);
        self.network.env.note(format_args!("peer #{id} connects to {address}"));
        PeerId(id)
    }

    /// Listens on `address` for connections of the event loop. Port 0 chooses a free port.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if there is a listener already.
    pub fn peer_listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        self.reap();
        let (_, address) = self.network.listen(address, PEER_BACKLOG, None)?;
        self.network.env.note(format_args!("peers listen on {address}"));
        Ok(address)
    }

    /// Accepts the next connection at an `address` of [`SimReactor::peer_listen`].
    pub fn peer_accept(&mut self, address: SocketAddr) -> Option<PeerId> {
        self.reap();
        let listener = self.network.sockets.listeners.at(address)?;
        if self.network.sockets.listeners.by_id.get(&listener)?.key.is_some() {
            return None;
        }
        let id = self.network.sockets.listeners.pop_waiting(listener)?;
        self.network.env.note(format_args!("peer #{id} accepted"));
        Some(PeerId(id))
    }

    /// Sends `bytes`. There is no limit: bytes that do not fit into the window wait in the peer.
    pub fn peer_send(&mut self, peer: PeerId, bytes: &[u8]) {
        self.reap();
        self.network.env.note(format_args!("peer #{} sends {}", peer.0, bytes.len()));
        let Some(end) = self.peer_mut(peer) else {
            return;
        };
        let sends = !end.is_shut();
        if let Some(script) = end.script.as_mut().filter(|script| sends && !script.finishing) {
            script.outgoing.extend(bytes);
        }
        self.network.pump(peer.0);
    }

    /// Takes what the peer has received since the last call.
    pub fn peer_received(&mut self, peer: PeerId) -> Vec<u8> {
        self.reap();
        let script = self.peer_mut(peer).and_then(|end| end.script.as_mut());
        script.map(|script| mem::take(&mut script.taken)).unwrap_or_default()
    }

    /// Ends the peer's sending half after its bytes (FIN). It still receives.
    pub fn peer_close(&mut self, peer: PeerId) {
        self.reap();
        self.network.env.note(format_args!("peer #{} closes", peer.0));
        if let Some(script) = self.peer_mut(peer).and_then(|end| end.script.as_mut()) {
            script.finishing = true;
        }
        self.network.pump(peer.0);
    }

    /// Resets the connection (RST). Unsent bytes are lost. Bytes under way may be lost.
    pub fn peer_reset(&mut self, peer: PeerId) {
        self.reap();
        self.network.env.note(format_args!("peer #{} resets", peer.0));
        if self.peer(peer).is_some_and(|end| !end.is_dead()) {
            self.network.abort(peer.0);
        }
    }

    /// Ends the peer as the end of its process would: with FIN, or with RST if bytes were unread,
    /// and with RST for bytes that arrive later. The id is invalid afterwards.
    pub fn peer_drop(&mut self, peer: PeerId) {
        self.reap();
        self.network.env.note(format_args!("peer #{} drops", peer.0));
        if self.peer(peer).is_some() {
            self.network.close_stream(peer.0);
        }
    }

    /// Whether nothing more can be received, because the end of the stream or a reset has arrived.
    #[must_use]
    pub fn peer_is_closed(&self, peer: PeerId) -> bool {
        self.peer(peer)
            .is_none_or(|end| end.is_dead() || (end.is_finished() && end.received.is_empty()))
    }

    /// Whether the connection was reset or refused.
    #[must_use]
    pub fn peer_was_reset(&self, peer: PeerId) -> bool {
        self.peer(peer).is_some_and(Endpoint::is_dead)
    }

    /// Whether all bytes of [`SimReactor::peer_send`] have left the peer.
    #[must_use]
    pub fn peer_has_sent_all(&self, peer: PeerId) -> bool {
        let script = self.peer(peer).and_then(|end| end.script.as_ref());
        script.is_none_or(|script| script.outgoing.is_empty())
    }

    /// Stops receiving. Arriving bytes fill the window; then the event loop cannot send.
    pub fn peer_stop_reading(&mut self, peer: PeerId) {
        self.reap();
        self.network.env.note(format_args!("peer #{} stops reading", peer.0));
        if let Some(script) = self.peer_mut(peer).and_then(|end| end.script.as_mut()) {
            script.paused = true;
        }
    }

    /// Receives again, beginning with the bytes that have arrived meanwhile.
    pub fn peer_resume(&mut self, peer: PeerId) {
        self.reap();
        self.network.env.note(format_args!("peer #{} resumes", peer.0));
        let Some(end) = self.peer_mut(peer) else {
            return;
        };
        if let Some(script) = &mut end.script {
            script.paused = false;
            script.taken.extend(end.received.drain(..));
        }
        self.network.made_room(peer.0);
    }

    /// The end that `peer` names, unless it was dropped or belongs to the engine.
    fn peer(&self, peer: PeerId) -> Option<&Endpoint> {
        let end = self.network.sockets.endpoints.get(peer.0)?;
        (end.script.is_some() && !end.closed).then_some(end)
    }

    fn peer_mut(&mut self, peer: PeerId) -> Option<&mut Endpoint> {
        let end = self.network.sockets.endpoints.get_mut(peer.0)?;
        (end.script.is_some() && !end.closed).then_some(end)
    }
}
