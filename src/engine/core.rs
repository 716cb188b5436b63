use crate::engine::turn::ending::Ending;
use crate::net::sockets::Sockets;
use crate::net::streams::Transmit;
use crate::queue::LocalEvents;
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

impl<T: Transmit> Core<T> {
    /// The same without the type of its streams, as [`Context`](crate::Context) has it.
    #[inline]
    pub(crate) fn erased(&mut self) -> &mut Core<dyn Transmit + '_> {
        self
    }
}
