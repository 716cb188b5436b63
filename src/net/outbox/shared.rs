//! Frames that wait for several connections: held once, however many those are.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use slab::Slab;

use super::CHUNK;
use crate::slots::Key;

/// How many batches are remembered. A turn's broadcasts to one topic are one batch, or two where
/// they are compressed for some.
const REMEMBERED: usize = 8;

/// Frames in a segment, from the first that a connection was handed. Handed out by
/// [`SharedFrames`], which must get each back.
#[derive(Debug)]
pub(super) struct Slice {
    segment: usize,
    pub(super) range: Range<usize>,
}

impl Slice {
    /// Appends `next`, if it lies right behind in the same segment; gives it back if not.
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
    /// How many slices of it are handed out, and batches remembered.
    holders: usize,
}

#[derive(Debug)]
enum Frames {
    /// Batches of one topic, copied here one behind the other.
    Gathered(Vec<u8>, Key),
    /// One batch, or whatever else is long.
    Whole(Bytes),
}

impl Frames {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Gathered(bytes, _) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Gathered(bytes, _) => bytes.capacity(),
            Self::Whole(bytes) => bytes.len(),
        }
    }
}

/// A batch that was copied, and where.
#[derive(Debug)]
struct Placed {
    /// Kept, so that nothing else lies at its address.
    batch: Bytes,
    segment: usize,
    start: usize,
}

/// All segments.
#[derive(Debug, Default)]
pub(crate) struct SharedFrames {
    segments: Slab<Segment>,
    /// The segment of each topic that its next batch is appended to.
    growing: BTreeMap<Key, usize>,
    /// Segments that are no copies, by address and length.
    whole: BTreeMap<(usize, usize), usize>,
    placed: Vec<Placed>,
    /// Where the next batch is remembered when there are many.
    next: usize,
    /// Bytes of storage of all segments.
    held: usize,
}

impl SharedFrames {
    /// Bytes of storage that all slices together hold.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// The bytes of a slice from `sent` on.
    pub(super) fn get(&self, slice: &Slice, sent: usize) -> &[u8] {
        let range = slice.range.start + sent..slice.range.end;
        let segment = self.segments.get(slice.segment);
        segment.and_then(|segment| segment.frames.as_slice().get(range)).unwrap_or(&[])
    }

    /// Shares `range` of a batch of that topic. Short batches are gathered, so that many of them
    /// cost a connection no more than one.
    pub(super) fn share_batch(&mut self, topic: Key, batch: &Bytes, range: Range<usize>) -> Slice {
        if batch.len() >= CHUNK {
            return self.share(batch, range);
        }
        let (segment, start) = self.place(topic, batch);
        self.hand_out(segment, start + range.start..start + range.end)
    }

    /// Shares `range` of bytes that somebody else holds, too.
    pub(super) fn share(&mut self, bytes: &Bytes, range: Range<usize>) -> Slice {
        let place = (bytes.as_ptr() as usize, bytes.len());
        let known = self.whole.get(&place).copied();
        let segment = known.unwrap_or_else(|| self.insert(Frames::Whole(bytes.clone())));
        self.whole.insert(place, segment);
        self.hand_out(segment, range)
    }

    /// Lets a slice end where `at` of its bytes do; returns the rest.
    pub(super) fn split(&mut self, slice: &mut Slice, at: usize) -> Slice {
        let middle = slice.range.start + at;
        let end = std::mem::replace(&mut slice.range.end, middle);
        self.hand_out(slice.segment, middle..end)
    }

    /// Takes a slice back.
    pub(super) fn release(&mut self, slice: &Slice) {
        self.drop_holder(slice.segment);
    }

    /// Forgets where batches lie: no connection gets them any more.
    pub(crate) fn forget_batches(&mut self) {
        while let Some(placed) = self.placed.pop() {
            self.drop_holder(placed.segment);
        }
        self.next = 0;
    }

    /// Where a batch lies, after it was copied if it is the first time that it is asked for.
    fn place(&mut self, topic: Key, batch: &Bytes) -> (usize, usize) {
        let is_it = |placed: &&Placed| {
            placed.batch.as_ptr() == batch.as_ptr() && placed.batch.len() == batch.len()
        };
        if let Some(placed) = self.placed.iter().find(is_it) {
            return (placed.segment, placed.start);
        }
        let (segment, start) = self.append(topic, batch);
        self.remember(Placed { batch: batch.clone(), segment, start });
        (segment, start)
    }

