//! Frames that leave together.

use std::mem::size_of;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::proto::{CompressibleFrames, CompressionCache, FrameHeader, Message, Payload};
use crate::slots::Key;

/// Encoded frames one behind the other.
#[derive(Debug, Default)]
pub(super) struct Batch<B> {
    pub(super) frames: B,
    /// Ascending; the last ends where `frames` ends.
    pub(super) marks: Vec<Mark>,
    /// The frames as they are sent where compression was agreed.
    pub(super) forms: CompressionCache,
    /// How many of `marks` leave somebody out.
    pub(super) exceptions: usize,
    /// Bytes of the memory that `frames` lies in; unknown while the batch is open.
    storage: usize,
}

/// One frame of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Its number among the broadcasts to all topics.
    pub(super) sequence: u64,
    /// Its number among those to this topic.
    pub(super) number: u64,
    pub(super) end: usize,
    /// The subscriber that it leaves out, or [`Key::NONE`].
    pub(super) except: Key,
}

impl<B> Batch<B> {
    pub(super) fn first(&self) -> u64 {
        self.marks.first().map_or(0, |mark| mark.sequence)
    }

    pub(super) fn last(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.sequence)
    }

    /// What tells its frames from those of all other batches.
    pub(super) fn source(&self, topic: Key) -> Source {
        Source { topic, first: Some(self.first()) }
    }

    /// Where the frames begin that come after number `sequence`.
    pub(super) fn offset_after(&self, sequence: u64) -> usize {
        let before = self.marks.partition_point(|mark| mark.sequence <= sequence);
        before.checked_sub(1).map_or(0, |last| self.marks[last].end)
    }

    /// Where the frames begin that come after number `sequence`, and how many they are. As a rule
    /// that is all of them, which one comparison tells without a search.
    #[inline]
    pub(super) fn rest_after(&self, sequence: u64) -> (usize, usize) {
        match self.marks.first() {
            Some(first) if first.sequence <= sequence => {
                (self.offset_after(sequence), self.marks_after(sequence).len())
            }
            _ => (0, self.marks.len()),
        }
    }

    /// The frames that come after number `sequence`.
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

    /// Bytes of what is known beside the frames.
    fn held_beside(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>() + self.forms.memory_bytes()
    }
}

impl Batch<BytesMut> {
    /// Frames of it, which is a batch of that topic.
    pub(super) fn run(&self, topic: Key, range: Range<usize>) -> Run<'_> {
        let frames = Frames::Open(&self.frames, range.clone());
        let part = self.part(&self.frames, range, true);
        Run::new(frames, Some(part), Some(self.source(topic)))
    }

    /// Appends a message as a server sends it; `mark` says everything of it but where it ends.
    pub(super) fn push(&mut self, message: Message<'_>, may_compress: bool, mark: Mark) {
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

    /// Bytes that one more message of that length takes at most, beyond what is held.
    pub(super) fn growth(&self, len: usize) -> usize {
        // As vectors do, which begin with room for eight bytes, or for four of what is larger.
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

    /// Moves the batch as it is, with all of its memory, into `sealed`, which is empty and may have
    /// room for marks.
    pub(super) fn seal(&mut self, sealed: &mut Batch<Bytes>) {
        sealed.storage = self.frames.capacity();
        sealed.frames = std::mem::take(&mut self.frames).split().freeze();
        sealed.exceptions = std::mem::take(&mut self.exceptions);
        std::mem::swap(&mut sealed.marks, &mut self.marks);
        if self.forms.memory_bytes() > 0 {
            std::mem::swap(&mut sealed.forms, &mut self.forms);
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        self.frames.capacity() + self.held_beside()
    }
}

impl Batch<Bytes> {
    /// Frames of it, which is a batch of that topic.
    #[inline]
    pub(super) fn run(&self, topic: Key, range: Range<usize>) -> Run<'_> {
        let frames = Frames::Shared(&self.frames, range.clone());
        let part = self.part(&self.frames, range, false);
        Run::new(frames, Some(part), Some(self.source(topic)))
    }

    /// Empties the batch, and lays its memory out for `open`, which has none; `false`, and nothing
    /// has changed, if it is still in use or the frames have compressed forms.
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

    /// An empty batch in the memory of this one, unless that is still in use.
    pub(super) fn reopen(self) -> Option<Batch<BytesMut>> {
        let mut frames = self.frames.try_into_mut().ok()?;
        let (mut marks, mut forms) = (self.marks, self.forms);
        frames.clear();
        marks.clear();
        forms.clear();
        Some(Batch { frames, marks, forms, exceptions: 0, storage: 0 })
    }

    /// The batch in no more memory than it needs, and the memory that it lay in before if that was
    /// much more.
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
        };
        (compact, self.reopen())
    }

    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        self.storage + self.held_beside()
    }
}

/// Which batch frames are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) topic: Key,
    /// The number of its first broadcast among those to all topics; nothing of a compressed form,
    /// of which there are several.
    pub(crate) first: Option<u64>,
}

/// Frames to append to a connection's output.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) frames: Frames<'a>,
    /// The same frames with their compressed forms; nothing if they are sent as they are, whatever
    /// was agreed.
    pub(crate) forms: Option<CompressibleFrames<'a>>,
    /// The batch that they are of, if they were broadcast.
    pub(crate) source: Option<Source>,
    /// The bytes of `frames`, found once for all who are sent them.
    bytes: &'a [u8],
}

/// Where the frames of a run lie.
#[derive(Clone, Debug)]
pub(crate) enum Frames<'a> {
    /// In a batch that no longer changes: may be kept by reference.
    Shared(&'a Bytes, Range<usize>),
    /// In a batch that still grows: must be copied.
    Open(&'a [u8], Range<usize>),
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

    /// A compressed form of frames, or frames that were not broadcast.
    pub(crate) fn form(frames: &'a Bytes, source: Option<Source>) -> Self {
        let source = source.map(|source| Source { first: None, ..source });
        Self::new(Frames::Shared(frames, 0..frames.len()), None, source)
    }

    #[inline]
    pub(crate) const fn as_slice(&self) -> &[u8] {
        self.bytes
    }
}
