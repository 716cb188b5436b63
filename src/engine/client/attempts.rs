//! From the addresses of a server to a connection: the first attempt that succeeds (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::engine::event_loop::EventLoop;
use crate::engine::handle::Resolved;
use crate::net::attempts::{Attempt, Target};
use crate::net::connector::{Connector, interleave};
use crate::net::named::Named;
use crate::net::peer::PeerAddr;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Whether there are as many connections as the configuration allows.
    pub(crate) fn is_full(&self) -> bool {
        self.core.sockets.len() + self.attempts.extra() >= self.max_connections
    }

    /// Goes on with connections whose names were looked up.
    #[inline(never)]
    pub(crate) fn serve_resolved(&mut self) {
        while let Some(Resolved { conn, addresses }) = self.shared.resolved.pop() {
            match addresses {
                Ok(addresses) => self.try_addresses(conn, interleave(&addresses)),
                Err(error) => self.core.sockets.registry.fail(conn, error),
            }
        }
    }

    /// What a connection that is being made has to try, unless it is ending.
    pub(crate) fn connector(&mut self, conn: Key) -> Option<&mut Connector> {
        self.core.sockets.get_mut(conn).filter(|socket| !socket.is_dead())?.rare.connector_mut()
    }

    pub(crate) fn try_addresses(&mut self, conn: Key, addresses: Vec<SocketAddr>) {
        if let Some(connector) = self.connector(conn) {
            connector.lookup = None;
            connector.set_addresses(addresses);
            self.try_next(conn, io::ErrorKind::NotFound.into());
        }
    }

    pub(crate) fn try_path(&mut self, conn: Key, path: &Path) {
        if let Err(error) = self.begin_attempt(conn, Target::Path(path)) {
            self.core.sockets.registry.fail(conn, error);
        }
    }

    /// Tries the next address; `error` is why the one before failed. With no more addresses and no
    /// attempt under way, that is why there is no connection.
    fn try_next(&mut self, conn: Key, mut error: io::Error) {
        while let Some(connector) = self.connector(conn) {
            let Some(address) = connector.addresses.pop() else {
                if connector.attempts.is_empty() {
                    self.core.sockets.registry.fail(conn, error);
                }
                return;
            };
            match self.begin_attempt(conn, Target::Address(address)) {
                Ok(()) => return,
                Err(failure) => error = failure,
            }
        }
    }

    fn begin_attempt(&mut self, conn: Key, target: Target<'_>) -> io::Result<()> {
        let socket = self.core.sockets.get_mut(conn);
        let Some(connector) = socket.and_then(|socket| socket.rare.connector_mut()) else {
            return Ok(());
        };
        let reactor = &mut self.core.streams.reactor;
        let attempt = self.attempts.begin(reactor, conn, &connector.attempts, target)?;
        connector.attempts.push(attempt);
        if !connector.addresses.is_empty() {
            self.attempts.note_next(attempt, reactor.now());
        }
        Ok(())
    }

    /// Tries the next addresses of connections whose latest attempts take their time.
    #[inline(never)]
    pub(crate) fn serve_attempts(&mut self) {
        while let Some((attempt, conn)) = self.attempts.next_due(self.core.now()) {
            let is_full = self.is_full();
            let Some(connector) = self.connector(conn) else {
                continue;
            };
            // An earlier one's time was up when the latest one began.
            if connector.attempts.last() != Some(&attempt) || connector.addresses.is_empty() {
                continue;
            }
            if is_full {
                self.attempts.note_next(attempt, self.core.now());
            } else {
                self.try_next(conn, io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Readiness names an attempt, whose outcome may be known.
    #[inline(never)]
    pub(crate) fn serve_attempt(&mut self, attempt: Key) {
        let outcome = self.attempts.outcome(&mut self.core.streams.reactor, attempt);
        let Some(outcome) = outcome else {
            return;
        };
        let Some(attempt) = self.end_attempt(attempt) else {
            return;
        };
        match outcome {
            Ok(()) => {
                let conn = attempt.conn;
                if let Err(error) = self.finish_connect(attempt) {
                    self.core.sockets.registry.fail(conn, error);
                }
            }
            Err(error) => self.try_next(attempt.conn, error),
        }
    }

    fn end_attempt(&mut self, key: Key) -> Option<Attempt<R>> {
        let attempt = self.attempts.take(key)?;
        if let Some(connector) = self.connector(attempt.conn) {
            connector.attempts.retain(|other| *other != key);
        }
        Some(attempt)
    }

    /// The connection is made, by that attempt.
    fn finish_connect(&mut self, attempt: Attempt<R>) -> io::Result<()> {
        let Attempt { conn, address, mut stream, .. } = attempt;
        if self.connector(conn).is_none() {
            return Ok(());
        }
        #[cfg(feature = "tls")]
        {
            stream = self.connect_tls(conn, stream)?;
        }
        self.core.streams.rekey(&mut stream, Named::Connection(conn).to_bits())?;
        self.core.streams.insert(conn.index(), stream);
        if let Some(socket) = self.core.sockets.get_mut(conn) {
            socket.peer = PeerAddr::from(address);
            let connector = socket.rare.take_connector();
            self.abandon(connector);
        }
        self.core.sender().unblock(conn);
        Ok(())
    }

    /// Closes what is under way of a connection that is made, or is not to be made any more.
    pub(crate) fn abandon(&mut self, connector: Option<Connector>) {
        for attempt in connector.into_iter().flat_map(|connector| connector.attempts) {
            self.attempts.take(attempt);
        }
    }
}
