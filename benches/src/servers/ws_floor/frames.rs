//! Writes replies in place of the frames (RFC 6455 §5.2).

use crate::servers::bare::SLACK;

/// The length of the mask key in a client's frame. A server's frame has none.
const KEY: usize = 4;

/// The frames of one buffer, and the replies to them.
///
/// A server's header is shorter than the client's by the mask key. So a reply fits between the
/// replies before it and the frames behind it, and all replies lie back to back.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    buffer: &'a mut [u8],
    filled: usize,
    /// Where the next frame begins.
    at: usize,
    /// The replies: from here
    from: usize,
    /// to here, at least a mask key before the next payload.
    to: usize,
}

/// The result of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A whole frame, and the reply to it: where that begins among the replies, and where its
    /// payload does if it is a message's.
    Reply { frame: usize, payload: Option<usize> },
    /// An incomplete frame of `need` bytes, or more if its header is incomplete, too.
    Partial { need: usize },
    /// The client ends the connection.
    Closing,
}

impl<'a> Frames<'a> {
    /// The input is the first `filled` bytes of `buffer`.
    pub(super) fn new(buffer: &'a mut [u8], filled: usize) -> Self {
        debug_assert!(filled + SLACK <= buffer.len());
        Self { buffer, filled, at: 0, from: 0, to: 0 }
    }

    /// Replies to the next frame.
    #[inline(always)]
    pub(super) fn step(&mut self) -> Step {
        let here = self.filled - self.at;
        let Some(&head) = self.buffer[self.at..].first_chunk::<SHORT>() else {
            return Step::Partial { need: SHORT };
        };
        if here < SHORT {
            return Step::Partial { need: SHORT };
        }
        let [first, second, key @ ..] = head;
        match second & 0x7f {
            126 => self.step_extended::<4, { 4 + KEY }>(),
            127 => self.step_long(),
            length => {
                let length = usize::from(length);
                if here - SHORT < length {
                    return Step::Partial { need: SHORT + length };
                }
                if first & CONTROL != 0 {
                    return self.step_control(first, length, key);
                }
                self.reply([first, length as u8], length, key)
            }
        }
    }

    /// A frame whose length is in the bytes after the second one. `HEAD` is the length of the
    /// reply's header, and `HEADER` that of the frame's.
    #[inline(always)]
    fn step_extended<const HEAD: usize, const HEADER: usize>(&mut self) -> Step {
        let here = self.filled - self.at;
        let Some(&header) = self.buffer[self.at..].first_chunk::<HEADER>() else {
            return Step::Partial { need: HEADER };
        };
        if here < HEADER {
            return Step::Partial { need: HEADER };
        }
        let (mut head, mut key) = ([0; HEAD], [0; KEY]);
        head.copy_from_slice(&header[..HEAD]);
        key.copy_from_slice(&header[HEAD..]);
        head[1] &= 0x7f;
        let length = head[2..].iter().fold(0, |length, &byte| length << 8 | u64::from(byte));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if here - HEADER < length {
            return Step::Partial { need: HEADER.saturating_add(length) };
        }
        self.reply(head, length, key)
    }

    #[inline(never)]
    fn step_long(&mut self) -> Step {
        self.step_extended::<10, { 10 + KEY }>()
    }

    /// Pings are answered, pongs are not, and a close ends the connection.
    #[cold]
    fn step_control(&mut self, first: u8, length: usize, key: [u8; 4]) -> Step {
        const PING: u8 = 0x89;
        const PONG: u8 = 0x8a;
        match first {
            PING => match self.reply([PONG, length as u8], length, key) {
                Step::Reply { frame, .. } => Step::Reply { frame, payload: None },
                other => other,
            },
            PONG => {
                self.at += SHORT + length;
                self.step()
            }
            _ => Step::Closing,
        }
    }

    /// Writes a reply with the header `head`.
    #[inline(always)]
    fn reply<const HEAD: usize>(
        &mut self,
        head: [u8; HEAD],
        length: usize,
        key: [u8; KEY],
    ) -> Step {
        let payload = self.at + HEAD + KEY;
        if self.from == self.to {
            // The first one's payload stays where it is.
            self.from = self.at + KEY;
            self.to = self.from;
        }
        let (frame, to) = (self.to - self.from, self.to + HEAD);
        self.buffer[self.to..to].copy_from_slice(&head);
        if payload == to {
            unmask(&mut self.buffer[to..to + length], key);
        } else {
            unmask_down(self.buffer, payload, to, length, key);
        }
        self.at = payload + length;
        self.to = to + length;
        Step::Reply { frame, payload: Some(frame + HEAD) }
    }

    /// The replies to send.
    pub(super) fn replies(&self) -> &[u8] {
        &self.buffer[self.from..self.to]
    }

    /// Replies to all further whole frames, and returns the step after them.
    #[inline(always)]
    pub(super) fn step_all(&mut self) -> Step {
        loop {
            match self.step() {
                Step::Reply { .. } => {}
                last => return last,
            }
        }
    }

    /// Moves an incomplete frame to the buffer's front, and returns its length.
    pub(super) fn move_rest(self) -> usize {
        if self.at == self.filled {
            return 0;
        }
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled - self.at
    }
}

