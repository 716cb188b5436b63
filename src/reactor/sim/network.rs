//! The network: its virtual time, the planned events, and the due edges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::{Polled, Readiness};
use super::choices::Choices;
use super::config::{Fault, FaultCounts, SimConfig};
use super::endpoints::Endpoints;
use super::listener::{Attempt, Listener};
use super::names::{Answer, Names};
use super::trace::Trace;

/// The state that the connections of one simulation share.
///
/// Invariant: a stream or listener has at most one entry in `edges`, and its `edge` flag is then
/// set.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) config: SimConfig,
    pub(super) choices: Choices,
    pub(super) trace: Trace,
    pub(super) counts: FaultCounts,
    /// Virtual time since the beginning. [`Network::wait`] and [`Network::stand_still`] advance it.
    pub(super) elapsed: Duration,
    pub(super) endpoints: Endpoints,
    pub(super) listeners: BTreeMap<u64, Listener>,
    /// How many streams and listeners the engine has.
    pub(super) descriptors: usize,
    /// Addresses that never answer.
    pub(super) silent: BTreeSet<SocketAddr>,
    pub(super) names: Names,
    /// The last port that was chosen automatically.
    pub(super) last_port: u16,
    /// Planned events, by time and then in the order of planning.
    plan: BTreeMap<(Duration, u64), Planned>,
    /// Due edges, in the order in which they are reported.
    edges: BTreeMap<(Duration, u64), Edge>,
    /// Keys of dropped streams and listeners, the newest last.
    retired: VecDeque<u64>,
    last_number: u64,
}

/// Something with a key: a stream or a listener, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stream(u64),
    Listener(u64),
}

/// An event that happens at its time, without a call.
#[derive(Debug)]
pub(super) enum Planned {
    /// Segments arrive at this end.
    Delivery(u64),
    /// This end accepts bytes again.
    Unchoke(u64),
    /// A connect reaches the other side, or fails.
    Connect(Attempt),
    /// A connection arrives in a backlog.
    Arrival { listener: u64, stream: u64 },
    /// The answer to a lookup arrives.
    Answer(Answer),
}

#[derive(Debug)]
struct Edge {
    source: Source,
    delays: u8,
}

/// The virtual time that each poll takes, so that time passes for a loop that spins.
const POLL_TIME: Duration = Duration::from_micros(1);

/// A poll without a timeout returns after this. Returning early is harmless.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// How often one edge may be delayed.
const DELAYS_MAX: u8 = 3;

/// The shortest [`Fault::ClockJump`] and [`Fault::Stopped`].
const JUMP_MIN: Duration = Duration::from_secs(1);

/// The most retired keys, from which [`Fault::Stale`] chooses.
const RETIRED_KEYS_MAX: usize = 64;

impl Network {
    pub(super) fn new(choices: Choices, config: SimConfig) -> Self {
        Self {
            config,
            choices,
            trace: Trace::new(),
            counts: FaultCounts::default(),
            elapsed: Duration::ZERO,
            endpoints: Endpoints::default(),
            listeners: BTreeMap::new(),
            descriptors: 0,
            silent: BTreeSet::new(),
            names: Names::default(),
            last_port: 0,
            plan: BTreeMap::new(),
            edges: BTreeMap::new(),
            retired: VecDeque::new(),
            last_number: 0,
        }
    }

