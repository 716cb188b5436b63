//! Socket.IO servers in turns, beside a plain WebSocket server of the engine.

mod args;
mod case;
mod crowd;
mod events;
mod loads;
mod response;
mod session;

pub(crate) use args::SocketIoArgs;