    /// Copies a batch behind those of its topic before, or to a new segment.
    fn append(&mut self, topic: Key, batch: &[u8]) -> (usize, usize) {
        let growing = self.growing.get(&topic).copied();
        let has_room = |segment: &Segment| segment.frames.as_slice().len() + batch.len() <= CHUNK;
        let known = growing.filter(|at| self.segments.get(*at).is_some_and(has_room));
        let at = known.unwrap_or_else(|| self.insert(Frames::Gathered(Vec::new(), topic)));
        self.growing.insert(topic, at);
        let Some(Segment { frames: Frames::Gathered(bytes, _), .. }) = self.segments.get_mut(at)
        else {
            unreachable!("a topic's growing segment gathers batches");
        };
        let (start, before) = (bytes.len(), bytes.capacity());
        bytes.extend_from_slice(batch);
        self.held += bytes.capacity() - before;
        (at, start)
    }

    fn remember(&mut self, placed: Placed) {
        self.add_holder(placed.segment);
        if self.placed.len() < REMEMBERED {
            self.placed.push(placed);
            return;
        }
        let former = std::mem::replace(&mut self.placed[self.next], placed);
        self.next = (self.next + 1) % REMEMBERED;
        self.drop_holder(former.segment);
    }

    fn insert(&mut self, frames: Frames) -> usize {
        self.held += frames.held();
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
        self.held -= segment.frames.held();
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

    fn topics() -> [Key; 2] {
        let mut slots = Slots::with_capacity(2);
        [slots.insert(()), slots.insert(())]
    }

    #[test]
    fn a_batch_is_held_once_for_all_and_goes_with_the_last() {
        let ([topic, _], mut frames) = (topics(), SharedFrames::default());
        let batch = Bytes::from(vec![7; 600]);
        let slices: Vec<_> = (0..500).map(|_| frames.share_batch(topic, &batch, 0..600)).collect();
        assert!(frames.held() < 2 * 600, "{}", frames.held());
        frames.forget_batches();
        for slice in &slices {
            assert_eq!(frames.get(slice, 100), [7; 500]);
            frames.release(slice);
        }
        assert_eq!((frames.held(), frames.segments.len()), (0, 0));
        assert!(frames.growing.is_empty());
    }

    #[test]
    fn short_batches_of_a_topic_lie_side_by_side() {
        let ([topic, other], mut frames) = (topics(), SharedFrames::default());
        let mut slice = frames.share_batch(topic, &Bytes::from_static(b"one"), 0..3);
        let apart = frames.share_batch(other, &Bytes::from_static(b"apart"), 0..5);
        let next = frames.share_batch(topic, &Bytes::from_static(b"two"), 0..3);
        assert!(slice.append(next, &mut frames).is_none());
        assert_eq!(frames.get(&slice, 0), b"onetwo");
        let apart = slice.append(apart, &mut frames).expect("it lies in another segment");
        assert_eq!(frames.get(&apart, 2), b"art");
        frames.forget_batches();
        frames.release(&apart);
        frames.release(&slice);
        assert_eq!(frames.held(), 0);
    }

    #[test]
    fn long_bytes_are_shared_where_they_lie() {
        let ([topic, _], mut frames) = (topics(), SharedFrames::default());
        let batch = Bytes::from(vec![1; CHUNK]);
        let slices = [
            frames.share_batch(topic, &batch, 0..CHUNK),
            frames.share(&batch, 0..CHUNK),
            frames.share_batch(topic, &batch, 10..CHUNK),
        ];
        assert_eq!(frames.get(&slices[0], 0).as_ptr(), batch.as_ptr());
        assert_eq!(frames.held(), CHUNK);
        slices.iter().for_each(|slice| frames.release(slice));
        assert_eq!((frames.held(), frames.whole.len()), (0, 0));
    }

    #[test]
    fn a_full_segment_is_followed_by_another() {
        let ([topic, _], mut frames) = (topics(), SharedFrames::default());
        let batches: Vec<_> = (0..40).map(|n| Bytes::from(vec![n; 4000])).collect();
        let slices: Vec<_> =
            batches.iter().map(|batch| frames.share_batch(topic, batch, 0..4000)).collect();
        assert_eq!(frames.segments.len(), 40 / (CHUNK / 4000) + 1);
        for (slice, batch) in slices.iter().zip(&batches) {
            assert_eq!(frames.get(slice, 0), &batch[..]);
            frames.release(slice);
        }
        frames.forget_batches();
        assert_eq!((frames.held(), frames.segments.len()), (0, 0));
    }
}
