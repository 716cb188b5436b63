//! Flushing: from the cork and the outboxes to the streams.

use std::io::IoSlice;

use super::Sockets;
use super::sender::Sender;
use crate::net::cork::Unsent;
use crate::net::life::Life;
use crate::net::outbox::SLICES_MAX;
use crate::proto::State;
use crate::slots::Key;

impl Sender<'_> {
    /// Sends what was gathered for the connection at hand, in one call if the stream takes it.
    #[inline]
    pub(crate) fn flush_cork(&mut self, received: &[u8]) {
        let Sockets { registry, output } = &mut *self.sockets;
        let (conn, len) = (registry.input.conn(), output.cork.len());
        if len == 0 {
            return;
        }
        let (sent, offered) = match output.cork.as_slice(received) {
            Some(slice) => (self.io.transmit(conn.index(), &[IoSlice::new(slice)]), len),
            None => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let offer = output.cork.slices(received, &mut slices);
                (self.io.transmit(conn.index(), &slices[..offer.slices]), offer.bytes)
            }
        };
        match sent {
            Ok(sent) if sent == len => output.cork.clear(&mut output.storage),
            // By another sender, so that this one stays in registers.
            Ok(sent) => Sender::new(self.sockets, self.io).spill(sent, sent < offered, received),
            Err(error) => {
                output.cork.clear(&mut output.storage);
                registry.fail(conn, error);
            }
        }
    }

    /// Moves what the stream did not take of the cork to an outbox.
    fn spill(&mut self, sent: usize, is_blocked: bool, received: &[u8]) {
        let Sockets { registry, output } = &mut *self.sockets;
        let conn = registry.input.conn();
        let unsent = Unsent { sent, received, framing: registry.table.framing(conn) };
        let outbox = output.cork.spill(unsent, &mut output.outboxes, &mut output.storage);
        if let Some(socket) = registry.table.get_mut(conn) {
            socket.outbox = Some(outbox);
        }
        if is_blocked {
            output.note_blocked(registry, conn);
        } else {
            self.flush(conn);
        }
    }

    /// Sends what is queued for a connection, until it is empty or the stream takes no more.
    pub(crate) fn flush(&mut self, conn: Key) {
        let Sockets { registry, output } = &mut *self.sockets;
        loop {
            let now = registry.now;
            let Some(socket) = registry.table.get_mut(conn).filter(|socket| !socket.blocked) else {
                return;
            };
            let Some(outbox) = &mut socket.outbox else {
                return;
            };
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let offer = outbox.slices(&mut slices, &output.storage);
            let sent = match self.io.transmit(conn.index(), &slices[..offer.slices]) {
                Ok(sent) => sent,
                Err(error) => return registry.fail(conn, error),
            };
            outbox.consume(sent, &mut output.storage, now);
            if sent > 0 && outbox.progress.is_some() {
                // The output had to wait for the peer, which has read some: it is alive, though our
                // ping may wait behind all this, or its pong be unread.
                socket.protocol.note_progress(now);
            }
            if sent < offer.bytes {
                return output.note_blocked(registry, conn);
            }
            if outbox.is_empty() {
                return self.note_empty(conn);
            }
        }
    }

    /// Flushes those that others' handlers wrote to.
    #[inline]
    pub(crate) fn flush_dirty(&mut self) {
        if self.sockets.output.has_dirty() {
            self.flush_all_dirty();
        }
    }

    #[inline(never)]
    fn flush_all_dirty(&mut self) {
        for _ in 0..self.sockets.output.dirty.len() {
            let Sockets { registry, output } = &mut *self.sockets;
            if let Some(conn) = output.dirty.pop(&mut registry.table) {
                self.flush(conn);
            }
        }
    }

    /// The stream may take more.
    pub(crate) fn unblock(&mut self, conn: Key) {
        if let Some(socket) = self.sockets.get_mut(conn).filter(|socket| socket.blocked) {
            socket.blocked = false;
            if socket.unsent.conflates {
                self.adapt_unsent(conn);
            }
            self.flush(conn);
        }
    }

    fn note_empty(&mut self, conn: Key) {
        let Sockets { registry, output } = &mut *self.sockets;
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        let (state, is_closing_stream) = (socket.protocol.state(), socket.is_closing_stream());
        if let Some(outbox) = socket.outbox.take() {
            let has_waited = outbox.progress.is_some();
            if has_waited && state == State::Open && socket.life == Life::Open {
                output.drained.push(conn, socket);
            }
            output.give_back(outbox);
            registry.memory.pass_over_output(conn);
        }
        if state == State::Closed || is_closing_stream {
            registry.queue_reaping(conn);
        }
        // Having read, the peer may be due for its next ping sooner than for its last pong.
        registry.arm(conn);
        registry.resume_if_unread(conn);
        if matches!(state, State::Connecting | State::Closed) {
            let is_flushed = self.io.is_flushed(conn.index());
            registry.note_standing(conn, is_flushed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::net::limits::{MemoryCaps, OutboxLimits, SocketLimits};
    use crate::net::listeners::BindError;
    use crate::net::peer::PeerAddr;
    use crate::net::places::PlaceLimits;
    use crate::net::socket::Socket;
    use crate::net::streams::Transmit;
    use crate::proto::{Limits, MaskKeys, Role, WebSocket};
    use crate::reactor::{MioListener, MioStream};
    #[cfg(feature = "tls")]
    use crate::reactor::{TlsClient, TlsServer};
    use crate::time::Time;

    /// A stream that takes this many more bytes.
    struct Narrow(usize);

    impl Transmit for Narrow {
        fn transmit(&mut self, _: usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let sent = slices.iter().map(|slice| slice.len()).sum::<usize>().min(self.0);
            self.0 -= sent;
            Ok(sent)
        }

        fn is_flushed(&mut self, _: usize) -> bool {
            true
        }

        fn limit_unsent(&mut self, _: usize, _: Option<u32>) {}

        #[cfg(feature = "tls")]
        fn peer_certificates(&self, _: usize) -> Vec<&[u8]> {
            Vec::new()
        }

        fn now(&mut self) -> Time {
            Time::BEGINNING
        }

        fn beginning(&self) -> Instant {
            Instant::now()
        }

        fn bind(&mut self, _: &[SocketAddr], _: u32, _: usize) -> Result<Vec<Key>, BindError> {
            Ok(Vec::new())
        }

        fn bind_unix(&mut self, _: &Path, _: u32, _: usize) -> io::Result<Key> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn adopt_listener(&mut self, _: MioListener, _: usize) -> io::Result<Key> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn close_listeners(&mut self, _: &[Key]) {}

        fn local_addr(&self, _: Key) -> Option<SocketAddr> {
            None
        }

        fn adopt(&mut self, _: usize, _: MioStream) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn register(&mut self, _: usize, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn close(&mut self, _: usize) {}

        #[cfg(feature = "tls")]
        fn connect_tls(&mut self, _: usize, _: &TlsClient, _: &str, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        #[cfg(feature = "tls")]
        fn accept_tls(&mut self, _: usize, _: &TlsServer, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn sockets() -> (Sockets, Key) {
        let outbox = OutboxLimits { soft: 1000, hard: 2000, stall: Duration::from_secs(1) };
        let memory = MemoryCaps { inbound: 10_000, outbound: 10_000, connections: 1 };
        let places = PlaceLimits { asking: 1, idle: 1 };
        let limits = SocketLimits { outbox, memory, places };
        let keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(7));
        let mut sockets = Sockets::new(1, keys, Time::BEGINNING, limits);
        let limits = Arc::new(Limits::default());
        let protocol = WebSocket::opened(Role::Server, limits, Time::BEGINNING);
        let conn = sockets.registry.insert(Socket::accepted(protocol, 0, PeerAddr::None));
        sockets.get_mut(conn).expect("it is there").life.open();
        (sockets, conn)
    }

    #[test]
    fn a_connection_is_in_the_drained_queue_once_however_often_its_outbox_empties() {
        let (mut sockets, conn) = sockets();
        let wait_and_drain = |sockets: &mut Sockets| {
            let (mut full, mut wide) = (Narrow(0), Narrow(1000));
            let mut sender = Sender::new(sockets, &mut full);
            sender.ping(conn, b"ping");
            sender.flush_dirty();
            Sender::new(sockets, &mut wide).unblock(conn);
        };
        for _ in 0..2 {
            (0..5).for_each(|_| wait_and_drain(&mut sockets));
            assert_eq!(sockets.output.drained_len(), 1);
            assert_eq!(sockets.next_drained(), Some(conn));
            assert_eq!(sockets.next_drained(), None);
        }
        // A removed connection stays in the queue; the next one in its slot has another key.
        wait_and_drain(&mut sockets);
        sockets.remove(conn);
        assert_eq!((sockets.next_drained(), sockets.output.drained_len()), (Some(conn), 0));
    }
}
