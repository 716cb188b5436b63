//! The opening handshakes of connections that this program makes.

use super::Sockets;
use super::output::Output;
use super::registry::Registry;
use crate::net::connector::Connector;
use crate::proto::WebSocket;
use crate::slots::Key;

impl Sockets {
    /// The handshakes of clients.
    pub(crate) fn handshakes(&mut self) -> Handshakes<'_> {
        Handshakes { registry: &mut self.registry, output: &mut self.output }
    }
}

/// Carries handshakes of clients on.
pub(crate) struct Handshakes<'a> {
    registry: &'a mut Registry,
    output: &'a mut Output,
}

impl Handshakes<'_> {
    /// Queues the first request of a connection that is being made: it leaves once it is made.
    pub(crate) fn queue_request(self, conn: Key, request: &[u8]) {
        if let Some(socket) = self.registry.table.get_mut(conn) {
            socket.outbox = Some(self.output.outbox_with(request));
            socket.blocked = true;
        }
    }

    /// Writes the opening request of a client whose proxy has opened a tunnel.
    pub(crate) fn request(self, conn: Key) {
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |socket, work| socket.handshake().request(work));
    }

    /// Opens a connection that the server has accepted.
    pub(crate) fn open(self, conn: Key) {
        let Self { registry, output } = self;
        output.write_frames(registry, conn, |socket, work| socket.handshake().open(work));
    }

    /// Ends a handshake at the end of the stream.
    pub(crate) fn end(self, conn: Key) {
        let Self { registry, output } = self;
        let ended =
            output.write_frames(registry, conn, |socket, work| socket.handshake().end(work));
        if let Some(Err(error)) = ended {
            registry.end_by_peer_error(conn, error);
        }
        registry.kill(conn);
    }

    /// Begins anew with another stream: the connection keeps its slot.
    pub(crate) fn restart(self, conn: Key, protocol: WebSocket, connector: Connector) {
        let Self { registry, output } = self;
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        if let Some(outbox) = socket.take_outbox() {
            output.give_back(outbox);
        }
        if let Some(leftover) = socket.rare.take_leftover() {
            output.storage.buffers.give(leftover.storage);
        }
        socket.restart(protocol.into());
        socket.rare.set_connector(connector);
        registry.note_standing(conn, true);
        registry.count_inbound(conn);
        registry.rank_output(conn);
        registry.arm(conn);
    }
}
