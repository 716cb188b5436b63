use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mio::Events;
use mio::event::Event;

use super::links::{Links, ReadOutcome};
use super::meter::{Measurement, Meter};
use super::payload::Stamp;
use super::scanner::Fault;
use super::schedule::{Schedule, WAIT_MAX};
use super::{GRACE, Load, PATIENCE, Pace, Wire};
use crate::error::Error;
use crate::machine::CpuClock;

/// Publishes messages, and checks that every receiver gets each of them, whole and in order.
pub(crate) fn run(
    load: &Load,
    receivers: usize,
    publishers: usize,
    server: Option<&CpuClock>,
) -> Result<Measurement, Error> {
    if load.size < Stamp::LEN {
        let reason = format!("a broadcast message needs at least {} bytes", Stamp::LEN);
        return Err(Error::Settings(reason));
    }
    if load.target.wire == Wire::Tcp && publishers > 1 {
        let reason = "raw TCP has no message boundaries: it allows only one publisher";
        return Err(Error::Settings(reason.to_owned()));
    }
    let depth = load.pace.in_flight_max();
    let links = Links::open(&load.target, receivers + publishers, load.size, depth)?;
    let start = Instant::now();
    let schedule = match load.pace {
        Pace::Closed { .. } => None,
        Pace::Open { per_second, .. } => Some(Schedule::new(start, per_second)),
    };
    let broadcast = Broadcast {
        links,
        receivers,
        next: vec![0; receivers * publishers],
        publishers: (0..publishers).map(|_| Publisher::new(depth)).collect(),
        schedule,
        in_flight_max: depth as u64,
        released: 0,
        outstanding: 0,
        heard: start,
        over: false,
        meter: Meter::begin(load.warm_up, load.duration, server),
    };
    broadcast.run(load.spin)
}

struct Broadcast {
    /// The receivers first, then the publishers.
    links: Links,
    receivers: usize,
    publishers: Vec<Publisher>,
    /// By receiver, then publisher: the sequence number of the next expected message.
    next: Vec<u32>,
    /// The times of an open loop.
    schedule: Option<Schedule>,
    in_flight_max: u64,
    /// Messages that the schedule has released.
    released: u64,
    /// Messages of all publishers that were released and that some receiver does not have.
    outstanding: u64,
    /// When the last message arrived, or when the first one was expected.
    heard: Instant,
    /// The measured time is over, and no new message is sent.
    over: bool,
    meter: Meter,
}

/// One publisher. `complete <= sent <= due`.
struct Publisher {
    /// Messages that are due.
    due: u64,
    sent: u64,
    /// Messages that every receiver has.
    complete: u64,
    /// The messages from `complete` to `sent`.
    flights: VecDeque<Flight>,
}

/// One message in flight.
struct Flight {
    intended: Instant,
    /// How many receivers do not have it.
    missing: usize,
}

impl Publisher {
    fn new(depth: usize) -> Self {
        Self { due: 0, sent: 0, complete: 0, flights: VecDeque::with_capacity(depth) }
    }
}

