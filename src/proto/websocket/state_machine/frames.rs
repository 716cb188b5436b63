//! Frames in, whatever way they were split.

use std::borrow::Cow;
use std::ops::Range;

use super::{ControlPayload, Event, Handled, Incoming, PeerError, State, WebSocket, Workspace};
use crate::proto::deflate::CompressedMessage;
use crate::proto::websocket::assembler::Assembled;
use crate::proto::{
    Buffer, BufferPool, CloseFrame, FrameHeader, OpCode, ProtocolError, Share, apply_mask,
};

/// Payloads with at least this much still to come are received straight into their buffer.
const DIRECT_BYTES_MIN: usize = 16 * 1024;

/// Once at least this much of the message has arrived: room is made ready in proportion to that,
/// whatever length is declared.
const ARRIVED_BYTES_MIN: usize = 4 * 1024;

/// How much more than what has arrived is made ready for a payload at most; and no more than as
/// much again as has arrived, or `DIRECT_BYTES_MIN`.
const READ_AHEAD_BYTES_MAX: usize = 256 * 1024;

/// A frame in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    fin: bool,
    opcode: OpCode,
    mask: Option<[u8; 4]>,
    /// Payload bytes that have arrived, modulo 4: the phase of the mask.
    offset: usize,
    /// Payload bytes still to come.
    remaining: usize,
}

impl Frame {
    fn unmask(&mut self, bytes: &mut [u8]) {
        if let Some(key) = self.mask {
            apply_mask(bytes, key, self.offset);
        }
        self.offset = (self.offset + bytes.len()) % 4;
        self.remaining -= bytes.len();
    }
}

/// A control frame that is whole.
struct WholeControl {
    opcode: OpCode,
    /// Its payload, if it did not arrive in one piece.
    split: Option<ControlPayload>,
}

