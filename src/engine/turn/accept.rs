//! Accepts connections within the limits on connections.

use crate::engine::event_loop::EventLoop;
use crate::net::listener::Accepted;
use crate::net::listeners::ACCEPT_BUDGET;
use crate::net::socket::Socket;
use crate::proto::WebSocket;
use crate::reactor::Reactor;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Accepts pending connections while there is room for them.
    #[inline(never)]
    pub(crate) fn accept(&mut self) {
        let (now, by) = (self.core.now(), self.backlog.served_until());
        for _ in 0..ACCEPT_BUDGET {
            let is_full = self.dialer.is_full(&self.core.sockets);
            let reactor = &mut self.core.streams.reactor;
            if is_full && self.listeners.has_pending(reactor, now) {
                return self.make_room();
            }
            if is_full || !self.core.sockets.registry.places.takes_another(by) {
                break;
            }
            let Some((accepted, router)) = self.listeners.accept(reactor, now) else {
                break;
            };
            self.admit(accepted, router);
        }
        if self.listeners.is_short(now) {
            self.make_room();
        }
    }

    /// Adds an accepted connection. If its request has already arrived, registration reports it as
    /// ready.
    pub(crate) fn admit(&mut self, (stream, peer): Accepted<R>, router: usize) {
        let Some(place) = self.routers.get(router) else {
            return;
        };
        let protocol = WebSocket::server(place.limits.clone(), self.core.now());
        let announces = place.announces(peer);
        let protocol = if announces { protocol.behind_proxy() } else { protocol };
        let conn =
            self.core.sockets.registry.insert(Socket::accepted(protocol, router, peer.into()));
        self.routers.enter(router);
        self.core.streams.insert(conn.index(), stream);
        #[cfg(feature = "tls")]
        if !announces {
            self.accept_tls(conn, &[]);
        }
        self.enforce_place_limits();
        if let Err(error) = self.core.streams.register(conn.index(), conn.to_bits()) {
            self.core.sockets.registry.fail(conn, error);
        }
    }
}
