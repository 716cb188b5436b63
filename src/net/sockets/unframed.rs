//! Broadcasts to connections without frames: raw streams and streamed responses.

use std::ops::Range;

use bytes::Bytes;

use crate::net::framing::Framing;
use crate::proto::{FrameHeader, MaskKeys, Payload, Role};
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

/// The payload of a server's frame, if there is no other.
pub(super) fn only_payload(frames: &[u8]) -> Option<&[u8]> {
    let (header, len) = FrameHeader::parse_agreed(frames, Role::Client, true).ok()??;
    (len + header.len as usize == frames.len()).then(|| &frames[len..])
}

/// Writes a server's frames again with another framing.
pub(super) fn reframe(
    mut frames: &[u8],
    framing: Framing,
    mask_keys: &mut MaskKeys,
    out: &mut Vec<u8>,
) {
    while let Ok(Some((header, len))) = FrameHeader::parse_agreed(frames, Role::Client, true) {
        let (frame, rest) = frames.split_at(len + header.len as usize);
        let FrameHeader { opcode, compressed, .. } = header;
        let payload = Payload { opcode, compressed, bytes: &frame[len..] };
        framing.next(mask_keys).write(&payload, out);
        frames = rest;
    }
}
