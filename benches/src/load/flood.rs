//! One connection that sends as much as it can, among many quiet ones.

use std::time::{Duration, Instant};

use mio::Events;

use super::links::{Links, ReadOutcome};
use super::meter::{Measurement, Meter};
use super::payload::Stamp;
use super::scanner::Fault;
use super::schedule::Schedule;
use super::{PATIENCE, make_room, pause};
use crate::error::Error;
use crate::machine::CpuClock;
use crate::target::Target;

/// An echo server's connections.
#[derive(Clone, Debug)]
pub(crate) struct Flood {
    pub(crate) target: Target,
    /// How many quiet connections there are.
    pub(crate) quiet: usize,
    /// Messages per second of all quiet connections together.
    pub(crate) per_second: f64,
    /// Payload bytes of each message, at least the length of a stamp.
    pub(crate) size: usize,
    /// How many messages the flooding connection leaves unanswered. 0 is no flood.
    pub(crate) depth: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Poll without ever sleeping.
    pub(crate) spin: bool,
}

/// The result.
#[derive(Clone, Debug)]
pub(crate) struct FloodMeasurement {
    /// The quiet connections. Latencies count from the intended send time.
    pub(crate) quiet: Measurement,
    /// How many echoes the flooding connection got in the measured time.
    pub(crate) flooded: u64,
}

/// The index of the flooding connection.
const FLOODER: usize = 0;

/// Floods, and measures the quiet connections' round trips at a fixed rate.
pub(crate) fn run(load: &Flood, server: Option<&CpuClock>) -> Result<FloodMeasurement, Error> {
    make_room(load.quiet + 1)?;
    let links = Links::open(&load.target, load.quiet + 1, load.size, load.depth.max(1))?;
    let now = Instant::now();
    let mut flooding = Flooding {
        links,
        senders: vec![Sender::default(); load.quiet + 1],
        depth: load.depth as u64,
        schedule: Schedule::new(now, load.per_second),
        released: 0,
        outstanding: 0,
        heard: now,
        flooded: 0,
        over: false,
        meter: Meter::begin(load.warm_up, load.duration, server),
    };
    let mut events = Events::with_capacity(1024);
    loop {
        let now = Instant::now();
        flooding.over = flooding.meter.is_over(now);
        flooding.release(now)?;
        if flooding.is_settled(now)? {
            break;
        }
        let timeout = match load.spin || flooding.over {
            true => pause(load.spin),
            false => flooding.schedule.pause(flooding.released, now),
        };
        flooding.links.wait(&mut events, timeout)?;
        for event in &events {
            let index = event.token().0;
            if event.is_writable() {
                flooding.links.flush(index)?;
            }
            while event.is_readable() && flooding.read(index)? == ReadOutcome::Full {}
            flooding.send(index)?;
        }
    }
    let Flooding { links, meter, flooded, .. } = flooding;
    links.close();
    Ok(FloodMeasurement { quiet: meter.finish(), flooded })
}

struct Flooding {
    links: Links,
    senders: Vec<Sender>,
    depth: u64,
    /// The measurement of the quiet connections.
    schedule: Schedule,
    /// Messages that the schedule has released.
    released: u64,
    /// Messages that are not answered yet, over all senders.
    outstanding: u64,
    /// When the last message arrived, or when the first one was expected.
    heard: Instant,
    flooded: u64,
    over: bool,
    meter: Meter,
}

/// One connection. `answered <= sent <= due`.
#[derive(Clone, Debug, Default)]
struct Sender {
    due: u64,
    sent: u64,
    answered: u64,
}

impl Flooding {
    /// Whether the time is over and every answer has arrived.
    fn is_settled(&self, now: Instant) -> Result<bool, Error> {
        let silence = now.saturating_duration_since(self.heard);
        if self.outstanding > 0 && silence > PATIENCE {
            let (outstanding, seconds) = (self.outstanding, silence.as_secs());
            return Err(Error::Stalled { outstanding, seconds });
        }
        Ok(self.over && self.outstanding == 0)
    }

    /// Sends the messages whose time has come, and those of the flood.
    fn release(&mut self, now: Instant) -> Result<(), Error> {
        let last = self.meter.end().map_or(now, |end| now.min(end));
        for message in self.released..self.schedule.due(last) {
            let index = quiet_sender(message, self.senders.len());
            self.released += 1;
            self.senders[index].due += 1;
            self.expect(now, 1);
            self.send(index)?;
        }
        self.send(FLOODER)
    }

    fn expect(&mut self, now: Instant, messages: u64) {
        if self.outstanding == 0 {
            self.heard = now;
        }
        self.outstanding += messages;
    }

    fn send(&mut self, index: usize) -> Result<(), Error> {
        if index == FLOODER && !self.over {
            let flooder = &mut self.senders[FLOODER];
            let more = flooder.answered + self.depth - flooder.due;
            flooder.due += more;
            self.expect(Instant::now(), more);
        }
        let sender = &mut self.senders[index];
        let first = Stamp { sender: index as u32, sequence: sender.sent as u32 };
        let messages = (sender.due - sender.sent) as usize;
        if messages > 0 {
            sender.sent += self.links.send(index, first, messages)? as u64;
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<ReadOutcome, Error> {
        let quiet = self.senders.len() - 1;
        let (sender, meter) = (&mut self.senders[index], &mut self.meter);
        let before = sender.answered;
        let mut clock = None;
        let outcome = self.links.read(index, |received| {
            let now = *clock.get_or_insert_with(Instant::now);
            if sender.answered == sender.sent {
                return Err(Fault::Unasked);
            }
            let expected = Stamp { sender: index as u32, sequence: sender.answered as u32 };
            if received != expected {
                return Err(Fault::WrongMessage { expected, received });
            }
            if index != FLOODER {
                let message = sender.answered * quiet as u64 + (index - 1) as u64;
                meter.arrived(self.schedule.time(message), now);
            }
            sender.answered += 1;
            Ok(())
        })?;
        let answers = self.senders[index].answered - before;
        self.outstanding -= answers;
        if let Some(now) = clock {
            self.heard = now;
            let measured = self.meter.end().is_some_and(|end| now < end);
            self.flooded += if index == FLOODER && measured { answers } else { 0 };
        }
        Ok(outcome)
    }
}

/// The index of the quiet connection that sends message `message` of the schedule, among `senders`
/// connections of which one floods.
fn quiet_sender(message: u64, senders: usize) -> usize {
    (message % (senders - 1) as u64) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quiet_ones_take_turns() {
        let senders: Vec<usize> = (0..5).map(|message| quiet_sender(message, 4)).collect();
        assert_eq!(senders, [1, 2, 3, 1, 2]);
    }
}
