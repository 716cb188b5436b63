//! How much streams may hold unsent. What a stream has taken can be neither dropped nor overtaken.

use super::sender::Sender;
use crate::net::socket::Socket;
use crate::slots::Key;

/// What the stream of a connection with a conflating subscription may hold unsent: newer messages
/// wait in the topic, where they replace older ones. Enough for some segments to be on their way
/// while the next ones are made.
const CONFLATING_BYTES_MAX: u32 = 16 * 1024;

impl Sender<'_> {
    /// Sets how many bytes the connection's stream may hold unsent in any case; 0: no limit.
    pub(crate) fn set_unsent_limit(&mut self, conn: Key, bytes: u32) {
        self.change_unsent(conn, |socket| socket.unsent_limit = bytes);
    }

    /// Notes whether one of the connection's subscriptions conflates.
    pub(crate) fn set_conflating(&mut self, conn: Key, conflates: bool) {
        self.change_unsent(conn, |socket| socket.conflates = conflates);
    }

    fn change_unsent(&mut self, conn: Key, change: impl FnOnce(&mut Socket)) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        let before = limit(socket);
        change(socket);
        let limit = limit(socket);
        if limit != before {
            self.io.limit_unsent(conn.index(), limit);
        }
    }
}

fn limit(socket: &Socket) -> Option<u32> {
    let own = Some(socket.unsent_limit).filter(|bytes| *bytes > 0);
    let conflating = socket.conflates.then_some(CONFLATING_BYTES_MAX);
    own.into_iter().chain(conflating).min()
}
