//! Frames that wait for several connections: held once, however many these are.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use slab::Slab;

use crate::slots::Key;
use crate::topics::{Frames as RunFrames, Run, Source};

/// Batches of a topic are gathered up to this many bytes before another segment is begun.
const SEGMENT_BYTES_MAX: usize = 64 * 1024;

/// How many batches are remembered. A turn's broadcasts to one topic are one batch, or several
/// where they are compressed for some.
const REMEMBERED_MAX: usize = 16;

/// Frames in a segment that wait for a connection. [`SharedFrames`] hands slices out and must get
/// each back.
#[derive(Debug)]
pub(super) struct Slice {
    segment: usize,
    pub(super) range: Range<usize>,
}

impl Slice {
    /// Appends `next` if it follows directly in the same segment; returns it if not.
    pub(super) fn append(&mut self, next: Self, frames: &mut SharedFrames) -> Option<Self> {
        if self.segment != next.segment || self.range.end != next.range.start {
            return Some(next);
        }
        self.range.end = next.range.end;
        frames.release(&next);
        None
    }
}

/// Storage that several outboxes refer to.
#[derive(Debug)]
struct Segment {
    frames: Frames,
    /// How many slices of it are handed out, and batches in it remembered.
    holders: usize,
}

#[derive(Debug)]
enum Frames {
    /// Batches of one topic, copied here one after the other.
    Gathered(Vec<u8>, Key),
    /// One long batch, or other long bytes.
    Whole(Bytes),
}

impl Frames {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Gathered(bytes, _) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Gathered(bytes, _) => bytes.capacity(),
            Self::Whole(bytes) => bytes.len(),
        }
    }
}

/// Where a batch was copied to.
#[derive(Clone, Copy, Debug)]
struct Location {
    segment: usize,
    start: usize,
}

/// A batch that was copied, and where.
#[derive(Debug)]
struct Placed {
    batch: Batch,
    location: Location,
    /// How much of it was copied: it may have grown since.
    len: usize,
}

/// What identifies a batch.
#[derive(Debug)]
enum Batch {
    /// The number of its first broadcast.
    First(u64),
    /// A compressed form, by its address. It is kept, so that nothing else has that address.
    Form(Bytes),
}

impl Batch {
    /// The batch that a run is of, and its frames.
    fn of<'a>(run: &'a Run<'_>, source: Source) -> (Self, &'a [u8]) {
        match (&run.frames, source.first) {
            (RunFrames::Shared(bytes, _), None) => (Self::Form(Bytes::clone(bytes)), bytes),
            (RunFrames::Shared(bytes, _), Some(first)) => (Self::First(first), bytes),
            (RunFrames::Open(bytes, _), first) => (Self::First(first.unwrap_or(0)), bytes),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::First(one), Self::First(other)) => one == other,
            (Self::Form(one), Self::Form(other)) => {
                one.as_ptr() == other.as_ptr() && one.len() == other.len()
            }
            _ => false,
        }
    }
}

/// All segments.
#[derive(Debug, Default)]
pub(crate) struct SharedFrames {
    segments: Slab<Segment>,
    /// The segment of each topic that its next batch is appended to.
    growing: BTreeMap<Key, usize>,
    /// Segments that are not copies, by address and length.
    whole: BTreeMap<(usize, usize), usize>,
    placed: Vec<Placed>,
    /// Where the next batch is remembered once there are many.
    next: usize,
    /// Bytes of storage of all segments.
    memory: usize,
}

impl SharedFrames {
    /// Bytes of storage that all slices together hold.
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    /// The bytes of a slice from `sent` on.
    pub(super) fn get(&self, slice: &Slice, sent: usize) -> &[u8] {
        let range = slice.range.start + sent..slice.range.end;
        let segment = self.segments.get(slice.segment);
        segment.and_then(|segment| segment.frames.as_slice().get(range)).unwrap_or(&[])
    }

    /// Shares the frames of a run that was broadcast, from `sent` on. Short batches of a topic are
    /// gathered, so that many of them cost a connection no more than one.
    pub(super) fn share_run(&mut self, run: &Run<'_>, source: Source, sent: usize) -> Slice {
        let (RunFrames::Shared(_, range) | RunFrames::Open(_, range)) = &run.frames;
        let range = range.start + sent..range.end;
        match &run.frames {
            RunFrames::Shared(bytes, _) if bytes.len() >= SEGMENT_BYTES_MAX => {
                self.share(bytes, range)
            }
            _ => {
                let Location { segment, start } = self.place(run, source);
                self.hand_out(segment, start + range.start..start + range.end)
            }
        }
    }

    /// Shares `range` of bytes that others hold, too.
    pub(super) fn share(&mut self, bytes: &Bytes, range: Range<usize>) -> Slice {
        let place = (bytes.as_ptr() as usize, bytes.len());
        let known = self.whole.get(&place).copied();
        let segment = known.unwrap_or_else(|| self.insert(Frames::Whole(bytes.clone())));
        self.whole.insert(place, segment);
        self.hand_out(segment, range)
    }

