//! The loads that open connections and send no messages.

use std::time::{Duration, Instant};

use super::meter::{Measurement, Meter};
use super::opening::{Open, Openings, PATIENCE, reset};
use super::schedule::WAIT_MAX;
use super::traffic::{Load, Traffic};
use crate::error::Error;
use crate::machine::Process;
use crate::target::Wire;

/// How long the last connection of a storm may take.
const STORM_MAX: Duration = Duration::from_secs(10);

/// Runs a load that sends no messages.
pub(super) fn run(load: &Load, server: Option<Process>) -> Result<Measurement, Error> {
    let openings = Openings::new(&load.target)?;
    let clock = server.map(Process::cpu);
    let timeout = if load.spin { Duration::ZERO } else { WAIT_MAX };
    let begin = |warm_up| Meter::begin(warm_up, load.duration, clock);
    match load.traffic {
        Traffic::Idle { connections } => idle(openings, begin(Duration::ZERO), connections, server),
        _ if load.target.wire == Wire::Tcp => {
            let reason = "raw TCP has no opening handshake to measure";
            Err(Error::Settings(reason.to_owned()))
        }
        Traffic::Handshakes { at_once } => {
            again_and_again(openings, begin(load.warm_up), at_once, timeout)
        }
        _ => storm(openings, begin(Duration::ZERO), load.traffic.connections(), timeout),
    }
}

fn again_and_again(
    mut openings: Openings,
    mut meter: Meter,
    at_once: usize,
    timeout: Duration,
) -> Result<Measurement, Error> {
    let mut heard = Instant::now();
    loop {
        let now = Instant::now();
        if !meter.is_over(now) {
            for _ in openings.len()..at_once {
                openings.begin(0)?;
            }
        } else if openings.len() == 0 {
            return Ok(meter.finish());
        }
        let silence = now.saturating_duration_since(heard);
        if silence > PATIENCE {
            let (outstanding, seconds) = (openings.len() as u64, silence.as_secs());
            return Err(Error::Stalled { outstanding, seconds });
        }
        let mut failure = None;
        openings.wait(timeout, |one| {
            heard = Instant::now();
            match one.result.and_then(reset) {
                Ok(()) => meter.arrived(one.since, heard),
                Err(error) => failure = Some(error),
            }
        })?;
        failure.map_or(Ok(()), Err)?;
    }
}

fn storm(
    mut openings: Openings,
    mut meter: Meter,
    connections: usize,
    timeout: Duration,
) -> Result<Measurement, Error> {
    let mut held = Vec::with_capacity(connections);
    let mut failed = 0;
    meter.is_over(Instant::now());
    let start = Instant::now();
    for index in 0..connections {
        openings.begin(index)?;
    }
    while openings.len() > 0 && start.elapsed() < STORM_MAX {
        openings.wait(timeout, |one| match one.result {
            Ok(open) => {
                meter.arrived(start, Instant::now());
                held.push(open);
            }
            Err(_) => failed += 1,
        })?;
    }
    meter.close(Instant::now());
    held.into_iter().try_for_each(reset)?;
    Ok(Measurement { unanswered: failed + openings.len() as u64, ..meter.finish() })
}

fn idle(
    mut openings: Openings,
    mut meter: Meter,
    connections: usize,
    server: Option<Process>,
) -> Result<Measurement, Error> {
    let memory = || server.and_then(Process::memory);
    let before = memory();
    meter.is_over(Instant::now());
    let opened = (0..connections).map(|index| openings.open(index));
    let held: Vec<Open> = opened.collect::<Result<_, _>>()?;
    meter.close(Instant::now());
    let grown = memory().zip(before).map(|(after, before)| after.saturating_sub(before));
    let bytes_per_connection = grown.map(|bytes| bytes as f64 / connections as f64);
    held.into_iter().try_for_each(reset)?;
    Ok(Measurement { count: connections as u64, bytes_per_connection, ..meter.finish() })
}
