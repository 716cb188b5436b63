//! The WebSocket protocol: frames, messages, and the state machine of one connection (RFC 6455 §5
//! to §8).
//!
//! [`WebSocket`] is the state machine of one connection. Its [`State`]:
//!
//! ```text
//!              server, client                    opened: the handshake was made elsewhere
//!                     │                                      │
//!                     ▼                                      │
//!  ┌─────────▶ ┌────────────┐  accept (server)               ▼
//!  │  respond  │ Connecting │  response 101 (client)   ┌──────────┐ ──┐ messages, pings, pongs
//!  └────────── └────────────┘ ───────────────────────▶ │   Open   │   │
//!                │                                     └──────────┘ ◀─┘
//!                │                                       │      │
//!                │ refuse, respond to the last request,  │      │ close: a close frame is written
//!                │ invalid head, time out, close         │      ▼
//!                │                                       │   ┌───────────┐
//!                │     the peer's close frame (replied), │   │  Closing  │
//!                │     violation (a close frame is       │   └───────────┘
//!                │     written), time out                │      │ the peer's close frame,
//!                ▼                                       ▼      ▼ violation, time out
//!              ┌──────────────────────────────────────────────────┐
//!              │ Closed: send what was written, end the stream    │
//!              └──────────────────────────────────────────────────┘
//! ```
//!
//! Bytes from the peer, the owner's calls and the time move it:
//!
//! ```text
//!   handle_input(bytes), handle_timeout(time), send, ping, close, accept, …
//!          │                                            │
//!          ▼                                            ▼
//!   events for the owner                     Workspace::out: bytes for the peer
//! ```

mod assembler;
mod buffer;
mod close_code;
mod close_frame;
mod control;
mod error;
mod frame;
mod limits;
mod mask;
mod message;
mod partial;
mod payload;
mod pool;
mod role;
mod state_machine;
mod utf8;
mod work_budget;

pub use buffer::Buffer;
pub(crate) use buffer::HEADROOM_BYTES;
#[cfg(feature = "deflate")]
pub(in crate::proto) use buffer::StoragePool;
pub use close_code::CloseCode;
pub use close_frame::CloseFrame;
pub use error::ProtocolError;
pub use frame::{FrameHeader, OpCode};
pub use limits::Limits;
pub use mask::{MaskKeys, apply_mask};
pub use message::{AsOutgoing, Message, Outgoing, PreparedMessage};
pub use payload::write_frame;
pub(crate) use payload::{Payload, write_payload};
pub use pool::BufferPool;
pub use role::Role;
pub use state_machine::{
    ClientHandshake, Event, Handled, Incoming, PeerError, State, TimedOut, WebSocket, Workspace,
};
pub(crate) use state_machine::{RequestStage, WholeMessages, extra_headers};
pub use utf8::{InvalidUtf8, Utf8Validator};
pub(crate) use work_budget::WorkBudget;
