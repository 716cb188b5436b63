//! Connections with pending work.

use std::collections::VecDeque;

use super::table::Table;
use crate::net::lists::Lists;
use crate::net::socket::Socket;
use crate::slots::Key;

/// Connections with pending work, each once and in order. Some may be gone.
#[derive(Debug)]
pub(super) struct WorkQueue {
    /// Which list of a [`Socket`] this is.
    list: Lists,
    conns: VecDeque<Key>,
}

impl WorkQueue {
    pub(super) const fn new(list: Lists) -> Self {
        Self { list, conns: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// Adds a connection, unless it is there.
    #[inline]
    pub(super) fn push(&mut self, conn: Key, socket: &mut Socket) {
        if socket.lists.insert(self.list) {
            self.conns.push_back(conn);
        }
    }

    pub(super) fn pop(&mut self, table: &mut Table) -> Option<Key> {
        let conn = self.conns.pop_front()?;
        if let Some(socket) = table.get_mut(conn) {
            socket.lists.remove(self.list);
        }
        Some(conn)
    }
}