impl WebSocket {
    pub(super) fn handle_frames<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
        share: &mut Share,
    ) -> Result<Handled<'a>, ProtocolError> {
        let handled = if self.is_inflating() {
            Handled { consumed: 0, event: self.continue_inflating(workspace, share)? }
        } else {
            self.next_event(input, workspace, share)?
        };
        self.release_partial(workspace.pool);
        Ok(handled)
    }

    /// Whether a message is being decompressed: nothing else is received meanwhile.
    #[inline]
    pub(crate) fn is_inflating(&self) -> bool {
        self.compression.is_inflating()
    }

    /// Goes on with the message that is being decompressed, which is the event once it is whole.
    pub(super) fn continue_inflating(
        &mut self,
        workspace: &mut Workspace<'_>,
        share: &mut Share,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        let message = self.compression.continue_inflating(workspace.pool, share)?;
        Ok(message.map(|(opcode, message)| assembled(opcode, message)))
    }

    fn next_event<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
        share: &mut Share,
    ) -> Result<Handled<'a>, ProtocolError> {
        self.awaiting_pong = false;
        let mut at = 0;
        while self.state != State::Closed && !share.is_used_up() {
            let frame = if let Some(frame) = self.frame() {
                frame
            } else {
                let Some(header) = self.next_header(input, &mut at, workspace.pool)? else {
                    break;
                };
                if self.is_whole_compressed(&header, input.len() - at) {
                    let end = at + header.len as usize;
                    let payload = &mut input[at..end];
                    share.take_frames(1);
                    let event = self.decompress_frame(&header, payload, workspace.pool, share)?;
                    return Ok(Handled { consumed: end, event });
                }
                self.begin_frame(&header, workspace)?
            };
            let end = at + frame.remaining.min(input.len() - at);
            if frame.opcode.is_control() {
                if let Some(whole) = self.append_control(frame, at..end, input, workspace)? {
                    share.take_frames(1);
                    let payload = match whole.split {
                        Some(payload) => Cow::Owned(payload.to_vec()),
                        None => Cow::Borrowed(&input[at..end]),
                    };
                    let event = Some(control_event(whole.opcode, payload));
                    return Ok(Handled { consumed: end, event });
                }
            } else if let Some(event) =
                self.append_payload(frame, &input[at..end], workspace, share)?
            {
                share.take_frames(1);
                return Ok(Handled { consumed: end, event: Some(event) });
            }
            at = end;
            if self.frame().is_some() {
                break;
            }
            share.take_frames(1);
        }
        // What follows the end of the connection is discarded.
        Ok(Handled::all(if self.state == State::Closed { input.len() } else { at }))
    }

    /// Whether a compressed message is here whole and can be decompressed from where it arrived.
    #[inline]
    fn is_whole_compressed(&self, header: &FrameHeader, rest: usize) -> bool {
        header.compressed
            && header.fin
            && header.len <= rest as u64
            && header.len <= self.longest_whole(true) as u64
            && self.unfinished_since().is_none()
            && self.state == State::Open
    }

    /// The event of a compressed message that lies whole in the input, unless that takes more than
    /// the share.
    fn decompress_frame(
        &mut self,
        header: &FrameHeader,
        payload: &mut [u8],
        pool: &mut BufferPool,
        share: &mut Share,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        if let Some(key) = header.mask {
            apply_mask(payload, key, 0);
        }
        let (opcode, limit) = (header.opcode, self.limits.message);
        let message = CompressedMessage { opcode, payload, limit };
        let message = self.compression.decompress(message, pool, share)?;
        if message.is_none() {
            let mut kept = Buffer::default();
            kept.extend_from_slice(payload, pool);
            self.compression.keep_payload(kept);
        }
        Ok(message.map(|message| assembled(opcode, message)))
    }

    /// The next frame's header, from what was kept of it and the input from `at` on.
    #[inline]
    fn next_header(
        &mut self,
        input: &[u8],
        at: &mut usize,
        pool: &mut BufferPool,
    ) -> Result<Option<FrameHeader>, ProtocolError> {
        let (rest, role, deflate) = (&input[*at..], self.role, self.compression.is_agreed());
        let kept = self.partial.as_ref().map_or(0, |partial| usize::from(partial.header_len));
        if kept == 0 {
            if let Some((header, len)) = FrameHeader::parse_agreed(rest, role, deflate)? {
                *at += len;
                return Ok(Some(header));
            }
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let partial = self.partial_mut(pool);
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

    /// Begins a frame: sequence, limits and rates are checked by its header alone.
    #[inline]
    fn begin_frame(
        &mut self,
        header: &FrameHeader,
        workspace: &mut Workspace<'_>,
    ) -> Result<Frame, ProtocolError> {
        let now = workspace.now;
        if header.opcode == OpCode::Pong && self.unanswered_pings > 0 {
            // It was asked for. It may answer several pings (RFC 6455 §5.5.3), so that as many
            // more may come as there were pings: this program decides how many that is.
            self.unanswered_pings -= 1;
        } else if header.opcode.is_control() {
            self.control_budget.spend(&self.limits, now)?;
        } else {
            let partial = self.partial.get_or_insert_with(|| workspace.pool.take_partial());
            partial.message.begin(header, &self.limits, now)?;
            if header.len == 0 && !header.fin {
                self.control_budget.spend(&self.limits, now)?;
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

    /// Takes payload bytes of `frame`, which are not the whole of a message that needs no
    /// assembly.
    fn append_payload(
        &mut self,
        mut frame: Frame,
        bytes: &[u8],
        workspace: &mut Workspace<'_>,
        share: &mut Share,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        if self.state == State::Closing {
            frame.remaining -= bytes.len();
        } else if !bytes.is_empty() {
            let message = &mut self.partial_mut(workspace.pool).message;
            let (pool, now) = (&mut *workspace.pool, workspace.now);
            message.append(bytes, pool, now, |fresh| frame.unmask(fresh))?;
        }
        self.finish_if_whole(frame, workspace, share)
    }

    /// Takes payload bytes of a control frame and, once it is whole, acts on it. Returns it if the
    /// owner is to be told.
    fn append_control(
        &mut self,
        mut frame: Frame,
        bytes: Range<usize>,
        input: &mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<WholeControl>, ProtocolError> {
        let bytes = &mut input[bytes];
        frame.unmask(bytes);
        let is_split = self.partial.as_ref().is_some_and(|partial| partial.control.is_some());
        let mut split = None;
        if frame.remaining > 0 || is_split {
            let partial = self.partial_mut(workspace.pool);
            partial.control.get_or_insert_default().extend(bytes);
            partial.frame = Some(frame).filter(|frame| frame.remaining > 0);
            if partial.frame.is_some() {
                return Ok(None);
            }
            split = partial.control.take();
        }
        let payload = split.as_deref().map_or(&*bytes, |split| split);
        let told = self.handle_control(frame.opcode, payload, workspace)?;
        Ok(told.then_some(WholeControl { opcode: frame.opcode, split }))
    }

    fn finish_if_whole(
        &mut self,
        frame: Frame,
        workspace: &mut Workspace<'_>,
        share: &mut Share,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        let partial = self.partial_mut(workspace.pool);
        partial.frame = Some(frame).filter(|frame| frame.remaining > 0);
        if partial.frame.is_some() || !frame.fin {
            return Ok(None);
        }
        let Assembled { opcode, compressed, payload: mut buffer } = partial.message.finish()?;
        if self.state == State::Closing {
            workspace.pool.recycle(buffer);
            return Ok(None);
        }
        if compressed {
            let (payload, limit) = (buffer.as_slice(), self.limits.message);
            let message = CompressedMessage { opcode, payload, limit };
            let message = self.compression.decompress(message, workspace.pool, share);
            if matches!(message, Ok(None)) {
                self.compression.keep_payload(buffer);
                return Ok(None);
            }
            workspace.pool.recycle(std::mem::take(&mut buffer));
            buffer = message?.unwrap_or_default();
        }
        Ok(Some(assembled(opcode, buffer)))
    }

    /// Acts on a control frame; whether the owner is to be told.
    fn handle_control(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<bool, ProtocolError> {
        match opcode {
            OpCode::Close => {
                let reply = CloseFrame::parse(payload)?.map(|frame| frame.code);
                if self.state == State::Open {
                    self.write_close(reply, "", workspace);
                }
                self.enter(State::Closed, workspace);
                Ok(true)
            }
            // RFC 6455 §5.5.1: after our close frame nothing more is sent, so no pong either.
            _ if self.state == State::Closing => Ok(false),
            OpCode::Ping => {
                self.write_control(OpCode::Pong, payload, workspace);
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// Whether [`WebSocket::payload_buffer`] has room to offer.
    #[inline]
    pub(crate) fn offers_payload_buffer(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| {
            let is_large =
                |frame: Frame| frame.remaining >= DIRECT_BYTES_MIN && !frame.opcode.is_control();
            self.state == State::Open
                && partial.frame.is_some_and(is_large)
                && partial.message.len() >= ARRIVED_BYTES_MIN
        })
    }

    /// Room to receive the rest of a long payload straight into, without a copy; then say how
    /// much came with [`WebSocket::handle_payload`]. `None`: use [`WebSocket::handle_input`].
    pub fn payload_buffer(&mut self, pool: &mut BufferPool) -> Option<&mut [u8]> {
        let frame = self.frame().filter(|_| self.offers_payload_buffer())?;
        let message = &mut self.partial_mut(pool).message;
        let ahead = message.len().clamp(DIRECT_BYTES_MIN, READ_AHEAD_BYTES_MAX);
        let spare = message.reserve(frame.remaining.min(ahead), pool);
        let len = spare.len().min(frame.remaining);
        Some(&mut spare[..len])
    }

    /// `count` bytes were received into [`WebSocket::payload_buffer`].
    ///
    /// # Errors
    ///
    /// As [`WebSocket::handle_input`].
    pub fn handle_payload(
        &mut self,
        count: usize,
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'static>>, PeerError> {
        let mut share = Share::WHOLE;
        let event = self.handle_payload_within(count, workspace, &mut share)?;
        self.finish_inflating(event, workspace)
    }

    /// The same, which leaves a compressed message in the middle of its decompression if that takes
    /// more than the share.
    pub(crate) fn handle_payload_within(
        &mut self,
        count: usize,
        workspace: &mut Workspace<'_>,
        share: &mut Share,
    ) -> Result<Option<Event<'static>>, PeerError> {
        self.last_received = workspace.now;
        self.awaiting_pong = false;
        let Some(mut frame) = self.frame() else {
            return Ok(None);
        };
        let message = &mut self.partial_mut(workspace.pool).message;
        let event = message
            .advance(count, workspace.now, |fresh| frame.unmask(fresh))
            .and_then(|()| self.finish_if_whole(frame, workspace, share));
        match event {
            Ok(event) => {
                share.take_frames(usize::from(self.frame().is_none()));
                self.release_partial(workspace.pool);
                Ok(event)
            }
            Err(error) => Err(self.close_with_error(error, workspace)),
        }
    }

    /// The event, or the message whose decompression was left off, whatever that takes.
    pub(super) fn finish_inflating<'a>(
        &mut self,
        mut event: Option<Event<'a>>,
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'a>>, PeerError> {
        while event.is_none() && self.is_inflating() {
            let mut share = Share::WHOLE;
            let message = self.continue_inflating(workspace, &mut share);
            event = message.map_err(|error| self.close_with_error(error, workspace))?;
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
