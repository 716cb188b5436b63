//! Broadcasts to connections without frames: raw streams and streamed responses.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use crate::net::framing::Framing;
use crate::proto::event_stream::{EventId, write_event};
use crate::proto::{FrameHeader, MaskKeys, Payload, Role};
use crate::slots::Key;
use crate::topics::{Run, Source};

/// About how many bytes an event has besides its data.
const EVENT_BYTES: usize = 64;

/// Writes runs without frames: once for all who get the same run one after the other.
#[derive(Debug, Default)]
pub(super) struct UnframedRuns {
    last: Option<Unframed>,
    /// The names of topics whose broadcasts are named events.
    names: BTreeMap<Key, Box<str>>,
}

/// A run that was written without frames.
#[derive(Debug)]
struct Unframed {
    source: Source,
    /// Where the run lies in its batch.
    range: Range<usize>,
    framing: Framing,
    bytes: Bytes,
}

impl UnframedRuns {
    /// Names the broadcasts to a topic.
    pub(super) fn name(&mut self, topic: Key, name: &str) {
        self.names.entry(topic).or_insert_with(|| name.into());
    }

    /// Forgets the name of a topic that is gone.
    pub(super) fn forget_name(&mut self, topic: Key) {
        self.names.remove(&topic);
    }

    /// The messages of a run, written as the framing says.
    pub(super) fn write(
        &mut self,
        run: &Run<'_>,
        framing: Framing,
        mask_keys: &mut MaskKeys,
    ) -> Bytes {
        let range = run.frames.range();
        let is_same = |last: &Unframed| {
            Some(last.source) == run.source && last.range == range && last.framing == framing
        };
        if let Some(last) = self.last.as_ref().filter(|last| is_same(last)) {
            return last.bytes.clone();
        }
        let len = run.as_slice().len();
        let mut bytes = Vec::with_capacity(len + len / 8 + EVENT_BYTES);
        match run.source {
            Some(source) if matches!(framing, Framing::Events | Framing::NamedEvents) => {
                let is_named = framing == Framing::NamedEvents;
                let name = self.names.get(&source.topic).filter(|_| is_named);
                let epoch = source.position.epoch();
                let before = messages(run.frames.before()).count() as u64;
                let first = source.position.offset() + before;
                for (offset, payload) in (first..).zip(messages(run.as_slice())) {
                    let id = EventId { epoch, offset };
                    write_event(name.map(|name| &**name), Some(id), &payload, &mut bytes);
                }
            }
            _ => reframe(run.as_slice(), framing, mask_keys, &mut bytes),
        }
        let bytes = Bytes::from(bytes);
        // Frames that were not broadcast, or are compressed, have no source to know them by.
        let source = run.source.filter(|source| source.first.is_some());
        self.last = source.map(|source| Unframed { source, range, framing, bytes: bytes.clone() });
        bytes
    }

    /// Forgets it: nobody else gets the same.
    pub(super) fn clear(&mut self) {
        self.last = None;
    }
}

/// The payload of a server's frame, if there is no other.
pub(super) fn only_payload(frames: &[u8]) -> Option<&[u8]> {
    let (header, len) = FrameHeader::parse_agreed(frames, Role::Client, true).ok()??;
    (len + header.len as usize == frames.len()).then(|| &frames[len..])
}

/// Writes a server's frames again with another framing.
pub(super) fn reframe(
    frames: &[u8],
    framing: Framing,
    mask_keys: &mut MaskKeys,
    out: &mut Vec<u8>,
) {
    for payload in messages(frames) {
        framing.next(mask_keys).write(&payload, out);
    }
}

/// The payloads of a server's frames.
fn messages(mut frames: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    std::iter::from_fn(move || {
        let (header, len) = FrameHeader::parse_agreed(frames, Role::Client, true).ok()??;
        let (frame, rest) = frames.split_at(len + header.len as usize);
        frames = rest;
        let FrameHeader { opcode, compressed, .. } = header;
        Some(Payload { opcode, compressed, bytes: &frame[len..] })
    })
}
