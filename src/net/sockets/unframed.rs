//! Broadcasts to connections without frames: raw streams and streamed responses.

use std::io::{self, IoSlice};
use std::ops::Range;

use bytes::Bytes;

use super::Sockets;
use super::output::{Output, only_payload, reframe};
use super::registry::Registry;
use crate::net::cork::REUSE_BYTES_MIN;
use crate::net::framing::Framing;
use crate::net::streams::Transmit;
use crate::proto::MaskKeys;
use crate::slots::Key;
use crate::topics::{Run, Source};

/// The last run that was written without frames, for all who get the same.
#[derive(Debug, Default)]
pub(super) struct LastUnframed(Option<Unframed>);

#[derive(Debug)]
struct Unframed {
    source: Source,
    /// Where the run lies in its batch.
    range: Range<usize>,
    framing: Framing,
    bytes: Bytes,
}

impl LastUnframed {
    /// The messages of a run, written as the framing says. They are written once for all who get
    /// the same run one after the other.
    fn write(&mut self, run: &Run<'_>, framing: Framing, mask_keys: &mut MaskKeys) -> Bytes {
        let range = run.frames.range();
        let is_same = |last: &Unframed| {
            Some(last.source) == run.source && last.range == range && last.framing == framing
        };
        if let Some(last) = self.0.as_ref().filter(|last| is_same(last)) {
            return last.bytes.clone();
        }
        let mut bytes = Vec::with_capacity(run.as_slice().len() + run.as_slice().len() / 8);
        reframe(run.as_slice(), framing, mask_keys, &mut bytes);
        let bytes = Bytes::from(bytes);
        // Frames that were not broadcast, or are compressed, have no source to know them by.
        let source = run.source.filter(|source| source.first.is_some());
        self.0 = source.map(|source| Unframed { source, range, framing, bytes: bytes.clone() });
        bytes
    }

    /// Forgets it: nobody else gets the same.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

impl Sockets {
    /// Delivers a run to a connection without frames for which nothing waits.
    pub(super) fn deliver_unframed(&mut self, conn: Key, run: &Run<'_>, io: &mut impl Transmit) {
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

impl Output {
    /// Appends a run to what waits for a connection without frames.
    pub(super) fn push_unframed(&mut self, registry: &mut Registry, conn: Key, run: &Run<'_>) {
        let framing = registry.table.framing(conn);
        let bytes = self.unframed.write(run, framing, &mut self.mask_keys);
        self.queue_shared(registry, conn, &bytes);
    }

    /// Appends bytes that others may get, too. Short ones are copied.
    fn queue_shared(&mut self, registry: &mut Registry, conn: Key, bytes: &Bytes) {
        if bytes.len() < REUSE_BYTES_MIN {
            return self.queue_bytes(registry, conn, bytes);
        }
        if registry.is_corked(conn) {
            return self.cork.push_shared(bytes.clone());
        }
        let Some(socket) = registry.table.get_mut(conn) else {
            return;
        };
        let outbox = socket.outbox.get_or_insert_with(|| self.outboxes.take(&mut self.storage));
        outbox.push_shared(bytes, 0..bytes.len(), &mut self.storage);
        if socket.blocked {
            registry.note_level(conn);
        } else {
            self.dirty.push(conn, socket);
        }
    }
}
