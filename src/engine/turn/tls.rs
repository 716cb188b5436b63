//! TLS streams: starts TLS on accepted connections, and flushes what a stream has buffered.

use crate::engine::event_loop::EventLoop;
use crate::net::socket::Socket;
use crate::reactor::{Reactor, Tls};
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Starts TLS on an accepted connection if its listener uses TLS. `received` is input that has
    /// already arrived. Returns whether the connection uses TLS.
    pub(crate) fn accept_tls(&mut self, conn: Key, received: &[u8]) -> bool {
        let router = self.core.sockets.get(conn).and_then(Socket::router);
        let router = router.and_then(|router| self.routers.get(router));
        let Some(tls) = router.and_then(|router| router.tls.as_ref()) else {
            return false;
        };
        if let Err(error) = self.core.streams.encrypt(conn.index(), Tls::Server(tls), received) {
            self.core.sockets.registry.fail(conn, error);
        }
        true
    }

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
