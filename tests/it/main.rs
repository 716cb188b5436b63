//! Integration tests.

mod acting;
mod answers;
mod attachments;
mod backpressure;
mod client;
mod closing;
mod cors;
#[cfg(feature = "deflate")]
mod deflate;
mod events;
mod examples;
mod extending;
mod files;
mod flow;
mod foreign;
mod freshness;
#[cfg(feature = "sqlite")]
mod full_disk;
mod fuzz_bodies;
mod hostile;
mod idle;
mod jobs;
mod journal;
#[cfg(feature = "sqlite")]
mod kills;
mod limits;
mod listeners;
#[cfg(feature = "log")]
mod logging;
mod methods;
mod misuse;
mod panics;
mod places;
mod proxies;
mod proxies_connect;
mod rates;
mod readme;
mod reconnect;
mod redirects;
mod refusals;
mod resume;
mod resumed_events;
mod routes;
mod server;
#[path = "../shared/mod.rs"]
mod shared;
mod shutdown;
mod simulation;
#[cfg(feature = "socketio")]
mod socket_io;
mod stages;
mod stats;
mod streamed;
mod streams;
mod stress;
mod subscribers;
mod system_calls;
mod tags;
mod tidy;
mod timers;
#[cfg(feature = "tls")]
mod tls;
mod topics;
mod unix;
mod upgrade;
mod urgent;
mod util;
