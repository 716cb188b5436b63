//! Engine.IO 4: packets as WebSocket messages and as bodies of polling, the opening of sessions, and
//! their state machine.

mod handshake;
mod packet;
mod payload;
mod session;
mod wire;

pub use handshake::{Query, RequestError, Settings, Transport};
pub use packet::{InvalidPacket, Packet};
pub use payload::{Payload, packets};
pub use session::{Beat, Lost, Received, Refused, Session};
pub use wire::{Outgoing, Wire};