    /// Cuts a slice after `at` bytes; returns the rest.
    pub(super) fn split(&mut self, slice: &mut Slice, at: usize) -> Slice {
        let middle = slice.range.start + at;
        let end = std::mem::replace(&mut slice.range.end, middle);
        self.hand_out(slice.segment, middle..end)
    }

    /// Takes a slice back.
    pub(super) fn release(&mut self, slice: &Slice) {
        self.drop_holder(slice.segment);
    }

    /// Clears the cache of batches that were copied: no connection gets them any more.
    pub(crate) fn clear_batch_cache(&mut self) {
        while let Some(placed) = self.placed.pop() {
            self.drop_holder(placed.location.segment);
        }
        self.next = 0;
    }

    /// Where the batch of a run lies. It is copied when it is first asked for.
    fn place(&mut self, run: &Run<'_>, source: Source) -> Location {
        let (batch, frames) = Batch::of(run, source);
        let known = self.placed.iter().position(|placed| placed.batch.is(&batch));
        if let Some(placed) = known.and_then(|at| self.placed.get(at)) {
            let (location, len) = (placed.location, placed.len);
            if len >= frames.len() || self.extend(location, len, &frames[len..]) {
                self.placed[known.unwrap_or(0)].len = frames.len();
                return location;
            }
        }
        let location = self.append(source.topic, frames);
        self.remember(Placed { batch, location, len: frames.len() }, known);
        location
    }

    /// Appends what a batch has grown by, if nothing was appended to its segment since.
    fn extend(&mut self, location: Location, len: usize, more: &[u8]) -> bool {
        let (segment, end) = (location.segment, location.start + len);
        let Some(Segment { frames: Frames::Gathered(bytes, topic), .. }) =
            self.segments.get(segment)
        else {
            return false;
        };
        let topic = *topic;
        let is_last = self.growing.get(&topic) == Some(&segment) && bytes.len() == end;
        is_last
            && end + more.len() <= SEGMENT_BYTES_MAX
            && self.append(topic, more).segment == segment
    }

    /// Copies a batch behind those of its topic before, or to a new segment.
    fn append(&mut self, topic: Key, batch: &[u8]) -> Location {
        let growing = self.growing.get(&topic).copied();
        let has_room =
            |segment: &Segment| segment.frames.as_slice().len() + batch.len() <= SEGMENT_BYTES_MAX;
        let known = growing.filter(|at| self.segments.get(*at).is_some_and(has_room));
        let at = known.unwrap_or_else(|| self.insert(Frames::Gathered(Vec::new(), topic)));
        self.growing.insert(topic, at);
        let Some(Segment { frames: Frames::Gathered(bytes, _), .. }) = self.segments.get_mut(at)
        else {
            unreachable!("a topic's growing segment gathers batches");
        };
        let (start, before) = (bytes.len(), bytes.capacity());
        bytes.extend_from_slice(batch);
        self.memory += bytes.capacity() - before;
        Location { segment: at, start }
    }

    /// Remembers where a batch lies, in place of its earlier location.
    fn remember(&mut self, placed: Placed, before: Option<usize>) {
        self.add_holder(placed.location.segment);
        if before.is_none() && self.placed.len() < REMEMBERED_MAX {
            self.placed.push(placed);
            return;
        }
        let at = before.unwrap_or(self.next);
        let former = std::mem::replace(&mut self.placed[at], placed);
        if before.is_none() {
            self.next = (self.next + 1) % REMEMBERED_MAX;
        }
        self.drop_holder(former.location.segment);
    }

    fn insert(&mut self, frames: Frames) -> usize {
        self.memory += frames.memory();
        self.segments.insert(Segment { frames, holders: 0 })
    }

    fn hand_out(&mut self, segment: usize, range: Range<usize>) -> Slice {
        self.add_holder(segment);
        Slice { segment, range }
    }

    fn add_holder(&mut self, segment: usize) {
        if let Some(segment) = self.segments.get_mut(segment) {
            segment.holders += 1;
        }
    }

