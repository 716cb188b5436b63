//! Accepts connections within the limits on connections.

use std::net::SocketAddr;

use crate::engine::core::Core;
use crate::engine::endpoints::{Endpoint, ServerEndpoint};
use crate::engine::event_loop::EventLoop;
use crate::engine::rates::limiting::Limiting;
use crate::error::Error;
use crate::net::listener::Accepted;
use crate::net::listeners::ACCEPT_BUDGET;
use crate::net::protocol::Protocol;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::WebSocket;
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::time::Time;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Accepts pending connections while there is room for them.
    #[inline(never)]
    pub(crate) fn accept(&mut self) {
        let (now, by) = (self.core.now(), self.backlog.served_until());
        for _ in 0..ACCEPT_BUDGET {
            let is_full = self.core.is_full();
            let streams = &mut self.core.streams;
            if is_full && streams.listeners.has_pending(&mut streams.reactor, now) {
                return self.make_room();
            }
            if is_full || !self.core.sockets.registry.places.takes_another(by) {
                break;
            }
            let Some((accepted, endpoint)) = streams.listeners.accept(&mut streams.reactor, now)
            else {
                break;
            };
            self.admit(accepted, endpoint);
        }
        if self.core.streams.listeners.is_short(now) {
            self.make_room();
        }
    }

    /// Adds an accepted connection.
    fn admit(&mut self, (stream, peer): Accepted<R>, endpoint: usize) {
        if let Ok(conn) = self.core.erased().begin_accepted(endpoint, peer) {
            self.core.streams.insert(conn.index(), stream);
            self.enforce_place_limits();
            self.core.erased().begin_serving(conn);
        }
    }
}

impl Core<dyn Transmit + '_> {
    /// Makes the entry of a connection that was accepted for the endpoint in that slot.
    ///
    /// # Errors
    ///
    /// If the limits of its address do not allow it. A connection that gets a response with that
    /// status is made.
    pub(crate) fn begin_accepted(
        &mut self,
        endpoint: usize,
        peer: Option<SocketAddr>,
    ) -> Result<Key, Error> {
        let protocol: Protocol = match self.endpoints.at(endpoint).ok_or(Error::UnknownListener)? {
            Endpoint::Server(server) => accepted(server, peer, self.sockets.now()).into(),
            Endpoint::Stream(stream) => stream.accepted(peer, self.sockets.now()).into(),
            Endpoint::Client(_) => return Err(Error::WrongEndpoint),
        };
        let is_stream = protocol.is_stream();
        let admitted = Limiting::new(self).admit(endpoint, peer, is_stream);
        let admitted = admitted.map_err(|_| Error::ConnectionLimit)?;
        let socket = Socket::accepted(protocol, endpoint, peer.into());
        self.endpoints.enter(endpoint);
        let conn = self.sockets.registry.insert(socket);
        if is_stream {
            self.sockets.raw_streams().begin(conn);
        }
        Limiting::new(self).join(conn, admitted);
        Ok(conn)
    }

    /// Begins to serve an accepted connection, whose stream is in its slot. If its request has
    /// already arrived, registration reports it as ready.
    pub(crate) fn begin_serving(&mut self, conn: Key) {
        #[cfg(feature = "tls")]
        if !self.announces(conn) {
            self.accept_tls(conn, &[]);
        }
        if let Err(error) = self.streams.register(conn.index(), conn.to_bits()) {
            self.sockets.registry.fail(conn, error);
        }
    }

    /// Whether an accepted connection begins with a PROXY protocol header.
    #[cfg(feature = "tls")]
    fn announces(&self, conn: Key) -> bool {
        self.sockets.get(conn).is_some_and(|socket| {
            let endpoint = socket.endpoint().and_then(|endpoint| self.endpoints.at(endpoint));
            endpoint.is_some_and(|endpoint| endpoint.announces(socket.peer.get()))
        })
    }
}

/// The protocol of a connection that was accepted from `peer`.
fn accepted(server: &ServerEndpoint, peer: Option<SocketAddr>, now: Time) -> WebSocket {
    let protocol = WebSocket::server(server.limits.clone(), now);
    if server.announces(peer) { protocol.behind_proxy() } else { protocol }
}
