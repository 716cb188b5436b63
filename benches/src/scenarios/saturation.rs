//! The rate at which the WebSocket floor is saturated: open loops send at shares of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::loaded::load_and_stop;
use crate::contestants::{Contestant as _, Own};
use crate::error::Error;
use crate::load::{Pace, Traffic};
use crate::machine::CpuPair;
use crate::scenario::Timing;
use crate::servers::Implementation;
use crate::service::Service;

/// The rates by the number of connections, and when they were measured.
#[derive(Debug, Default)]
pub(crate) struct Saturation(RefCell<BTreeMap<usize, (Instant, f64)>>);

/// A rate is measured anew after this time, because the machine's speed may have changed.
const VALID: Duration = Duration::from_secs(10);
const TIMING: Timing =
    Timing { rounds: 1, warm_up: Duration::from_millis(50), duration: Duration::from_millis(200) };
/// Payload bytes of each message.
pub(crate) const SIZE: usize = 64;

impl Saturation {
    /// Messages per second of `connections` connections, each with one message in flight.
    pub(crate) fn rate(&self, connections: usize, cpus: Option<CpuPair>) -> Result<f64, Error> {
        let known = self.0.borrow().get(&connections).copied();
        if let Some((_, rate)) = known.filter(|(since, _)| since.elapsed() < VALID) {
            return Ok(rate);
        }
        let floor = Own::new(Implementation::WsFloor);
        let server = floor.start(Service::Echo, cpus.map(|cpus| cpus.server))?;
        let traffic = Traffic::Echo { connections, size: SIZE, pace: Pace::Closed { depth: 1 } };
        let measured = load_and_stop(server, traffic, TIMING, cpus, false)?;
        let rate = measured.count as f64 / measured.time.as_secs_f64();
        self.0.borrow_mut().insert(connections, (Instant::now(), rate));
        Ok(rate)
    }
}