/// The length of most headers.
const SHORT: usize = 2 + KEY;
/// The bit of the first byte that control frames have (RFC 6455 §5.5).
const CONTROL: u8 = 0x08;

/// Bytes that are unmasked at once, in vectors if the compiler can.
const BLOCK: usize = 128;

/// Unmasks in place.
#[inline(always)]
fn unmask(payload: &mut [u8], key: [u8; KEY]) {
    let mut blocks = payload.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        unmask_words(block, key);
    }
    let rest = blocks.into_remainder();
    unmask_words(rest, key);
    let last = rest.chunks_exact_mut(KEY).into_remainder();
    for (byte, key) in last.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[inline(always)]
fn unmask_words(bytes: &mut [u8], key: [u8; KEY]) {
    let key = u32::from_ne_bytes(key);
    for bytes in bytes.chunks_exact_mut(KEY) {
        if let Ok(bytes) = <&mut [u8; KEY]>::try_from(bytes) {
            *bytes = (u32::from_ne_bytes(*bytes) ^ key).to_ne_bytes();
        }
    }
}

/// Unmasks and moves towards the buffer's front by at least a key's length. Whole words are
/// written, and the excess bytes end before the next frame.
#[inline(always)]
fn unmask_down(buffer: &mut [u8], from: usize, to: usize, length: usize, key: [u8; KEY]) {
    let shift = from - to;
    let region = &mut buffer[to..from + length.next_multiple_of(KEY)];
    let mut at = 0;
    while length - at >= BLOCK {
        at = move_down::<BLOCK>(region, at, shift, key);
    }
    while length - at >= 16 {
        at = move_down::<16>(region, at, shift, key);
    }
    while at < length {
        at = move_down::<KEY>(region, at, shift, key);
    }
}

/// Unmasks `N` bytes and moves them to `at`: all are read before any is overwritten.
#[inline(always)]
fn move_down<const N: usize>(region: &mut [u8], at: usize, shift: usize, key: [u8; KEY]) -> usize {
    if let Some(bytes) = region[at + shift..].first_chunk::<N>() {
        let mut bytes = *bytes;
        unmask_words(&mut bytes, key);
        region[at..at + N].copy_from_slice(&bytes);
    }
    at + N
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A frame as a client or as a server sends it.
    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let length = (payload.len() as u64).to_be_bytes();
        let mut frame = match payload.len() {
            0..=125 => vec![first, bit | length[7]],
            126..=0xffff => [&[first, bit | 126], &length[6..]].concat(),
            _ => [&[first, bit | 127], &length[..]].concat(),
        };
        frame.extend(mask.iter().flatten());
        let key = mask.unwrap_or_default();
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 7 + length) as u8).collect()
    }

    /// The replies to `bytes`, the result of the last step, and the rest.
    fn answer(bytes: &[u8]) -> (Vec<u8>, Step, Vec<u8>) {
        let mut buffer = [bytes, &[0xee; SLACK]].concat();
        let mut frames = Frames::new(&mut buffer, bytes.len());
        let last = frames.step_all();
        let replies = frames.replies().to_vec();
        let rest = frames.move_rest();
        (replies, last, buffer[..rest].to_vec())
    }

    #[test]
    fn frames_of_all_lengths_are_replied_to_back_to_back() {
        let lengths = (0..=140).chain([511, 512, 513, 4096, 65_535, 65_536, 70_001]);
        for length in lengths {
            let neighbours = [length, 3, length, 20, 600, length];
            let wire = |mask| neighbours.map(|length| frame(0x82, &payload(length), mask)).concat();
            let (replies, last, rest) = answer(&wire(Some(MASK)));
            assert!(replies == wire(None), "{length}");
            assert_eq!((last, rest.len()), (Step::Partial { need: SHORT }, 0));
        }
    }

    #[test]
    fn what_is_not_whole_stays_as_it_was() {
        for length in [0, 20, 200, 70_000] {
            let first = frame(0x81, b"first", Some(MASK));
            let second = frame(0x82, &payload(length), Some(MASK));
            for cut in 0..second.len().min(200) {
                let (replies, last, rest) = answer(&[&first, &second[..cut]].concat());
                assert_eq!(replies, frame(0x81, b"first", None));
                assert!(rest == second[..cut]);
                let Step::Partial { need } = last else { panic!("{last:?}") };
                assert!(cut < need && need <= second.len().max(SHORT), "{cut} {need}");
            }
        }
    }

    #[test]
    fn control_frames_and_wrong_lengths_do_no_harm() {
        let frames = [(0x89, &b"ping"[..]), (0x8a, b"pong"), (0x82, b"data"), (0x88, b"")];
        let wire = frames.map(|(first, payload)| frame(first, payload, Some(MASK))).concat();
        let (replies, last, _) = answer(&wire);
        assert_eq!(replies, [frame(0x8a, b"ping", None), frame(0x82, b"data", None)].concat());
        assert_eq!(last, Step::Closing);
        let (_, last, _) = answer(&[&[0x82, 0xff][..], &[0xff; 12]].concat());
        assert_eq!(last, Step::Partial { need: usize::MAX });
    }
}
