//! New connections: each counts for its client's address.

use std::net::SocketAddr;

use crate::engine::rates::limiting::Limiting;
use crate::engine::turn::dispatch::from;
use crate::logging::log_line;
use crate::net::disconnect::ConnectError;
use crate::net::socket::Socket;
use crate::net::sockets::LimitedInput;
use crate::rates::{Admitted, Denied};
use crate::slots::Key;

impl Limiting<'_> {
    /// Counts a connection that was accepted from `peer` for the endpoint in that slot, before it
    /// has a slot of its own.
    ///
    /// # Errors
    ///
    /// If it is refused without a response.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        endpoint: usize,
        peer: Option<SocketAddr>,
        is_stream: bool,
    ) -> Result<Option<Admitted>, Denied> {
        if !self.core.limiter.is_used {
            return Ok(None);
        }
        self.admit_counted(endpoint, peer, is_stream).inspect_err(|denied| {
            log_line!(debug, "connection refused: {}, {}", denied.kind, from(peer));
        })
    }

    #[inline(never)]
    fn admit_counted(
        &mut self,
        endpoint: usize,
        peer: Option<SocketAddr>,
        is_stream: bool,
    ) -> Result<Option<Admitted>, Denied> {
        let address = self.core.endpoints.at(endpoint).and_then(|it| it.counted_address(peer));
        let Some(address) = address.filter(|address| self.core.limiter.counts(*address)) else {
            return Ok(None);
        };
        let now = self.core.now();
        let admitted = self.core.limiter.rates.admit(address, now);
        let denied = match admitted {
            Err(denied) => Some(denied),
            Ok(admitted) => admitted.and_then(|admitted| admitted.denied),
        };
        self.core.limiter.refused += u64::from(denied.is_some());
        match (admitted?, denied) {
            // There is no response that a raw stream could get.
            (Some(admitted), Some(denied)) if is_stream => {
                self.core.limiter.rates.abandon(admitted);
                Err(denied)
            }
            (admitted, _) => Ok(admitted),
        }
    }

    /// The connection has its slot.
    #[inline]
    pub(crate) fn join(&mut self, conn: Key, admitted: Option<Admitted>) {
        if let Some(admitted) = admitted {
            self.core.limiter.rates.join(conn, admitted);
            let is_limited = self.core.limiter.rates.limits_input(conn);
            LimitedInput::new(&mut self.core.sockets.registry, conn).set_limited(is_limited);
        }
    }

    /// Counts a connection whose proxy has named its client. If it is refused, a raw stream ends
    /// at once, and another connection with the response to its request, unless too many wait for
    /// that.
    pub(crate) fn count_client(&mut self, conn: Key) {
        let Some(socket) = self.core.sockets.get(conn) else {
            return;
        };
        let (endpoint, peer) = (socket.endpoint(), socket.peer.get());
        let is_stream = socket.protocol.is_stream();
        match endpoint.map(|endpoint| self.admit(endpoint, peer, is_stream)) {
            Some(Ok(admitted)) => self.join(conn, admitted),
            Some(Err(_)) => self.core.sockets.end_unopened(conn, ConnectError::Cancelled),
            None => {}
        }
    }

    /// Counts a WebSocket or a streamed response that is about to open for the client that a proxy
    /// has named in the request. Other connections have been counted.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub(crate) fn count_opening(&mut self, conn: Key) -> Result<(), Denied> {
        if !self.core.limiter.is_used || self.core.limiter.rates.counts_address(conn) {
            return Ok(());
        }
        let Some(socket) = self.core.sockets.get(conn) else {
            return Ok(());
        };
        let (endpoint, peer) = (socket.endpoint(), socket.peer.get());
        let admitted = endpoint.map_or(Ok(None), |it| self.admit_counted(it, peer, false))?;
        if let Some(Admitted { denied: Some(denied), .. }) = admitted {
            // It gets its response at once, and need not be kept in mind until then.
            admitted.into_iter().for_each(|it| self.core.limiter.rates.abandon(it));
            return Err(denied);
        }
        self.join(conn, admitted);
        Ok(())
    }

    /// The connection is open: from now on its input is limited.
    pub(crate) fn begin_limits(&mut self, conn: Key) {
        if !self.core.limiter.is_used
            || !self.core.sockets.get(conn).is_some_and(Socket::has_limited_input)
        {
            return;
        }
        // What has arrived behind the handshake waits until the limits are looked at.
        self.core.sockets.registry.set_halted(conn, true);
        let socket = self.core.sockets.get(conn);
        let waiting =
            socket.and_then(|socket| socket.rare.leftover()).map_or(0, |it| it.range.len());
        self.core.limiter.rates.charge(conn, 0, waiting as u64, self.core.sockets.now());
    }
}
