//! Writes replies in place of the frames (RFC 6455 §5.2).

/// Spare bytes at the end of a buffer: headers and the last word of a payload are read without
/// bounds checks on their length.
pub(super) const SLACK: usize = 16;

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
            126 => self.step_medium(first),
            127 => self.step_long(first),
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

    /// A frame whose length is in two bytes.
    #[inline(always)]
    fn step_medium(&mut self, first: u8) -> Step {
        const HEADER: usize = 4 + KEY;
        let here = self.filled - self.at;
        match self.buffer[self.at..].first_chunk::<HEADER>() {
            Some(&[_, _, a, b, key @ ..]) if here >= HEADER => {
                let length = usize::from(u16::from_be_bytes([a, b]));
                if here - HEADER < length {
                    return Step::Partial { need: HEADER + length };
                }
                self.reply([first, 126, a, b], length, key)
            }
            _ => Step::Partial { need: HEADER },
        }
    }

    /// A frame whose length is in eight bytes.
    #[inline(never)]
    fn step_long(&mut self, first: u8) -> Step {
        const HEADER: usize = 10 + KEY;
        let here = self.filled - self.at;
        match self.buffer[self.at..].first_chunk::<HEADER>() {
            Some(&[_, _, a, b, c, d, e, f, g, h, key @ ..]) if here >= HEADER => {
                let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if here - HEADER < length {
                    return Step::Partial { need: HEADER.saturating_add(length) };
                }
                self.reply([first, 127, a, b, c, d, e, f, g, h], length, key)
            }
            _ => Step::Partial { need: HEADER },
        }
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

    /// Notes that the replies were sent. Further replies are written after them.
    pub(super) fn forget_replies(&mut self) {
        self.from = self.to;
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
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(bit | length as u8),
            length @ 126..=0xffff => {
                frame.push(bit | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(bit | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask.iter().flatten());
        let key = mask.unwrap_or_default();
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 7 + length) as u8).collect()
    }

    /// The replies to `bytes`, the result of the last step, and the length of the rest.
    fn answer(bytes: &[u8]) -> (Vec<u8>, Step, Vec<u8>) {
        let mut buffer = [bytes, &[0xee; SLACK]].concat();
        let mut frames = Frames::new(&mut buffer, bytes.len());
        let last = loop {
            match frames.step() {
                Step::Reply { .. } => {}
                last => break last,
            }
        };
        let replies = frames.replies().to_vec();
        let rest = frames.move_rest();
        (replies, last, buffer[..rest].to_vec())
    }

    #[test]
    fn frames_of_all_lengths_are_replied_to_back_to_back() {
        let lengths = (0..=140).chain([511, 512, 513, 4096, 65_535, 65_536, 70_001]);
        for length in lengths {
            let neighbours = [length, 3, length, 20, 600, length];
            let wire = |mask| -> Vec<u8> {
                neighbours.iter().flat_map(|&length| frame(0x82, &payload(length), mask)).collect()
            };
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
            for cut in 0..second.len() {
                let (replies, last, rest) = answer(&[&first, &second[..cut]].concat());
                assert_eq!(replies, frame(0x81, b"first", None));
                assert!(rest == second[..cut]);
                let Step::Partial { need } = last else { panic!("{last:?}") };
                assert!(cut < need && need <= second.len().max(SHORT), "{cut} {need}");
                if cut > 200 {
                    break;
                }
            }
        }
    }

    #[test]
    fn pings_are_answered_and_a_close_ends_it() {
        let frames = [(0x89, &b"ping"[..]), (0x8a, b"pong"), (0x82, b"data"), (0x88, b"")];
        let wire: Vec<u8> =
            frames.iter().flat_map(|(first, payload)| frame(*first, payload, Some(MASK))).collect();
        let (replies, last, _) = answer(&wire);
        assert_eq!(replies, [frame(0x8a, b"ping", None), frame(0x82, b"data", None)].concat());
        assert_eq!(last, Step::Closing);
    }

    #[test]
    fn replies_that_were_sent_are_not_sent_again() {
        let wire: Vec<u8> =
            [3, 1000, 20].iter().flat_map(|&n| frame(0x82, &payload(n), Some(MASK))).collect();
        let mut buffer = [&wire[..], &[0; SLACK]].concat();
        let mut frames = Frames::new(&mut buffer, wire.len());
        for length in [3, 1000, 20] {
            let reply = frame(0x82, &payload(length), None);
            let header = reply.len() - length;
            assert_eq!(frames.step(), Step::Reply { frame: 0, payload: Some(header) });
            assert_eq!(frames.replies(), reply);
            frames.forget_replies();
        }
    }

    #[test]
    fn a_length_that_is_none_does_no_harm() {
        let mut wire = vec![0x82, 0xff];
        wire.extend([0xff; 12]);
        let (_, last, _) = answer(&wire);
        assert_eq!(last, Step::Partial { need: usize::MAX });
    }
}
