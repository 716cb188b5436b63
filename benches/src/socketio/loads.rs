//! The loads. Each checks every packet that comes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, GENTLY};
use super::scenario::{Figure, Kind, Scenario};
use super::session::{Receiver, Way, unexpected};
use crate::compare::process::Server;
use crate::error::Error;
use crate::load::{Latencies, no_latencies};

/// Bytes of the text that an event carries.
pub(crate) const TEXT: usize = 64;

/// How long a storm may take.
pub(crate) const STORM_MAX: Duration = Duration::from_secs(30);

/// How long no event may arrive.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// The measured time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// A load on one server.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) sessions: usize,
    pub(super) server: &'a Server,
    pub(super) way: Way,
    pub(super) timing: Timing,
    /// Whether the load has a CPU of its own.
    pub(super) spins: bool,
    /// Whether the server collects its garbage when a session emits `collect-garbage`.
    pub(super) collects_garbage: bool,
}

/// The figures of one round.
pub(crate) type Sample = Vec<(Figure, f64)>;

impl Load<'_> {
    pub(super) fn run(&self) -> Result<Sample, Error> {
        let mut crowd = Crowd::new(self.server.target(), self.way, self.spins)?;
        match self.scenario.kind {
            Kind::Idle => self.idle(&mut crowd),
            Kind::Storm => self.storm(&mut crowd),
            Kind::Acknowledged => {
                crowd.join(self.sessions, GENTLY)?;
                let acknowledged = Acknowledged::new(self.sessions, self.way);
                self.measure(&mut crowd, acknowledged)
            }
            Kind::Deliveries => {
                crowd.join(self.sessions, GENTLY)?;
                self.measure(&mut crowd, Deliveries::new(self.sessions, self.way))
            }
        }
    }

    fn idle(&self, crowd: &mut Crowd) -> Result<Sample, Error> {
        crowd.join(1, 1)?;
        let before = self.memory(crowd)?;
        crowd.join(self.sessions, GENTLY)?;
        let after = self.memory(crowd)?;
        let bytes = after.saturating_sub(before) as f64 / self.sessions as f64;
        Ok(vec![(Figure::Memory, bytes)])
    }

    /// The server's memory, without garbage if it can collect that.
    fn memory(&self, crowd: &mut Crowd) -> Result<u64, Error> {
        if self.collects_garbage {
            let mut collected = Answer { expected: b"430[]", has_come: false };
            crowd.send(0, b"420[\"collect-garbage\"]");
            let start = Instant::now();
            while !collected.has_come {
                crowd.turn(&mut collected)?;
                crowd.check()?;
                crowd.limit(start, SILENCE_MAX, 1)?;
            }
        }
        let memory = self.server.memory();
        memory.ok_or_else(|| Error::Settings("the server's memory is unknown".to_owned()))
    }

    fn storm(&self, crowd: &mut Crowd) -> Result<Sample, Error> {
        let before = self.cpu()?;
        let (joined, time) = crowd.storm(self.sessions, STORM_MAX)?;
        let used = self.cpu()?.saturating_sub(before);
        Ok(vec![
            (Figure::Connected, joined as f64),
            (Figure::Rate, joined as f64 / time.as_secs_f64()),
            (Figure::Cpu, used.as_nanos() as f64 / joined.max(1) as f64),
        ])
    }

    fn cpu(&self) -> Result<Duration, Error> {
        let time = self.server.cpu().and_then(|cpu| cpu.time());
        time.ok_or_else(|| Error::Settings("the server's CPU time cannot be read".to_owned()))
    }

    /// Warms up and measures.
    fn measure(&self, crowd: &mut Crowd, mut events: impl Events) -> Result<Sample, Error> {
        run_for(self.timing.warm_up, crowd, &mut events)?;
        events.reset();
        let (before, start, counted) = (self.cpu()?, Instant::now(), events.count());
        run_for(self.timing.measured, crowd, &mut events)?;
        let (used, time) = (self.cpu()?.saturating_sub(before), start.elapsed());
        let count = (events.count() - counted).max(1) as f64;
        let mut sample = vec![
            (Figure::Cpu, used.as_nanos() as f64 / count),
            (Figure::Rate, count / time.as_secs_f64()),
        ];
        if let Some(latencies) = events.latencies() {
            sample.push((Figure::P50, latencies.value_at_quantile(0.5) as f64));
            sample.push((Figure::P99, latencies.value_at_quantile(0.99) as f64));
        }
        Ok(sample)
    }
}

/// Runs for that time, and until something was counted.
fn run_for(time: Duration, crowd: &mut Crowd, events: &mut impl Events) -> Result<(), Error> {
    let (start, counted) = (Instant::now(), events.count());
    let (mut last, mut heard) = (counted, start);
    loop {
        let is_over = start.elapsed() >= time && last > counted;
        if is_over && events.is_between() {
            return Ok(());
        }
        if !is_over {
            events.go_on(crowd);
        }
        crowd.turn(events)?;
        crowd.check()?;
        if events.count() != last {
            (last, heard) = (events.count(), Instant::now());
        }
        crowd.limit(heard, SILENCE_MAX, events.outstanding())?;
    }
}

