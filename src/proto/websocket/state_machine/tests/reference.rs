//! A plain implementation of RFC 6455 §5 that reads a whole buffer in a loop.

use super::{Limits, OpCode, PeerError, ProtocolError, Role, Seen, State};

/// What a connection yields and writes for a stream.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) seen: Vec<Seen>,
    pub(super) sent: Vec<(OpCode, Vec<u8>)>,
    pub(super) state: State,
}

/// Reads `stream` as a connection in `role` must. Its owner closes it after `close_after` events.
pub(super) fn outcome(
    stream: &[u8],
    role: Role,
    limits: &Limits,
    burst: usize,
    close_after: Option<usize>,
) -> Outcome {
    let mut reader = Reader {
        stream,
        at: 0,
        role,
        limits,
        budget: burst,
        close_after,
        message: None,
        outcome: Outcome { seen: Vec::new(), sent: Vec::new(), state: State::Open },
    };
    let error = loop {
        match reader.frame() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    let mut outcome = reader.outcome;
    if let Some(error) = error {
        if outcome.state == State::Open {
            let mut close = error.close_code().get().to_be_bytes().to_vec();
            close.extend(error.to_string().bytes());
            outcome.sent.push((OpCode::Close, close));
        }
        outcome.state = State::Closed;
        outcome.seen.push(Seen::Failed(PeerError::Protocol(error)));
    }
    outcome
}

/// The frames that a connection wrote for a peer in role `receiver`. All are whole and valid.
pub(super) fn frames(mut bytes: &[u8], receiver: Role) -> Vec<(OpCode, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let header = header(bytes, receiver).unwrap().expect("a whole header");
        assert!(header.fin, "a fragment was written");
        let end = header.size + header.len as usize;
        let payload = unmask(&bytes[header.size..end], header.key);
        frames.push((header.opcode, payload));
        bytes = &bytes[end..];
    }
    frames
}

struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
    role: Role,
    limits: &'a Limits,
    /// How many more control frames and empty fragments may come.
    budget: usize,
    close_after: Option<usize>,
    message: Option<Unfinished>,
    outcome: Outcome,
}

struct Unfinished {
    opcode: OpCode,
    fragments: usize,
    payload: Vec<u8>,
}

struct Header {
    fin: bool,
    opcode: OpCode,
    key: [u8; 4],
    len: u64,
    size: usize,
}

impl Reader<'_> {
    /// Reads the next frame. Returns `false` if there is no whole one, or reading has ended.
    fn frame(&mut self) -> Result<bool, ProtocolError> {
        let rest = &self.stream[self.at..];
        if self.outcome.state == State::Closed {
            return Ok(false);
        }
        let Some(header) = header(rest, self.role)? else {
            return Ok(false);
        };
        if !header.opcode.is_control() {
            self.check_data(&header)?;
        }
        if header.opcode.is_control() || (header.len == 0 && !header.fin) {
            self.budget = self.budget.checked_sub(1).ok_or(ProtocolError::ControlFlood)?;
        }
        let rest = &rest[header.size..];
        let whole = rest.len() as u64 >= header.len;
        let arrived = if whole { header.len as usize } else { rest.len() };
        self.at += header.size + arrived;
        let payload = unmask(&rest[..arrived], header.key);
        if header.opcode.is_control() {
            if whole {
                self.control(header.opcode, payload)?;
            }
        } else {
            self.data(&header, &payload, whole)?;
        }
        Ok(whole)
    }

    fn check_data(&self, header: &Header) -> Result<(), ProtocolError> {
        let (fragments, len) = match (&self.message, header.opcode) {
            (None, OpCode::Continuation) => return Err(ProtocolError::UnexpectedContinuation),
            (None, _) => (1, 0),
            (Some(message), OpCode::Continuation) => (message.fragments + 1, message.payload.len()),
            (Some(_), _) => return Err(ProtocolError::InterruptedMessage),
        };
        let (frame, message) = (self.limits.frame(), self.limits.message());
        if header.len > frame as u64 {
            return Err(ProtocolError::FrameTooLarge { len: header.len, limit: frame });
        }
        if len as u64 + header.len > message as u64 {
            return Err(ProtocolError::MessageTooLarge { limit: message });
        }
        let whole_message = fragments == 1 && header.fin;
        if fragments > self.limits.fragments() && !whole_message {
            return Err(ProtocolError::TooManyFragments { limit: self.limits.fragments() });
        }
        Ok(())
    }

    fn data(&mut self, header: &Header, payload: &[u8], whole: bool) -> Result<(), ProtocolError> {
        let closing = self.outcome.state == State::Closing;
        let message = self.message.get_or_insert_with(|| Unfinished {
            opcode: header.opcode,
            fragments: 0,
            payload: Vec::new(),
        });
        message.fragments += 1;
        if !closing {
            message.payload.extend_from_slice(payload);
            let text = std::str::from_utf8(&message.payload);
            let hopeless = text.is_err_and(|error| error.error_len().is_some());
            let cut = text.is_err() && whole && header.fin;
            if message.opcode == OpCode::Text && (hopeless || cut) {
                return Err(ProtocolError::InvalidUtf8);
            }
        }
        if !whole || !header.fin {
            return Ok(());
        }
        if let Some(message) = self.message.take().filter(|_| !closing) {
            self.see(match message.opcode {
                OpCode::Text => Seen::Text(String::from_utf8(message.payload).unwrap()),
                _ => Seen::Binary(message.payload),
            });
        }
        Ok(())
    }

    fn control(&mut self, opcode: OpCode, payload: Vec<u8>) -> Result<(), ProtocolError> {
        let closing = self.outcome.state == State::Closing;
        match opcode {
            OpCode::Close => {
                check_close(&payload)?;
                if !closing {
                    let code = payload.get(..2).unwrap_or_default();
                    self.outcome.sent.push((OpCode::Close, code.to_vec()));
                }
                self.outcome.state = State::Closed;
                self.see(Seen::Close(payload));
            }
            _ if closing => {}
            OpCode::Ping => {
                self.outcome.sent.push((OpCode::Pong, payload.clone()));
                self.see(Seen::Ping(payload));
            }
            _ => self.see(Seen::Pong(payload)),
        }
        Ok(())
    }

    fn see(&mut self, seen: Seen) {
        self.outcome.seen.push(seen);
        let enough = self.close_after == Some(self.outcome.seen.len());
        if enough && self.outcome.state == State::Open {
            self.outcome.state = State::Closing;
            self.outcome.sent.push((OpCode::Close, b"\x03\xE9enough".to_vec()));
            if let Some(message) = &mut self.message {
                message.payload.clear();
            }
        }
    }
}

