//! Room for newcomers: whether there is some, and who makes some. Who had time for something is
//! judged by a moment before which nothing is unread.

use crate::engine::event_loop::EventLoop;
use crate::net::places::Standing;
use crate::net::streams::Transmit;
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::time::Time;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Whether a newcomer would be accepted, or somebody would make room for it.
    pub(crate) fn has_room(&self, now: Time) -> bool {
        let places = &self.core.sockets.places;
        if self.dialer.is_full(&self.core.sockets) {
            places.yields_at().is_some_and(|at| at <= now)
        } else {
            places.takes_another(now)
        }
    }

    /// Where there is no room for a newcomer: when there will be. `Time::NEVER` if that takes the
    /// end of a connection.
    pub(crate) fn no_room_until(&self) -> Option<Time> {
        let places = &self.core.sockets.places;
        if self.dialer.is_full(&self.core.sockets) {
            Some(places.yields_at().unwrap_or(Time::NEVER))
        } else {
            places.full_until()
        }
    }

    /// Lets those end who lose least by it, for a newcomer that no room is left for. It takes until
    /// their peers have ended, too, or have had their time for that.
    #[cold]
    pub(crate) fn make_room(&mut self) {
        if let Some((conns, standing)) =
            self.core.sockets.places.yielding(self.backlog.served_until())
        {
            conns.into_iter().for_each(|conn| self.evict(conn, standing));
        }
    }

    /// Ends the connections beyond the limit.
    pub(crate) fn enforce_place_limits(&mut self) {
        let by = self.backlog.served_until();
        while let Some((conn, standing)) = self.core.sockets.places.over_limit(by) {
            self.evict(conn, standing);
        }
    }

    #[cold]
    fn evict(&mut self, conn: Key, standing: Standing) {
        match standing {
            Standing::Idle => self.core.sockets.end_idle(conn),
            Standing::Asking => self.core.sockets.end_asking(conn),
            _ if self.core.streams.is_flushed(conn.index()) => self.core.sockets.kill(conn),
            _ => self.core.sockets.stand(conn, Standing::Answering),
        }
    }

    /// Notes where a connection that is not open stands, after it was read from or its stream has
    /// sent more.
    pub(crate) fn note_standing(&mut self, conn: Key) {
        if self.core.sockets.get(conn).is_some_and(|socket| !socket.is_open()) {
            let is_flushed = self.core.streams.is_flushed(conn.index());
            self.core.sockets.note_standing(conn, is_flushed);
            self.enforce_place_limits();
        } else {
            self.core.sockets.stand(conn, Standing::Open);
        }
    }
}