/// A load of events that goes on until it is no longer run.
trait Events: Receiver {
    /// Sends what is due.
    fn go_on(&mut self, crowd: &mut Crowd);

    /// Events that have arrived.
    fn count(&self) -> u64;

    fn outstanding(&self) -> u64;

    /// Whether everything that the server began has arrived.
    fn is_between(&self) -> bool {
        true
    }

    /// Forgets the latencies so far.
    fn reset(&mut self) {}

    fn latencies(&self) -> Option<&Latencies> {
        None
    }
}

/// An answer that is awaited once.
struct Answer {
    expected: &'static [u8],
    has_come: bool,
}

impl Receiver for Answer {
    fn packet(&mut self, _: usize, packet: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if packet != self.expected || self.has_come {
            return Err(unexpected(packet));
        }
        self.has_come = true;
        Ok(None)
    }
}

/// The text that event number `number` carries.
fn text(number: u64) -> String {
    format!("{number:0TEXT$}")
}

/// Each session sends an event with an acknowledgement, and the next one when that has come.
struct Acknowledged {
    is_plain: bool,
    sessions: Vec<Outstanding>,
    count: u64,
    latencies: Latencies,
}

/// What a session waits for.
struct Outstanding {
    number: u64,
    since: Instant,
    expected: String,
}

impl Acknowledged {
    fn new(sessions: usize, way: Way) -> Self {
        let outstanding =
            || Outstanding { number: 0, since: Instant::now(), expected: String::new() };
        Self {
            is_plain: way == Way::Plain,
            sessions: (0..sessions).map(|_| outstanding()).collect(),
            count: 0,
            latencies: no_latencies(),
        }
    }

    /// The next event of a session.
    fn next(&mut self, index: usize) -> Vec<u8> {
        let session = &mut self.sessions[index];
        session.number += 1;
        let (number, text) = (session.number, text(session.number));
        let event = format!("42{number}[\"message-with-ack\",\"{text}\"]");
        session.expected.clear();
        if self.is_plain {
            session.expected.push_str(&event);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(session.expected, "43{number}[\"{text}\"]");
        }
        session.since = Instant::now();
        event.into_bytes()
    }
}

impl Receiver for Acknowledged {
    fn packet(&mut self, index: usize, packet: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let session = &self.sessions[index];
        if packet != session.expected.as_bytes() {
            return Err(unexpected(packet));
        }
        self.latencies.saturating_record(session.since.elapsed().as_nanos() as u64);
        self.count += 1;
        Ok(Some(self.next(index)))
    }
}

impl Events for Acknowledged {
    /// Only the first events are due: an acknowledgement is answered by the next one.
    fn go_on(&mut self, crowd: &mut Crowd) {
        for index in 0..self.sessions.len() {
            if self.sessions[index].number == 0 {
                crowd.send(index, &self.next(index));
            }
        }
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn outstanding(&self) -> u64 {
        self.sessions.len() as u64
    }

    fn reset(&mut self) {
        self.latencies.reset();
    }

    fn latencies(&self) -> Option<&Latencies> {
        Some(&self.latencies)
    }
}

/// The first session sends an event to all, and the next one when all have it.
struct Deliveries {
    is_plain: bool,
    number: u64,
    expected: String,
    /// The number of the last event that each session has.
    sessions: Vec<u64>,
    missing: usize,
    count: u64,
}

impl Deliveries {
    fn new(sessions: usize, way: Way) -> Self {
        Self {
            is_plain: way == Way::Plain,
            number: 0,
            expected: String::new(),
            sessions: vec![0; sessions],
            missing: 0,
            count: 0,
        }
    }
}

impl Receiver for Deliveries {
    fn packet(&mut self, index: usize, packet: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if packet != self.expected.as_bytes() || self.sessions[index] == self.number {
            return Err(unexpected(packet));
        }
        self.sessions[index] = self.number;
        self.missing -= 1;
        self.count += 1;
        Ok(None)
    }
}

impl Events for Deliveries {
    fn go_on(&mut self, crowd: &mut Crowd) {
        if self.missing > 0 {
            return;
        }
        self.number += 1;
        self.missing = self.sessions.len();
        let text = text(self.number);
        self.expected = format!("42[\"all-event\",\"{text}\"]");
        if self.is_plain {
            crowd.send(0, self.expected.as_bytes());
        } else {
            crowd.send(0, format!("42[\"all\",\"{text}\"]").as_bytes());
        }
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn outstanding(&self) -> u64 {
        self.missing as u64
    }

    fn is_between(&self) -> bool {
        self.missing == 0
    }
}