/// The header at the front of `bytes`. `None` if it is valid so far and incomplete.
fn header(bytes: &[u8], receiver: Role) -> Result<Option<Header>, ProtocolError> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let fin = first >= 0x80;
    let opcode = match first % 16 {
        0 => OpCode::Continuation,
        1 => OpCode::Text,
        2 => OpCode::Binary,
        8 => OpCode::Close,
        9 => OpCode::Ping,
        10 => OpCode::Pong,
        other => return Err(ProtocolError::ReservedOpCode(other)),
    };
    let control = first % 16 >= 8;
    if control && !fin {
        return Err(ProtocolError::FragmentedControl);
    }
    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    match (receiver, second >= 0x80) {
        (Role::Server, false) => return Err(ProtocolError::UnmaskedFrame),
        (Role::Client, true) => return Err(ProtocolError::MaskedFrame),
        _ => {}
    }
    let (width, least) = match second % 0x80 {
        126 | 127 if control => return Err(ProtocolError::ControlTooLong),
        126 => (2, 126),
        127 => (8, 0x1_0000),
        _ => (0, 0),
    };
    let mut len = u64::from(second % 0x80);
    if width > 0 {
        // The least and the greatest length that begin with the bytes that have arrived.
        let arrived: Vec<u8> = bytes.iter().skip(2).take(width).copied().collect();
        let padded = |filler| {
            let bytes = arrived.iter().copied().chain(std::iter::repeat(filler)).take(width);
            bytes.fold(0_u64, |len, byte| len << 8 | u64::from(byte))
        };
        if padded(0x00) >= 1 << 63 {
            return Err(ProtocolError::LengthOverflow);
        }
        if padded(0xFF) < least {
            return Err(ProtocolError::NonMinimalLength);
        }
        len = padded(0x00);
    }
    let key_len = if receiver == Role::Server { 4 } else { 0 };
    let size = 2 + width + key_len;
    if bytes.len() < size {
        return Ok(None);
    }
    let mut key = [0; 4];
    key[..key_len].copy_from_slice(&bytes[2 + width..size]);
    Ok(Some(Header { fin, opcode, key, len, size }))
}

fn check_close(payload: &[u8]) -> Result<(), ProtocolError> {
    match payload {
        [] => Ok(()),
        [_] => Err(ProtocolError::InvalidCloseLength),
        [high, low, reason @ ..] => match u16::from_be_bytes([*high, *low]) {
            1000..=1003 | 1007..=1014 | 3000..=4999 => match std::str::from_utf8(reason) {
                Ok(_) => Ok(()),
                Err(_) => Err(ProtocolError::InvalidUtf8),
            },
            code => Err(ProtocolError::InvalidCloseCode(code)),
        },
    }
}

fn unmask(bytes: &[u8], key: [u8; 4]) -> Vec<u8> {
    bytes.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}
