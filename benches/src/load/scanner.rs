use super::fault::Fault;
use super::format::{CLOSE, CONTINUATION, Format, PING, PONG, TEXT, control_frame};
use super::stamp::Stamp;

/// The position in one connection's stream. It keeps only parts of a header, a stamp or a control
/// frame: payloads are compared in place.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The part of a header that has arrived. Empty between frames.
    header: Vec<u8>,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// Bytes of the current message that have been compared, over all its fragments.
    compared: usize,
    /// Between the first and the last frame of a message.
    fragmented: bool,
    /// The arrived part of the current message's stamp.
    stamp: [u8; Stamp::LEN],
    /// The arrived part of the current control frame's payload.
    control: Vec<u8>,
}

/// A frame whose header has been read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// `None` for data.
    control: Option<u8>,
    last: bool,
    /// Payload bytes still to come.
    left: u64,
}

/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_MAX: u64 = 125;

impl Scanner {
    /// Scans further bytes of the stream, and passes on the stamps of the messages that became
    /// whole. Appends what is to be sent in reply, such as a pong, to `replies`.
    pub(super) fn scan<F>(
        &mut self,
        format: &Format,
        mut bytes: &[u8],
        replies: &mut Vec<u8>,
        mut arrived: F,
    ) -> Result<(), Fault>
    where
        F: FnMut(Stamp) -> Result<(), Fault>,
    {
        while !bytes.is_empty() {
            if let Some((payload, rest)) = self.whole_message(format, bytes) {
                bytes = rest;
                self.compare(format, payload)?;
                arrived(self.finish_message())?;
                continue;
            }
            if self.frame.is_none() {
                bytes = self.read_header(format, bytes)?;
            }
            let Some(frame) = &mut self.frame else {
                continue;
            };
            let length = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(length);
            bytes = rest;
            frame.left -= length as u64;
            let Frame { control, last, left } = *frame;
            self.frame = self.frame.filter(|_| left > 0);
            if let Some(opcode) = control {
                self.control.extend_from_slice(piece);
                if left == 0 {
                    self.finish_control(opcode, replies)?;
                }
                continue;
            }
            self.compare(format, piece)?;
            if left == 0 && last {
                if self.compared < format.payload.len() {
                    return Err(wrong_length(format, self.compared));
                }
                arrived(self.finish_message())?;
            }
        }
        Ok(())
    }

    /// The usual case: the next bytes are one whole message in one frame.
    fn whole_message<'b>(&self, format: &Format, bytes: &'b [u8]) -> Option<(&'b [u8], &'b [u8])> {
        if !self.header.is_empty() || self.frame.is_some() || self.fragmented {
            return None;
        }
        let header = format.header.as_deref().unwrap_or_default();
        bytes.strip_prefix(header)?.split_at_checked(format.payload.len())
    }

    /// Reads up to the payload of the next frame, and returns the bytes after that.
    fn read_header<'b>(&mut self, format: &Format, bytes: &'b [u8]) -> Result<&'b [u8], Fault> {
        if format.header.is_none() {
            let left = format.payload.len() as u64;
            self.frame = Some(Frame { control: None, last: true, left });
            return Ok(bytes);
        }
        for (index, &byte) in bytes.iter().enumerate() {
            self.header.push(byte);
            self.frame = self.parse_header(format.opcode())?;
            if self.frame.is_some() {
                self.header.clear();
                return Ok(&bytes[index + 1..]);
            }
        }
        Ok(&[])
    }

    /// The header, if it has arrived whole (RFC 6455 §5.2). Messages have the opcode `data`.
    fn parse_header(&mut self, data: u8) -> Result<Option<Frame>, Fault> {
        let &[first, second, ref extended @ ..] = self.header.as_slice() else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(Fault::protocol("reserved bits without an extension"));
        }
        if second & 0x80 != 0 {
            return Err(Fault::protocol("a masked frame from a server"));
        }
        let left = match (second, extended) {
            (126, &[a, b]) => u64::from(u16::from_be_bytes([a, b])),
            (127, &[a, b, c, d, e, f, g, h]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            (126 | 127, _) => return Ok(None),
            (length, _) => u64::from(length),
        };
        let last = first & 0x80 != 0;
        let control = match first & 0x0f {
            CONTINUATION if self.fragmented => None,
            opcode if opcode == data && !self.fragmented => None,
            opcode @ (CLOSE | PING | PONG) if last && left <= CONTROL_MAX => Some(opcode),
            CLOSE | PING | PONG => return Err(Fault::protocol("a malformed control frame")),
            TEXT => return Err(Fault::protocol("a text message in answer to a binary one")),
            _ => return Err(Fault::protocol("a frame that is not allowed here")),
        };
        if control.is_none() {
            self.fragmented = !last;
        }
        Ok(Some(Frame { control, last, left }))
    }

    /// Compares the next piece of the current message, and keeps its part of the stamp.
    fn compare(&mut self, format: &Format, piece: &[u8]) -> Result<(), Fault> {
        let from = self.compared;
        let to = from + piece.len();
        let Some(expected) = format.payload.get(from..to) else {
            return Err(wrong_length(format, to));
        };
        // The part of the piece that is the stamp's.
        let start = format.stamp.start.clamp(from, to) - from;
        let end = format.stamp.end.clamp(from, to) - from;
        if start < end {
            let at = from + start - format.stamp.start;
            self.stamp[at..at + end - start].copy_from_slice(&piece[start..end]);
        }
        // Mostly the stamp comes first.
        let differs_before = start > 0 && expected[..start] != piece[..start];
        if differs_before || expected[end..] != piece[end..] {
            return Err(wrong_byte(from, expected, piece, start..end));
        }
        self.compared = to;
        Ok(())
    }

    fn finish_message(&mut self) -> Stamp {
        self.compared = 0;
        Stamp::from_bits(u64::from_le_bytes(std::mem::take(&mut self.stamp)))
    }

    fn finish_control(&mut self, opcode: u8, replies: &mut Vec<u8>) -> Result<(), Fault> {
        match (opcode, self.control.as_slice()) {
            (PING, payload) => replies.extend(control_frame(PONG, payload)),
            (CLOSE, &[a, b, ref reason @ ..]) => {
                let code = u16::from_be_bytes([a, b]);
                let (closed, reason) = (Fault::closed(), String::from_utf8_lossy(reason));
                return Err(Fault::Other(format!("{closed} with code {code} ({reason:?})")));
            }
            (CLOSE, _) => return Err(Fault::Other(format!("{} without a code", Fault::closed()))),
            _ => {}
        }
        self.control.clear();
        Ok(())
    }
}

#[cold]
fn wrong_length(format: &Format, received: usize) -> Fault {
    let expected = format.payload.len();
    Fault::Other(format!("a message of {expected} bytes came back with {received} or more"))
}

/// The first byte of a piece that differs, besides those in `except`.
#[cold]
fn wrong_byte(from: usize, expected: &[u8], piece: &[u8], except: std::ops::Range<usize>) -> Fault {
    let differs = |index: &usize| !except.contains(index) && expected[*index] != piece[*index];
    let index = (0..piece.len()).find(differs).unwrap_or(0);
    let (at, received, expected) = (from + index, piece[index], expected[index]);
    Fault::Other(format!(
        "a message came back wrong: byte {at} is {received:#04x}, not {expected:#04x}"
    ))
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
