use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::load::{Latencies, no_latencies};

/// How often something is done, and for how long.
///
/// The device is measured as often as the engine commits, because pauses change how long a
/// synchronisation takes, and how long a thread waits for its CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paced {
    pub(super) every: Duration,
    pub(super) time: Duration,
}

impl Paced {
    /// Does it again and again, once at least. Returns how long it takes, in nanoseconds.
    pub(super) fn measure(
        self,
        mut act: impl FnMut() -> Result<(), Error>,
    ) -> Result<Latencies, Error> {
        let mut latencies = no_latencies();
        let until = Instant::now() + self.time;
        loop {
            let start = Instant::now();
            act()?;
            let taken = start.elapsed();
            latencies.saturating_record(taken.as_nanos() as u64);
            if Instant::now() >= until {
                return Ok(latencies);
            }
            thread::sleep(self.every.saturating_sub(taken));
        }
    }
}
