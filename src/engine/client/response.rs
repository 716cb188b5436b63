//! What a server or its proxy responds to a client, and how the connection goes on.

use std::io;

use crate::engine::client::connect::begin_handshake;
use crate::engine::client::route::Route;
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::ids::ConnectionId;
use crate::engine::turn::calls::HandlerCall;
use crate::engine::turn::requests::Dial;
use crate::logging::log_line;
use crate::net::disconnect::ConnectError;
use crate::net::life::Life;
use crate::net::rare_state::End;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::proto::handshake::{RedirectError, Refused, UrlError};
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// The server has accepted the connection, with this head.
    pub(crate) fn accepted(&mut self, conn: Key, head: &[u8], state: &mut S) {
        self.core.routes.remove(ConnectionId(conn));
        let socket = self.core.sockets.get_mut(conn);
        let socket = socket.and_then(|socket| socket.protocol.web_socket_mut());
        let Some(response) = socket.and_then(|socket| socket.handshake().response(head)) else {
            return;
        };
        self.call(conn, HandlerCall::Response, |handler, conn| {
            if let Some(handler) = handler.web_socket() {
                handler.on_response(conn, &response, state);
            }
        });
        // The handler may have closed it, or panicked.
        if self.core.sockets.get(conn).is_some_and(Socket::is_being_made) {
            self.core.sockets.handshakes().open(conn);
            self.open(conn, response.subprotocol(), state);
        }
    }
}

impl Core<dyn Transmit + '_> {
    /// The proxy has opened a tunnel to the server, from which `received` has already come. Returns
    /// whether the connection uses TLS from here on.
    pub(crate) fn enter_tunnel(&mut self, conn: Key, received: &[u8]) -> bool {
        // What is still to be sent is for the proxy, and must not be sent to the server.
        if self.sockets.get(conn).is_none_or(|socket| socket.outbox.is_some()) {
            self.sockets.registry.fail(conn, io::ErrorKind::InvalidData.into());
            return false;
        }
        #[cfg(feature = "tls")]
        let is_encrypted = connect_tls(self, conn, received);
        #[cfg(not(feature = "tls"))]
        let is_encrypted = {
            let _ = received;
            false
        };
        self.sockets.handshakes().request(conn);
        is_encrypted
    }

    /// Follows a redirect, if that is how the connection has ended and redirects are followed.
    /// Otherwise, or if this one must not be followed, returns the end of the connection.
    pub(crate) fn follow_redirect(&mut self, conn: Key, end: End) -> Option<End> {
        let End::Connect(ConnectError::Refused(refused)) = end else {
            return Some(end);
        };
        let route = self.routes.get(ConnectionId(conn));
        let is_followed = route.is_some_and(Route::follows_redirects);
        if !is_followed || self.ending.check_serving().is_err() || !refused.is_redirect() {
            return Some(End::Connect(ConnectError::Refused(refused)));
        }
        let outcome = self.at_present(|core| redirect(core, conn, &refused));
        outcome.err().map(|error| End::Connect(ConnectError::Redirect(error)))
    }

    /// Cancels a connection that has just been redirected. Returns whether it was.
    pub(crate) fn cancel_redirect(&mut self, conn: Key) -> bool {
        let id = ConnectionId(conn);
        let Some(socket) = self.sockets.get_mut(conn).filter(|it| it.life == Life::Opening) else {
            return false;
        };
        if !self.routes.get(id).is_some_and(Route::follows_redirects) {
            return false;
        }
        self.routes.remove(id);
        socket.rare.overrule_end(End::Connect(ConnectError::Cancelled));
        self.sockets.registry.kill(conn);
        true
    }
}

/// Starts TLS on a stream that leads to the server, if its URL requires it. Returns whether it
/// does.
#[cfg(feature = "tls")]
fn connect_tls(core: &mut Core<dyn Transmit + '_>, conn: Key, received: &[u8]) -> bool {
    let route = core.routes.get(ConnectionId(conn));
    let Some((tls, host)) = route.and_then(Route::tls) else {
        return false;
    };
    if let Err(error) = core.streams.connect_tls(conn.index(), &tls, &host, received) {
        core.sockets.registry.fail(conn, error);
    }
    true
}

/// Begins anew with the URL that the response names. The connection keeps its id.
fn redirect(
    core: &mut Core<dyn Transmit + '_>,
    conn: Key,
    response: &Refused,
) -> Result<(), RedirectError> {
    let id = ConnectionId(conn);
    let Some(route) = core.routes.get(id) else {
        return Ok(());
    };
    let route = route.redirected(response)?;
    log_line!(debug, "connection {id}: redirected to {}", route.url().host_header());
    core.streams.close(conn.index());
    // The configuration was valid for the first URL.
    let (protocol, request) = begin_handshake(core, &route)
        .map_err(|_| RedirectError::InvalidLocation(UrlError::Target))?;
    core.sockets.handshakes().restart(conn, protocol, route.connector());
    core.sockets.handshakes().queue_request(conn, &request);
    core.requests.dial(Dial { conn, to: route.destination() });
    core.routes.insert(id, route);
    Ok(())
}
