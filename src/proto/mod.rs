//! RFC 6455 without I/O: bytes and the time go in, messages and bytes come out.

mod close;
mod error;
mod frame;
pub mod handshake;
mod mask;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use error::ProtocolError;
pub use frame::{FrameHeader, OpCode};
pub use mask::{MaskKeys, apply_mask};
pub use utf8::{InvalidUtf8, Utf8Validator};

/// Which end of a connection this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Accepted the connection: receives masked frames, sends unmasked ones.
    Server,
    /// Made the connection: sends masked frames, receives unmasked ones.
    Client,
}
