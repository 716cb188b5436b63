//! One connection's protocol: a state machine that bytes and the time go into.

mod client_handshake;
mod deadlines;
mod event;
mod handshake;
mod in_progress;
mod input;
mod opening;
mod receiving;
mod request_body;
mod server_request;
mod web_socket;
mod whole;
mod workspace;

pub use client_handshake::ClientHandshake;
pub use event::{Event, Handled, Incoming, PeerError, State, TimedOut};
pub(crate) use server_request::RequestStage;
pub use web_socket::WebSocket;
pub(crate) use whole::WholeMessages;
pub use workspace::Workspace;

#[cfg(test)]
mod tests;