    /// A number that was not used before.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.record(self.elapsed, what);
    }

    /// Whether `fault` happens now. Counts it if so.
    pub(super) fn hits(&mut self, fault: Fault) -> bool {
        let hit = self.choices.chance(self.config.chance_of(fault));
        if hit {
            self.count(fault);
        }
        hit
    }

    fn count(&mut self, fault: Fault) {
        self.counts.add(fault);
        self.note(format_args!("fault {fault:?}"));
    }

    /// # Errors
    ///
    /// `Interrupted` if [`Fault::Interrupted`] hits.
    pub(super) fn interruptible(&mut self) -> io::Result<()> {
        if self.hits(Fault::Interrupted) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    pub(super) fn plan(&mut self, due: Duration, planned: Planned) {
        let number = self.number();
        self.plan.insert((due, number), planned);
    }

    /// When something that is sent now arrives.
    pub(super) fn arrival(&mut self) -> Duration {
        let (min, max) = self.config.latency;
        let usual = self.choices.span(min, max);
        let extra = if self.hits(Fault::SlowDelivery) {
            self.choices.span(Duration::ZERO, self.config.slowest)
        } else {
            Duration::ZERO
        };
        self.elapsed.saturating_add(usual).saturating_add(extra)
    }

    /// Makes an edge due. As in the kernel, the report has the state at its own time, and a second
    /// edge before the report is the same edge.
    pub(super) fn raise(&mut self, source: Source) {
        let armed = match source {
            Source::Stream(id) => self
                .endpoints
                .get_mut(id)
                .filter(|end| end.key.is_some() && !end.closed)
                .map(|end| &mut end.edge),
            Source::Listener(id) => self
                .listeners
                .get_mut(&id)
                .filter(|listener| listener.key.is_some())
                .map(|listener| &mut listener.edge),
        };
        let Some(armed) = armed else { return };
        if !mem::replace(armed, true) {
            let number = self.number();
            self.edges.insert((self.elapsed, number), Edge { source, delays: 0 });
        }
    }

    /// The current readiness of a source. `None` if there is nothing to report.
    pub(super) fn readiness(&mut self, source: Source) -> Option<Readiness> {
        match source {
            Source::Stream(id) => self.stream_readiness(id),
            Source::Listener(id) => {
                let listener = self.listeners.get(&id)?;
                let key = listener.key?;
                (!listener.backlog.is_empty()).then_some(Readiness {
                    key,
                    readable: true,
                    writable: false,
                    hangup: false,
                    urgent: false,
                })
            }
        }
    }

    /// Lets time pass until there is something to report, `woken` is set or `timeout` has passed.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        woken: &AtomicBool,
        ready: &mut Vec<Readiness>,
    ) -> Polled {
        let from = ready.len();
        let deadline = self.elapsed + timeout.map_or(WAIT_MAX, |timeout| timeout.min(WAIT_MAX));
        self.elapsed += POLL_TIME;
        if self.hits(Fault::ClockJump) {
            let time = self.jump();
            self.elapsed += time;
        }
        if self.hits(Fault::EarlyPoll) {
            return Polled::Part;
        }
        self.reset_by_chance();
        let untrue = [self.stale(), self.spurious()];
        loop {
            self.run_due();
            let polled = self.collect(ready);
            if polled == Polled::All {
                for readiness in untrue.into_iter().flatten() {
                    let place = from + self.choices.index(ready.len() - from + 1);
                    ready.insert(place, readiness);
                }
            }
            let is_over = polled == Polled::Part || ready.len() > from;
            if woken.swap(false, Ordering::AcqRel) || is_over {
                return polled;
            }
            let next = self.next_due();
            if self.elapsed >= deadline || (timeout.is_none() && next.is_none()) {
                return polled;
            }
            let until = next.map_or(deadline, |next| next.min(deadline));
            if self.hits(Fault::PollInterrupted) {
                let slept = until.saturating_sub(self.elapsed);
                self.elapsed += self.choices.span(Duration::ZERO, slept);
                return Polled::Part;
            }
            if self.hits(Fault::Stopped) {
                let time = self.jump();
                self.stand_still(time);
                return Polled::Part;
            }
            // This is later than now, because everything due has happened.
            self.elapsed = until;
        }
    }

    fn jump(&mut self) -> Duration {
        self.choices.span(JUMP_MIN, self.config.clock_jump.max(JUMP_MIN))
    }

    /// Lets time pass without a call. What is under way arrives.
    pub(super) fn stand_still(&mut self, time: Duration) {
        self.elapsed += time;
        self.run_due();
    }

    /// How many events are planned and edges due.
    pub(super) fn in_flight(&self) -> usize {
        self.plan.len() + self.edges.len()
    }

    /// Stores the key of a dropped stream or listener.
    pub(super) fn retire(&mut self, key: Option<u64>) {
        if let Some(key) = key {
            if self.retired.len() == RETIRED_KEYS_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back(key);
        }
    }

    fn next_due(&self) -> Option<Duration> {
        let planned = self.plan.first_key_value().map(|(&(due, _), _)| due);
        let edge = self.edges.first_key_value().map(|(&(due, _), _)| due);
        planned.into_iter().chain(edge).min()
    }

    fn run_due(&mut self) {
        while let Some(entry) = self.plan.first_entry() {
            if entry.key().0 > self.elapsed {
                return;
            }
            match entry.remove() {
                Planned::Delivery(id) => self.deliver(id),
                Planned::Unchoke(id) => self.unchoke(id),
                Planned::Connect(attempt) => self.finish_connect(attempt),
                Planned::Arrival { listener, stream } => self.enqueue(listener, stream),
                Planned::Answer(answer) => answer.deliver(),
            }
        }
    }

    /// Reports due edges in their order, until the batch is full or a fault delays one.
    fn collect(&mut self, ready: &mut Vec<Readiness>) -> Polled {
        let most = ready.len().saturating_add(self.config.batch);
        while ready.len() < most {
            let first = self.edges.first_key_value().map(|(&place, edge)| (place, edge.delays));
            let Some((place, delays)) = first.filter(|(place, _)| place.0 <= self.elapsed) else {
                return Polled::All;
            };
            let is_delayed = delays < DELAYS_MAX && self.hits(Fault::Delayed);
            if let Some(edge) = self.edges.get_mut(&place).filter(|_| is_delayed) {
                edge.delays += 1;
                break;
            }
            if let Some(edge) = self.edges.remove(&place) {
                self.disarm(edge.source);
                ready.extend(self.readiness(edge.source));
            }
        }
        Polled::Part
    }

    /// Clears the flag of a reported edge: the next cause raises a new edge.
    fn disarm(&mut self, source: Source) {
        match source {
            Source::Stream(id) => {
                if let Some(end) = self.endpoints.get_mut(id) {
                    end.edge = false;
                }
            }
            Source::Listener(id) => {
                if let Some(listener) = self.listeners.get_mut(&id) {
                    listener.edge = false;
                }
            }
        }
    }

    /// Resets one of the live connections by chance.
    fn reset_by_chance(&mut self) {
        if self.choices.chance(self.config.chance_of(Fault::Reset)) {
            let ids = self.endpoints.iter().filter(|(_, end)| end.is_live()).map(|(id, _)| id);
            if let Some(id) = self.one_of(&ids.collect::<Vec<_>>()) {
                self.count(Fault::Reset);
                self.reset_both(id);
            }
        }
    }

    /// Readiness with the key of a dropped stream or listener.
    fn stale(&mut self) -> Option<Readiness> {
        if self.retired.is_empty() || !self.hits(Fault::Stale) {
            return None;
        }
        let key = self.retired[self.choices.index(self.retired.len())];
        let flags = 1 + self.choices.index(7);
        Some(Readiness {
            key,
            readable: flags & 1 != 0,
            writable: flags & 2 != 0,
            hangup: flags & 4 != 0,
            urgent: false,
        })
    }

    /// Readiness without a cause. It never has a hang-up, which is a state and not a hint.
    fn spurious(&mut self) -> Option<Readiness> {
        if !self.choices.chance(self.config.chance_of(Fault::Spurious)) {
            return None;
        }
        let streams =
            self.endpoints.iter().filter(|(_, end)| !end.closed).filter_map(|(_, end)| end.key);
        let listeners = self.listeners.values().filter_map(|listener| listener.key);
        let key = self.one_of(&streams.chain(listeners).collect::<Vec<_>>())?;
        self.count(Fault::Spurious);
        let flags = 1 + self.choices.index(3);
        let (readable, writable) = (flags & 1 != 0, flags & 2 != 0);
        Some(Readiness { key, readable, writable, hangup: false, urgent: false })
    }

    fn one_of(&mut self, ids: &[u64]) -> Option<u64> {
        if ids.is_empty() { None } else { Some(ids[self.choices.index(ids.len())]) }
    }
}
