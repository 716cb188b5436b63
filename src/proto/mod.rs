//! RFC 6455 without I/O: bytes and the time go in, messages and bytes come out.
//!
//! Nothing here knows a socket, reads a clock or draws randomness: whoever owns a [`Connection`]
//! passes in what it received, the time and the mask keys, and sends what was written. The parts
//! ([`FrameHeader`], [`apply_mask`], [`Utf8Validator`], [`handshake`]) are of use by themselves.

mod assembler;
mod buffer;
mod close;
mod compression;
mod connection;
mod control;
#[cfg_attr(
    not(feature = "deflate"),
    expect(dead_code, unreachable_pub, reason = "without a codec nothing is ever agreed")
)]
mod deflate;
mod error;
mod forms;
mod frame;
pub mod handshake;
mod limits;
mod mask;
mod message;
pub(crate) mod proxy_protocol;
mod share;
mod utf8;

pub(crate) use buffer::HEADROOM;
pub use buffer::{Buffer, BufferPool};
pub use close::{CloseCode, CloseFrame};
pub(crate) use compression::Setting;
pub(crate) use connection::WholeMessages;
pub use connection::{Connection, Event, Incoming, PeerError, State, TimedOut, Workspace};
pub use deflate::DeflateAgreement;
#[cfg(feature = "deflate")]
pub use deflate::DeflateConfig;
pub use error::ProtocolError;
pub(crate) use forms::{Forms, Part};
pub use frame::{FrameHeader, OpCode};
pub use limits::Limits;
pub use mask::{MaskKeys, apply_mask};
pub use message::{AsOutgoing, Message, Outgoing, PreparedMessage, write_frame};
pub(crate) use message::{Payload, write_payload};
pub(crate) use share::Share;
pub use utf8::{InvalidUtf8, Utf8Validator};

/// Which end of a connection this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Accepted the connection: receives masked frames, sends unmasked ones.
    Server,
    /// Made the connection: sends masked frames, receives unmasked ones.
    Client,
}
