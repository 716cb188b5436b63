//! Opening handshakes: how many per second, and how long a storm of them takes.

use std::time::{Duration, Instant};

use super::meter::{Latencies, Measurement, Meter, no_latencies};
use super::opening::{Openings, reset};
use super::{PATIENCE, make_room, pause};
use crate::error::Error;
use crate::machine::CpuClock;
use crate::target::Target;

/// Connections that are made, upgraded and closed repeatedly.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    pub(crate) target: Target,
    /// How many are made at the same time.
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Poll without ever sleeping.
    pub(crate) spin: bool,
}

/// When a connection is open, resets it, so that ports do not run out, and makes the next one.
/// Counts handshakes. Latencies are from connecting to the response.
pub(crate) fn run(load: &Handshakes, server: Option<&CpuClock>) -> Result<Measurement, Error> {
    make_room(load.connections)?;
    let mut openings = Openings::new(&load.target)?;
    for _ in 0..load.connections {
        openings.begin()?;
    }
    let mut meter = Meter::begin(load.warm_up, load.duration, server);
    let mut heard = Instant::now();
    loop {
        let now = Instant::now();
        let over = meter.is_over(now);
        if over && openings.len() == 0 {
            return Ok(meter.finish());
        }
        is_patient(heard, now, openings.len())?;
        let (mut opened, mut failed) = (0, Ok(()));
        openings.wait(pause(load.spin), |one| {
            opened += 1;
            let result = one.result.map_err(|reason| refused(&load.target, reason));
            match result.and_then(|stream| reset(&stream)) {
                Ok(()) => meter.arrived(one.since, Instant::now()),
                Err(error) => failed = Err(error),
            }
        })?;
        failed?;
        if opened > 0 {
            heard = Instant::now();
        }
        for _ in 0..if over { 0 } else { opened } {
            openings.begin()?;
        }
    }
}

/// Connections that are made all at once.
#[derive(Clone, Debug)]
pub(crate) struct Storm {
    pub(crate) target: Target,
    pub(crate) connections: usize,
    /// How long to wait for the last of them.
    pub(crate) patience: Duration,
    /// Poll without ever sleeping.
    pub(crate) spin: bool,
}

/// The result of a storm.
#[derive(Clone, Debug)]
pub(crate) struct StormMeasurement {
    /// The time until the last connection was open, failed or abandoned.
    pub(crate) time: Duration,
    pub(crate) opened: u64,
    /// Connections that were refused, broken, or not open in time.
    pub(crate) failed: u64,
    /// The time from the beginning of the storm until each connection was open.
    pub(crate) latency: Latencies,
}

/// Begins all connections before it waits for any, and holds all until the last one is open.
pub(crate) fn storm(storm: &Storm) -> Result<StormMeasurement, Error> {
    make_room(storm.connections)?;
    let mut openings = Openings::new(&storm.target)?;
    let mut held = Vec::with_capacity(storm.connections);
    let mut latency = no_latencies();
    let start = Instant::now();
    for _ in 0..storm.connections {
        openings.begin()?;
    }
    let mut failed = 0;
    while openings.len() > 0 && start.elapsed() < storm.patience {
        openings.wait(pause(storm.spin), |one| match one.result {
            Ok(stream) => {
                latency.saturating_record(start.elapsed().as_nanos() as u64);
                held.push(stream);
            }
            Err(_) => failed += 1,
        })?;
    }
    let time = start.elapsed();
    for stream in &held {
        reset(stream)?;
    }
    let opened = held.len() as u64;
    Ok(StormMeasurement { time, opened, failed: failed + openings.len() as u64, latency })
}

fn refused(target: &Target, reason: String) -> Error {
    Error::Handshake { target: target.to_string(), reason }
}

/// If the server answers no handshake for this long, it has failed.
fn is_patient(heard: Instant, now: Instant, outstanding: usize) -> Result<(), Error> {
    let silence = now.saturating_duration_since(heard);
    if outstanding > 0 && silence > PATIENCE {
        let (outstanding, seconds) = (outstanding as u64, silence.as_secs());
        return Err(Error::Stalled { outstanding, seconds });
    }
    Ok(())
}
