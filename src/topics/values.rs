//! The latest message of each key of a topic.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use slab::Slab;

use super::batch::{Frames, Mark, Run};
use super::followers::Followers;
use super::recency::Recency;
use crate::proto::{CompressibleFrames, CompressionCache, FrameHeader, Message, Payload};

/// Values from this length on are sent each by itself, so that connections share their bytes and
/// their compressed forms. Shorter ones are copied together, and not compressed.
const SEPARATE_BYTES_MIN: usize = 1024;

/// Memory of a value that a shorter one leaves unused up to this many bytes, besides as much as it
/// takes itself.
const UNUSED_BYTES_MAX: usize = 64;

/// About how many bytes the index takes for each key, besides its text.
const INDEX_BYTES: usize = 64;

/// What it takes to note that one frame is not compressed: the least capacity of a vector.
const VERBATIM_BYTES: usize = 4 * size_of::<usize>();

/// How many keys are looked at to find values that are sent ahead of their turn.
const AHEAD_STEPS_MAX: usize = 256;

/// The latest message of each key of a topic, and the subscribers that are served from them.
///
/// A message without a key has the empty key.
///
/// Invariants: `index` and `order` have each value once. `frame_bytes`, `key_bytes` and
/// `form_bytes` are sums over all values.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Ordered, not hashed: peers may choose keys, and no choice of keys makes a tree slow.
    index: BTreeMap<Rc<str>, u32>,
    values: Slab<Value>,
    order: Recency,
    frame_bytes: usize,
    key_bytes: usize,
    form_bytes: usize,
    /// The number of the newest value that was given up, or 0.
    pub(super) last_given_up: u64,
    pub(super) followers: Followers,
}

#[derive(Debug)]
struct Value {
    key: Rc<str>,
    /// Uses this many bytes of memory.
    storage: usize,
    frame: Bytes,
    /// The compressed forms of a value that is sent by itself.
    forms: Option<Box<CompressionCache>>,
    /// Bytes of memory of the forms, as last counted.
    counted_forms: usize,
    mark: Mark,
    /// Its place in the order.
    place: u64,
}

/// A place in the order of the values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    place: u64,
    value: u32,
}

impl Values {
    /// How many keys have a value.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Bytes of the values' frames.
    pub(super) const fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// Bytes of memory that the values occupy.
    pub(super) fn memory_bytes(&self) -> usize {
        let tables = self.values.capacity() * size_of::<Value>()
            + self.order.memory_bytes()
            + self.index.len() * INDEX_BYTES;
        self.frame_bytes + self.key_bytes + self.form_bytes + tables
    }

    /// The bytes by which the frames grow if the key's message has `len` bytes.
    pub(super) fn frame_growth(&self, key: &str, len: usize) -> usize {
        let frame = FrameHeader::MAX_LEN + len;
        match self.index.get(key) {
            Some(value) => frame.saturating_sub(self.values[*value as usize].storage),
            None => frame,
        }
    }

    /// The most bytes by which the memory grows if the key's message has `len` bytes.
    pub(super) fn growth(&self, key: &str, len: usize) -> usize {
        let forms = match FrameHeader::MAX_LEN + len >= SEPARATE_BYTES_MIN {
            true => size_of::<CompressionCache>() + VERBATIM_BYTES,
            false => 0,
        };
        let known = self.frame_growth(key, len) + self.order.growth() + forms;
        if self.has(key) {
            return known;
        }
        let values = match self.values.len() < self.values.capacity() {
            true => 0,
            false => self.values.capacity().max(4) * size_of::<Value>(),
        };
        known + values + key.len() + INDEX_BYTES
    }

