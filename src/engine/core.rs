use crate::engine::turn::ending::Ending;
use crate::net::sockets::Sockets;
use crate::net::streams::Transmit;
use crate::queue::LocalEvents;
use crate::topics::Topics;

/// The part of an event loop that handlers act on. The other parts call the handlers.
pub(crate) struct Core<T: ?Sized> {
    pub(crate) sockets: Sockets,
    pub(crate) topics: Topics,
    pub(crate) events: LocalEvents,
    pub(crate) ending: Ending,
    /// The last field, because a [`Context`](crate::Context) erases its type.
    pub(crate) streams: T,
}

impl<T: Transmit> Core<T> {
    /// Erases the type of the streams, as [`Context`](crate::Context) needs it.
    #[inline]
    pub(crate) fn erased(&mut self) -> &mut Core<dyn Transmit + '_> {
        self
    }
}
