//! Compression of what is sent to connections that have agreed to it: a message for one of them, or
//! frames that many get, once for each setting.

use bytes::Bytes;

use super::output::Output;
use super::table::Table;
use crate::proto::Payload;
use crate::slots::Key;
use crate::topics::Run;

impl Output {
    /// Compresses a message for a connection into `out`, if the connection has agreed to that and
    /// it makes the message shorter.
    pub(super) fn compress<'a>(
        &mut self,
        table: &mut Table,
        conn: Key,
        payload: Payload<'a>,
        out: &'a mut Vec<u8>,
    ) -> Payload<'a> {
        let pool = &mut self.storage.buffers;
        let is_shorter = table.get_mut(conn).is_some_and(|socket| {
            let Some(socket) = socket.protocol.web_socket_mut() else {
                return false;
            };
            socket.compression().applies_to(payload.bytes.len())
                && socket.compression_mut().compress(payload.bytes, out, pool)
        });
        if !is_shorter {
            return payload;
        }
        Payload { compressed: true, bytes: out, ..payload }
    }

    /// The compressed form of a run, for a connection that has agreed to compression; `None` if
    /// its frames are sent as they are.
    pub(super) fn compress_run(
        &mut self,
        table: &mut Table,
        conn: Key,
        run: &Run<'_>,
    ) -> Option<Bytes> {
        let forms = run.forms.as_ref()?;
        let setting = table.get(conn)?.protocol.web_socket()?.compression().setting()?;
        let compressed = forms.compressed(setting, &mut self.storage.buffers)?;
        table.get_mut(conn)?.protocol.web_socket_mut()?.compression_mut().reset_context();
        Some(compressed)
    }
}
