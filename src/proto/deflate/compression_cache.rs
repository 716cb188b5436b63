//! Frames that are compressed once and sent to many connections.

use std::mem::size_of;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Setting;
use crate::proto::{BufferPool, FrameHeader, Payload, Role, write_payload};

/// Compressed copies of consecutive frames, one copy for each [`Setting`].
///
/// A frame is compressed when the first connection with a setting gets it. The copies live as long
/// as the frames.
#[derive(Debug, Default)]
pub(crate) struct CompressionCache {
    /// Where the frames begin that are never compressed, in ascending order.
    verbatim: Vec<usize>,
    copies: Mutex<Vec<CompressedCopy>>,
    /// Bytes of memory that `copies` takes.
    copies_bytes: AtomicUsize,
}

/// Consecutive frames with the cache of their compressed copies.
#[derive(Clone, Debug)]
pub(crate) struct CompressibleFrames<'a> {
    pub(crate) cache: &'a CompressionCache,
    /// All frames of the cache.
    pub(crate) all: &'a [u8],
    /// The frames to be sent. They lie here in `all`, whole.
    pub(crate) range: Range<usize>,
    /// Whether more frames may be appended to `all`.
    pub(crate) may_grow: bool,
}

impl CompressionCache {
    /// Notes that the frame at `start` is never compressed. Call this in the order of the frames,
    /// before any of them is sent.
    pub(crate) fn keep_verbatim(&mut self, start: usize) {
        self.verbatim.push(start);
    }

    fn compressed(
        &self,
        frames: &CompressibleFrames<'_>,
        setting: Setting,
        pool: &mut BufferPool,
    ) -> Option<Bytes> {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let index = copies.iter().position(|copy| copy.setting == setting);
        let index = index.unwrap_or_else(|| {
            copies.push(CompressedCopy::new(setting));
            copies.len() - 1
        });
        let copy = &mut copies[index];
        let wanted = if frames.may_grow { frames.range.end } else { frames.all.len() };
        if copy.source_len < wanted {
            copy.extend(frames.all, &self.verbatim, pool);
        }
        if !frames.may_grow {
            copy.freeze();
        }
        let found = copy.slice(&frames.range);
        let bytes = copies.iter().map(CompressedCopy::memory_bytes).sum::<usize>()
            + copies.capacity() * size_of::<CompressedCopy>();
        self.copies_bytes.store(bytes, Ordering::Relaxed);
        found
    }

    /// Bytes of memory that the cache takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.copies_bytes.load(Ordering::Relaxed) + self.verbatim.capacity() * size_of::<usize>()
    }

    /// Empties the cache, because its frames were discarded.
    pub(crate) fn clear(&mut self) {
        self.verbatim.clear();
        *self.copies.get_mut().unwrap_or_else(PoisonError::into_inner) = Vec::new();
        *self.copies_bytes.get_mut() = 0;
    }
}

impl CompressibleFrames<'_> {
    /// The frames as connections with `setting` get them. `None` if none of them is compressed.
    pub(crate) fn compressed(&self, setting: Setting, pool: &mut BufferPool) -> Option<Bytes> {
        self.cache.compressed(self, setting, pool)
    }
}

/// A copy of the frames, compressed with one setting.
///
/// ```text
/// source:  | same as in the copy | frame | frame | frame | not copied
///          0               same_len    ends[0] ends[1]  source_len
/// ```
#[derive(Debug)]
struct CompressedCopy {
    setting: Setting,
    /// How many bytes of the source were copied.
    source_len: usize,
    /// How many bytes at the front are the same in both: no frame there was compressed.
    same_len: usize,
    /// Where the frames after these end.
    ends: Vec<FrameEnd>,
    /// The copy. Empty as long as it would be the same as the source.
    bytes: CopyBytes,
}

#[derive(Debug)]
struct FrameEnd {
    in_source: usize,
    in_copy: usize,
}

#[derive(Debug)]
enum CopyBytes {
    Growing(Vec<u8>),
    Frozen(Bytes),
}

impl CompressedCopy {
    const fn new(setting: Setting) -> Self {
        let bytes = CopyBytes::Growing(Vec::new());
        Self { setting, source_len: 0, same_len: 0, ends: Vec::new(), bytes }
    }

    /// Copies the frames of `source` that were not copied before.
    #[cold]
    fn extend(&mut self, source: &[u8], verbatim: &[usize], pool: &mut BufferPool) {
        let CopyBytes::Growing(out) = &mut self.bytes else {
            return;
        };
        let mut scratch = Vec::new();
        while let Ok(Some((header, len))) =
            FrameHeader::parse(&source[self.source_len..], Role::Client)
        {
            let start = self.source_len;
            let frame = &source[start..start + len + header.len as usize];
            let payload = &frame[len..];
            self.source_len += frame.len();
            let is_shorter = payload.len() >= self.setting.min_size()
                && verbatim.binary_search(&start).is_err()
                && pool.compress(self.setting, payload, &mut scratch);
            if is_shorter {
                if self.ends.is_empty() {
                    out.extend_from_slice(&source[..start]);
                }
                let payload = Payload { opcode: header.opcode, compressed: true, bytes: &scratch };
                write_payload(&payload, None, out);
            } else if self.ends.is_empty() {
                self.same_len = self.source_len;
                continue;
            } else {
                out.extend_from_slice(frame);
            }
            self.ends.push(FrameEnd { in_source: self.source_len, in_copy: out.len() });
        }
    }

