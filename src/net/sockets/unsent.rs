//! How much streams may hold unsent. What a stream has taken can be neither dropped nor overtaken.

use super::Sockets;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::slots::Key;

/// What the stream of a connection may hold unsent of whose subscriptions one conflates, in bytes:
/// what is newer waits in the topic, where it replaces what is older. Enough for some segments to
/// be on their way while the next ones are made.
const CONFLATING: u32 = 16 * 1024;

impl Sockets {
    /// Sets how many bytes the connection's stream may hold unsent in any case.
    pub(crate) fn set_unsent_limit(&mut self, conn: Key, bytes: u32, io: &mut dyn Transmit) {
        self.change_unsent(conn, io, |socket| socket.unsent_limit = bytes);
    }

    /// Notes whether one of the connection's subscriptions conflates.
    pub(crate) fn set_conflating(&mut self, conn: Key, conflates: bool, io: &mut dyn Transmit) {
        if self.is_conflating(conn) != conflates {
            self.change_unsent(conn, io, |socket| socket.conflates = conflates);
        }
    }

    pub(crate) fn is_conflating(&self, conn: Key) -> bool {
        self.slots.get(conn).is_some_and(|socket| socket.conflates)
    }

    fn change_unsent(
        &mut self,
        conn: Key,
        io: &mut dyn Transmit,
        change: impl FnOnce(&mut Socket),
    ) {
        let Some(socket) = self.slots.get_mut(conn) else {
            return;
        };
        let before = limit(socket);
        change(socket);
        let limit = limit(socket);
        if limit != before {
            io.limit_unsent(conn.index(), limit);
        }
    }
}

fn limit(socket: &Socket) -> Option<u32> {
    let own = Some(socket.unsent_limit).filter(|bytes| *bytes > 0);
    let conflating = socket.conflates.then_some(CONFLATING);
    own.into_iter().chain(conflating).min()
}
