//! What a peer sends after the end of its connection: its close frame is looked for, and all else
//! thrown away.

use std::io;

use crate::engine::event_loop::EventLoop;
use crate::engine::turn::read::Received;
use crate::net::lingering::Lingering;
use crate::net::socket::Socket;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Receives once from a peer whose connection has ended.
    #[inline(never)]
    pub(crate) fn linger(
        &mut self,
        conn: Key,
        buffer: &mut [u8],
        hangup: bool,
        state: &mut S,
    ) -> Received {
        let room = buffer.len();
        let outcome = self.core.streams.recv(conn.index(), buffer);
        let received = match outcome {
            Ok(_) if !self.admits(conn, &outcome) => {
                self.core.sockets.registry.kill(conn);
                Received::Ended
            }
            Ok(Some(len)) if len > 0 => {
                let at = self.handle_input(conn, &mut buffer[..len], 0, state);
                if at < len {
                    self.core.sockets.keep_leftover(conn, &buffer[at..len]);
                }
                if at == len && len < room && !hangup {
                    Received::Drained
                } else {
                    Received::More(len)
                }
            }
            other => self.receive_end(conn, other),
        };
        if received == Received::Drained
            && self.core.sockets.get(conn).is_some_and(Socket::ends_tcp)
        {
            // Nothing else was waited for.
            self.core.sockets.registry.queue_reaping(conn);
        }
        received
    }

    /// Whether the connection may go on after it received this: so much may come after its end.
    fn admits(&mut self, conn: Key, received: &io::Result<Option<usize>>) -> bool {
        let count = match received {
            // Records of TLS with nothing in them: more than the limit, as they arrived.
            Ok(None) if self.core.streams.has_buffered_input(conn.index()) => {
                Lingering::CLOSED_BYTES_MAX
            }
            Ok(Some(len)) => *len,
            Ok(None) | Err(_) => 0,
        };
        self.core.sockets.get_mut(conn).is_some_and(|socket| socket.admit_late(count))
    }

    /// Reads what has arrived behind the peer's close frame, and throws it away: the system would
    /// answer it with a reset if the stream were closed, and that may destroy our close frame on
    /// its way. Whether that was all, or more than may come.
    pub(crate) fn has_read_all(&mut self, conn: Key) -> bool {
        let received = self.core.streams.recv(conn.index(), self.buffer.as_mut_slice());
        let is_more = matches!(received, Ok(Some(len)) if len > 0);
        let is_more = is_more || self.core.streams.has_buffered_input(conn.index());
        let goes_on = is_more && self.admits(conn, &received);
        if goes_on {
            self.core.sockets.registry.resume(conn);
        }
        !goes_on
    }
}
