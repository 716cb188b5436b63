//! Real clients against `serve echo`: they get their messages back, and both ends succeed. Also a
//! browser with the examples `chat` and `resume`, with `chat_io` (feature `socketio`) and with
//! server-sent events, nginx and tinyproxy as proxies, Prometheus' parser, curl with static files,
//! and uploads and long responses with curl, Node and aiohttp. Clients of Socket.IO talk to the
//! example `socketio`.
//!
//! A client that is not installed is skipped, with a note on standard error. If `CI` is set in the
//! environment, that is a failure. `prepare` installs all of them.

#[cfg(test)]
mod aiohttp;
#[cfg(test)]
mod chat;
#[cfg(all(test, feature = "socketio"))]
mod chat_io;
#[cfg(test)]
mod chromium;
#[cfg(test)]
mod client;
#[cfg(test)]
mod curl;
#[cfg(test)]
mod cutting;
#[cfg(test)]
mod devtools;
#[cfg(test)]
mod events;
#[cfg(test)]
mod example;
#[cfg(test)]
mod looping;
#[cfg(test)]
mod nginx;
#[cfg(test)]
mod node;
#[cfg(test)]
#[path = "../cli/program.rs"]
#[expect(dead_code, reason = "the tests of the command line need more of it")]
mod program;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod resume;
#[cfg(test)]
#[cfg(feature = "socketio")]
mod socket_io;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod tinyproxy;
#[cfg(test)]
mod tungstenite;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod websockets;
#[cfg(test)]
mod ws;