    /// Notes that nothing more is appended to the source.
    fn freeze(&mut self) {
        if let CopyBytes::Growing(bytes) = &mut self.bytes {
            let bytes = std::mem::take(bytes);
            self.bytes = CopyBytes::Frozen(bytes.into_boxed_slice().into());
            self.ends.shrink_to_fit();
        }
    }

    /// The position in the copy of a boundary between two frames of the source.
    fn position(&self, in_source: usize) -> Option<usize> {
        if in_source <= self.same_len {
            return Some(in_source);
        }
        let index = self.ends.binary_search_by_key(&in_source, |end| end.in_source).ok()?;
        Some(self.ends[index].in_copy)
    }

    /// The copy of whole frames of the source. `None` if none of them is compressed.
    fn slice(&self, range: &Range<usize>) -> Option<Bytes> {
        let copy = self.position(range.start)?..self.position(range.end)?;
        if copy.len() == range.len() {
            // A compressed frame is shorter.
            return None;
        }
        Some(match &self.bytes {
            CopyBytes::Growing(bytes) => Bytes::copy_from_slice(&bytes[copy]),
            CopyBytes::Frozen(bytes) => bytes.slice(copy),
        })
    }

    fn memory_bytes(&self) -> usize {
        let bytes = match &self.bytes {
            CopyBytes::Growing(bytes) => bytes.capacity(),
            CopyBytes::Frozen(bytes) => bytes.len(),
        };
        bytes + self.ends.capacity() * size_of::<FrameEnd>()
    }
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::proto::{OpCode, write_frame};

    const SETTINGS: [Setting; 2] = [
        Setting { level: 6, window: 15, min_size: 30 },
        Setting { level: 1, window: 9, min_size: 0 },
    ];

    /// Frames, and what connections of each setting get.
    struct Case {
        cache: CompressionCache,
        all: Vec<u8>,
        /// Where frames begin and end, in order.
        ends: Vec<usize>,
        /// Each frame, as each setting makes it.
        expected: Vec<[Vec<u8>; 2]>,
        /// How many frames are compressed, over all settings.
        compressible: u64,
    }

    impl Case {
        fn new(frames: &[(usize, bool)]) -> Self {
            let (cache, ends) = (CompressionCache::default(), vec![0]);
            let mut case =
                Self { cache, all: Vec::new(), ends, expected: Vec::new(), compressible: 0 };
            for (number, &(len, is_verbatim)) in frames.iter().enumerate() {
                if is_verbatim {
                    case.cache.keep_verbatim(case.all.len());
                }
                let payload = vec![b'a' + number as u8; len];
                write_frame(OpCode::Binary, &payload, None, &mut case.all);
                case.ends.push(case.all.len());
                let expected = SETTINGS.map(|setting| case.expect(&payload, is_verbatim, setting));
                case.expected.push(expected);
            }
            case
        }

        fn expect(&mut self, payload: &[u8], is_verbatim: bool, setting: Setting) -> Vec<u8> {
            let (mut scratch, mut frame) = (Vec::new(), Vec::new());
            let may = !is_verbatim && payload.len() >= setting.min_size;
            self.compressible += u64::from(may);
            let compressed = may && BufferPool::default().compress(setting, payload, &mut scratch);
            let bytes = if compressed { &scratch } else { payload };
            write_payload(&Payload { opcode: OpCode::Binary, compressed, bytes }, None, &mut frame);
            frame
        }

        /// Gets frames while only the first `there` exist.
        fn ask(&self, frames: Range<usize>, there: usize, setting: usize, pool: &mut BufferPool) {
            let range = self.ends[frames.start]..self.ends[frames.end];
            let may_grow = there < self.expected.len();
            let all = &self.all[..self.ends[there]];
            let frames_to_send =
                CompressibleFrames { cache: &self.cache, all, range: range.clone(), may_grow };
            let copy = frames_to_send.compressed(SETTINGS[setting], pool);
            let copy = copy.unwrap_or_else(|| Bytes::copy_from_slice(&self.all[range]));
            let expected =
                self.expected[frames].iter().flat_map(|by_setting| by_setting[setting].clone());
            assert!(copy.iter().copied().eq(expected));
        }
    }

    proptest! {
        #[test]
        fn each_frame_is_compressed_once_whatever_parts_are_asked_for(
            frames in prop::collection::vec((0_usize..200, any::<bool>()), 1..12),
            parts in prop::collection::vec(any::<[Index; 4]>(), 1..20),
        ) {
            let (mut case, mut pool) = (Case::new(&frames), BufferPool::default());
            let mut there = 1;
            for [more, first, last, setting] in &parts {
                there += more.index(frames.len() - there + 1);
                let last = last.index(there) + 1;
                case.ask(first.index(last)..last, there, setting.index(2), &mut pool);
            }
            for setting in [0, 1] {
                case.ask(0..frames.len(), frames.len(), setting, &mut pool);
            }
            prop_assert_eq!(pool.compressions(), case.compressible);
            case.cache.clear();
            prop_assert_eq!(case.cache.copies.get_mut().unwrap().len(), 0);
        }
    }
}
