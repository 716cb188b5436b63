use std::fmt;

use super::frame::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, binary_header};
use super::payload::{Stamp, pattern};
use crate::target::Wire;

/// The expected content of every arriving message: its length, and its bytes besides the stamp.
#[derive(Debug)]
pub(crate) struct Expectation {
    wire: Wire,
    pattern: Vec<u8>,
    /// The header of a whole message in one frame. Empty without frames.
    header: Vec<u8>,
}

/// The position in one connection's stream. It keeps only parts of a header, a stamp or a control
/// frame: payloads are compared in place.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// The header being read.
    header: [u8; HEADER_MAX],
    /// How many bytes of it have arrived. 0 between frames.
    header_len: usize,
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

/// A whole message or ping that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival<'a> {
    /// A message with the expected length and the expected bytes besides its stamp.
    Message(Stamp),
    /// A ping, to be answered with the same bytes.
    Ping(&'a [u8]),
}

/// A fault of a connection or of its data.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Fault {
    /// The server ended the TCP connection.
    Closed,
    /// The TCP connection failed.
    Failed(String),
    /// The server sent a close frame.
    CloseFrame { code: Option<u16>, reason: String },
    /// The server broke RFC 6455.
    Protocol(&'static str),
    /// A message of another length than was sent.
    WrongLength { expected: usize, received: usize },
    /// A message with a wrong byte.
    WrongByte { at: usize, expected: u8, received: u8 },
    /// A message other than the next expected one.
    WrongMessage { expected: Stamp, received: Stamp },
    /// A message that was not sent.
    Unasked,
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

/// The longest header that a server may send: it does not mask.
const HEADER_MAX: usize = 10;
/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_MAX: u64 = 125;

impl Expectation {
    /// Messages of `size` bytes, which over TCP is at least 1.
    pub(crate) fn new(wire: Wire, size: usize) -> Self {
        let header = match wire {
            Wire::WebSocket => binary_header(size, None),
            Wire::Tcp => Vec::new(),
        };
        Self { wire, pattern: pattern(size), header }
    }

    /// Payload bytes of each message.
    pub(crate) fn size(&self) -> usize {
        self.pattern.len()
    }

    /// Scans further bytes of one connection's stream, and passes on what became whole.
    pub(crate) fn scan<F>(
        &self,
        scanner: &mut Scanner,
        mut bytes: &[u8],
        mut arrived: F,
    ) -> Result<(), Fault>
    where
        F: FnMut(Arrival<'_>) -> Result<(), Fault>,
    {
        while !bytes.is_empty() {
            if let Some((payload, rest)) = self.whole_message(scanner, bytes) {
                bytes = rest;
                self.compare(scanner, payload)?;
                arrived(Arrival::Message(scanner.finish_message()))?;
                continue;
            }
            if scanner.frame.is_none() {
                bytes = self.read_header(scanner, bytes)?;
            }
            bytes = self.read_payload(scanner, bytes, &mut arrived)?;
        }
        Ok(())
    }

    /// The usual case: the next bytes are one whole message in one frame.
    fn whole_message<'b>(
        &self,
        scanner: &Scanner,
        bytes: &'b [u8],
    ) -> Option<(&'b [u8], &'b [u8])> {
        if scanner.header_len > 0 || scanner.frame.is_some() || scanner.fragmented {
            return None;
        }
        bytes.strip_prefix(self.header.as_slice())?.split_at_checked(self.size())
    }

    fn read_header<'b>(&self, scanner: &mut Scanner, bytes: &'b [u8]) -> Result<&'b [u8], Fault> {
        if self.wire == Wire::Tcp {
            let left = self.size() as u64;
            scanner.frame = Some(Frame { control: None, last: true, left });
            return Ok(bytes);
        }
        for (index, &byte) in bytes.iter().enumerate() {
            scanner.header[scanner.header_len] = byte;
            scanner.header_len += 1;
            if let Some(frame) = scanner.parse_header()? {
                scanner.header_len = 0;
                scanner.frame = Some(frame);
                return Ok(&bytes[index + 1..]);
            }
        }
        Ok(&[])
    }

    fn read_payload<'b, F>(
        &self,
        scanner: &mut Scanner,
        bytes: &'b [u8],
        arrived: &mut F,
    ) -> Result<&'b [u8], Fault>
    where
        F: FnMut(Arrival<'_>) -> Result<(), Fault>,
    {
        let Some(mut frame) = scanner.frame else {
            return Ok(bytes);
        };
        let length = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
        let (piece, rest) = bytes.split_at(length);
        frame.left -= length as u64;
        scanner.frame = (frame.left > 0).then_some(frame);
        if let Some(opcode) = frame.control {
            scanner.control.extend_from_slice(piece);
            if frame.left == 0 {
                scanner.finish_control(opcode, arrived)?;
            }
            return Ok(rest);
        }
        self.compare(scanner, piece)?;
        if frame.left == 0 && frame.last {
            if scanner.compared != self.size() {
                let (expected, received) = (self.size(), scanner.compared);
                return Err(Fault::WrongLength { expected, received });
            }
            arrived(Arrival::Message(scanner.finish_message()))?;
        }
        Ok(rest)
    }

    /// Compares the next piece of the current message, and keeps its part of the stamp.
    fn compare(&self, scanner: &mut Scanner, piece: &[u8]) -> Result<(), Fault> {
        let from = scanner.compared;
        let to = from + piece.len();
        let Some(expected) = self.pattern.get(from..to) else {
            return Err(Fault::WrongLength { expected: self.size(), received: to });
        };
        let stamped = Stamp::LEN.saturating_sub(from).min(piece.len());
        if stamped > 0 {
            scanner.stamp[from..from + stamped].copy_from_slice(&piece[..stamped]);
        }
        let (expected, received) = (&expected[stamped..], &piece[stamped..]);
        if expected != received {
            let differs = |(expected, received): (&u8, &u8)| expected != received;
            let index = expected.iter().zip(received).position(differs).unwrap_or(0);
            return Err(Fault::WrongByte {
                at: from + stamped + index,
                expected: expected[index],
                received: received[index],
            });
        }
        scanner.compared = to;
        Ok(())
    }
}

