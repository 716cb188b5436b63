//! The protocols of a connection, without I/O: bytes and the time go in, messages and bytes come
//! out.
//!
//! Nothing here knows a socket, reads a clock or draws randomness: whoever owns a [`WebSocket`]
//! passes in what it received, the time and the mask keys, and sends what was written. The parts
//! ([`FrameHeader`], [`apply_mask`], [`Utf8Validator`], [`handshake`], [`http`]) are of use by
//! themselves.

#[cfg_attr(
    not(feature = "deflate"),
    expect(dead_code, unreachable_pub, reason = "without a codec nothing is ever agreed")
)]
mod deflate;
pub mod handshake;
pub mod http;
pub(crate) mod proxy_protocol;
mod websocket;

pub use deflate::DeflateAgreement;
#[cfg(feature = "deflate")]
pub use deflate::DeflateConfig;
pub(crate) use deflate::{CompressibleFrames, CompressionCache};
use websocket::StoragePool;
pub use websocket::{
    AsOutgoing, Buffer, BufferPool, CloseCode, CloseFrame, Event, FrameHeader, Handled, Incoming,
    InvalidUtf8, Limits, MaskKeys, Message, OpCode, Outgoing, PeerError, PreparedMessage,
    ProtocolError, Role, State, TimedOut, Utf8Validator, WebSocket, Workspace, apply_mask,
    write_frame,
};
pub(crate) use websocket::{HEADROOM_BYTES, Payload, WholeMessages, WorkBudget, write_payload};
