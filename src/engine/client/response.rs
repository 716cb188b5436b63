//! What a server or a proxy responds to a client.

use crate::engine::event_loop::EventLoop;
use crate::engine::turn::calls::HandlerCall;
use crate::net::socket::Socket;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// The proxy has opened a tunnel to the server.
    pub(crate) fn enter_tunnel(&mut self, conn: Key) {
        self.core.sockets.request(conn);
    }

    /// The server has accepted the connection, with this head.
    pub(crate) fn accepted(&mut self, conn: Key, head: &[u8], state: &mut S) {
        let socket = self.core.sockets.get(conn);
        let Some(response) = socket.and_then(|socket| socket.protocol.response(head)) else {
            return;
        };
        self.call(conn, HandlerCall::Response, |handler, conn| {
            handler.on_response(conn, &response, state);
        });
        // The handler may have closed it, or panicked.
        if self.core.sockets.get(conn).is_some_and(Socket::is_being_made) {
            self.core.sockets.open(conn);
            self.open(conn, response.subprotocol(), state);
        }
    }
}
