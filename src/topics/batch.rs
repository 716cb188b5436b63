//! Batches: encoded frames that leave together.

use std::mem::size_of;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::position::Position;
use crate::proto::{CompressibleFrames, CompressionCache, FrameHeader, Message, Payload};
use crate::slots::Key;
use crate::time::Time;

/// Encoded frames in one buffer, each followed by the next.
///
/// Invariants: the marks' sequence numbers, numbers and ends ascend, and the last mark ends where
/// `frames` ends. A batch without marks has no frames.
#[derive(Debug, Default)]
pub(super) struct Batch<B> {
    pub(super) frames: B,
    /// One for each frame.
    pub(super) marks: Vec<Mark>,
    /// The compressed forms of the frames, for connections that negotiated compression.
    pub(super) forms: CompressionCache,
    /// How many frames leave a subscriber out.
    pub(super) exceptions: usize,
    /// Bytes of the allocation that holds `frames`. Not known while the batch is open.
    storage: usize,
    /// When it was delivered. Not known before it is logged.
    pub(super) delivered: Time,
}

/// Describes one frame of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// The number of the broadcast among those to all topics.
    pub(super) sequence: u64,
    /// The number of the broadcast among those to this topic.
    pub(super) number: u64,
    /// Where the frame ends in the batch.
    pub(super) end: usize,
    /// The subscriber that the broadcast leaves out, or [`Key::NONE`].
    pub(super) except: Key,
}

/// The last frames of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// Where they begin.
    pub(super) offset: usize,
    /// How many they are.
    pub(super) count: usize,
}

impl<B> Batch<B> {
    /// The sequence number of the first frame, or 0.
    pub(super) fn first(&self) -> u64 {
        self.marks.first().map_or(0, |mark| mark.sequence)
    }

    /// The sequence number of the last frame, or 0.
    pub(super) fn last(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.sequence)
    }

    /// Identifies the batch among all batches of all topics.
    pub(super) fn source(&self, topic: Key, epoch: u64) -> Source {
        let first = self.marks.first();
        Source {
            topic,
            first: Some(first.map_or(0, |mark| mark.sequence)),
            position: Position::new(epoch, first.map_or(0, |mark| mark.number)),
        }
    }

    /// The offset of the first frame after `sequence`.
    pub(super) fn offset_after(&self, sequence: u64) -> usize {
        let before = self.marks.partition_point(|mark| mark.sequence <= sequence);
        before.checked_sub(1).map_or(0, |last| self.marks[last].end)
    }

    /// The frames after `sequence`. They are usually all frames, which one comparison decides
    /// without a search.
    #[inline]
    pub(super) fn tail_after(&self, sequence: u64) -> Tail {
        match self.marks.first() {
            Some(first) if first.sequence <= sequence => Tail {
                offset: self.offset_after(sequence),
                count: self.marks_after(sequence).len(),
            },
            _ => Tail { offset: 0, count: self.marks.len() },
        }
    }

    /// The marks of the frames after `sequence`.
    pub(super) fn marks_after(&self, sequence: u64) -> &[Mark] {
        &self.marks[self.marks.partition_point(|mark| mark.sequence <= sequence)..]
    }

    #[inline]
    const fn part<'a>(
        &'a self,
        all: &'a [u8],
        range: Range<usize>,
        grows: bool,
    ) -> CompressibleFrames<'a> {
        CompressibleFrames { cache: &self.forms, all, range, may_grow: grows }
    }

    /// Bytes of memory of the marks and the compressed forms.
    fn metadata_bytes(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>() + self.forms.memory_bytes()
    }
}

impl Batch<BytesMut> {
    /// A run of the batch's frames. The batch is of that topic in that epoch.
    pub(super) fn run(&self, topic: Key, epoch: u64, range: Range<usize>) -> Run<'_> {
        let frames = Frames::Open(&self.frames, range.clone());
        let part = self.part(&self.frames, range, true);
        Run::new(frames, Some(part), Some(self.source(topic, epoch)))
    }

    /// Appends a message as a server sends it. `mark` describes it, except for its end.
    pub(super) fn push(&mut self, message: Message<'_>, may_compress: bool, mark: Mark) {
        debug_assert!(self.last() < mark.sequence, "broadcasts are numbered in ascending order");
        if !may_compress {
            self.forms.keep_verbatim(self.frames.len());
        }
        let mut header = [0; FrameHeader::MAX_LEN];
        let len = Payload::from(message).header(None).encode(&mut header);
        self.frames.reserve(len + message.len());
        self.frames.extend_from_slice(&header[..len]);
        self.frames.extend_from_slice(message.as_bytes());
        self.exceptions += usize::from(mark.except != Key::NONE);
        self.marks.push(Mark { end: self.frames.len(), ..mark });
    }

    /// The most bytes by which a message of `len` bytes makes the batch's memory grow.
    pub(super) fn growth(&self, len: usize) -> usize {
        // As vectors grow: they begin with a capacity of eight bytes, or of four larger elements.
        let growth = |len: usize, capacity: usize, least: usize| match len {
            fits if fits <= capacity => 0,
            needed => needed.max(2 * capacity).max(least) - capacity,
        };
        let header = match len {
            0..=125 => 2,
            126..=65_535 => 4,
            _ => 10,
        };
        let frames = growth(self.frames.len() + header + len, self.frames.capacity(), 8);
        let marks = growth(self.marks.len() + 1, self.marks.capacity(), 4);
        frames + marks * size_of::<Mark>()
    }

    /// Moves the batch with its memory into `sealed`, which is empty but may have capacity for
    /// marks. That capacity moves the other way.
    pub(super) fn seal(&mut self, sealed: &mut Batch<Bytes>) {
        debug_assert!(sealed.marks.is_empty(), "the sealed batch is not delivered");
        sealed.storage = self.frames.capacity();
        sealed.frames = std::mem::take(&mut self.frames).split().freeze();
        sealed.exceptions = std::mem::take(&mut self.exceptions);
        std::mem::swap(&mut sealed.marks, &mut self.marks);
        if self.forms.memory_bytes() > 0 {
            std::mem::swap(&mut sealed.forms, &mut self.forms);
        }
    }

    /// Bytes of memory that the batch occupies.
    pub(super) fn memory_bytes(&self) -> usize {
        self.frames.capacity() + self.metadata_bytes()
    }
}

