//! What the application sees: the loop, its handlers, and what handlers may do.

mod adopt;
mod answer;
mod backlog;
mod call;
mod connect;
mod connection_map;
mod context;
mod dispatch;
mod drain;
mod endpoint;
mod event_loop;
mod events;
mod handle;
mod handler;
mod idle;
mod ids;
mod messages;
mod metrics;
mod publisher;
mod read;
mod routes;
mod site;
mod stats;
mod subscriber;
mod timers;
#[cfg(feature = "tls")]
mod tls;
mod topics;
mod wait;

pub use call::{Method, SlowCall};
pub use connection_map::ConnectionMap;
pub use context::Context;
pub use drain::{RunEnd, RunSummary};
pub use event_loop::EventLoop;
pub use events::EventHandler;
pub use handle::LoopHandle;
pub use handler::{Upgrade, WebSocketHandler};
pub use ids::{ConnectionId, ListenerId, TimerId, TopicId};
pub use publisher::{PublishError, Publisher};
pub use routes::{ByPath, ForAll, HttpHandler, IntoRoutes, Routes};
pub use stats::Stats;
pub use subscriber::{RecvError, Subscriber, TryRecvError};
pub use topics::{Gap, SubscribeError, TopicChanged, TopicStats};
