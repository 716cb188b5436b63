use std::fmt;

use super::Role;

/// Masks or unmasks `bytes` in place: XORs them with `key` (RFC 6455 §5.3).
///
/// `bytes[0]` is byte number `offset` of the payload. So a payload can be masked in pieces of any
/// length. Only `offset % 4` matters.
///
/// ```
/// use eventwire::proto::apply_mask;
///
/// let key = [0x37, 0xFA, 0x21, 0x3D];
/// let mut payload = *b"Hello";
/// apply_mask(&mut payload[..3], key, 0);
/// apply_mask(&mut payload[3..], key, 3);
/// assert_eq!(payload, [0x7F, 0x9F, 0x4D, 0x51, 0x58]);
/// ```
#[inline]
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    if bytes.len() < BLOCK_BYTES {
        mask_words(bytes, rotated(key, offset));
    } else {
        mask_blocks(bytes, key, offset);
    }
}

/// Bytes that are masked by one unrolled loop.
const BLOCK_BYTES: usize = 512;

/// A cache line. Masking starts at one, so that no vector access crosses a line's end.
const CACHE_LINE_BYTES: usize = 64;

/// Masks block by block from the first cache line on, then the rest. The compiler turns the words
/// of a block into vector instructions.
#[inline(never)]
fn mask_blocks(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    let before = bytes.as_ptr().align_offset(CACHE_LINE_BYTES).min(bytes.len());
    let (first, bytes) = bytes.split_at_mut(before);
    mask_words(first, rotated(key, offset));
    let rotated = rotated(key, offset.wrapping_add(first.len()));
    let rest = mask_whole::<BLOCK_BYTES>(bytes, word_key(rotated));
    let rest = mask_whole::<CACHE_LINE_BYTES>(rest, word_key(rotated));
    mask_words(rest, rotated);
}

/// Masks all whole chunks of `N` bytes, and returns the rest.
#[inline]
fn mask_whole<const N: usize>(bytes: &mut [u8], key: u64) -> &mut [u8] {
    let mut chunks = bytes.chunks_exact_mut(N);
    for chunk in &mut chunks {
        chunk.chunks_exact_mut(8).for_each(|word| mask_word(word, key));
    }
    chunks.into_remainder()
}

/// Masks word by word. This is fastest for a short payload.
#[inline]
fn mask_words(bytes: &mut [u8], rotated: u32) {
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        mask_word(word, word_key(rotated));
    }
    let rest = words.into_remainder();
    // For a short payload this is most of the work, so half a word is masked at once, too.
    let (half, rest) = rest.split_at_mut(rest.len() & 4);
    if let Some(half) = half.first_chunk_mut() {
        *half = (u32::from_ne_bytes(*half) ^ rotated).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(rotated.to_ne_bytes()) {
        *byte ^= key;
    }
}

#[inline]
const fn word_key(rotated: u32) -> u64 {
    (rotated as u64) << 32 | rotated as u64
}

/// Masks eight bytes.
#[inline]
fn mask_word(word: &mut [u8], key: u64) {
    let mut plain = [0; 8];
    plain.copy_from_slice(word);
    word.copy_from_slice(&(u64::from_ne_bytes(plain) ^ key).to_ne_bytes());
}

/// The key as an integer whose first byte in memory is the key's byte for `offset`.
#[inline]
fn rotated(key: [u8; 4], offset: usize) -> u32 {
    // The first byte of a little-endian word is the lowest, so rotating right moves later bytes to
    // the front.
    let rotated = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    u32::from_ne_bytes(rotated.to_le_bytes())
}

/// Provides a fresh mask key for every frame that a client sends.
///
/// RFC 6455 §10.3 requires unpredictable keys, so the source must be the operating system's entropy
/// or a generator that is seeded from it. The source is asked for 1,024 bytes at a time, first when
/// the first key is taken. No byte is used twice, so this type is not `Clone`.
///
/// ```
/// use eventwire::proto::MaskKeys;
///
/// let mut counter = 0; // for a test: a real source must be unpredictable
/// let mut keys = MaskKeys::new(move |bytes| {
///     for byte in bytes {
///         *byte = counter;
///         counter = counter.wrapping_add(1);
///     }
/// });
/// assert_eq!(keys.next_key(), [0, 1, 2, 3]);
/// assert_eq!(keys.next_key(), [4, 5, 6, 7]);
/// ```
pub struct MaskKeys {
    source: Box<Source>,
    batch: Box<[[u8; 4]; BATCH_KEYS]>,
    /// The first unused key. `BATCH_KEYS` if all are used.
    next: usize,
}

type Source = dyn FnMut(&mut [u8]) + Send;

/// 1,024 bytes of keys are drawn at once, because the source usually makes a system call.
const BATCH_KEYS: usize = 256;

impl MaskKeys {
    /// Takes keys from `source`, which must fill the whole slice.
    #[must_use]
    pub fn new(source: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        Self { source: Box::new(source), batch: Box::new([[0; 4]; BATCH_KEYS]), next: BATCH_KEYS }
    }

