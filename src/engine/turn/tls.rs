//! Streams that speak TLS: when they begin to, and what they keep back.

use crate::engine::event_loop::EventLoop;
use crate::net::socket::Socket;
use crate::reactor::{Reactor, Tls};
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Lets a connection that was accepted speak TLS from here on, if its listener does; `received`
    /// came already. Tells whether it does.
    pub(crate) fn accept_tls(&mut self, conn: Key, received: &[u8]) -> bool {
        let router = self.core.sockets.get(conn).and_then(Socket::router);
        let router = router.and_then(|router| self.routers.get(router));
        let Some(tls) = router.and_then(|router| router.tls.as_ref()) else {
            return false;
        };
        if let Err(error) = self.core.streams.encrypt(conn.index(), Tls::Server(tls), received) {
            self.core.sockets.fail(conn, error);
        }
        true
    }

    /// Sends what a stream has taken and not sent.
    pub(crate) fn flush_tls(&mut self, conn: Key) {
        match self.core.streams.flush(conn.index()) {
            Ok(true) => {
                self.note_standing(conn);
                // Its slot may have waited for that.
                if self.core.sockets.get(conn).is_some_and(|socket| !socket.halves.has_ours()) {
                    self.core.sockets.revisit(conn);
                }
            }
            Ok(false) => {}
            Err(error) => self.core.sockets.fail(conn, error),
        }
    }
}
