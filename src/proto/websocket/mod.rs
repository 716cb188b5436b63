//! The WebSocket protocol after its opening handshake (RFC 6455 §5 to §8): frames, messages, and
//! the state machine of one connection.

mod assembler;
mod buffer;
mod close;
mod control;
mod error;
mod frame;
mod limits;
mod mask;
mod message;
mod share;
mod state_machine;
mod utf8;

pub(crate) use buffer::HEADROOM_BYTES;
pub use buffer::{Buffer, BufferPool};
pub use close::{CloseCode, CloseFrame};
pub use error::ProtocolError;
pub use frame::{FrameHeader, OpCode};
pub use limits::Limits;
pub use mask::{MaskKeys, apply_mask};
pub use message::{AsOutgoing, Message, Outgoing, PreparedMessage, write_frame};
pub(crate) use message::{Payload, write_payload};
pub(crate) use share::Share;
pub(crate) use state_machine::WholeMessages;
pub use state_machine::{
    Event, Handled, Incoming, PeerError, State, TimedOut, WebSocket, Workspace,
};
pub use utf8::{InvalidUtf8, Utf8Validator};

use super::deflate::{Forms, Part};

/// Which end of a connection this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Accepted the connection: receives masked frames, sends unmasked ones.
    Server,
    /// Made the connection: sends masked frames, receives unmasked ones.
    Client,
}
