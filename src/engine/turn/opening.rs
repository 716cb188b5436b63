//! Raw streams that are not open: the header of a proxy, the handshake of TLS, then `on_open`.

use std::io;

use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::rates::limiting::Limiting;
use crate::engine::turn::read::{Batch, Received};
use crate::net::disconnect::ConnectError;
use crate::net::socket::Socket;
use crate::net::streams::Transmit;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Carries on with opening a raw stream. Receives once if that is needed.
    #[inline(never)]
    pub(crate) fn receive_opening(
        &mut self,
        conn: Key,
        buffer: &mut [u8],
        hangup: bool,
        state: &mut S,
    ) -> Received {
        let stream = self.core.sockets.raw_streams().get_mut(conn);
        if stream.is_some_and(|stream| stream.expects_proxy_header()) {
            return self.receive_proxy_header(conn, buffer);
        }
        let room = buffer.len();
        let negotiates = self.core.streams.is_handshaking(conn.index());
        let received = negotiates.then(|| self.core.streams.recv(conn.index(), buffer));
        let has_failed = received.as_ref().is_some_and(Result::is_err);
        if !has_failed && !self.core.streams.is_handshaking(conn.index()) {
            let endpoint = self.core.sockets.get(conn).and_then(Socket::endpoint);
            let handler = endpoint.and_then(|slot| self.core.endpoints.stream_handler(slot));
            self.core.sockets.raw_streams().open(conn, handler);
            self.open(conn, None, state);
        }
        let end = match received {
            None => return Received::More(0),
            Some(Ok(Some(len))) if len > 0 => len,
            Some(other) => return self.receive_end(conn, other),
        };
        Limiting::new(self.core.erased()).charge_behind_head(conn, end);
        let batch = Batch { input: &mut buffer[..end], at: 0, is_drained: end < room && !hangup };
        self.handle_batch(conn, batch, false, state)
    }

    /// Receives the header of the PROXY protocol, or some of it.
    fn receive_proxy_header(&mut self, conn: Key, buffer: &mut [u8]) -> Received {
        let end = match self.core.streams.recv(conn.index(), buffer) {
            Ok(Some(len)) if len > 0 => len,
            other => return self.receive_end(conn, other),
        };
        let Some(stream) = self.core.sockets.raw_streams().get_mut(conn) else {
            return Received::Ended;
        };
        match stream.read_proxy_header(&buffer[..end]) {
            Ok((_, None)) => Received::More(end),
            Ok((used, Some(header))) => {
                self.note_client(conn, &header);
                self.core.erased().begin_after_header(conn, &buffer[used..end]);
                Received::More(end)
            }
            Err(_) => {
                let error = io::ErrorKind::InvalidData.into();
                self.core.sockets.end_unopened(conn, ConnectError::Io(error));
                Received::Ended
            }
        }
    }
}

impl Core<dyn Transmit + '_> {
    /// Begins TLS behind the header, or keeps what came behind it until the stream is open.
    fn begin_after_header(&mut self, conn: Key, received: &[u8]) {
        #[cfg(feature = "tls")]
        if self.accept_tls(conn, received) {
            return;
        }
        if !received.is_empty() {
            self.sockets.keep_leftover(conn, received);
        }
    }
}
