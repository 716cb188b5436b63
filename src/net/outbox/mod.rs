//! What waits to be sent to one connection.
//!
//! ```text
//!   Outbox       the queue of one connection: what it holds is in order
//!     └► Chunk          a piece of it: copied frames, a message in its own storage, a pong, or
//!          └► SharedFrames    frames that wait for several connections, held once
//! ```
//!
//! [`FrameStorage`] has the storage that no outbox uses, and counts what all of them hold;
//! [`OutboxPool`] has the outboxes that no connection uses.

mod chunk;
mod pool;
mod queue;
mod shared;
mod storage;

pub(crate) use self::chunk::end_of_begun;
pub(crate) use self::pool::OutboxPool;
pub(crate) use self::queue::{Offer, Outbox, SLICES_MAX};
pub(crate) use self::storage::FrameStorage;