impl Batch<Bytes> {
    /// A run of the batch's frames. The batch is of that topic in that epoch.
    #[inline]
    pub(super) fn run(&self, topic: Key, epoch: u64, range: Range<usize>) -> Run<'_> {
        let frames = Frames::Shared(&self.frames, range.clone());
        let part = self.part(&self.frames, range, false);
        Run::new(frames, Some(part), Some(self.source(topic, epoch)))
    }

    /// Empties the batch and moves its memory to `open`, which has none. Returns `false` and
    /// changes nothing if the memory is still in use, or the frames have compressed forms.
    pub(super) fn reopen_as(&mut self, open: &mut Batch<BytesMut>) -> bool {
        if self.forms.memory_bytes() > 0 {
            return false;
        }
        match std::mem::take(&mut self.frames).try_into_mut() {
            Ok(frames) => open.frames = frames,
            Err(frames) => {
                self.frames = frames;
                return false;
            }
        }
        open.frames.clear();
        self.marks.clear();
        std::mem::swap(&mut open.marks, &mut self.marks);
        (self.exceptions, self.storage) = (0, 0);
        true
    }

    /// Turns the batch into an empty one that reuses its memory; `None` if that is still in use.
    pub(super) fn reopen(self) -> Option<Batch<BytesMut>> {
        let mut frames = self.frames.try_into_mut().ok()?;
        let (mut marks, mut forms) = (self.marks, self.forms);
        frames.clear();
        marks.clear();
        forms.clear();
        Some(Batch { frames, marks, forms, ..Batch::default() })
    }

    /// The batch in about as much memory as it needs, and the former memory if the batch was copied
    /// out of it.
    pub(super) fn compact(mut self) -> (Self, Option<Batch<BytesMut>>) {
        if self.frames.len() > self.storage / 2 {
            self.marks.shrink_to_fit();
            return (self, None);
        }
        let compact = Self {
            frames: Bytes::copy_from_slice(&self.frames),
            marks: self.marks.as_slice().into(),
            forms: std::mem::take(&mut self.forms),
            exceptions: self.exceptions,
            storage: self.frames.len(),
            delivered: self.delivered,
        };
        (compact, self.reopen())
    }

    /// Bytes of memory that the batch occupies.
    pub(super) fn memory_bytes(&self) -> usize {
        self.storage + self.metadata_bytes()
    }
}

/// The batch to which frames belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) topic: Key,
    /// The sequence number of its first broadcast; `None` for a compressed form, because a batch
    /// may have several.
    pub(crate) first: Option<u64>,
    /// The position of its first broadcast. Those of the others follow it.
    pub(crate) position: Position,
}

/// Frames to append to a connection's output.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) frames: Frames<'a>,
    /// The same frames with their compressed forms; `None` if the frames are sent unchanged even
    /// where compression was negotiated.
    pub(crate) forms: Option<CompressibleFrames<'a>>,
    /// The batch of the frames, if they were broadcast.
    pub(crate) source: Option<Source>,
    /// The bytes of `frames`, sliced once for all receivers.
    bytes: &'a [u8],
}

/// Where the frames of a run are stored.
#[derive(Clone, Debug)]
pub(crate) enum Frames<'a> {
    /// In a batch that no longer changes. They may be kept by reference.
    Shared(&'a Bytes, Range<usize>),
    /// In a batch that still grows. They must be copied.
    Open(&'a [u8], Range<usize>),
}

impl Frames<'_> {
    /// What lies before them in their batch.
    pub(crate) fn before(&self) -> &[u8] {
        match self {
            Self::Shared(bytes, range) => &bytes[..range.start],
            Self::Open(bytes, range) => &bytes[..range.start],
        }
    }

    /// Where they lie in their batch.
    pub(crate) fn range(&self) -> Range<usize> {
        match self {
            Self::Shared(_, range) | Self::Open(_, range) => range.clone(),
        }
    }
}

impl<'a> Run<'a> {
    #[inline]
    pub(crate) fn new(
        frames: Frames<'a>,
        forms: Option<CompressibleFrames<'a>>,
        source: Option<Source>,
    ) -> Self {
        let bytes = match &frames {
            Frames::Shared(bytes, range) => &bytes[range.clone()],
            Frames::Open(bytes, range) => &bytes[range.clone()],
        };
        Self { frames, forms, source, bytes }
    }

    /// A run of a compressed form, or of frames that were not broadcast.
    pub(crate) fn form(frames: &'a Bytes, source: Option<Source>) -> Self {
        let source = source.map(|source| Source { first: None, ..source });
        Self::new(Frames::Shared(frames, 0..frames.len()), None, source)
    }

    #[inline]
    pub(crate) const fn as_slice(&self) -> &[u8] {
        self.bytes
    }
}
