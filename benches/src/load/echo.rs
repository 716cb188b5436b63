use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mio::Events;
use mio::event::Event;

use super::links::{Links, ReadOutcome};
use super::meter::{Measurement, Meter};
use super::payload::Stamp;
use super::scanner::Fault;
use super::schedule::{Schedule, WAIT_MAX};
use super::{GRACE, Load, PATIENCE, Pace};
use crate::error::Error;
use crate::machine::CpuClock;

/// Sends messages on every connection, and checks that each echo is whole and in order.
pub(crate) fn run(
    load: &Load,
    connections: usize,
    server: Option<&CpuClock>,
) -> Result<Measurement, Error> {
    let depth = load.pace.in_flight_max();
    let links = Links::open(&load.target, connections, load.size, depth)?;
    let start = Instant::now();
    let mut echo = Echo {
        links,
        senders: Vec::with_capacity(connections),
        closed_depth: None,
        schedule: None,
        in_flight_max: depth as u64,
        carried: Stamp::carried(load.size),
        released: 0,
        outstanding: 0,
        heard: start,
        over: false,
        meter: Meter::begin(load.warm_up, load.duration, server),
    };
    match load.pace {
        Pace::Closed { depth } => echo.closed_depth = Some(depth),
        Pace::Open { per_second, .. } => echo.schedule = Some(Schedule::new(start, per_second)),
    }
    let ring = echo.closed_depth.unwrap_or(0);
    echo.senders.extend((0..connections).map(|_| Sender::new(ring)));
    echo.run(load.spin)
}

struct Echo {
    links: Links,
    senders: Vec<Sender>,
    /// The depth of a closed loop.
    closed_depth: Option<usize>,
    /// The times of an open loop.
    schedule: Option<Schedule>,
    in_flight_max: u64,
    /// The bits of a stamp that fit into payloads.
    carried: u64,
    /// Messages that the schedule has released.
    released: u64,
    /// Messages of all senders that were released and not answered.
    outstanding: u64,
    /// When the last message arrived, or when the first one was expected.
    heard: Instant,
    /// The measured time is over, and no new message is sent.
    over: bool,
    meter: Meter,
}

/// One connection. `answered <= sent <= due`.
struct Sender {
    /// Messages that are due.
    due: u64,
    sent: u64,
    answered: u64,
    /// In a closed loop, when each message after `answered` became due.
    since: VecDeque<Instant>,
}

impl Sender {
    fn new(ring: usize) -> Self {
        Self { due: 0, sent: 0, answered: 0, since: VecDeque::with_capacity(ring) }
    }
}

impl Echo {
    fn run(mut self, spin: bool) -> Result<Measurement, Error> {
        self.begin()?;
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            self.over = self.meter.is_over(now);
            self.release_due(now)?;
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

    fn begin(&mut self) -> Result<(), Error> {
        for index in 0..self.senders.len() {
            self.links.read_early(index, |_| Err(Fault::Unasked))?;
            if let Some(depth) = self.closed_depth {
                self.release(index, depth);
                self.send(index)?;
            }
        }
        Ok(())
    }

    /// Whether the run may end: its time is over, and every message was answered or abandoned.
    fn is_settled(&mut self, now: Instant) -> Result<bool, Error> {
        if self.outstanding == 0 {
            return Ok(self.over);
        }
        let silence = now.saturating_duration_since(self.heard);
        if silence > PATIENCE {
            let (outstanding, seconds) = (self.outstanding, silence.as_secs());
            return Err(Error::Stalled { outstanding, seconds });
        }
        let Some((schedule, end)) = self.schedule.zip(self.meter.end()) else {
            return Ok(false);
        };
        if now < end + GRACE {
            return Ok(false);
        }
        let senders = self.senders.len() as u64;
        for (index, sender) in self.senders.iter().enumerate() {
            for message in sender.answered..sender.due {
                self.meter.gave_up(schedule.time(message * senders + index as u64), now);
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
        if event.is_writable() && self.links.flush(index)? {
            self.send(index)?;
        }
        if !event.is_readable() {
            return Ok(());
        }
        loop {
            let (outcome, answers) = self.read(index)?;
            if self.closed_depth.is_some() && !self.over {
                self.release(index, answers);
            }
            self.send(index)?;
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

    /// Reads once, and returns how many answers arrived.
    fn read(&mut self, index: usize) -> Result<(ReadOutcome, usize), Error> {
        let senders = self.senders.len() as u64;
        let sender = &mut self.senders[index];
        let before = sender.answered;
        let (meter, schedule, carried) = (&mut self.meter, self.schedule, self.carried);
        let mut clock = None;
        let outcome = self.links.read(index, |received| {
            let now = *clock.get_or_insert_with(Instant::now);
            if sender.answered == sender.sent {
                return Err(Fault::Unasked);
            }
            let expected = Stamp { sender: index as u32, sequence: sender.answered as u32 };
            if (received.to_bits() ^ expected.to_bits()) & carried != 0 {
                return Err(Fault::WrongMessage { expected, received });
            }
            let intended = match schedule {
                Some(schedule) => schedule.time(sender.answered * senders + index as u64),
                None => sender.since.pop_front().unwrap_or(now),
            };
            meter.arrived(intended, now);
            sender.answered += 1;
            Ok(())
        })?;
        let answers = self.senders[index].answered - before;
        if outcome != ReadOutcome::Empty {
            self.heard = clock.unwrap_or_else(Instant::now);
        }
        self.outstanding -= answers;
        Ok((outcome, answers as usize))
    }

    /// Sends the messages whose time has come.
    fn release_due(&mut self, now: Instant) -> Result<(), Error> {
        let Some(schedule) = self.schedule else {
            return Ok(());
        };
        let last = self.meter.end().map_or(now, |end| now.min(end));
        let senders = self.senders.len() as u64;
        for message in self.released..schedule.due(last) {
            let index = (message % senders) as usize;
            if self.outstanding == 0 {
                self.heard = now;
            }
            self.outstanding += 1;
            self.released += 1;
            self.senders[index].due += 1;
            self.send(index)?;
        }
        Ok(())
    }

    /// Sends the next messages of a closed loop.
    fn release(&mut self, index: usize, messages: usize) {
        if messages == 0 {
            return;
        }
        let now = Instant::now();
        let sender = &mut self.senders[index];
        sender.due += messages as u64;
        sender.since.extend(std::iter::repeat_n(now, messages));
        self.outstanding += messages as u64;
    }

    /// Sends the due messages of one connection, within the limit on unanswered ones.
    fn send(&mut self, index: usize) -> Result<(), Error> {
        let senders = self.senders.len() as u64;
        let sender = &mut self.senders[index];
        let allowed = sender.due.min(sender.answered + self.in_flight_max);
        let messages = allowed - sender.sent;
        if messages == 0 {
            return Ok(());
        }
        let first = Stamp { sender: index as u32, sequence: sender.sent as u32 };
        let sent = self.links.send(index, first, messages as usize)? as u64;
        if let Some(schedule) = self.schedule {
            let now = Instant::now();
            for message in sender.sent..sender.sent + sent {
                self.meter.left(schedule.time(message * senders + index as u64), now);
            }
        }
        sender.sent += sent;
        Ok(())
    }
}
