//! Compressing what is sent to connections that have agreed to it: a message for one of them, or
//! frames that many get, once for each setting.

use bytes::Bytes;

use super::Sockets;
use crate::proto::{Message, Payload};
use crate::slots::Key;
use crate::topics::Run;

impl Sockets {
    /// Compresses a message for a connection into `out`, if it has agreed to that and it makes
    /// the message shorter.
    pub(super) fn compress<'a>(
        &mut self,
        conn: Key,
        message: Message<'a>,
        out: &'a mut Vec<u8>,
    ) -> Payload<'a> {
        let pool = &mut self.pool.buffers;
        let is_shorter = self.slots.get_mut(conn).is_some_and(|socket| {
            socket.protocol.compression().applies_to(message.len())
                && socket.protocol.compression_mut().compress(message.as_bytes(), out, pool)
        });
        if !is_shorter {
            return message.into();
        }
        Payload { opcode: message.opcode(), compressed: true, bytes: out }
    }

    /// The frames of a run as they are sent to a connection that has agreed to compression;
    /// nothing if they are sent as they are.
    pub(super) fn compress_run(&mut self, conn: Key, run: &Run<'_>) -> Option<Bytes> {
        let forms = run.forms.as_ref()?;
        let setting = self.slots.get(conn)?.protocol.compression().setting()?;
        let compressed = forms.compressed(setting, &mut self.pool.buffers)?;
        self.slots.get_mut(conn)?.protocol.compression_mut().reset_context();
        Some(compressed)
    }
}
