//! Delivery of broadcasts: from topics straight to the streams, where nothing waits.

use std::io::{self, IoSlice};

use super::Sockets;
use super::output::Output;
use super::registry::Registry;
use super::sender::Sender;
use super::unframed::only_payload;
use crate::net::framing::Framing;
use crate::net::send_status::SendStatus;
use crate::net::streams::Transmit;
use crate::slots::Key;
use crate::topics::Run;

impl Sockets {
    /// Sends frames of a topic to a connection that has got all that came before; `false` if that
    /// was more than may wait.
    #[inline]
    pub(crate) fn deliver(&mut self, conn: Key, run: &Run<'_>, io: &mut impl Transmit) -> bool {
        let is_direct = self.get(conn).is_some_and(|socket| {
            socket.outbox.is_none()
                && !socket.is_dead()
                && socket.protocol.takes_frames(run.forms.is_some())
        });
        if !is_direct {
            return self.deliver_converted(conn, run, io);
        }
        let slice = run.as_slice();
        let sent = io.transmit(conn.index(), &[IoSlice::new(slice)]);
        if !sent.as_ref().is_ok_and(|sent| *sent == slice.len()) {
            self.queue_undelivered(conn, run, sent);
        }
        true
    }

    /// Delivers to a connection that needs the frames compressed, masked or without their headers,
    /// or behind what waits.
    #[inline(never)]
    fn deliver_converted(&mut self, conn: Key, run: &Run<'_>, io: &mut impl Transmit) -> bool {
        let Some(socket) = self.get(conn).filter(|socket| socket.is_open()) else {
            return true;
        };
        let may_be_direct = socket.outbox.is_none();
        if may_be_direct && !socket.protocol.framing().is_framed() {
            self.deliver_unframed(conn, run, io);
            self.relief().relieve_output(conn);
            return true;
        }
        if run.forms.is_some() && socket.protocol.is_compressed() {
            let Self { registry, output } = self;
            let compressed = output.compress_run(&mut registry.table, conn, run);
            if let Some(compressed) = compressed {
                return self.deliver(conn, &Run::form(&compressed, run.source), io);
            }
            if may_be_direct {
                let verbatim = Run::new(run.frames.clone(), None, run.source);
                return self.deliver(conn, &verbatim, io);
            }
        }
        Sender::new(self, io).push_frames(conn, run) != SendStatus::Dropped
    }

    /// Delivers a run to a connection without frames for which nothing waits.
    fn deliver_unframed(&mut self, conn: Key, run: &Run<'_>, io: &mut impl Transmit) {
        let Self { registry, output } = self;
        let framing = registry.table.framing(conn);
        // Payloads that are sent as they are need no copy.
        if let Some(payload) = only_payload(run.as_slice()).filter(|_| framing == Framing::Raw) {
            let sent = io.transmit(conn.index(), &[IoSlice::new(payload)]);
            return note_sent(self, conn, payload.len(), sent, |output, registry, sent| {
                output.queue_bytes(registry, conn, &payload[sent..]);
            });
        }
        let bytes = output.unframed.write(run, framing, &mut output.mask_keys);
        let sent = io.transmit(conn.index(), &[IoSlice::new(&bytes)]);
        note_sent(self, conn, bytes.len(), sent, |output, registry, sent| {
            output.queue_shared(registry, conn, &bytes.slice(sent..));
        });
    }

    /// The stream took less than all, or has failed.
    #[cold]
    fn queue_undelivered(&mut self, conn: Key, run: &Run<'_>, sent: io::Result<usize>) {
        let Self { registry, output } = self;
        match sent {
            Ok(sent) => {
                output.push_run(registry, conn, run, sent);
                output.note_blocked(registry, conn);
                self.relief().relieve_output(conn);
            }
            Err(error) => registry.fail(conn, error),
        }
    }
}

/// Queues what the stream did not take, if it has not failed.
fn note_sent(
    sockets: &mut Sockets,
    conn: Key,
    len: usize,
    sent: io::Result<usize>,
    queue: impl FnOnce(&mut Output, &mut Registry, usize),
) {
    let Sockets { registry, output } = sockets;
    match sent {
        Ok(sent) if sent == len => {}
        Ok(sent) => {
            queue(output, registry, sent);
            output.note_blocked(registry, conn);
        }
        Err(error) => registry.fail(conn, error),
    }
}
