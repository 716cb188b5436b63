//! Receiving frames, however they were split on the way.

use std::borrow::Cow;

use super::{Event, Handled, Incoming, PeerError, State, WebSocket, Workspace};
use crate::proto::deflate::CompressedMessage;
use crate::proto::websocket::assembler::Assembled;
use crate::proto::websocket::control::ControlPayload;
use crate::proto::websocket::partial::Frame;
use crate::proto::{
    Buffer, CloseFrame, FrameHeader, OpCode, ProtocolError, WorkBudget, apply_mask,
};

/// A whole control frame.
struct WholeControl {
    opcode: OpCode,
    /// The payload, if it arrived in several pieces.
    split: Option<ControlPayload>,
}

/// One call that handles what arrived: the connection, and what it borrows for the call.
pub(super) struct Receiving<'s, 'w> {
    pub(super) socket: &'s mut WebSocket,
    pub(super) workspace: &'s mut Workspace<'w>,
    pub(super) budget: &'s mut WorkBudget,
}

impl Receiving<'_, '_> {
    /// Handles frames until the next event or the end of the budget.
    pub(super) fn handle_frames<'a>(
        &mut self,
        input: &'a mut [u8],
    ) -> Result<Handled<'a>, PeerError> {
        let handled = if self.socket.compression.is_inflating() {
            self.continue_inflating().map(|event| Handled { consumed: 0, event })
        } else {
            self.next_event(input)
        };
        match handled {
            Ok(handled) => {
                self.socket.partial.release(self.workspace.pool);
                Ok(handled)
            }
            Err(error) => Err(self.socket.close_with_error(error, self.workspace)),
        }
    }

    /// Continues to decompress a message. It is the event once it is whole.
    fn continue_inflating(&mut self) -> Result<Option<Event<'static>>, ProtocolError> {
        let compression = &mut self.socket.compression;
        let message = compression.continue_inflating(self.workspace.pool, self.budget)?;
        Ok(message.map(|(opcode, message)| assembled(opcode, message)))
    }

    fn next_event<'a>(&mut self, input: &'a mut [u8]) -> Result<Handled<'a>, ProtocolError> {
        self.socket.awaiting_pong = false;
        let mut at = 0;
        while self.socket.state != State::Closed && !self.budget.is_used_up() {
            let frame = if let Some(frame) = self.socket.partial.frame() {
                frame
            } else {
                let Some(header) = self.next_header(input, &mut at)? else {
                    break;
                };
                if self.is_whole_compressed(&header, input.len() - at) {
                    let end = at + header.len as usize;
                    self.budget.take_frames(1);
                    let event = self.decompress_frame(&header, &mut input[at..end])?;
                    return Ok(Handled { consumed: end, event });
                }
                self.begin_frame(&header)?
            };
            let end = at + frame.remaining.min(input.len() - at);
            if frame.opcode.is_control() {
                if let Some(whole) = self.append_control(frame, &mut input[at..end])? {
                    self.budget.take_frames(1);
                    let payload = match whole.split {
                        Some(payload) => Cow::Owned(payload.to_vec()),
                        None => Cow::Borrowed(&input[at..end]),
                    };
                    let event = Some(control_event(whole.opcode, payload));
                    return Ok(Handled { consumed: end, event });
                }
            } else if let Some(event) = self.append_payload(frame, &input[at..end])? {
                self.budget.take_frames(1);
                return Ok(Handled { consumed: end, event: Some(event) });
            }
            at = end;
            if self.socket.partial.frame().is_some() {
                break;
            }
            self.budget.take_frames(1);
        }
        // What follows the end of the connection is discarded.
        Ok(Handled::all(if self.socket.state == State::Closed { input.len() } else { at }))
    }

    /// Whether a compressed message has arrived whole, so that it can be decompressed from where
    /// it lies.
    #[inline]
    fn is_whole_compressed(&self, header: &FrameHeader, rest: usize) -> bool {
        header.compressed
            && header.fin
            && header.len <= rest as u64
            && header.len <= self.socket.limits.arriving_whole(true) as u64
            && self.socket.partial.unfinished_since().is_none()
            && self.socket.state == State::Open
    }

    /// The event of a compressed message that lies whole in the input, or nothing if it takes more
    /// than the budget to decompress.
    fn decompress_frame(
        &mut self,
        header: &FrameHeader,
        payload: &mut [u8],
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        if let Some(key) = header.mask {
            apply_mask(payload, key, 0);
        }
        let (opcode, limit) = (header.opcode, self.socket.limits.message);
        let (compression, pool) = (&mut self.socket.compression, &mut *self.workspace.pool);
        let message = CompressedMessage { opcode, payload, limit };
        let message = compression.decompress(message, pool, self.budget)?;
        if message.is_none() {
            let mut kept = Buffer::default();
            kept.extend_from_slice(payload, &mut pool.storage);
            compression.keep_payload(kept);
        }
        Ok(message.map(|message| assembled(opcode, message)))
    }

    /// The next frame's header, made of what was kept of it and the input from `at` on. Moves `at`
    /// behind the header.
    #[inline]
    fn next_header(
        &mut self,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<FrameHeader>, ProtocolError> {
        let WebSocket { role, compression, partial, .. } = &mut *self.socket;
        let (rest, role, deflate) = (&input[*at..], *role, compression.is_agreed());
        let kept = partial.get().map_or(0, |partial| usize::from(partial.header_len));
        if kept == 0 {
            if let Some((header, len)) = FrameHeader::parse_agreed(rest, role, deflate)? {
                *at += len;
                return Ok(Some(header));
            }
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let partial = partial.get_or_take(self.workspace.pool);
        let take = rest.len().min(FrameHeader::MAX_LEN - kept);
        partial.header[kept..kept + take].copy_from_slice(&rest[..take]);
        let known = &partial.header[..kept + take];
        let Some((header, len)) = FrameHeader::parse_agreed(known, role, deflate)? else {
            partial.header_len += take as u8;
            *at += take;
            return Ok(None);
        };
        partial.header_len = 0;
        *at += len - kept;
        Ok(Some(header))
    }

    /// Begins a frame. Its header alone decides whether it keeps to the sequence, the limits and
    /// the rates.
    #[inline]
    fn begin_frame(&mut self, header: &FrameHeader) -> Result<Frame, ProtocolError> {
        let (socket, now) = (&mut *self.socket, self.workspace.now);
        if header.opcode == OpCode::Pong && socket.unanswered_pings > 0 {
            // A pong that answers one of our pings is free. One pong may answer several pings
            // (RFC 6455 §5.5.3), so later ones may use up the difference: this program sent the
            // pings, so it decides how many that is.
            socket.unanswered_pings -= 1;
        } else if header.opcode.is_control() {
            socket.control_budget.spend(&socket.limits, now)?;
        } else {
            let partial = socket.partial.get_or_take(self.workspace.pool);
            partial.message.begin(header, &socket.limits, now)?;
            if header.len == 0 && !header.fin {
                socket.control_budget.spend(&socket.limits, now)?;
            }
        }
        // The length is within a limit of type usize, or within 125.
        let remaining = header.len as usize;
        Ok(Frame {
            fin: header.fin,
            opcode: header.opcode,
            mask: header.mask,
            offset: 0,
            remaining,
        })
    }

    /// Appends payload bytes of a data frame to its message.
    fn append_payload(
        &mut self,
        mut frame: Frame,
        bytes: &[u8],
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        if self.socket.state == State::Closing {
            frame.remaining -= bytes.len();
        } else if !bytes.is_empty() {
            let (pool, now) = (&mut *self.workspace.pool, self.workspace.now);
            let message = &mut self.socket.partial.get_or_take(pool).message;
            message.append(bytes, &mut pool.storage, now, |fresh| frame.unmask(fresh))?;
        }
        self.finish_if_whole(frame)
    }

    /// Takes payload bytes of a control frame. Once the frame is whole, acts on it, and returns it
    /// if it is an event.
    fn append_control(
        &mut self,
        mut frame: Frame,
        bytes: &mut [u8],
    ) -> Result<Option<WholeControl>, ProtocolError> {
        frame.unmask(bytes);
        let partial = self.socket.partial.get();
        let is_split = partial.is_some_and(|partial| partial.control.is_some());
        let mut split = None;
        if frame.remaining > 0 || is_split {
            let partial = self.socket.partial.get_or_take(self.workspace.pool);
            partial.control.get_or_insert_default().extend(bytes);
            partial.frame = Some(frame).filter(|frame| frame.remaining > 0);
            if partial.frame.is_some() {
                return Ok(None);
            }
            split = partial.control.take();
        }
        let payload = split.as_deref().map_or(&*bytes, |split| split);
        let is_event = self.handle_control(frame.opcode, payload)?;
        Ok(is_event.then_some(WholeControl { opcode: frame.opcode, split }))
    }

    /// Finishes a data frame, and with the last one its message, if its payload is whole.
    fn finish_if_whole(&mut self, frame: Frame) -> Result<Option<Event<'static>>, ProtocolError> {
        let (socket, pool) = (&mut *self.socket, &mut *self.workspace.pool);
        let partial = socket.partial.get_or_take(pool);
        partial.frame = Some(frame).filter(|frame| frame.remaining > 0);
        if partial.frame.is_some() || !frame.fin {
            return Ok(None);
        }
        let Assembled { opcode, compressed, payload: mut buffer } = partial.message.finish()?;
        if socket.state == State::Closing {
            pool.recycle(buffer);
            return Ok(None);
        }
        if compressed {
            let (payload, limit) = (buffer.as_slice(), socket.limits.message);
            let message = CompressedMessage { opcode, payload, limit };
            let message = socket.compression.decompress(message, pool, self.budget);
            if matches!(message, Ok(None)) {
                socket.compression.keep_payload(buffer);
                return Ok(None);
            }
            pool.recycle(std::mem::take(&mut buffer));
            buffer = message?.unwrap_or_default();
        }
        Ok(Some(assembled(opcode, buffer)))
    }

    /// Acts on a control frame. Returns whether it is an event.
    fn handle_control(&mut self, opcode: OpCode, payload: &[u8]) -> Result<bool, ProtocolError> {
        let (socket, workspace) = (&mut *self.socket, &mut *self.workspace);
        match opcode {
            OpCode::Close => {
                let reply = CloseFrame::parse(payload)?.map(|frame| frame.code);
                if socket.state == State::Open {
                    workspace.write_close(socket.role, reply, "");
                }
                socket.enter(State::Closed, workspace);
                Ok(true)
            }
            // RFC 6455 §5.5.1: nothing follows our close frame, so no pong either.
            _ if socket.state == State::Closing => Ok(false),
            OpCode::Ping => {
                workspace.write_control(socket.role, OpCode::Pong, payload);
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// Handles `count` payload bytes that were received into [`WebSocket::payload_buffer`].
    pub(super) fn advance_payload(
        &mut self,
        count: usize,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        let partial = &mut self.socket.partial;
        let Some(mut frame) = partial.frame() else {
            return Ok(None);
        };
        let message = &mut partial.get_or_take(self.workspace.pool).message;
        message.advance(count, self.workspace.now, |fresh| frame.unmask(fresh))?;
        let event = self.finish_if_whole(frame)?;
        self.budget.take_frames(usize::from(self.socket.partial.frame().is_none()));
        self.socket.partial.release(self.workspace.pool);
        Ok(event)
    }

    /// Finishes the decompression of a message, however much work it is, unless there is an event
    /// already.
    pub(super) fn finish_inflating<'a>(
        &mut self,
        mut event: Option<Event<'a>>,
    ) -> Result<Option<Event<'a>>, PeerError> {
        while event.is_none() && self.socket.compression.is_inflating() {
            *self.budget = WorkBudget::UNLIMITED;
            let message = self.continue_inflating();
            event = message.map_err(|error| self.socket.close_with_error(error, self.workspace))?;
        }
        Ok(event)
    }
}

fn assembled(opcode: OpCode, message: Buffer) -> Event<'static> {
    Event::Message(Incoming::Assembled(opcode, message))
}

fn control_event(opcode: OpCode, payload: Cow<'_, [u8]>) -> Event<'_> {
    match opcode {
        OpCode::Close => Event::Close(payload),
        OpCode::Ping => Event::Ping(payload),
        _ => Event::Pong(payload),
    }
}
