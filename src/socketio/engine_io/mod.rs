//! The packets of Engine.IO 4, as WebSocket messages and as bodies of polling.

mod packet;
mod payload;

pub use packet::{InvalidPacket, Packet};
pub use payload::{Payload, packets};
