//! The loads, and what each of them measures.

use std::time::{Duration, Instant};

use super::case::{CONNECTED, Case, Kind, MEMORY};
use super::crowd::{Crowd, unexpected};
use super::events::Events;
use super::session::Transport;
use crate::error::Error;
use crate::load::{Measurement, Meter};
use crate::machine::Process;
use crate::process::Server;
use crate::scenario::{Sample, Timing};
use crate::scenarios::figures::sample;

/// How long a storm may take.
pub(super) const STORM_MAX: Duration = Duration::from_secs(30);
/// How long sessions may take to join where no storm is measured.
const JOINING_MAX: Duration = Duration::from_secs(60);
/// How many sessions join at the same time there.
const JOINING: usize = 32;
/// How long no event may arrive.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A load on one server.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) case: &'a Case,
    pub(super) server: &'a Server,
    pub(super) transport: Transport,
    /// Whether the load has a CPU of its own.
    pub(super) spins: bool,
    /// Whether the server collects its garbage when a session emits `collect-garbage`.
    pub(super) collects_garbage: bool,
}

impl Load<'_> {
    pub(super) fn run(&self, timing: Timing) -> Result<Sample, Error> {
        let mut crowd = Crowd::new(self.server.target(), self.transport, self.spins)?;
        match self.case.kind {
            Kind::Idle => self.idle(&mut crowd),
            Kind::Storm => self.storm(&mut crowd),
            Kind::RoundTrip | Kind::Acknowledged | Kind::ToAll => self.events(&mut crowd, timing),
        }
    }

    fn idle(&self, crowd: &mut Crowd) -> Result<Sample, Error> {
        join(crowd, 1)?;
        let before = self.memory(crowd)?;
        join(crowd, self.case.sessions)?;
        let bytes = self.memory(crowd)?.saturating_sub(before) as f64;
        Ok(Sample::default().with(&MEMORY, bytes / self.case.sessions as f64))
    }

    /// The server's memory, without garbage if it can collect that.
    fn memory(&self, crowd: &mut Crowd) -> Result<u64, Error> {
        if self.collects_garbage {
            crowd.send(0, b"420[\"collect-garbage\"]");
            let (start, mut packets) = (Instant::now(), Vec::new());
            while packets.is_empty() {
                packets = turn(crowd, start)?;
            }
            if packets != [(0, b"430[]".to_vec())] {
                return Err(unexpected(0, &packets[0].1));
            }
        }
        let memory = self.server.process().and_then(Process::memory);
        memory.ok_or_else(|| Error::Settings("the server's memory is unknown".to_owned()))
    }

    fn storm(&self, crowd: &mut Crowd) -> Result<Sample, Error> {
        let mut meter = self.meter(Duration::ZERO, Duration::ZERO);
        // The measured time begins at once.
        meter.is_over(Instant::now());
        crowd.join(self.case.sessions, self.case.sessions, STORM_MAX)?;
        meter.close(Instant::now());
        let measured = Measurement { count: crowd.joined as u64, ..meter.finish() };
        let mut sample = sample(&measured).with(&CONNECTED, crowd.joined as f64);
        sample.notes.extend(crowd.check().err().map(|error| error.to_string()));
        if crowd.repeated() > 0 {
            sample = sample.note(format!("{} requests were sent again", crowd.repeated()));
        }
        Ok(sample)
    }

    fn events(&self, crowd: &mut Crowd, timing: Timing) -> Result<Sample, Error> {
        join(crowd, self.case.sessions)?;
        let to_all = self.case.kind == Kind::ToAll;
        let is_plain = self.transport == Transport::Plain;
        let meter = self.meter(timing.warm_up, timing.duration);
        let mut events = Events::new(to_all, is_plain, self.case.sessions, meter);
        while !(events.meter.is_over(Instant::now()) && events.is_complete()) {
            for (session, event) in events.due() {
                crowd.send(session, &event);
            }
            for (session, packet) in turn(crowd, events.heard)? {
                if let Some(next) = events.arrived(session, &packet)? {
                    crowd.send(session, &next);
                }
            }
        }
        Ok(sample(&events.meter.finish()))
    }

    fn meter(&self, warm_up: Duration, duration: Duration) -> Meter {
        Meter::begin(warm_up, duration, self.server.process().map(Process::cpu))
    }
}

/// Lets more sessions join. All have to.
fn join(crowd: &mut Crowd, count: usize) -> Result<(), Error> {
    let wanted = crowd.joined + count;
    crowd.join(count, JOINING, JOINING_MAX)?;
    crowd.check()?;
    match (wanted - crowd.joined) as u64 {
        0 => Ok(()),
        outstanding => Err(Error::Stalled { outstanding, seconds: JOINING_MAX.as_secs() }),
    }
}

/// Handles what is ready. Fails if a session has, or if nothing was heard for too long.
fn turn(crowd: &mut Crowd, heard: Instant) -> Result<Vec<(usize, Vec<u8>)>, Error> {
    let packets = crowd.turn()?;
    crowd.check()?;
    if heard.elapsed() > SILENCE_MAX {
        let reason = format!("no event arrived for {} s", SILENCE_MAX.as_secs());
        return Err(Error::Events(reason));
    }
    Ok(packets)
}
