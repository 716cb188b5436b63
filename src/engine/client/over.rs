//! Client handshakes over streams that the application made.

use std::io;

use crate::config::ClientConfig;
use crate::engine::client::connect::{begin_handshake, connect_with};
use crate::engine::client::route::Route;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::handler::WebSocketHandler;
use crate::engine::ids::{ConnectionId, EndpointId};
use crate::error::Error;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::reactor::{MioStream, Reactor};
use crate::slots::Key;

impl Context<'_> {
    /// Opens a WebSocket over a connected stream of the standard library's types, with a registered
    /// handler ([`EventLoop::client_endpoint`]): through a tunnel of another kind, for instance, or
    /// over one end of a pair. Nothing may have been read from the stream that belongs to the
    /// WebSocket.
    ///
    /// `url` determines the request, and TLS with `wss`. Nothing is looked up: the configuration's
    /// addresses, Unix socket and proxy are not used. A redirect would need another stream, so it
    /// is a refusal ([`ConnectError::Refused`](crate::ConnectError::Refused)), and so would a
    /// further attempt, so the connection belongs to no link.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`Error::Io`] if the stream is not connected.
    pub fn connect_over(
        &mut self,
        endpoint: EndpointId,
        url: &str,
        stream: impl Into<MioStream>,
    ) -> Result<ConnectionId, Error> {
        connect_over(self.core, endpoint, url, stream.into()).map(ConnectionId)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Opens a WebSocket over a connected stream, with `handler` for the connection, as
    /// [`Context::connect_over`].
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use eventwire::{ClientConfig, Config, EventLoop, on_message};
    ///
    /// let (ours, theirs) = UnixStream::pair().expect("a pair");
    /// let print = on_message(|_, message, _: &mut ()| println!("{message:?}"));
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.connect_over(ours, "ws://localhost/", ClientConfig::default(), print)?;
    /// # drop(theirs);
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Context::connect_over`].
    pub fn connect_over(
        &mut self,
        stream: impl Into<MioStream>,
        url: &str,
        config: ClientConfig,
        handler: impl WebSocketHandler<S> + 'static,
    ) -> Result<ConnectionId, Error> {
        connect_with(self, config, handler, |cx, endpoint| cx.connect_over(endpoint, url, stream))
    }
}

fn connect_over(
    core: &mut Core<dyn Transmit + '_>,
    endpoint: EndpointId,
    url: &str,
    stream: MioStream,
) -> Result<Key, Error> {
    let route = core.route(endpoint, url)?.over_given_stream();
    let peer = stream.prepare().map_err(Error::io("use the given stream"))?;
    let (protocol, request) = begin_handshake(core, &route)?;
    let mut socket = Socket::new(protocol, route.handler());
    socket.peer = peer.into();
    let conn = core.at_present(|core| core.sockets.registry.insert(socket));
    core.sockets.handshakes().queue_request(conn, &request);
    if let Err(error) = begin(core, conn, &route, stream) {
        core.streams.close(conn.index());
        core.sockets.remove(conn);
        return Err(Error::io("use the given stream")(error));
    }
    core.endpoints.enter(endpoint.0.index());
    Ok(conn)
}

/// Gives the connection its stream. The request leaves once the stream is reported as ready.
fn begin(
    core: &mut Core<dyn Transmit + '_>,
    conn: Key,
    route: &Route,
    stream: MioStream,
) -> io::Result<()> {
    core.streams.adopt(conn.index(), stream)?;
    #[cfg(feature = "tls")]
    if let Some((tls, host)) = route.tls() {
        core.streams.connect_tls(conn.index(), &tls, &host, &[])?;
    }
    #[cfg(not(feature = "tls"))]
    let _ = route;
    core.streams.register(conn.index(), conn.to_bits())
}
