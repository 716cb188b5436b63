use crate::engine::attachments::Attachments;
use crate::engine::bus::inboxes::Inboxes;
use crate::engine::client::links::Links;
use crate::engine::client::route::Route;
use crate::engine::connection_map::ConnectionMap;
use crate::engine::endpoints::Endpoints;
use crate::engine::handle::LoopHandle;
use crate::engine::http::pending::PendingRequests;
use crate::engine::journal::waiting::Journaling;
use crate::engine::rates::limiter::Limiter;
use crate::engine::server::open_listeners::OpenListeners;
use crate::engine::turn::ending::Ending;
use crate::engine::turn::requests::Requests;
use crate::engine::turn::room::Room;
use crate::net::sockets::{Sender, Sockets};
use crate::net::streams::Transmit;
use crate::queue::LocalEvents;
use crate::tags::Tags;
use crate::time::Time;
use crate::timers::Ages;
use crate::topics::Topics;

/// The part of an event loop that handlers act on. The other parts call the handlers.
pub(crate) struct Core<T: ?Sized> {
    pub(crate) sockets: Sockets,
    pub(crate) topics: Topics,
    pub(crate) tags: Tags,
    /// Of the connections that have a maximum age.
    pub(crate) ages: Ages,
    pub(crate) journal: Journaling,
    pub(crate) events: LocalEvents,
    pub(crate) ending: Ending,
    /// Of the connections that have agreed on one.
    pub(crate) subprotocols: ConnectionMap<Box<str>>,
    pub(crate) endpoints: Endpoints,
    pub(crate) listeners: OpenListeners,
    pub(crate) links: Links,
    pub(crate) requests: Requests,
    /// HTTP requests that await their answers.
    pub(crate) pending: PendingRequests,
    pub(crate) room: Room,
    pub(crate) limiter: Limiter,
    /// Where other threads publish events.
    pub(crate) inboxes: Inboxes,
    pub(crate) handle: LoopHandle,
    pub(crate) attachments: Attachments,
    /// Of connections that are being made, if they may have to be begun anew or go through a proxy.
    pub(crate) routes: ConnectionMap<Route>,
    /// The last field, because a [`Context`](crate::Context) erases its type.
    pub(crate) streams: T,
}

impl<T: ?Sized> Core<T> {
    /// The loop's clock: the time at which the turn began, or was last read.
    #[inline]
    pub(crate) const fn now(&self) -> Time {
        self.sockets.now()
    }

    /// Whether there are as many connections as the configuration allows.
    pub(crate) fn is_full(&self) -> bool {
        self.room.is_full(self.sockets.len())
    }

    /// Uncounts a listener or connection that used the endpoint in that slot.
    pub(crate) fn leave_endpoint(&mut self, slot: usize) {
        self.endpoints.leave(slot);
        self.free_unused_endpoint(slot);
    }

    /// Frees the endpoint in that slot at the end of the turn, if nothing uses it.
    pub(crate) fn free_unused_endpoint(&mut self, slot: usize) {
        if self.endpoints.is_unused(slot) {
            self.requests.free_endpoint(slot);
        }
    }
}

impl Core<dyn Transmit + '_> {
    /// The connections with their streams.
    #[inline]
    pub(crate) fn sender(&mut self) -> Sender<'_> {
        Sender::new(&mut self.sockets, &mut self.streams)
    }

    /// Calls `act` with the present time: handlers may have delayed the turn since it began.
    pub(crate) fn at_present<V>(&mut self, act: impl FnOnce(&mut Self) -> V) -> V {
        let turn = self.now();
        self.sockets.set_now(self.streams.now());
        let value = act(self);
        self.sockets.set_now(turn);
        value
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
