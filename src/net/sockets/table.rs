//! All sockets, and one of which most is known.

use crate::net::socket::Socket;
use crate::proto::Role;
use crate::slots::{Key, Slots};

/// All sockets. Of one of them, whose input is being handled, it may be known that nothing stands
/// between its handler and its cork, so that this is not looked up for every message: until any
/// socket is changed, whichever and however, for [`get_mut`](Self::get_mut) forgets it.
#[derive(Debug)]
pub(super) struct Table {
    slots: Slots<Socket>,
    /// The connection that is open, not paused, not compressed, and has no outbox; `Key::NONE` if
    /// none is known to be that.
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
        (self.unhindered == conn).then_some(self.role)
    }

    /// From now on it is known that the connection, which is not paused, is unhindered, if it is.
    pub(super) fn learn(&mut self, conn: Key) {
        let socket = self.slots.get(conn).filter(|socket| {
            socket.is_open() && socket.outbox.is_none() && !socket.protocol.is_compressed()
        });
        self.unhindered = socket.map_or(Key::NONE, |_| conn);
        self.role = socket.map_or(Role::Server, |socket| socket.protocol.role());
    }

    /// Nothing is known any more.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.unhindered = Key::NONE;
    }
}
