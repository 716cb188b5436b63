//! Raw streams: their input, and what is kept of it.

use super::Sockets;
use super::table::Kept;
use crate::net::disconnect::Disconnect;
use crate::net::rare_state::End;
use crate::proto::stream::{Data, InputError, RawStream};
use crate::slots::Key;

impl Sockets {
    /// What an open raw stream has kept of its input, when more has come; `None` if the connection
    /// is something else.
    #[inline]
    pub(crate) fn take_kept(&mut self, conn: Key) -> Option<Kept> {
        self.registry.table.take_kept(conn, self.registry.now)
    }

    /// Keeps what the handler of a raw stream has not used of its input. A stream is closed if that
    /// is more than may be kept.
    #[inline(never)]
    pub(crate) fn keep_data(&mut self, conn: Key, data: Data<'_>, used: usize) {
        let Some(socket) = self.registry.table.get_mut(conn) else {
            return;
        };
        let is_paused = socket.paused;
        let Some(stream) = socket.protocol.stream_mut() else {
            return;
        };
        match stream.keep(data, used, is_paused, &mut self.output.storage.buffers) {
            Ok(()) => {}
            Err(InputError::Unused { limit }) => {
                self.fail_stream(conn, Disconnect::UnusedInput { limit });
            }
            Err(InputError::Overused { used, lent }) => {
                self.fail_stream(conn, Disconnect::OverusedInput { used, lent });
            }
        }
    }

    #[cold]
    fn fail_stream(&mut self, conn: Key, reason: Disconnect) {
        self.end_after_queued(conn, End::Disconnect(reason));
    }

    pub(crate) fn stream_mut(&mut self, conn: Key) -> Option<&mut RawStream> {
        self.registry.table.get_mut(conn)?.protocol.stream_mut()
    }

    /// Gives back the storage of what a raw stream has kept, after that was copied.
    pub(crate) fn forget_kept(&mut self, conn: Key) {
        let now = self.registry.now;
        if let Some(stream) = self.stream_mut(conn) {
            let storage = stream.take_kept(now);
            self.output.storage.buffers.give(storage);
        }
    }

    /// If the connection is a raw stream, it is opened in this turn or the next, as soon as it is
    /// ready.
    pub(crate) fn begin_stream(&mut self, conn: Key) {
        if self.get(conn).is_some_and(|socket| socket.protocol.is_stream()) {
            self.registry.resume(conn);
        }
    }

    /// A raw stream is connected, and encrypted if it is to be.
    /// `handler` is the index of its handler, if that was not known.
    pub(crate) fn open_stream(&mut self, conn: Key, handler: Option<usize>) {
        let now = self.registry.now;
        let Some(socket) = self.registry.table.get_mut(conn) else {
            return;
        };
        if let Some(handler) = handler {
            socket.set_handler(handler);
        }
        if let Some(stream) = socket.protocol.stream_mut() {
            stream.open(now);
        }
    }
}
