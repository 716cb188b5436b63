use crate::engine::turn::ending::Ending;
use crate::net::SendStatus;
use crate::net::sockets::Sockets;
use crate::net::streams::Transmit;
use crate::proto::Outgoing;
use crate::queue::LocalEvents;
use crate::slots::Key;
use crate::topics::Topics;

/// The part of an event loop that handlers act on. Everything else of the loop calls them.
pub(crate) struct Core<T: ?Sized> {
    pub(crate) sockets: Sockets,
    pub(crate) topics: Topics,
    pub(crate) events: LocalEvents,
    pub(crate) ending: Ending,
    /// The streams last: behind a [`Context`](crate::Context), their type is not known.
    pub(crate) streams: T,
}

impl Core<dyn Transmit + '_> {
    #[inline]
    pub(crate) fn send(&mut self, conn: Key, outgoing: Outgoing<'_>) -> SendStatus {
        self.sockets.send(conn, outgoing, &mut self.topics, &mut self.streams)
    }
}
