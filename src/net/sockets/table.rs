//! All sockets, and one of which most is known.

use crate::net::socket::Socket;
use crate::proto::{Role, WholeMessages};
use crate::slots::{Key, Slots};
use crate::time::Time;

/// All sockets. Of one of them, whose input is being handled, it may be known that nothing stands
/// between its handler and its cork, so that this is not looked up for every message: until any
/// socket is changed, whichever and however, for [`get_mut`](Self::get_mut) forgets it. Only
/// [`whole_messages`](Self::whole_messages) changes what does not bear on that.
#[derive(Debug)]
pub(super) struct Table {
    slots: Slots<Socket>,
    /// The connection that is open, not paused, not compressed, and has no outbox nor anything else
    /// that is not whole; `Key::NONE` if none is known to be that.
    unhindered: Key,
    /// Its role.
    role: Role,
}

impl Table {
    /// Bytes for each socket.
    pub(super) const SIZE: usize = Slots::<Socket>::SIZE;

    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { slots: Slots::with_capacity(capacity), unhindered: Key::NONE, role: Role::Server }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Socket)> {
        self.slots.iter()
    }

    #[inline]
    pub(super) fn get(&self, conn: Key) -> Option<&Socket> {
        self.slots.get(conn)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, conn: Key) -> Option<&mut Socket> {
        self.forget();
        self.slots.get_mut(conn)
    }

    pub(super) fn insert(&mut self, socket: Socket) -> Key {
        self.forget();
        self.slots.insert(socket)
    }

    pub(super) fn remove(&mut self, conn: Key) -> Option<Socket> {
        self.forget();
        self.slots.remove(conn)
    }

    /// The role of the connection if it is known to be unhindered.
    #[inline]
    pub(super) fn unhindered(&self, conn: Key) -> Option<Role> {
        debug_assert!(self.unhindered == Key::NONE || self.is_unhindered(self.unhindered));
        (self.unhindered == conn).then_some(self.role)
    }

    /// From now on it is known that the connection is unhindered, if it is.
    #[inline]
    pub(super) fn learn(&mut self, conn: Key) -> Option<&Socket> {
        self.forget();
        let socket = self.slots.get(conn).filter(|socket| is_unhindered(socket))?;
        self.unhindered = conn;
        self.role = socket.protocol.role();
        Some(socket)
    }

    /// What finds whole messages in the connection's input, as far as they can be expected there,
    /// and which handler they are for. A connection that was unhindered is so yet: it was heard.
    #[inline]
    pub(super) fn whole_messages(
        &mut self,
        conn: Key,
        now: Time,
    ) -> Option<(WholeMessages, usize)> {
        let socket = self.slots.get_mut(conn)?;
        Some((socket.protocol.whole_messages(now)?, socket.endpoint()))
    }

    fn is_unhindered(&self, conn: Key) -> bool {
        self.slots.get(conn).is_some_and(is_unhindered)
    }

    /// Nothing is known any more.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.unhindered = Key::NONE;
    }
}

#[inline]
fn is_unhindered(socket: &Socket) -> bool {
    socket.is_open() && !socket.paused && !socket.is_pressed() && !socket.protocol.is_compressed()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::net::halves::Halves;
    use crate::net::peer::PeerAddr;
    use crate::proto::{Limits, WebSocket};

    fn socket(role: Role) -> Socket {
        let protocol = WebSocket::opened(role, Arc::new(Limits::default()), Time::BEGINNING);
        Socket::accepted(protocol, 0, PeerAddr::None)
    }

    #[test]
    fn what_is_known_of_a_connection_is_forgotten_when_any_may_change() {
        let mut table = Table::with_capacity(2);
        let (server, client) =
            (table.insert(socket(Role::Server)), table.insert(socket(Role::Client)));
        assert_eq!(table.unhindered(server), None);
        for (conn, other, role) in [(server, client, Role::Server), (client, server, Role::Client)]
        {
            table.learn(conn);
            assert_eq!((table.unhindered(conn), table.unhindered(other)), (Some(role), None));
            assert!(table.get(other).is_some());
            assert_eq!(table.unhindered(conn), Some(role));
            assert!(table.get_mut(other).is_some());
            assert_eq!(table.unhindered(conn), None);
        }
        table.learn(server);
        table.get_mut(server).expect("it is there").halves = Halves::Dead;
        table.learn(server);
        assert_eq!(table.unhindered(server), None);
        table.learn(client);
        table.remove(client);
        assert_eq!(table.unhindered(client), None);
    }
}
