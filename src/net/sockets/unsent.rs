//! How much streams may hold unsent.

use super::sender::Sender;
use crate::net::unsent_limit::UnsentLimit;
use crate::slots::Key;

impl Sender<'_> {
    /// Sets how many bytes the connection's stream may hold unsent in any case; 0: no limit.
    pub(crate) fn set_unsent_limit(&mut self, conn: Key, bytes: u32) {
        self.change_unsent(conn, |limit| limit.set_bytes(bytes));
    }

    /// Notes whether one of the connection's subscriptions conflates.
    pub(crate) fn set_conflating(&mut self, conn: Key, conflates: bool) {
        self.change_unsent(conn, |limit| limit.conflates = conflates);
    }

    /// Adapts how much the stream of a conflating connection may hold to how fast the peer reads,
    /// before it is offered the output that waits.
    pub(super) fn adapt_unsent(&mut self, conn: Key) {
        let now = self.sockets.registry.now;
        let waiting = self.sockets.get(conn).and_then(|socket| socket.outbox.as_ref()?.progress);
        if let Some(since) = waiting {
            self.change_unsent(conn, |limit| limit.adapt(now.since(since)));
        }
    }

    fn change_unsent(&mut self, conn: Key, change: impl FnOnce(&mut UnsentLimit)) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        let before = socket.unsent.get();
        change(&mut socket.unsent);
        let limit = socket.unsent.get();
        if limit != before {
            self.io.limit_unsent(conn.index(), limit);
        }
    }
}
