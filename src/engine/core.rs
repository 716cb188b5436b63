use crate::engine::attachments::Attachments;
use crate::engine::connection_map::ConnectionMap;
use crate::engine::turn::ending::Ending;
use crate::net::sockets::{Sender, Sockets};
use crate::net::streams::Transmit;
use crate::queue::LocalEvents;
use crate::time::Time;
use crate::topics::Topics;

/// The part of an event loop that handlers act on. The other parts call the handlers.
pub(crate) struct Core<T: ?Sized> {
    pub(crate) sockets: Sockets,
    pub(crate) topics: Topics,
    pub(crate) events: LocalEvents,
    pub(crate) ending: Ending,
    /// Of the connections that have agreed on one.
    pub(crate) subprotocols: ConnectionMap<Box<str>>,
    pub(crate) attachments: Attachments,
    /// The last field, because a [`Context`](crate::Context) erases its type.
    pub(crate) streams: T,
}

impl<T: ?Sized> Core<T> {
    /// The loop's clock: the time at which the turn began, or was last read.
    #[inline]
    pub(crate) const fn now(&self) -> Time {
        self.sockets.now()
    }
}

impl Core<dyn Transmit + '_> {
    /// The connections with their streams.
    #[inline]
    pub(crate) fn sender(&mut self) -> Sender<'_> {
        Sender::new(&mut self.sockets, &mut self.streams)
    }
}

impl<T: Transmit> Core<T> {
    /// Sets the loop's clock to the present moment.
    #[inline]
    pub(crate) fn read_clock(&mut self) {
        self.sockets.set_now(self.streams.now());
    }

    /// Sets the loop's clock back to a moment at which it was read.
    pub(crate) const fn turn_back_clock(&mut self, time: Time) {
        self.sockets.set_now(time);
    }

    /// Erases the type of the streams, as [`Context`](crate::Context) needs it.
    #[inline]
    pub(crate) fn erased(&mut self) -> &mut Core<dyn Transmit + '_> {
        self
    }

    /// The connections with their streams.
    #[inline]
    pub(crate) fn sender(&mut self) -> Sender<'_> {
        Sender::new(&mut self.sockets, &mut self.streams)
    }
}
