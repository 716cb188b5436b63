//! One server under one load.

use crate::error::Error;
use crate::load::{self, Load, Measurement, Traffic};
use crate::machine::{self, CpuPair};
use crate::process::Server;
use crate::scenario::Timing;

/// Loads a server, and ends it, so that no state remains for the next round. The load has a thread
/// of its own, so that only that is bound to a CPU.
pub(crate) fn load_and_stop(
    server: Server,
    traffic: Traffic,
    timing: Timing,
    cpus: Option<CpuPair>,
    sleeps: bool,
) -> Result<Measurement, Error> {
    let load = Load {
        target: server.target().clone(),
        traffic,
        warm_up: timing.warm_up,
        duration: timing.duration,
        spin: cpus.is_some() && !sleeps,
    };
    let measured =
        machine::run_on(cpus.map(|cpus| cpus.load), || load::run(&load, server.process()));
    // If both failed, the server's error is the cause.
    server.stop()?;
    measured
}
