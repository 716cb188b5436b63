//! Raw peers: the far ends of connections, driven by a test instead of an event loop.

use std::io;
use std::mem;
use std::net::SocketAddr;

use super::SimReactor;
use super::endpoint::Endpoint;

/// One raw peer of a [`SimReactor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

/// How many connections wait for [`SimReactor::peer_accept`] before further ones must try again.
const PEER_BACKLOG: u32 = 1024;

/// Raw peers. Nothing moves by these calls alone: what a peer sends, and what it is sent, arrives
/// while the event loop polls. A peer that does not exist (any more) is closed and says nothing.
impl SimReactor {
    /// Begins to connect a peer to `address`. It may send at once; its bytes wait. When nobody
    /// listens, the peer finds itself reset.
    pub fn peer_connect(&mut self, address: SocketAddr) -> PeerId {
        self.reap();
        let id = self.network.connect_peer(address);
        self.network.note(format_args!("peer #{id} connects to {address}"));
        PeerId(id)
    }

    /// Listens on `address` for connections of the event loop's; port 0 chooses one.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when something listens there already.
    pub fn peer_listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        self.reap();
        let (_, address) = self.network.listen(address, PEER_BACKLOG, None)?;
        self.network.note(format_args!("peers listen on {address}"));
        Ok(address)
    }

    /// The next connection that reached `address` of [`SimReactor::peer_listen`].
    pub fn peer_accept(&mut self, address: SocketAddr) -> Option<PeerId> {
        self.reap();
        let listener = self.network.listener_at(address)?;
        if self.network.listeners.get(&listener)?.key.is_some() {
            return None;
        }
        let id = self.network.take_waiting(listener)?;
        self.network.note(format_args!("peer #{id} accepted"));
        Some(PeerId(id))
    }

    /// Sends `bytes`. Without a limit: what the window does not hold waits in the peer.
    pub fn peer_send(&mut self, peer: PeerId, bytes: &[u8]) {
        self.reap();
        self.network.note(format_args!("peer #{} sends {}", peer.0, bytes.len()));
        let Some(end) = self.peer_mut(peer) else {
            return;
        };
        let sends = !end.dead && !end.shut;
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

    /// Ends the peer's sending half behind all that it sent (FIN). It still receives.
    pub fn peer_close(&mut self, peer: PeerId) {
        self.reap();
        self.network.note(format_args!("peer #{} closes", peer.0));
        if let Some(script) = self.peer_mut(peer).and_then(|end| end.script.as_mut()) {
            script.finishing = true;
        }
        self.network.pump(peer.0);
    }

    /// Resets the connection (RST). What was not sent yet is lost; what is on its way may be.
    pub fn peer_reset(&mut self, peer: PeerId) {
        self.reap();
        self.network.note(format_args!("peer #{} resets", peer.0));
        if self.peer(peer).is_some_and(|end| !end.dead) {
            self.network.abort(peer.0);
        }
    }

    /// Ends the peer as the end of its process would: FIN, RST if bytes were left unread, and
    /// RST to whatever still arrives. The id is of no use afterwards.
    pub fn peer_drop(&mut self, peer: PeerId) {
        self.reap();
        self.network.note(format_args!("peer #{} drops", peer.0));
        if self.peer(peer).is_some() {
            self.network.close_stream(peer.0);
        }
    }

    /// Whether nothing more can be received: the end of the stream arrived, or a reset.
    #[must_use]
    pub fn peer_is_closed(&self, peer: PeerId) -> bool {
        self.peer(peer).is_none_or(|end| end.dead || (end.finished && end.received.is_empty()))
    }

    /// Whether the connection ended with a reset, or was refused.
    #[must_use]
    pub fn peer_was_reset(&self, peer: PeerId) -> bool {
        self.peer(peer).is_some_and(|end| end.dead)
    }

    /// Whether all that the peer was given to send has left it.
    #[must_use]
    pub fn peer_has_sent_all(&self, peer: PeerId) -> bool {
        let script = self.peer(peer).and_then(|end| end.script.as_ref());
        script.is_none_or(|script| script.outgoing.is_empty())
    }

    /// Stops receiving: what arrives fills the window, and then the event loop cannot send.
    pub fn peer_stop_reading(&mut self, peer: PeerId) {
        self.reap();
        self.network.note(format_args!("peer #{} stops reading", peer.0));
        if let Some(script) = self.peer_mut(peer).and_then(|end| end.script.as_mut()) {
            script.paused = true;
        }
    }

    /// Receives again, beginning with all that arrived meanwhile.
    pub fn peer_resume(&mut self, peer: PeerId) {
        self.reap();
        self.network.note(format_args!("peer #{} resumes", peer.0));
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
        let end = self.network.endpoints.get(peer.0)?;
        (end.script.is_some() && !end.closed).then_some(end)
    }

    fn peer_mut(&mut self, peer: PeerId) -> Option<&mut Endpoint> {
        let end = self.network.endpoints.get_mut(peer.0)?;
        (end.script.is_some() && !end.closed).then_some(end)
    }
}