    /// The next unused key.
    #[inline(never)]
    pub fn next_key(&mut self) -> [u8; 4] {
        if self.next == BATCH_KEYS {
            (self.source)(self.batch.as_flattened_mut());
            self.next = 0;
        }
        let key = self.batch[self.next];
        self.next += 1;
        key
    }

    /// Fills a slice with unused bytes of the source.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(4) {
            part.copy_from_slice(&self.next_key()[..part.len()]);
        }
    }

    /// The key for the next frame from an end with this role: a client masks, a server does not
    /// (RFC 6455 §5.1).
    #[inline]
    pub(crate) fn key_for(&mut self, role: Role) -> Option<[u8; 4]> {
        (role == Role::Client).then(|| self.next_key())
    }
}

impl fmt::Debug for MaskKeys {
    /// Does not reveal the next keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use proptest::prelude::*;

    use super::*;

    fn naive(bytes: &mut [u8], key: [u8; 4], offset: usize) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[(offset % 4 + i) % 4];
        }
    }

    /// A source that counts in units of four bytes.
    fn counting() -> impl FnMut(&mut [u8]) + Send {
        let mut count = 0_u32;
        move |bytes| {
            for chunk in bytes.chunks_mut(4) {
                chunk.copy_from_slice(&count.to_be_bytes()[..chunk.len()]);
                count += 1;
            }
        }
    }

    #[test]
    fn every_short_length_at_every_phase_and_alignment() {
        let key = [0x01, 0x20, 0x84, 0xFF];
        for len in (0..100).chain([
            BLOCK_BYTES - 1,
            BLOCK_BYTES,
            BLOCK_BYTES + 1,
            2 * BLOCK_BYTES + 13,
            9 * BLOCK_BYTES + 77,
        ]) {
            for offset in (0..8).chain([usize::MAX, usize::MAX - 2]) {
                for start in 0..8 {
                    let mut masked: Vec<u8> = (0..=u8::MAX).cycle().take(start + len + 8).collect();
                    let mut expected = masked.clone();
                    apply_mask(&mut masked[start..start + len], key, offset);
                    naive(&mut expected[start..start + len], key, offset);
                    assert_eq!(masked, expected, "{len} bytes at offset {offset} from {start}");
                }
            }
        }
    }

    #[test]
    fn the_example_of_rfc_6455_5_7() {
        let mut payload = [0x7F, 0x9F, 0x4D, 0x51, 0x58];
        apply_mask(&mut payload, [0x37, 0xFA, 0x21, 0x3D], 0);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn keys_are_the_source_in_order_and_never_repeat() {
        let mut keys = MaskKeys::new(counting());
        let mut seen = HashSet::new();
        for expected in 0..4 * BATCH_KEYS as u32 {
            let key = keys.next_key();
            assert_eq!(u32::from_be_bytes(key), expected);
            assert!(seen.insert(key));
        }
    }

    #[test]
    fn no_key_is_used_twice_after_the_source_panics() {
        let mut calls = 0;
        let mut count = counting();
        let mut keys = MaskKeys::new(move |bytes| {
            calls += 1;
            count(bytes);
            assert_ne!(calls, 2, "the second call fails");
        });
        let before: HashSet<_> = (0..BATCH_KEYS).map(|_| keys.next_key()).collect();
        assert!(catch_unwind(AssertUnwindSafe(|| keys.next_key())).is_err());
        let after: HashSet<_> = (0..BATCH_KEYS).map(|_| keys.next_key()).collect();
        assert_eq!((before.len(), after.len()), (BATCH_KEYS, BATCH_KEYS));
        assert!(before.is_disjoint(&after));
    }

    #[test]
    fn the_source_is_not_called_before_the_first_key() {
        let keys = MaskKeys::new(|_| unreachable!("no key was taken"));
        drop(keys);
    }

    #[test]
    fn debug_shows_no_key() {
        let mut keys = MaskKeys::new(|bytes| bytes.fill(0xA7));
        keys.next_key();
        assert_eq!(format!("{keys:?}"), "MaskKeys { .. }");
    }

    proptest! {
        #[test]
        fn pieces_are_masked_as_the_whole(
            payload in prop::collection::vec(any::<u8>(), 0..600),
            key in any::<[u8; 4]>(),
            start in any::<usize>(),
            mut cuts in prop::collection::vec(0_usize..600, 0..8),
        ) {
            let mut whole = payload.clone();
            apply_mask(&mut whole, key, start);
            let mut bytewise = payload.clone();
            naive(&mut bytewise, key, start);
            prop_assert_eq!(&whole, &bytewise);

            cuts.push(0);
            cuts.push(payload.len());
            cuts.iter_mut().for_each(|cut| *cut = payload.len().min(*cut));
            cuts.sort_unstable();
            let mut pieces = payload.clone();
            for pair in cuts.windows(2) {
                apply_mask(&mut pieces[pair[0]..pair[1]], key, start.wrapping_add(pair[0]));
            }
            prop_assert_eq!(&pieces, &whole);

            apply_mask(&mut whole, key, start);
            prop_assert_eq!(whole, payload);
        }
    }
}
