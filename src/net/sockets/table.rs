//! All sockets, and the one that the fast path is for.

use crate::net::framing::Framing;
use crate::net::outbox::Outbox;
use crate::net::socket::Socket;
use crate::proto::WholeMessages;
use crate::slots::{Key, Slots};
use crate::time::Time;

/// All sockets, and a mark on the one whose input is being handled if nothing stands between its
/// handler and its cork, so that this is not looked up for every message.
///
/// [`get_mut`](Self::get_mut) clears the mark, since any change of a socket may end the fast path.
/// [`whole_messages`](Self::whole_messages) does not: what it changes has no bearing on that.
#[derive(Debug)]
pub(super) struct Table {
    slots: Slots<Socket>,
    /// A connection that is open, not paused, not compressed, and has nothing pending, neither
    /// output nor an unfinished message; or `Key::NONE`.
    fast: Key,
    /// What its output is made of.
    fast_framing: Framing,
    /// The same connection if it sends a server's frames, as most do; or `Key::NONE`.
    fast_server: Key,
}

/// What finds the whole messages in a connection's input.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) messages: WholeMessages,
    /// The endpoint that they are for.
    pub(crate) handler: usize,
}

/// What a raw stream has kept of its input.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
    /// The index of the handler that it is for.
    pub(crate) handler: usize,
}

impl Table {
    /// Bytes for each socket.
    pub(super) const SIZE: usize = Slots::<Socket>::SIZE;

    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            slots: Slots::with_capacity(capacity),
            fast: Key::NONE,
            fast_framing: Framing::Raw,
            fast_server: Key::NONE,
        }
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
        self.clear_fast_path();
        self.slots.get_mut(conn)
    }

    #[inline]
    pub(super) fn insert(&mut self, socket: Socket) -> Key {
        self.clear_fast_path();
        self.slots.insert(socket)
    }

    pub(super) fn remove(&mut self, conn: Key) -> Option<Socket> {
        self.clear_fast_path();
        self.slots.remove(conn)
    }

    /// What the connection's output is made of, if it has the mark of the fast path.
    #[inline]
    pub(super) fn fast_path(&self, conn: Key) -> Option<Framing> {
        debug_assert!(
            self.fast == Key::NONE || self.slots.get(self.fast).is_some_and(may_take_fast_path),
            "the mark of the fast path is cleared with every change"
        );
        (self.fast == conn).then_some(self.fast_framing)
    }

    /// Whether the connection has the mark of the fast path and sends a server's frames.
    #[inline]
    pub(super) fn is_fast_server(&self, conn: Key) -> bool {
        debug_assert!(self.fast_server == Key::NONE || self.fast_server == self.fast);
        self.fast_server == conn
    }

    /// Marks the connection for the fast path, if nothing stands in its way.
    #[inline]
    pub(super) fn set_fast_path(&mut self, conn: Key) -> Option<&Socket> {
        self.clear_fast_path();
        let socket = self.slots.get(conn).filter(|socket| may_take_fast_path(socket))?;
        self.fast = conn;
        self.fast_framing = socket.protocol.framing();
        if self.fast_framing == Framing::Unmasked {
            self.fast_server = conn;
        }
        Some(socket)
    }

    /// What finds whole messages in the connection's input, as far as they can be expected there,
    /// and the endpoint that they are for. That the peer has sent something takes no connection off
    /// the fast path.
    #[inline]
    pub(super) fn whole_messages(&mut self, conn: Key, now: Time) -> Option<Whole> {
        let socket = self.slots.get_mut(conn)?;
        let messages = socket.protocol.web_socket_mut()?.whole_messages(now)?;
        Some(Whole { messages, handler: socket.handler() })
    }

    /// What an open raw stream has kept of its input, and its handler, when more has come. That
    /// takes no connection off the fast path.
    #[inline]
    pub(super) fn take_kept(&mut self, conn: Key, now: Time) -> Option<Kept> {
        let socket = self.slots.get_mut(conn)?;
        let handler = socket.handler();
        let stream = socket.protocol.stream_mut().filter(|stream| stream.is_open())?;
        Some(Kept { bytes: stream.take_kept(now), handler })
    }

    #[inline]
    pub(super) fn clear_fast_path(&mut self) {
        self.fast = Key::NONE;
        self.fast_server = Key::NONE;
    }

    pub(super) fn is_open(&self, conn: Key) -> bool {
        self.get(conn).is_some_and(Socket::is_open)
    }

    /// What the connection's output is made of.
    pub(super) fn framing(&self, conn: Key) -> Framing {
        self.get(conn).map_or(Framing::Raw, |socket| socket.protocol.framing())
    }

    pub(super) fn outbox(&self, conn: Key) -> Option<&Outbox> {
        self.get(conn)?.outbox.as_deref()
    }

    pub(super) fn outbox_mut(&mut self, conn: Key) -> Option<&mut Outbox> {
        self.get_mut(conn)?.outbox.as_deref_mut()
    }
}

#[inline]
fn may_take_fast_path(socket: &Socket) -> bool {
    !socket.is_dead()
        && !socket.paused
        && socket.outbox.is_none()
        && socket.rare.is_none()
        && socket.protocol.is_plainly_open()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::net::halves::Halves;
    use crate::net::peer::PeerAddr;
    use crate::proto::{Limits, Role, WebSocket};

    fn socket(role: Role) -> Socket {
        let protocol = WebSocket::opened(role, Arc::new(Limits::default()), Time::BEGINNING);
        Socket::accepted(protocol, 0, PeerAddr::None)
    }

    #[test]
    fn the_mark_of_the_fast_path_is_cleared_when_any_connection_may_change() {
        let mut table = Table::with_capacity(2);
        let (server, client) =
            (table.insert(socket(Role::Server)), table.insert(socket(Role::Client)));
        assert_eq!(table.fast_path(server), None);
        for (conn, other, framing) in
            [(server, client, Framing::Unmasked), (client, server, Framing::Masked)]
        {
            table.set_fast_path(conn);
            assert_eq!((table.fast_path(conn), table.fast_path(other)), (Some(framing), None));
            assert!(table.get(other).is_some());
            assert_eq!(table.fast_path(conn), Some(framing));
            assert!(table.get_mut(other).is_some());
            assert_eq!(table.fast_path(conn), None);
        }
        table.set_fast_path(server);
        table.get_mut(server).expect("it is there").halves = Halves::Dead;
        table.set_fast_path(server);
        assert_eq!(table.fast_path(server), None);
        table.set_fast_path(client);
        table.remove(client);
        assert_eq!(table.fast_path(client), None);
    }
}
