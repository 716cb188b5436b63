//! Broadcasts in bursts. Some receivers may not read, and another connection may measure round
//! trips at the same time.

use std::time::{Duration, Instant};

use mio::Events;
use mio::event::Event;

use super::links::{Links, ReadOutcome};
use super::meter::{Latencies, Measurement, Meter, no_latencies};
use super::payload::Stamp;
use super::probe::Probe;
use super::scanner::Fault;
use super::{PATIENCE, make_room, pause};
use crate::error::Error;
use crate::machine::CpuClock;
use crate::service::ECHO_MARK;
use crate::target::{Target, Wire};

/// A broadcast server's connections.
#[derive(Clone, Debug)]
pub(crate) struct FanOut {
    pub(crate) target: Target,
    pub(crate) receivers: usize,
    /// How many of them never read. They have small buffers.
    pub(crate) slow: usize,
    /// Payload bytes of each message, at least the length of a stamp.
    pub(crate) size: usize,
    /// Messages that the publisher sends in one write.
    pub(crate) burst: usize,
    /// Whether another connection, which gets no broadcasts, measures round trips meanwhile.
    pub(crate) bystander: bool,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Poll without ever sleeping.
    pub(crate) spin: bool,
}

/// The result.
#[derive(Clone, Debug)]
pub(crate) struct FanOutMeasurement {
    /// The messages of the receivers that read.
    pub(crate) broadcasts: Measurement,
    /// The bystander's round trips. Empty without a bystander.
    pub(crate) bystander: Latencies,
}

/// Payload bytes of the bystander's messages.
const ECHO_SIZE: usize = 128;

/// Publishes the next burst when all receivers that read have the whole last one. Checks that they
/// get every message, whole and in order.
pub(crate) fn run(load: &FanOut, server: Option<&CpuClock>) -> Result<FanOutMeasurement, Error> {
    make_room(load.receivers + 2)?;
    let reading = load.receivers.saturating_sub(load.slow);
    if load.size < Stamp::LEN || reading == 0 {
        let reason = "a broadcast needs a reading receiver, and messages with room for a number";
        return Err(Error::Settings(reason.to_owned()));
    }
    let mut links = Links::open(&load.target, load.receivers + 1, load.size, load.burst)?;
    for index in reading..load.receivers {
        links.narrow(index)?;
    }
    let mut probe = load.bystander.then(|| bystander(load)).transpose()?;
    let mut fan_out = Spreading {
        links,
        next: vec![0; reading],
        publisher: load.receivers,
        burst: Burst::new(load.burst),
        heard: Instant::now(),
        meter: Meter::begin(load.warm_up, load.duration, server),
    };
    let mut round_trips = no_latencies();
    let mut events = Events::with_capacity(1024);
    loop {
        let over = fan_out.meter.is_over(Instant::now());
        if fan_out.burst.is_everywhere() {
            if over {
                break;
            }
            fan_out.publish()?;
        }
        if let Some(probe) = &mut probe {
            // This program does not read meanwhile, so reading is not part of a round trip.
            let time = probe.round_trip()?;
            if fan_out.meter.end().is_some() && !over {
                round_trips.saturating_record(time.as_nanos() as u64);
            }
        }
        let timeout = if probe.is_some() { Duration::ZERO } else { pause(load.spin) };
        fan_out.links.wait(&mut events, timeout)?;
        for event in &events {
            fan_out.turn(event)?;
        }
        fan_out.is_patient()?;
    }
    if let Some(probe) = probe {
        probe.close();
    }
    fan_out.links.close();
    Ok(FanOutMeasurement { broadcasts: fan_out.meter.finish(), bystander: round_trips })
}

/// A connection that has requested an echo, so that it gets no more broadcasts.
fn bystander(load: &FanOut) -> Result<Probe, Error> {
    // Over raw TCP, a broadcast before the first echo could not be distinguished from it.
    let size = if load.target.wire == Wire::Tcp { load.size } else { ECHO_SIZE };
    let sender = u32::from(ECHO_MARK) << 24;
    let mut probe = Probe::connect(&load.target, size, sender, load.spin)?;
    probe.round_trip()?;
    Ok(probe)
}

struct Spreading {
    /// The receivers, those that do not read last, then the publisher.
    links: Links,
    /// By receiver: the sequence number of the next expected message.
    next: Vec<u32>,
    publisher: usize,
    burst: Burst,
    /// When the last message arrived, or when the first one was expected.
    heard: Instant,
    meter: Meter,
}

