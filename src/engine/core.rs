use super::Context;
use super::shutdown::Ending;
use crate::net::SendStatus;
use crate::net::sockets::Sockets;
use crate::net::streams::Transmit;
use crate::proto::Outgoing;
use crate::queue::LocalEvents;
use crate::slots::Key;
use crate::topics::Topics;

/// The part of an event loop that handlers act on. Everything else of the loop calls them.
pub(super) struct Core<T: ?Sized> {
    pub(super) sockets: Sockets,
    pub(super) topics: Topics,
    pub(super) events: LocalEvents,
    pub(super) ending: Ending,
    /// The streams last: behind a [`Context`], their type is not known.
    pub(super) streams: T,
}

impl<T: Transmit> Core<T> {
    /// What a handler is lent.
    #[inline]
    pub(super) fn context(&mut self) -> Context<'_> {
        Context { core: self }
    }
}

impl Core<dyn Transmit + '_> {
    #[inline]
    pub(super) fn send(&mut self, conn: Key, outgoing: Outgoing<'_>) -> SendStatus {
        self.sockets.send(conn, outgoing, &mut self.topics, &mut self.streams)
    }
}
