//! The load: one thread, one mio poll, any number of client connections.
//!
//! The generator must cost less than the server that it measures. Messages are encoded and masked
//! once, and only stamped before they leave (`format`). Arriving data is compared in place in the
//! receive buffer (`scanner`). A connection costs one `recv` and one `send` per readiness
//! (`links`), and a message no allocation.
//!
//! A *closed* loop sends the next message when an answer has arrived: it measures the round trip
//! and the highest throughput. An *open* loop sends at a fixed rate, whether answers arrive or not,
//! and counts every latency from the intended send time: a server that pauses is charged for every
//! message that it delays (`schedule`).
//!
//! `driver` is the loop of all traffic that has messages, `course` turns traffic into what it
//! needs, and `ledger` keeps the accounts. `opening` opens connections, and `handshakes` measures
//! that.

mod course;
mod driver;
mod fault;
mod format;
mod handshakes;
mod ledger;
mod links;
mod meter;
mod opening;
mod run;
mod scanner;
mod schedule;
mod stamp;
mod traffic;

pub(crate) use fault::Fault;
pub(crate) use format::bytes_on_wire;
pub(crate) use links::{Links, ReadOutcome};
pub(crate) use meter::{Latencies, Measurement, Meter, no_latencies};
pub(crate) use run::run;
pub(crate) use schedule::Schedule;
pub(crate) use stamp::{Stamp, pattern};
pub(crate) use traffic::{Load, Pace, Traffic};

#[cfg(test)]
mod contestant_tests;