impl Broadcast {
    fn run(mut self, spin: bool) -> Result<Measurement, Error> {
        for index in 0..self.receivers + self.publishers.len() {
            self.links.read_early(index, |_| Err(Fault::Unasked))?;
        }
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            self.over = self.meter.is_over(now);
            self.release(now);
            self.publish()?;
            if self.is_settled(now)? {
                break;
            }
            let timeout = if spin { Duration::ZERO } else { self.pause(now) };
            self.links.wait(&mut events, timeout)?;
            for event in &events {
                self.turn(event)?;
            }
        }
        self.links.close();
        Ok(self.meter.finish())
    }

    /// Whether the run may end: its time is over, and every message was delivered or abandoned.
    fn is_settled(&mut self, now: Instant) -> Result<bool, Error> {
        if self.outstanding == 0 {
            return Ok(self.over);
        }
        let silence = now.saturating_duration_since(self.heard);
        if silence > PATIENCE {
            let (outstanding, seconds) = (self.outstanding, silence.as_secs());
            return Err(Error::Stalled { outstanding, seconds });
        }
        let Some(end) = self.meter.end().filter(|_| self.schedule.is_some()) else {
            return Ok(false);
        };
        if now < end + GRACE {
            return Ok(false);
        }
        for (index, publisher) in self.publishers.iter().enumerate() {
            for message in publisher.complete..publisher.due {
                let intended = intended(self.schedule, self.publishers.len(), index, message, now);
                self.meter.gave_up(intended, now);
                self.meter.arrived_everywhere(intended, now);
            }
        }
        Ok(true)
    }

    fn pause(&self, now: Instant) -> Duration {
        match self.schedule {
            Some(schedule) if !self.over => schedule.pause(self.released, now),
            _ => WAIT_MAX,
        }
    }

    fn turn(&mut self, event: &Event) -> Result<(), Error> {
        let index = event.token().0;
        if event.is_writable() {
            self.links.flush(index)?;
        }
        if !event.is_readable() {
            return Ok(());
        }
        loop {
            let outcome = self.read(index)?;
            let more = match outcome {
                ReadOutcome::Full => true,
                // The end of the stream is still unread.
                ReadOutcome::Short => event.is_read_closed(),
                ReadOutcome::Empty => false,
            };
            if !more {
                return Ok(());
            }
        }
    }

    fn read(&mut self, index: usize) -> Result<ReadOutcome, Error> {
        if index >= self.receivers {
            // Messages that the server sends to a publisher are read, and their frames are checked.
            return self.links.read(index, |_| Ok(()));
        }
        let publishers = self.publishers.len();
        let next = &mut self.next[index * publishers..][..publishers];
        let (flying, meter) = (&mut self.publishers, &mut self.meter);
        let outstanding = &mut self.outstanding;
        let mut clock = None;
        let outcome = self.links.read(index, |received| {
            let now = *clock.get_or_insert_with(Instant::now);
            let sender = received.sender as usize;
            let Some((publisher, next)) = flying.get_mut(sender).zip(next.get_mut(sender)) else {
                return Err(Fault::Unasked);
            };
            let expected = Stamp { sender: received.sender, sequence: *next };
            if received != expected {
                return Err(Fault::WrongMessage { expected, received });
            }
            let position = next.wrapping_sub(publisher.complete as u32) as usize;
            let Some(flight) = publisher.flights.get_mut(position) else {
                return Err(Fault::Unasked);
            };
            *next = next.wrapping_add(1);
            meter.arrived(flight.intended, now);
            flight.missing -= 1;
            if flight.missing == 0 {
                // Receivers get a publisher's messages in order, so all earlier ones have arrived.
                meter.arrived_everywhere(flight.intended, now);
                publisher.flights.pop_front();
                publisher.complete += 1;
                *outstanding -= 1;
            }
            Ok(())
        })?;
        if outcome != ReadOutcome::Empty {
            self.heard = clock.unwrap_or_else(Instant::now);
        }
        Ok(outcome)
    }

    /// Releases the due messages: those whose time has come, or in a closed loop, as many as may be
    /// unanswered.
    fn release(&mut self, now: Instant) {
        let before = self.outstanding;
        if let Some(schedule) = self.schedule {
            let last = self.meter.end().map_or(now, |end| now.min(end));
            let publishers = self.publishers.len() as u64;
            for message in self.released..schedule.due(last) {
                self.publishers[(message % publishers) as usize].due += 1;
                self.released += 1;
                self.outstanding += 1;
            }
        } else if !self.over {
            for publisher in &mut self.publishers {
                let allowed = publisher.complete + self.in_flight_max;
                self.outstanding += allowed - publisher.due;
                publisher.due = allowed;
            }
        }
        if before == 0 {
            self.heard = now;
        }
    }

    /// Sends the due messages within the limit on unanswered ones.
    fn publish(&mut self) -> Result<(), Error> {
        let publishers = self.publishers.len();
        for (index, publisher) in self.publishers.iter_mut().enumerate() {
            let allowed = publisher.due.min(publisher.complete + self.in_flight_max);
            let messages = allowed - publisher.sent;
            if messages == 0 {
                continue;
            }
            let now = Instant::now();
            let first = Stamp { sender: index as u32, sequence: publisher.sent as u32 };
            let link = self.receivers + index;
            let sent = self.links.send(link, first, messages as usize)? as u64;
            for message in publisher.sent..publisher.sent + sent {
                let intended = intended(self.schedule, publishers, index, message, now);
                if self.schedule.is_some() {
                    self.meter.left(intended, now);
                }
                publisher.flights.push_back(Flight { intended, missing: self.receivers });
            }
            publisher.sent += sent;
        }
        Ok(())
    }
}

/// When message `message` of publisher `index` is due. `now` without a schedule.
fn intended(
    schedule: Option<Schedule>,
    publishers: usize,
    index: usize,
    message: u64,
    now: Instant,
) -> Instant {
    let place = message * publishers as u64 + index as u64;
    schedule.map_or(now, |schedule| schedule.time(place))
}