/// The messages of one burst.
#[derive(Debug)]
struct Burst {
    /// The number of the first.
    first: u32,
    intended: Instant,
    /// By message, how many receivers do not have it.
    missing: Vec<usize>,
}

impl Burst {
    /// All of `messages` messages have arrived everywhere.
    fn new(messages: usize) -> Self {
        let first = 0_u32.wrapping_sub(messages as u32);
        Self { first, intended: Instant::now(), missing: vec![0; messages] }
    }

    fn is_everywhere(&self) -> bool {
        self.missing.iter().all(|&missing| missing == 0)
    }

    /// Begins a burst to `receivers` receivers, and returns the number of its first message.
    fn begin(&mut self, now: Instant, receivers: usize) -> u32 {
        self.first = self.first.wrapping_add(self.missing.len() as u32);
        self.intended = now;
        self.missing.fill(receivers);
        self.first
    }

    /// Notes that message `sequence` has arrived at one more receiver. Returns whether it has now
    /// arrived everywhere, or `None` if it was not missing.
    fn arrived(&mut self, sequence: u32) -> Option<bool> {
        let place = sequence.wrapping_sub(self.first) as usize;
        let missing = self.missing.get_mut(place).filter(|missing| **missing > 0)?;
        *missing -= 1;
        Some(*missing == 0)
    }
}

impl Spreading {
    fn publish(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let messages = self.burst.missing.len();
        let sequence = self.burst.begin(now, self.next.len());
        self.heard = now;
        let stamp = Stamp { sender: 0, sequence };
        if self.links.send(self.publisher, stamp, messages)? < messages {
            return Err(Error::Settings("the burst is too long for one write".to_owned()));
        }
        Ok(())
    }

    fn turn(&mut self, event: &Event) -> Result<(), Error> {
        let index = event.token().0;
        if event.is_writable() {
            self.links.flush(index)?;
        }
        let reads = index < self.next.len() || index == self.publisher;
        while reads && event.is_readable() && self.read(index)? == ReadOutcome::Full {}
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<ReadOutcome, Error> {
        let Some(next) = self.next.get_mut(index) else {
            // Messages that the server sends to the publisher are read, and their frames checked.
            return self.links.read(index, |_| Ok(()));
        };
        let (burst, meter) = (&mut self.burst, &mut self.meter);
        let mut clock = None;
        let outcome = self.links.read(index, |received| {
            let now = *clock.get_or_insert_with(Instant::now);
            let expected = Stamp { sender: 0, sequence: *next };
            if received != expected {
                return Err(Fault::WrongMessage { expected, received });
            }
            let everywhere = burst.arrived(*next).ok_or(Fault::Unasked)?;
            *next = next.wrapping_add(1);
            meter.arrived(burst.intended, now);
            if everywhere {
                meter.arrived_everywhere(burst.intended, now);
            }
            Ok(())
        })?;
        self.heard = clock.unwrap_or(self.heard);
        Ok(outcome)
    }

    /// If messages are missing and none arrives for long, the server has failed.
    fn is_patient(&self) -> Result<(), Error> {
        let silence = self.heard.elapsed();
        if self.burst.is_everywhere() || silence <= PATIENCE {
            return Ok(());
        }
        let outstanding = self.burst.missing.iter().map(|&missing| missing as u64).sum();
        Err(Error::Stalled { outstanding, seconds: silence.as_secs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_everywhere_when_all_have_each_of_its_messages() {
        let mut burst = Burst::new(2);
        assert!(burst.is_everywhere());
        assert_eq!(burst.begin(Instant::now(), 2), 0);
        assert_eq!(burst.arrived(0), Some(false));
        assert_eq!(burst.arrived(1), Some(false));
        assert_eq!(burst.arrived(0), Some(true));
        assert!(!burst.is_everywhere());
        assert_eq!(burst.arrived(1), Some(true));
        assert!(burst.is_everywhere());
        assert_eq!(burst.begin(Instant::now(), 1), 2);
    }

    #[test]
    fn messages_that_are_not_missing_are_told_apart() {
        let mut burst = Burst::new(1);
        burst.begin(Instant::now(), 1);
        assert_eq!(burst.arrived(1), None);
        assert_eq!(burst.arrived(0), Some(true));
        assert_eq!(burst.arrived(0), None);
    }
}
