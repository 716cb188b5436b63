//! Compressing what is sent to connections that have agreed to it: a message for one of them, or
//! frames that many get, once for each setting.

use bytes::Bytes;

use super::Sockets;
use crate::proto::{FrameHeader, Message, Payload, Role, Setting, write_payload};
use crate::slots::Key;
use crate::topics::{Frames, Run};

/// How many runs are remembered in their compressed form. A turn's broadcasts to one topic are
/// one run, and most connections of a listener have one setting.
const REMEMBERED: usize = 8;

/// Runs of frames that were compressed for one connection, for others of the same setting.
#[derive(Debug, Default)]
pub(super) struct CompressedRuns {
    known: Vec<CompressedRun>,
    /// Where the next one is put when there are many.
    next: usize,
}

#[derive(Debug)]
struct CompressedRun {
    /// The frames, which stay where they are as long as this is kept.
    frames: Bytes,
    setting: Setting,
    /// The same frames, some of them compressed; nothing if none came out shorter.
    compressed: Option<Bytes>,
}

impl CompressedRuns {
    fn find(&self, frames: &[u8], setting: Setting) -> Option<&CompressedRun> {
        self.known.iter().find(|known| {
            known.setting == setting
                && known.frames.as_ptr() == frames.as_ptr()
                && known.frames.len() == frames.len()
        })
    }

    fn remember(&mut self, run: CompressedRun) {
        if self.known.len() < REMEMBERED {
            self.known.push(run);
        } else {
            self.known[self.next] = run;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }
}

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
            socket.protocol.compresses(message.len())
                && socket.protocol.compress(message.as_bytes(), out, pool)
        });
        if !is_shorter {
            return message.into();
        }
        Payload { opcode: message.opcode(), compressed: true, bytes: out }
    }

    /// The frames of a run as they are sent to a connection that has agreed to compression;
    /// nothing if they are sent as they are.
    pub(super) fn compress_run(&mut self, conn: Key, run: &Run<'_>) -> Option<Bytes> {
        let setting = self.slots.get(conn)?.protocol.compression().filter(|_| run.may_compress)?;
        let compressed = match self.compressed_runs.find(run.as_slice(), setting) {
            Some(known) => known.compressed.clone(),
            None => self.compress_frames(run, setting),
        }?;
        self.slots.get_mut(conn)?.protocol.passed_by();
        Some(compressed)
    }

    #[cold]
    fn compress_frames(&mut self, run: &Run<'_>, setting: Setting) -> Option<Bytes> {
        let (mut out, mut scratch, mut any) = (Vec::new(), Vec::new(), false);
        let mut rest = run.as_slice();
        while let Ok(Some((header, len))) = FrameHeader::parse(rest, Role::Client) {
            let (frame, following) = rest.split_at(len + header.len as usize);
            let (opcode, bytes) = (header.opcode, &frame[len..]);
            let mut payload = Payload { opcode, compressed: false, bytes };
            if bytes.len() >= setting.min_size()
                && self.pool.buffers.compress(setting, bytes, &mut scratch)
            {
                payload = Payload { compressed: true, bytes: &scratch, ..payload };
                any = true;
            }
            write_payload(&payload, None, &mut out);
            rest = following;
        }
        let compressed = any.then(|| Bytes::from(out));
        if let Frames::Shared(bytes, range) = &run.frames {
            let (frames, compressed) = (bytes.slice(range.clone()), compressed.clone());
            self.compressed_runs.remember(CompressedRun { frames, setting, compressed });
        }
        compressed
    }

    /// Forgets what was compressed and copied for many: nobody gets it any more.
    pub(crate) fn forget_runs(&mut self) {
        self.compressed_runs.known.clear();
        self.compressed_runs.next = 0;
        self.pool.shared.forget_batches();
    }
}
