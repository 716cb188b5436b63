//! Frames as they are sent where compression was agreed.

use std::mem::size_of;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Setting;
use crate::proto::{BufferPool, FrameHeader, Payload, Role, write_payload};

/// The compressed forms of frames that lie one behind the other, and that many connections get.
///
/// Each frame is compressed once for each setting, when the first connection of that setting gets
/// it. The forms lie beside the frames and live as long as those.
#[derive(Debug, Default)]
pub(crate) struct Forms {
    /// Where those frames begin that are sent as they are, ascending.
    verbatim: Vec<usize>,
    known: Mutex<Vec<Form>>,
    /// Bytes that `known` holds.
    held: AtomicUsize,
}

/// Some of the frames that [`Forms`] belong to.
#[derive(Clone, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) forms: &'a Forms,
    /// All the frames.
    pub(crate) all: &'a [u8],
    /// Where the part lies: whole frames.
    pub(crate) range: Range<usize>,
    /// More frames may be appended to all of them.
    pub(crate) grows: bool,
}

impl Forms {
    /// Notes that the frame which begins there is sent as it is. Frames are noted in order, before
    /// anybody gets them.
    pub(crate) fn keep_verbatim(&mut self, start: usize) {
        self.verbatim.push(start);
    }

    fn compressed(
        &self,
        part: &Part<'_>,
        setting: Setting,
        pool: &mut BufferPool,
    ) -> Option<Bytes> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|form| form.setting == setting);
        let place = place.unwrap_or_else(|| {
            known.push(Form::new(setting));
            known.len() - 1
        });
        let form = &mut known[place];
        let wanted = if part.grows { part.range.end } else { part.all.len() };
        if form.covered < wanted {
            form.cover(part.all, &self.verbatim, pool);
        }
        if !part.grows {
            form.freeze();
        }
        let found = form.part(&part.range);
        let forms = known.iter().map(Form::held).sum::<usize>();
        let held = forms + known.capacity() * size_of::<Form>();
        self.held.store(held, Ordering::Relaxed);
        found
    }

    /// Bytes of memory that the forms take.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed) + self.verbatim.capacity() * size_of::<usize>()
    }

    /// Forgets everything: the frames are no more.
    pub(crate) fn clear(&mut self) {
        self.verbatim.clear();
        *self.known.get_mut().unwrap_or_else(PoisonError::into_inner) = Vec::new();
        *self.held.get_mut() = 0;
    }
}

impl Part<'_> {
    /// The frames as they are sent by that setting; nothing if none is compressed.
    pub(crate) fn compressed(&self, setting: Setting, pool: &mut BufferPool) -> Option<Bytes> {
        self.forms.compressed(self, setting, pool)
    }
}

/// The frames by one setting.
#[derive(Debug)]
struct Form {
    setting: Setting,
    /// So many bytes of the frames were looked at.
    covered: usize,
    /// So many bytes of the frames, from the first, are the same in this form.
    same: usize,
    /// Where the frames behind those end.
    ends: Vec<FrameEnd>,
    /// All that is covered, in this form; empty while that is the same.
    bytes: Store,
}

#[derive(Debug)]
struct FrameEnd {
    /// Among the frames as they came.
    original: usize,
    /// In this form.
    here: usize,
}

#[derive(Debug)]
enum Store {
    Growing(Vec<u8>),
    Frozen(Bytes),
}

impl Form {
    const fn new(setting: Setting) -> Self {
        let bytes = Store::Growing(Vec::new());
        Self { setting, covered: 0, same: 0, ends: Vec::new(), bytes }
    }

    /// Compresses the frames that are not covered yet.
    #[cold]
    fn cover(&mut self, all: &[u8], verbatim: &[usize], pool: &mut BufferPool) {
        let Store::Growing(out) = &mut self.bytes else {
            return;
        };
        let mut scratch = Vec::new();
        while let Ok(Some((header, len))) = FrameHeader::parse(&all[self.covered..], Role::Client) {
            let start = self.covered;
            let frame = &all[start..start + len + header.len as usize];
            let bytes = &frame[len..];
            self.covered += frame.len();
            let is_shorter = bytes.len() >= self.setting.min_size()
                && verbatim.binary_search(&start).is_err()
                && pool.compress(self.setting, bytes, &mut scratch);
            if is_shorter {
                if self.ends.is_empty() {
                    out.extend_from_slice(&all[..start]);
                }
                let payload = Payload { opcode: header.opcode, compressed: true, bytes: &scratch };
                write_payload(&payload, None, out);
            } else if self.ends.is_empty() {
                self.same = self.covered;
                continue;
            } else {
                out.extend_from_slice(frame);
            }
            self.ends.push(FrameEnd { original: self.covered, here: out.len() });
        }
    }

    /// Nothing is appended any more.
    fn freeze(&mut self) {
        if let Store::Growing(bytes) = &mut self.bytes {
            let bytes = std::mem::take(bytes);
            self.bytes = Store::Frozen(bytes.into_boxed_slice().into());
            self.ends.shrink_to_fit();
        }
    }

    /// Where in this form that place lies, between two frames.
    fn place(&self, at: usize) -> Option<usize> {
        if at <= self.same {
            return Some(at);
        }
        let found = self.ends.binary_search_by_key(&at, |end| end.original).ok()?;
        Some(self.ends[found].here)
    }

    fn part(&self, range: &Range<usize>) -> Option<Bytes> {
        let here = self.place(range.start)?..self.place(range.end)?;
        if here.len() == range.len() {
            // A compressed frame is shorter.
            return None;
        }
        Some(match &self.bytes {
            Store::Growing(bytes) => Bytes::copy_from_slice(&bytes[here]),
            Store::Frozen(bytes) => bytes.slice(here),
        })
    }

    fn held(&self) -> usize {
        let bytes = match &self.bytes {
            Store::Growing(bytes) => bytes.capacity(),
            Store::Frozen(bytes) => bytes.len(),
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

    /// Frames, and what they are in each form.
    struct Case {
        forms: Forms,
        all: Vec<u8>,
        /// Where frames begin and end, in order.
        ends: Vec<usize>,
        /// Of each frame by each setting.
        expected: Vec<[Vec<u8>; 2]>,
        /// How many of those may be compressed.
        compressible: u64,
    }

    impl Case {
        fn new(frames: &[(usize, bool)]) -> Self {
            let (forms, ends) = (Forms::default(), vec![0]);
            let mut case =
                Self { forms, all: Vec::new(), ends, expected: Vec::new(), compressible: 0 };
            for (number, &(len, is_verbatim)) in frames.iter().enumerate() {
                if is_verbatim {
                    case.forms.keep_verbatim(case.all.len());
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

        /// Asks for frames while the first `there` are all.
        fn ask(&self, frames: Range<usize>, there: usize, setting: usize, pool: &mut BufferPool) {
            let range = self.ends[frames.start]..self.ends[frames.end];
            let grows = there < self.expected.len();
            let all = &self.all[..self.ends[there]];
            let part = Part { forms: &self.forms, all, range: range.clone(), grows };
            let form = part.compressed(SETTINGS[setting], pool);
            let form = form.unwrap_or_else(|| Bytes::copy_from_slice(&self.all[range]));
            let expected = self.expected[frames].iter().flat_map(|forms| forms[setting].clone());
            assert!(form.iter().copied().eq(expected));
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
            case.forms.clear();
            prop_assert_eq!(case.forms.known.get_mut().unwrap().len(), 0);
        }
    }
}
