//! [`Routes::socket_io`](crate::Routes::socket_io) serves them at a path, beside everything else on
//! the same port. A [`SocketIoHandler`] is called for what clients do: they join namespaces, send
//! events and leave. It is lent a [`Socket`], the client in a namespace. A [`SocketIo`] reaches all
//! clients from any other handler of the loop: an [`Audience`] is the members of rooms.
//!
//! ```
//! use eventwire::socketio::{Event, Socket, SocketIoConfig, SocketIoHandler};
//! use eventwire::{Config, EventLoop, Routes, ServerConfig};
//!
//! struct Chat;
//!
//! impl SocketIoHandler<u64> for Chat {
//!     fn on_connect(&mut self, socket: &mut Socket<'_>, _: &mut u64) {
//!         socket.join("lobby");
//!     }
//!
//!     fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, said: &mut u64) {
//!         if let ("say", Ok((text,))) = (event.name, event.arguments.read::<(String,)>()) {
//!             *said += 1;
//!             socket.to("lobby").emit("said", (*said, text), socket);
//!             socket.acknowledge(event.ack, (*said,));
//!         }
//!     }
//! }
//!
//! let routes = Routes::new().socket_io("/socket.io/", SocketIoConfig::default(), Chat);
//! let mut event_loop = EventLoop::new(Config::default())?;
//! event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
//! # event_loop.turn(Some(std::time::Duration::ZERO), &mut 0)?;
//! # Ok::<(), eventwire::Error>(())
//! ```
//!
//! The [guide](crate::guide) says more, also for those who come from Node's server. The protocols
//! are [Engine.IO 4](https://github.com/socketio/engine.io-protocol) and
//! [Socket.IO 5](https://github.com/socketio/socket.io-protocol). Engine.IO 3, JSONP, WebTransport
//! and other parsers than the default one are not served.
//!
//! Both protocols are also here as codecs without I/O: [`engine_io`] has the packets of a transport
//! and the state machine of a session, [`packet`] the packets of Socket.IO, and [`arguments`] what
//! an event carries.
//!
//! [`Audience`]: crate::socketio::Audience
//! [`Socket`]: crate::socketio::Socket
//! [`SocketIo`]: crate::socketio::SocketIo
//! [`SocketIoHandler`]: crate::socketio::SocketIoHandler
//! [`arguments`]: crate::socketio::arguments
//! [`engine_io`]: crate::socketio::engine_io
//! [`packet`]: crate::socketio::packet

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
