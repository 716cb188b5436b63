//! Both protocols are codecs without I/O: [`engine_io`](crate::socketio::engine_io) reads and
//! writes the packets of a transport, [`packet`](crate::socketio::packet) those of Socket.IO, and
//! [`arguments`](crate::socketio::arguments) what an event carries.
//!
//! ```
//! use eventwire::socketio::packet::{Kind, Packet};
//! use eventwire::socketio::{Arguments, arguments, engine_io};
//!
//! // A client that asks for an acknowledgement of its event.
//! let engine_io::Packet::Text(text) = engine_io::Packet::parse(r#"42/chat,7["say","hi"]"#)? else {
//!     panic!("4 is the type of a text");
//! };
//! let packet = Packet::parse(text)?;
//! assert_eq!((packet.kind, packet.namespace, packet.id), (Kind::Event, "/chat", Some(7)));
//!
//! let (name, json) = arguments::event(packet.data, packet.attachments)?;
//! let (text,): (String,) = Arguments::new(json, &[]).read()?;
//! assert_eq!((&*name, &*text), ("say", "hi"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod arguments;
mod asks;
mod audience;
mod config;
mod emitted;
pub mod engine_io;
mod handler;
mod handshake;
mod hub;
mod ids;
mod invalid_packet;
mod io;
pub mod packet;
mod reason;
mod record;
mod recovery;
mod server;
mod socket;
mod stats;
mod target;

pub use arguments::{Arguments, ArgumentsError, Binary, IntoArguments, Written};
pub use asks::{Ack, AskId, NoAnswer};
pub use audience::Audience;
pub use config::SocketIoConfig;
pub use emitted::{EmitError, Emitted};
pub use engine_io::Transport;
pub use handler::{Event, JoinRefused, JoinRequest, SocketIoHandler};
pub use handshake::Handshake;
pub use ids::{InvalidSocketId, SocketId};
pub use io::SocketIo;
pub use reason::DisconnectReason;
pub use recovery::Recovery;
pub use socket::{AskError, Socket};
pub use stats::SocketIoStats;
