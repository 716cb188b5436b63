//! Makes room for new connections at the limits. Whether a connection had its time is checked
//! against a time before which all input was read ([`Backlog`](super::backlog::Backlog)).

use crate::engine::event_loop::EventLoop;
use crate::net::disconnect::ConnectError;
use crate::net::places::{Candidate, Standing, Yielding};
use crate::net::rare_state::End;
use crate::net::streams::Transmit;
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::time::Time;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Whether a new connection would be accepted, or another one could be evicted for it.
    pub(crate) fn has_room(&self, now: Time) -> bool {
        let places = &self.core.sockets.registry.places;
        if self.core.is_full() {
            places.yields_at().is_some_and(|at| at <= now)
        } else {
            places.takes_another(now)
        }
    }

    /// When there will be room for a new connection, if there is none now. `Time::NEVER` if a
    /// connection has to end first.
    pub(crate) fn no_room_until(&self) -> Option<Time> {
        let places = &self.core.sockets.registry.places;
        if self.core.is_full() {
            Some(places.yields_at().unwrap_or(Time::NEVER))
        } else {
            places.full_until()
        }
    }

    /// Evicts the connections that lose least by it, to make room for a new one. The room is free
    /// once their peers have ended the streams, too, or have had their time for that.
    #[cold]
    pub(crate) fn make_room(&mut self) {
        if let Some(Yielding { conns, standing }) =
            self.core.sockets.registry.places.yielding(self.backlog.served_until())
        {
            conns.into_iter().for_each(|conn| self.evict(conn, standing));
        }
    }

    /// Evicts the connections beyond the limits.
    pub(crate) fn enforce_place_limits(&mut self) {
        let by = self.backlog.served_until();
        while let Some(Candidate { conn, standing, .. }) =
            self.core.sockets.registry.places.surplus(by)
        {
            self.evict(conn, standing);
        }
    }

    #[cold]
    fn evict(&mut self, conn: Key, standing: Standing) {
        match standing {
            Standing::Idle => {
                self.core.sockets.end_after_queued(conn, End::Connect(ConnectError::Cancelled));
            }
            Standing::Asking => self.core.sockets.registry.end_asking(conn),
            _ if self.core.streams.is_flushed(conn.index()) => {
                self.core.sockets.registry.kill(conn);
            }
            _ => self.core.sockets.registry.stand(conn, Standing::Answering),
        }
    }

    /// Updates the standing of a connection that is not open, after it was read from or its stream
    /// has sent more.
    pub(crate) fn note_standing(&mut self, conn: Key) {
        if self.core.sockets.get(conn).is_some_and(|socket| !socket.is_open()) {
            let is_flushed = self.core.streams.is_flushed(conn.index());
            self.core.sockets.registry.note_standing(conn, is_flushed);
            self.enforce_place_limits();
        } else {
            self.core.sockets.registry.stand(conn, Standing::Open);
        }
    }
}
