//! Real clients against `serve echo`: what they send comes back, and both ends are content. And
//! what else is real: a browser with the example `chat`, nginx in front, and Prometheus' parser.
//!
//! A client that is not installed is skipped, with a word on standard error; with `CI` in the
//! environment that is a failure. `prepare` installs all of them.

#[cfg(test)]
mod aiohttp;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod chromium;
#[cfg(test)]
mod client;
#[cfg(test)]
mod devtools;
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
mod tungstenite;
#[cfg(test)]
mod websockets;
#[cfg(test)]
mod ws;