    /// Whether the key has a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.index.contains_key(key)
    }

    /// Replaces the value of a key that has one, in the same memory. Returns `false` and changes
    /// nothing if that is too small, too large or in use.
    pub(super) fn replace(
        &mut self,
        key: &str,
        message: Message<'_>,
        may_compress: bool,
        mark: Mark,
    ) -> bool {
        let len = FrameHeader::MAX_LEN + message.len();
        let Some(&index) = self.index.get(key) else {
            return false;
        };
        let value = &mut self.values[index as usize];
        let fits = (len..=2 * len + UNUSED_BYTES_MAX).contains(&value.storage);
        if !fits || self.order.growth() > 0 || value.forms.is_some() || len >= SEPARATE_BYTES_MIN {
            return false;
        }
        match std::mem::take(&mut value.frame).try_into_mut() {
            Ok(frame) => value.set(frame, message, may_compress, mark),
            Err(frame) => {
                value.frame = frame;
                return false;
            }
        }
        self.move_to_end(index);
        true
    }

    /// Sets the value of a key.
    pub(super) fn set(&mut self, key: &str, message: Message<'_>, may_compress: bool, mark: Mark) {
        let frame = BytesMut::with_capacity(FrameHeader::MAX_LEN + message.len());
        self.insert(key, frame.capacity(), mark, |value| {
            value.set(frame, message, may_compress, mark);
        });
    }

    /// Sets the value of a key to an encoded frame, which is not compressed.
    pub(super) fn set_frame(&mut self, key: &str, frame: &[u8], mark: Mark) {
        let len = FrameHeader::MAX_LEN + frame.len();
        let mut copy = BytesMut::with_capacity(len);
        copy.extend_from_slice(frame);
        self.insert(key, len, mark, |value| value.set_frame(copy, false, mark));
    }

    fn insert(&mut self, key: &str, storage: usize, mark: Mark, set: impl FnOnce(&mut Value)) {
        self.remove(key);
        let key: Rc<str> = key.into();
        let entry = self.values.vacant_entry();
        let Ok(index) = u32::try_from(entry.key()) else {
            return;
        };
        let mut value = Value {
            key: Rc::clone(&key),
            storage,
            frame: Bytes::new(),
            forms: None,
            counted_forms: 0,
            mark,
            place: self.order.push(mark.number, index),
        };
        set(&mut value);
        value.counted_forms = value.form_bytes();
        self.frame_bytes += storage;
        self.key_bytes += key.len();
        self.form_bytes += value.counted_forms;
        entry.insert(value);
        self.index.insert(key, index);
        self.compact();
    }

    /// Removes the value of a key.
    pub(super) fn remove(&mut self, key: &str) {
        let Some(index) = self.index.remove(key) else {
            return;
        };
        let value = self.values.remove(index as usize);
        self.order.remove(value.place);
        self.frame_bytes -= value.storage;
        self.key_bytes -= value.key.len();
        self.form_bytes -= value.counted_forms;
    }

    /// Gives up the value whose last change is the oldest. Returns whether there was one.
    pub(super) fn give_up_oldest(&mut self) -> bool {
        let Some(oldest) = self.order.oldest() else {
            return false;
        };
        let value = &self.values[oldest as usize];
        let (key, number) = (Rc::clone(&value.key), value.mark.number);
        self.remove(&key);
        self.note_given_up(number);
        true
    }

    /// Notes that the message with this number is not kept.
    pub(super) fn note_given_up(&mut self, number: u64) {
        self.last_given_up = self.last_given_up.max(number);
    }

    fn move_to_end(&mut self, index: u32) {
        let value = &mut self.values[index as usize];
        self.order.remove(value.place);
        value.place = self.order.push(value.mark.number, index);
        self.compact();
    }

    fn compact(&mut self) {
        let Self { order, values, .. } = self;
        order.compact(|index, place| values[index as usize].place = place);
    }

    /// The first value that changed after the broadcast with this number.
    pub(super) fn first_after(&mut self, number: u64) -> Option<Position> {
        let place = self.order.place_after(number);
        let (place, value) = self.order.next(place)?;
        Some(Position { place, value })
    }

    /// The value that follows in the order.
    pub(super) fn next(&mut self, position: Position) -> Option<Position> {
        let (place, value) = self.order.next(position.place + 1)?;
        Some(Position { place, value })
    }

    pub(super) fn mark(&self, position: Position) -> &Mark {
        &self.values[position.value as usize].mark
    }

    pub(super) fn frame(&self, position: Position) -> &[u8] {
        &self.values[position.value as usize].frame
    }

    /// The length of a value's frame, or 0 if it is not pending for a follower that has not passed
    /// it.
    pub(super) fn frame_len_for(&self, follower: u32, position: Position) -> usize {
        let value = &self.values[position.value as usize];
        if self.is_pending(follower, &value.mark) { value.frame.len() } else { 0 }
    }

    /// Whether a value is pending for a follower that has not passed it: does not leave it out, and
    /// was not sent ahead of its turn.
    pub(super) fn is_pending(&self, follower: u32, mark: &Mark) -> bool {
        let follower = self.followers.get(follower);
        follower.is_some_and(|it| mark.except != it.conn && !it.ahead.has_sent(mark.number))
    }

    /// Finds pending values that a follower gets ahead of their turn, which have about `max` bytes
    /// together, or one that is sent by itself. They are in the order of their last change, after
    /// the broadcast with the number `passed`.
    pub(super) fn find_ahead(
        &mut self,
        follower: u32,
        passed: u64,
        max: usize,
        found: &mut Vec<Position>,
    ) {
        found.clear();
        let (mut bytes, end) = (0, self.values.capacity());
        let mut next = self.followers.get(follower).map_or(0, |follower| follower.ahead.next);
        for _ in 0..end.min(AHEAD_STEPS_MAX) {
            let index = if next < end { next } else { 0 };
            let value = self.values.get(index).filter(|value| value.mark.number > passed);
            if let Some(value) = value.filter(|value| self.is_pending(follower, &value.mark)) {
                let is_separate = value.forms.is_some();
                if bytes >= max || (is_separate && bytes > 0) {
                    break;
                }
                found.push(Position { place: value.place, value: index as u32 });
                bytes += if is_separate { max } else { value.frame.len() };
            }
            next = index + 1;
        }
        found.sort_unstable_by_key(|position| position.place);
        if let Some(follower) = self.followers.get_mut(follower) {
            follower.ahead.next = next;
        }
    }

    /// Whether a value is sent by itself, and not together with others.
    pub(super) fn is_separate(&self, position: Position) -> bool {
        self.values[position.value as usize].forms.is_some()
    }

    /// The run of a value that is sent by itself.
    pub(super) fn separate(&self, position: Position) -> Option<Run<'_>> {
        let value = &self.values[position.value as usize];
        let cache = value.forms.as_deref()?;
        let range = 0..value.frame.len();
        let frames = Frames::Shared(&value.frame, range.clone());
        let forms = CompressibleFrames { cache, all: &value.frame, range, may_grow: false };
        Some(Run::new(frames, Some(forms), None))
    }

    /// Counts a value's compressed forms again, after they may have grown.
    pub(super) fn count_forms(&mut self, position: Position) {
        let value = &mut self.values[position.value as usize];
        let bytes = value.form_bytes();
        let before = std::mem::replace(&mut value.counted_forms, bytes);
        self.form_bytes = self.form_bytes - before + bytes;
    }
}

impl Value {
    /// Encodes a message as a server sends it. `frame` has enough memory for it.
    fn set(&mut self, mut frame: BytesMut, message: Message<'_>, may_compress: bool, mark: Mark) {
        let mut header = [0; FrameHeader::MAX_LEN];
        let len = Payload::from(message).header(None).encode(&mut header);
        frame.clear();
        frame.extend_from_slice(&header[..len]);
        frame.extend_from_slice(message.as_bytes());
        self.set_frame(frame, may_compress, mark);
    }

    fn set_frame(&mut self, mut frame: BytesMut, may_compress: bool, mark: Mark) {
        if frame.len() >= SEPARATE_BYTES_MIN {
            let mut forms = CompressionCache::default();
            if !may_compress {
                forms.keep_verbatim(0);
            }
            self.forms = Some(Box::new(forms));
        }
        // Split off, the frame keeps the memory that it is shared by, and the next message uses it.
        self.frame = frame.split().freeze();
        self.mark = mark;
    }

    fn form_bytes(&self) -> usize {
        self.forms.as_ref().map_or(0, |forms| size_of::<CompressionCache>() + forms.memory_bytes())
    }
}