impl Scanner {
    /// The header at the front, if it has arrived whole (RFC 6455 §5.2).
    fn parse_header(&mut self) -> Result<Option<Frame>, Fault> {
        let header = &self.header[..self.header_len];
        let &[first, second, ref extended @ ..] = header else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(Fault::Protocol("reserved bits without an extension"));
        }
        if second & 0x80 != 0 {
            return Err(Fault::Protocol("a masked frame from a server"));
        }
        let left = match (second, extended) {
            (126, &[a, b]) => u64::from(u16::from_be_bytes([a, b])),
            (127, &[a, b, c, d, e, f, g, h]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            (126 | 127, _) => return Ok(None),
            (length, _) => u64::from(length),
        };
        let last = first & 0x80 != 0;
        let control = match first & 0x0f {
            BINARY if !self.fragmented => None,
            CONTINUATION if self.fragmented => None,
            opcode @ (CLOSE | PING | PONG) if last && left <= CONTROL_MAX => Some(opcode),
            CLOSE | PING | PONG => return Err(Fault::Protocol("a malformed control frame")),
            TEXT => return Err(Fault::Protocol("a text message in answer to a binary one")),
            _ => return Err(Fault::Protocol("a frame that is not allowed here")),
        };
        if control.is_none() {
            self.fragmented = !last;
        }
        Ok(Some(Frame { control, last, left }))
    }

    fn finish_message(&mut self) -> Stamp {
        self.compared = 0;
        let stamp = std::mem::take(&mut self.stamp);
        Stamp::from_bits(u64::from_le_bytes(stamp))
    }

    fn finish_control<F>(&mut self, opcode: u8, arrived: &mut F) -> Result<(), Fault>
    where
        F: FnMut(Arrival<'_>) -> Result<(), Fault>,
    {
        match opcode {
            PING => arrived(Arrival::Ping(&self.control))?,
            CLOSE => {
                let (code, reason) = match self.control.as_slice() {
                    &[a, b, ref reason @ ..] => (Some(u16::from_be_bytes([a, b])), reason),
                    _ => (None, [].as_slice()),
                };
                let reason = String::from_utf8_lossy(reason).into_owned();
                return Err(Fault::CloseFrame { code, reason });
            }
            _ => {}
        }
        self.control.clear();
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Failed(reason) => write!(f, "the connection failed: {reason}"),
            Self::CloseFrame { code: None, .. } => {
                f.write_str("the server closed the connection without a code")
            }
            Self::CloseFrame { code: Some(code), reason } => {
                write!(f, "the server closed the connection with code {code} ({reason:?})")
            }
            Self::Protocol(what) => write!(f, "the server sent {what}"),
            Self::WrongLength { expected, received } => {
                write!(f, "a message of {expected} bytes came back with {received} or more")
            }
            Self::WrongByte { at, expected, received } => write!(
                f,
                "a message came back wrong: byte {at} is {received:#04x}, not {expected:#04x}"
            ),
            Self::WrongMessage { expected, received } => write!(
                f,
                "message {} of sender {} arrived where message {} of sender {} was expected",
                received.sequence, received.sender, expected.sequence, expected.sender
            ),
            Self::Unasked => f.write_str("the server sent a message that no client had sent"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
