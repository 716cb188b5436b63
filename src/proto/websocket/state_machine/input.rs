//! What the owner of a connection calls with received bytes.

use super::receiving::Receiving;
use super::{Event, Handled, Incoming, PeerError, State, WebSocket, Workspace};
use crate::proto::websocket::partial::Frame;
use crate::proto::{BufferPool, WorkBudget};

/// A payload of which at least this much is still to come is received straight into its buffer.
const DIRECT_BYTES_MIN: usize = 16 * 1024;

/// A message is received straight into its buffer once this much of it has arrived: the buffer
/// grows in proportion to what has arrived, whatever length the peer declares.
const ARRIVED_BYTES_MIN: usize = 4 * 1024;

/// The most room that is made for a payload beyond what has arrived. Below this, the room is as
/// much again as has arrived, or `DIRECT_BYTES_MIN`.
const READ_AHEAD_BYTES_MAX: usize = 256 * 1024;

impl WebSocket {
    /// Handles bytes from the peer until the next event, and unmasks them in place.
    ///
    /// If there is no event, all bytes are consumed. After an event, call this again with the
    /// rest, even if the rest is empty.
    ///
    /// # Errors
    ///
    /// What the peer did wrong. [`Workspace::out`] has what tells the peer so, the state is
    /// [`State::Closed`], and further input is discarded.
    #[inline]
    pub fn handle_input<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<Handled<'a>, PeerError> {
        let whole = self.whole_messages(workspace.now).and_then(|whole| whole.find(input));
        if let Some(whole) = whole {
            return match whole.read(input) {
                Ok(message) => Ok(Handled {
                    consumed: whole.end(),
                    event: Some(Event::Message(Incoming::Borrowed(message))),
                }),
                Err(error) => Err(self.close_with_error(error, workspace)),
            };
        }
        let mut budget = WorkBudget::UNLIMITED;
        let Handled { consumed, event } =
            self.handle_input_within(input, workspace, &mut budget)?;
        let mut receiving = Receiving { socket: self, workspace, budget: &mut budget };
        Ok(Handled { consumed, event: receiving.finish_inflating(event)? })
    }

    /// The same for input that does not begin with a [whole message](Self::whole_messages), until
    /// the next event or the end of `budget`, which must not be used up at the start.
    pub(crate) fn handle_input_within<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
        budget: &mut WorkBudget,
    ) -> Result<Handled<'a>, PeerError> {
        self.last_received = workspace.now;
        match self.state {
            State::Open | State::Closing => {
                Receiving { socket: self, workspace, budget }.handle_frames(input)
            }
            State::Connecting => {
                // Requests count as frames do: many may come in one input.
                budget.take_frames(1);
                Receiving { socket: self, workspace, budget }.handle_head(input)
            }
            State::Closed => Ok(Handled::all(input.len())),
        }
    }

    /// Whether [`WebSocket::payload_buffer`] has a buffer to offer.
    #[inline]
    pub(crate) fn offers_payload_buffer(&self) -> bool {
        self.partial.get().is_some_and(|partial| {
            let is_large =
                |frame: Frame| frame.remaining >= DIRECT_BYTES_MIN && !frame.opcode.is_control();
            self.state == State::Open
                && partial.frame.is_some_and(is_large)
                && partial.message.len() >= ARRIVED_BYTES_MIN
        })
    }

    /// A buffer to receive the rest of a long payload into without a copy. Say how much was
    /// received with [`WebSocket::handle_payload`]. If there is none, use
    /// [`WebSocket::handle_input`].
    pub fn payload_buffer(&mut self, pool: &mut BufferPool) -> Option<&mut [u8]> {
        let frame = self.partial.frame().filter(|_| self.offers_payload_buffer())?;
        let message = &mut self.partial.get_or_take(pool).message;
        let ahead = message.len().clamp(DIRECT_BYTES_MIN, READ_AHEAD_BYTES_MAX);
        let spare = message.reserve(frame.remaining.min(ahead), &mut pool.storage);
        let len = spare.len().min(frame.remaining);
        Some(&mut spare[..len])
    }

    /// Handles `count` bytes that were received into [`WebSocket::payload_buffer`].
    ///
    /// # Errors
    ///
    /// The same as [`WebSocket::handle_input`].
    pub fn handle_payload(
        &mut self,
        count: usize,
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'static>>, PeerError> {
        let mut budget = WorkBudget::UNLIMITED;
        let event = self.handle_payload_within(count, workspace, &mut budget)?;
        Receiving { socket: self, workspace, budget: &mut budget }.finish_inflating(event)
    }

    /// The same within a budget: it leaves a compressed message in the middle of its decompression
    /// if the whole takes more than that.
    pub(crate) fn handle_payload_within(
        &mut self,
        count: usize,
        workspace: &mut Workspace<'_>,
        budget: &mut WorkBudget,
    ) -> Result<Option<Event<'static>>, PeerError> {
        self.last_received = workspace.now;
        self.awaiting_pong = false;
        let event = Receiving { socket: self, workspace, budget }.advance_payload(count);
        event.map_err(|error| self.close_with_error(error, workspace))
    }
}
