//! What a peer sends after the end of its connection: its close frame is looked for, and all else
//! thrown away.

use super::EventLoop;
use super::read::Received;
use crate::net::socket::Socket;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Receives once from a peer that is not heard any more.
    #[inline(never)]
    pub(super) fn linger(
        &mut self,
        conn: Key,
        buffer: &mut [u8],
        hangup: bool,
        state: &mut S,
    ) -> Received {
        let room = buffer.len();
        let received = match self.streams.recv(conn.index(), buffer) {
            Ok(Some(len)) if len > 0 => {
                self.handle_input(conn, &mut buffer[..len], (0, 0), state);
                if len < room && !hangup { Received::Drained } else { Received::More(len, 0) }
            }
            other => self.receive_nothing(conn, other),
        };
        if received == Received::Drained && self.sockets.get(conn).is_some_and(Socket::ends_tcp) {
            // Nothing else was waited for.
            self.sockets.revisit(conn);
        }
        received
    }
}
