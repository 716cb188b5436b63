//! From the addresses of a server to a connection: the first attempt that succeeds (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::engine::core::Core;
use crate::engine::handle::{News, Resolved};
use crate::engine::turn::requests::{Destination, Dial};
use crate::net::attempts::{Attempt, Attempts, Target};
use crate::net::connector::{Connector, interleave};
use crate::net::named::Named;
use crate::net::peer::PeerAddr;
use crate::net::sockets::Sockets;
use crate::net::streams::Streams;
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::time::Time;

/// Makes client connections: looks names up and tries their addresses.
pub(crate) struct Dialer<R: Reactor> {
    attempts: Attempts<R>,
}

impl<R: Reactor> Dialer<R> {
    pub(crate) const fn new() -> Self {
        Self { attempts: Attempts::new() }
    }

    /// How many attempts are in progress.
    pub(crate) fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Whether a slow attempt's next address may be due.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.attempts.is_due(now)
    }

    /// When the next address is due.
    pub(crate) fn deadline(&mut self) -> Option<Time> {
        self.attempts.deadline()
    }

    /// Dials a connection.
    pub(crate) fn dial(&mut self, core: &mut Core<Streams<R>>, dial: Dial) {
        let Dial { conn, to } = dial;
        match to {
            Destination::Host(host, port) => look_up(core, conn, &host, port),
            Destination::Addresses(addresses) => self.try_addresses(core, conn, addresses),
            Destination::Path(path) => self.try_path(core, conn, &path),
        }
    }

    /// Continues a connection whose name lookup has finished.
    pub(crate) fn resolved(&mut self, core: &mut Core<Streams<R>>, resolved: Resolved) {
        let Resolved { conn, addresses } = resolved;
        match addresses {
            Ok(addresses) => self.try_addresses(core, conn, interleave(&addresses)),
            Err(error) => core.sockets.registry.fail(conn, error),
        }
    }

    fn try_addresses(
        &mut self,
        core: &mut Core<Streams<R>>,
        conn: Key,
        addresses: Vec<SocketAddr>,
    ) {
        if let Some(connector) = connector(&mut core.sockets, conn) {
            connector.lookup = None;
            connector.set_addresses(addresses);
            self.try_next(core, conn, io::ErrorKind::NotFound.into());
        }
    }

    fn try_path(&mut self, core: &mut Core<Streams<R>>, conn: Key, path: &Path) {
        if let Err(error) = self.begin_attempt(core, conn, Target::Path(path)) {
            core.sockets.registry.fail(conn, error);
        }
    }

    /// Tries the next address. `error` is why the previous one failed. The connection fails with it
    /// if no address is left and no attempt is in progress.
    fn try_next(&mut self, core: &mut Core<Streams<R>>, conn: Key, mut error: io::Error) {
        while let Some(connector) = connector(&mut core.sockets, conn) {
            let Some(address) = connector.addresses.pop() else {
                if connector.attempts.is_empty() {
                    core.sockets.registry.fail(conn, error);
                }
                return;
            };
            match self.begin_attempt(core, conn, Target::Address(address)) {
                Ok(()) => return,
                Err(failure) => error = failure,
            }
        }
    }

    fn begin_attempt(
        &mut self,
        core: &mut Core<Streams<R>>,
        conn: Key,
        target: Target<'_>,
    ) -> io::Result<()> {
        let socket = core.sockets.get_mut(conn);
        let Some(connector) = socket.and_then(|socket| socket.rare.connector_mut()) else {
            return Ok(());
        };
        let reactor = &mut core.streams.reactor;
        let attempt = self.attempts.begin(reactor, conn, &connector.attempts, target)?;
        core.room.set_extra_attempts(self.attempts.extra());
        connector.attempts.push(attempt);
        if !connector.addresses.is_empty() {
            self.attempts.note_next(attempt, reactor.now());
        }
        Ok(())
    }

    /// Tries the next addresses of connections whose latest attempts are slow.
    #[inline(never)]
    pub(crate) fn serve_due(&mut self, core: &mut Core<Streams<R>>) {
        let now = core.now();
        while let Some((attempt, conn)) = self.attempts.next_due(now) {
            let is_full = core.is_full();
            let Some(connector) = connector(&mut core.sockets, conn) else {
                continue;
            };
            // Only the latest attempt starts the next one.
            if connector.attempts.last() != Some(&attempt) || connector.addresses.is_empty() {
                continue;
            }
            if is_full {
                self.attempts.note_next(attempt, now);
            } else {
                self.try_next(core, conn, io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Handles readiness of an attempt, which may have succeeded or failed.
    #[inline(never)]
    pub(crate) fn serve_attempt(&mut self, core: &mut Core<Streams<R>>, attempt: Key) {
        let outcome = self.attempts.outcome(&mut core.streams.reactor, attempt);
        let Some(outcome) = outcome else {
            return;
        };
        let Some(attempt) = self.end_attempt(core, attempt) else {
            return;
        };
        match outcome {
            Ok(()) => {
                let conn = attempt.conn;
                if let Err(error) = self.finish_connect(core, attempt) {
                    core.sockets.registry.fail(conn, error);
                }
            }
            Err(error) => self.try_next(core, attempt.conn, error),
        }
    }

    fn end_attempt(&mut self, core: &mut Core<Streams<R>>, key: Key) -> Option<Attempt<R>> {
        let attempt = self.attempts.take(key)?;
        core.room.set_extra_attempts(self.attempts.extra());
        if let Some(connector) = connector(&mut core.sockets, attempt.conn) {
            connector.attempts.retain(|other| *other != key);
        }
        Some(attempt)
    }

    /// Makes the connection with the stream of the attempt that succeeded.
    fn finish_connect(
        &mut self,
        core: &mut Core<Streams<R>>,
        attempt: Attempt<R>,
    ) -> io::Result<()> {
        let Attempt { conn, address, mut stream, .. } = attempt;
        if connector(&mut core.sockets, conn).is_none() {
            return Ok(());
        }
        #[cfg(feature = "tls")]
        {
            stream = encrypt(core, conn, stream)?;
        }
        core.streams.rekey(&mut stream, Named::Connection(conn).to_bits())?;
        core.streams.insert(conn.index(), stream);
        if let Some(socket) = core.sockets.get_mut(conn) {
            socket.peer = PeerAddr::from(address);
            let connector = socket.rare.take_connector();
            self.abandon(core, connector);
        }
        core.sender().unblock(conn);
        if core.sockets.get(conn).is_some_and(|socket| socket.protocol.is_stream()) {
            core.sockets.raw_streams().begin(conn);
        }
        Ok(())
    }

    /// Cancels the remaining attempts of a connection that has been made or has ended.
    pub(crate) fn abandon(&mut self, core: &mut Core<Streams<R>>, connector: Option<Connector>) {
        for attempt in connector.into_iter().flat_map(|connector| connector.attempts) {
            self.attempts.take(attempt);
        }
        core.room.set_extra_attempts(self.attempts.extra());
    }
}

/// Looks a name up on another thread.
fn look_up<R: Reactor>(core: &mut Core<Streams<R>>, conn: Key, host: &str, port: u16) {
    let handle = core.handle.clone();
    let done = Box::new(move |addresses| handle.tell(News::Resolved(Resolved { conn, addresses })));
    match core.streams.reactor.resolve(host, port, done) {
        Ok(lookup) => {
            if let Some(connector) = connector(&mut core.sockets, conn) {
                connector.lookup = Some(lookup);
            }
        }
        Err(error) => core.sockets.registry.fail(conn, error),
    }
}

/// The addresses and attempts of a connection that is being made. `None` if it is ending.
fn connector(sockets: &mut Sockets, conn: Key) -> Option<&mut Connector> {
    sockets.get_mut(conn).filter(|socket| !socket.is_dead())?.rare.connector_mut()
}

/// The stream of a connection that is being made, with TLS if its URL requires it.
#[cfg(feature = "tls")]
fn encrypt<R: Reactor>(
    core: &mut Core<Streams<R>>,
    conn: Key,
    stream: R::Stream,
) -> io::Result<R::Stream> {
    let connector = core.sockets.get_mut(conn).and_then(|socket| socket.rare.connector_mut());
    let Some((tls, host)) = connector.and_then(|connector| connector.tls.clone()) else {
        return Ok(stream);
    };
    core.streams.reactor.encrypt(stream, crate::reactor::Tls::Client(&tls, &host), &[])
}
