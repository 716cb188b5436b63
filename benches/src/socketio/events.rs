//! Events that go on until the load ends. Each is checked when it arrives.

use std::fmt::Write as _;
use std::time::Instant;

use super::crowd::Crowd;
use super::session::{Receiver, Way, unexpected};
use crate::load::{Latencies, no_latencies};

/// Bytes of the text that an event carries.
pub(crate) const TEXT: usize = 64;

/// A load of events that goes on until it is no longer run.
pub(super) trait Events: Receiver {
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

/// The text that event number `number` carries.
fn text(number: u64) -> String {
    format!("{number:0TEXT$}")
}

/// Each session sends an event with an acknowledgement, and the next one when that has come.
#[derive(Debug)]
pub(super) struct Acknowledged {
    is_plain: bool,
    sessions: Vec<Outstanding>,
    count: u64,
    latencies: Latencies,
}

/// What a session waits for.
#[derive(Debug)]
struct Outstanding {
    number: u64,
    since: Instant,
    expected: String,
}

impl Acknowledged {
    pub(super) fn new(sessions: usize, way: Way) -> Self {
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
#[derive(Debug)]
pub(super) struct Deliveries {
    is_plain: bool,
    number: u64,
    expected: String,
    /// The number of the last event that each session has.
    sessions: Vec<u64>,
    missing: usize,
    count: u64,
}

impl Deliveries {
    pub(super) fn new(sessions: usize, way: Way) -> Self {
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
