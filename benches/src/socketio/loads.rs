//! The loads, and what each measures.

use std::time::{Duration, Instant};

use super::crowd::{Crowd, GENTLY};
use super::events::{Acknowledged, Deliveries, Events};
use super::scenario::{Figure, Kind, Scenario};
use super::session::{Receiver, Way, unexpected};
use crate::compare::process::Server;
use crate::error::Error;

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

/// What came of one round.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) figures: Vec<(Figure, f64)>,
    /// What was remarkable.
    pub(crate) remarks: Vec<String>,
}

impl From<Vec<(Figure, f64)>> for Sample {
    fn from(figures: Vec<(Figure, f64)>) -> Self {
        Self { figures, remarks: Vec::new() }
    }
}

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
        Ok(vec![(Figure::Memory, bytes)].into())
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
        let figures = vec![
            (Figure::Connected, joined as f64),
            (Figure::Rate, joined as f64 / time.as_secs_f64()),
            (Figure::Cpu, used.as_nanos() as f64 / joined.max(1) as f64),
        ];
        let mut remarks: Vec<_> = crowd.check().err().iter().map(Error::to_string).collect();
        if crowd.repeated() > 0 {
            remarks.push(format!("{} requests were sent again", crowd.repeated()));
        }
        Ok(Sample { figures, remarks })
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
        let mut figures = vec![
            (Figure::Cpu, used.as_nanos() as f64 / count),
            (Figure::Rate, count / time.as_secs_f64()),
        ];
        if let Some(latencies) = events.latencies() {
            figures.push((Figure::P50, latencies.value_at_quantile(0.5) as f64));
            figures.push((Figure::P99, latencies.value_at_quantile(0.99) as f64));
        }
        Ok(figures.into())
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