    /// A segment goes with its last holder.
    fn drop_holder(&mut self, at: usize) {
        let Some(segment) = self.segments.get_mut(at) else {
            return;
        };
        segment.holders -= 1;
        if segment.holders > 0 {
            return;
        }
        let segment = self.segments.remove(at);
        self.memory -= segment.frames.memory();
        match segment.frames {
            Frames::Gathered(_, topic) => {
                if self.growing.get(&topic) == Some(&at) {
                    self.growing.remove(&topic);
                }
            }
            Frames::Whole(bytes) => {
                self.whole.remove(&(bytes.as_ptr() as usize, bytes.len()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;
    use crate::topics::Position;

    fn topics() -> [Key; 2] {
        let mut slots = Slots::with_capacity(2);
        [slots.insert(()), slots.insert(())]
    }

    fn run(frames: RunFrames<'_>, topic: Key, first: Option<u64>) -> (Run<'_>, Source) {
        let source = Source { topic, first, position: Position::new(0, 0) };
        (Run::new(frames, None, Some(source)), source)
    }

    fn share(frames: &mut SharedFrames, (run, source): (Run<'_>, Source), sent: usize) -> Slice {
        frames.share_run(&run, source, sent)
    }

    /// A batch that no longer changes, with that number.
    fn sealed(batch: &Bytes, topic: Key, first: u64) -> (Run<'_>, Source) {
        run(RunFrames::Shared(batch, 0..batch.len()), topic, Some(first))
    }

    #[test]
    fn a_batch_is_held_once_for_all_and_goes_with_the_last() {
        let ([topic, _], mut frames) = (topics(), SharedFrames::default());
        let batch = Bytes::from(vec![7; 600]);
        for first in [Some(1), None] {
            let run = || run(RunFrames::Shared(&batch, 0..600), topic, first);
            let slices: Vec<_> = (0..500).map(|sent| share(&mut frames, run(), sent)).collect();
            assert!(frames.memory() < 2 * 600, "{}", frames.memory());
            frames.clear_batch_cache();
            for (sent, slice) in slices.iter().enumerate() {
                assert_eq!(frames.get(slice, 10), &batch[sent + 10..]);
                frames.release(slice);
            }
            assert_eq!((frames.memory(), frames.segments.len()), (0, 0));
            assert!(frames.growing.is_empty());
        }
    }

    #[test]
    fn short_batches_of_a_topic_lie_side_by_side() {
        let ([topic, other], mut frames) = (topics(), SharedFrames::default());
        let batches = [&b"one"[..], b"apart", b"two"].map(Bytes::from_static);
        let mut slice = share(&mut frames, sealed(&batches[0], topic, 1), 0);
        let apart = share(&mut frames, sealed(&batches[1], other, 2), 0);
        let next = share(&mut frames, sealed(&batches[2], topic, 3), 0);
        assert!(slice.append(next, &mut frames).is_none());
        assert_eq!(frames.get(&slice, 0), b"onetwo");
        let apart = slice.append(apart, &mut frames).expect("it lies in another segment");
        assert_eq!(frames.get(&apart, 2), b"art");
        frames.clear_batch_cache();
        frames.release(&apart);
        frames.release(&slice);
        assert_eq!(frames.memory(), 0);
    }

    #[test]
    fn a_batch_that_grows_is_copied_once_too() {
        let ([topic, _], mut frames) = (topics(), SharedFrames::default());
        let all = b"one two three";
        let mut slices = Vec::new();
        for end in [3, 3, 7, 13] {
            let frames_so_far = RunFrames::Open(&all[..end], 0..end);
            slices.push(share(&mut frames, run(frames_so_far, topic, Some(5)), 0));
        }
        let whole = Bytes::from_static(all);
        slices.push(share(&mut frames, sealed(&whole, topic, 5), 4));
        for (slice, expected) in slices.iter().zip(["one", "one", "one two", "one two three"]) {
            assert_eq!(frames.get(slice, 0), expected.as_bytes());
        }
        assert_eq!(frames.get(&slices[4], 0), b"two three");
        assert_eq!(frames.segments.len(), 1);
        assert!(frames.memory() <= 2 * all.len(), "{}", frames.memory());
        // Another topic's frames, or another batch, are not taken for it.
        let other = share(&mut frames, sealed(&whole, topic, 6), 0);
        assert_ne!(other.range, slices[3].range);
        slices.push(other);
        slices.iter().for_each(|slice| frames.release(slice));
        frames.clear_batch_cache();
        assert_eq!(frames.memory(), 0);
    }

    #[test]
    fn long_bytes_are_shared_where_they_lie() {
        let ([topic, _], mut frames) = (topics(), SharedFrames::default());
        let batch = Bytes::from(vec![1; SEGMENT_BYTES_MAX]);
        let slices = [
            share(&mut frames, sealed(&batch, topic, 1), 0),
            frames.share(&batch, 0..SEGMENT_BYTES_MAX),
            share(&mut frames, sealed(&batch, topic, 1), 10),
        ];
        assert_eq!(frames.get(&slices[0], 0).as_ptr(), batch.as_ptr());
        assert_eq!(frames.memory(), SEGMENT_BYTES_MAX);
        slices.iter().for_each(|slice| frames.release(slice));
        assert_eq!((frames.memory(), frames.whole.len()), (0, 0));
    }

    #[test]
    fn a_full_segment_is_followed_by_another() {
        let ([topic, _], mut frames) = (topics(), SharedFrames::default());
        let batches: Vec<_> = (0..40).map(|n| Bytes::from(vec![n; 4000])).collect();
        let batch_of = |(first, batch)| share(&mut frames, sealed(batch, topic, first), 0);
        let slices: Vec<_> = (1..).zip(&batches).map(batch_of).collect();
        assert_eq!(frames.segments.len(), 40 / (SEGMENT_BYTES_MAX / 4000) + 1);
        for (slice, batch) in slices.iter().zip(&batches) {
            assert_eq!(frames.get(slice, 0), &batch[..]);
            frames.release(slice);
        }
        frames.clear_batch_cache();
        assert_eq!((frames.memory(), frames.segments.len()), (0, 0));
    }
}
