//! TLS streams: starts TLS on accepted connections, and flushes what a stream has buffered.

use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::reactor::Reactor;
use crate::slots::Key;

impl Core<dyn Transmit + '_> {
    /// Starts TLS on an accepted connection if its endpoint uses TLS. `received` is input that has
    /// already arrived. Returns whether the connection uses TLS.
    pub(crate) fn accept_tls(&mut self, conn: Key, received: &[u8]) -> bool {
        let endpoint = self.sockets.get(conn).and_then(Socket::endpoint);
        let endpoint = endpoint.and_then(|endpoint| self.endpoints.at(endpoint));
        let Some(tls) = endpoint.and_then(|endpoint| endpoint.accepting_tls()) else {
            return false;
        };
        if let Err(error) = self.streams.accept_tls(conn.index(), tls, received) {
            self.sockets.registry.fail(conn, error);
        }
        true
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sends output that a stream has buffered.
    pub(crate) fn flush_tls(&mut self, conn: Key) {
        match self.core.streams.flush(conn.index()) {
            Ok(true) => {
                self.note_standing(conn);
                // Freeing its slot may have waited for that.
                if self.core.sockets.get(conn).is_some_and(|socket| !socket.halves.has_ours()) {
                    self.core.sockets.registry.queue_reaping(conn);
                }
            }
            Ok(false) => {}
            Err(error) => self.core.sockets.registry.fail(conn, error),
        }
    }
}
