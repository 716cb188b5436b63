//! Real clients against `serve echo`: they get their messages back, and both ends succeed. Also a
//! browser with the examples `chat` and `resume`, with `chat_io` (feature `socketio`) and with
//! server-sent events, nginx and tinyproxy as proxies, Prometheus' parser, curl with static files,
//! and uploads and long responses with curl, Node and aiohttp. Clients of Socket.IO talk to the
//! example `socketio`.
//!
//! A client that is not installed is skipped, with a note on standard error. If `CI` is set in the
//! environment, that is a failure. `prepare` installs all of them.

#![cfg(test)]

mod browser;
mod chat;
#[cfg(feature = "socketio")]
mod chat_io;
mod client;
mod curl;
mod echo;
mod events;
mod folder;
mod nginx;
#[path = "../cli/program.rs"]
#[expect(dead_code, reason = "the tests of the command line need more of it")]
mod program;
mod resume;
mod server;
#[cfg(feature = "socketio")]
mod socket_io;
mod streams;
mod tinyproxy;
mod tungstenite;
mod uploads;
mod wait;
