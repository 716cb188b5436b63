//! The event loop, the handlers that it calls, and what handlers can do.
//!
//! The path of a message: `turn/wait.rs` waits for readiness, `turn/read.rs` reads from the
//! connection, `turn/messages.rs` (the fast path) or `turn/dispatch.rs` calls the handler,
//! `connection.rs` sends the reply, and `turn/read.rs` flushes what the handler sent.

mod any_handler;
mod attach;
mod attachments;
mod broadcast;
mod bus;
mod client;
mod configured_handler;
mod connection;
mod connection_map;
mod context;
mod core;
mod endpoints;
mod event_loop;
mod handle;
mod handler;
mod http;
mod ids;
mod journal;
mod rates;
mod server;
mod stats;
mod stream;
mod tags;
mod turn;

pub use broadcast::report::{Gap, TopicChanged, TopicStats};
pub use broadcast::resume::HistoryMessage;
pub use bus::events::EventHandler;
pub use bus::hold::Hold;
pub use bus::jobs::Workers;
pub use bus::pools::JobPanicked;
pub use bus::publisher::Publisher;
pub use bus::subscriber::{RecvError, Subscriber, TryRecvError};
pub use connection::Connection;
pub use connection_map::{ConnectionEntry, ConnectionMap};
pub use context::Context;
pub use event_loop::EventLoop;
pub use handle::LoopHandle;
pub use handler::{OnMessage, Upgrade, WebSocketHandler, on_message};
pub use http::answer::{Answer, Later, RequestId, RespondError};
pub use http::event_stream::EventStream;
pub use http::http_handler::HttpHandler;
pub use http::responder::Responder;
pub use http::routes::{IntoRoutes, Routes, kind};
pub use http::streamed::StreamedResponse;
pub use ids::{ConnectionId, EndpointId, LinkId, ListenerId, TimerId, TopicId};
pub use journal::attach::{Journal, JournalConfig};
pub use journal::message::DurableMessage;
pub use journal::outcome::{CommitError, NotStored};
pub use journal::settle::JournalFailed;
pub use stats::snapshot::Stats;
pub use stream::address::StreamAddress;
pub use stream::handler::StreamHandler;
pub use turn::calls::{HandlerCall, SlowCall};
pub use turn::ending::{RunEnd, RunSummary, ShutdownBegun};
