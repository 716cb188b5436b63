//! The network as a whole: its virtual time, what is planned, and the edges that are due.

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

/// Everything that the connections of one simulation share.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) config: SimConfig,
    pub(super) choices: Choices,
    pub(super) trace: Trace,
    pub(super) counts: FaultCounts,
    /// Virtual time since the beginning. Waits advance it, and [`Network::stand_still`].
    pub(super) elapsed: Duration,
    pub(super) endpoints: Endpoints,
    pub(super) listeners: BTreeMap<u64, Listener>,
    /// Streams and listeners that the engine holds.
    pub(super) descriptors: usize,
    /// Addresses at which nobody ever answers.
    pub(super) silent: BTreeSet<SocketAddr>,
    pub(super) names: Names,
    /// The last port that was given out.
    pub(super) last_port: u16,
    /// What will happen by itself, in order of time; equal times in order of planning.
    plan: BTreeMap<(Duration, u64), Planned>,
    /// Edges that are due, in the order in which they are reported.
    edges: BTreeMap<(Duration, u64), Edge>,
    /// Keys of dropped streams and listeners, the latest last.
    retired: VecDeque<u64>,
    last_number: u64,
}

/// What has a key: a stream or a listener, each by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stream(u64),
    Listener(u64),
}

/// Something that happens at its time without a call.
#[derive(Debug)]
pub(super) enum Planned {
    /// What is due on the way to this end arrives.
    Delivery(u64),
    /// This end takes bytes again.
    Unchoke(u64),
    /// A connect reaches the other side, or fails.
    Connect(Attempt),
    /// A connection is there to be accepted.
    Arrival { listener: u64, stream: u64 },
    /// A name was looked up.
    Answer(Answer),
}

#[derive(Debug)]
struct Edge {
    source: Source,
    delays: u8,
}

/// Each poll takes a moment, so that a loop that spins makes progress.
const POLL_COST: Duration = Duration::from_micros(1);

/// A poll without end returns after this, early but harmless.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How often one edge is put off.
const MAX_DELAYS: u8 = 3;

/// The shortest [`Fault::ClockJump`] and [`Fault::Stopped`].
const MIN_JUMP: Duration = Duration::from_secs(1);

/// How many retired keys [`Fault::Stale`] chooses from.
const MAX_RETIRED: usize = 64;

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

    /// A number that was not given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.record(self.elapsed, what);
    }

    /// Whether `fault` happens now; if so it is counted.
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
    /// `Interrupted`, when [`Fault::Interrupted`] hits.
    pub(super) fn interruptible(&mut self) -> io::Result<()> {
        if self.hits(Fault::Interrupted) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    pub(super) fn plan(&mut self, due: Duration, planned: Planned) {
        let number = self.number();
        self.plan.insert((due, number), planned);
    }

    /// When something sent now arrives.
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

    /// Makes an edge due, as a wakeup of the kernel's does: what is reported is the state at the
    /// time of the report, and a second edge before it is the same edge.
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

    /// What a source would be reported as now; `None` when there is nothing to report.
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

    /// Lets time pass until there is something to report, `woken` is set or `timeout` is over.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        woken: &AtomicBool,
        ready: &mut Vec<Readiness>,
    ) -> Polled {
        let from = ready.len();
        let deadline = self.elapsed + timeout.map_or(MAX_WAIT, |timeout| timeout.min(MAX_WAIT));
        self.elapsed += POLL_COST;
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
            // Later than now: all that was due has happened.
            self.elapsed = until;
        }
    }

    fn jump(&mut self) -> Duration {
        self.choices.span(MIN_JUMP, self.config.clock_jump.max(MIN_JUMP))
    }

    /// Lets time pass without a call: what is on its way arrives.
    pub(super) fn stand_still(&mut self, time: Duration) {
        self.elapsed += time;
        self.run_due();
    }

    /// What is still to happen by itself: arrivals, outcomes of connects, and edges to report.
    pub(super) fn in_flight(&self) -> usize {
        self.plan.len() + self.edges.len()
    }

    /// Remembers the key of something that is gone.
    pub(super) fn retire(&mut self, key: Option<u64>) {
        if let Some(key) = key {
            if self.retired.len() == MAX_RETIRED {
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

    /// Reports the edges that are due, in their order, up to a batch or to one that a fault puts
    /// off.
    fn collect(&mut self, ready: &mut Vec<Readiness>) -> Polled {
        let most = ready.len().saturating_add(self.config.batch);
        while ready.len() < most {
            let first = self.edges.first_key_value().map(|(&place, edge)| (place, edge.delays));
            let Some((place, delays)) = first.filter(|(place, _)| place.0 <= self.elapsed) else {
                return Polled::All;
            };
            let is_put_off = delays < MAX_DELAYS && self.hits(Fault::Delayed);
            if let Some(edge) = self.edges.get_mut(&place).filter(|_| is_put_off) {
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

    /// The next cause raises a new edge.
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

    /// Resets one of the live connections, whichever the choice falls on.
    fn reset_by_chance(&mut self) {
        if self.choices.chance(self.config.chance_of(Fault::Reset)) {
            let ids = self.endpoints.iter().filter(|(_, end)| end.is_live()).map(|(id, _)| id);
            if let Some(id) = self.one_of(&ids.collect::<Vec<_>>()) {
                self.count(Fault::Reset);
                self.reset_both(id);
            }
        }
    }

    /// Readiness of something that is gone.
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

    /// Readiness without a cause. It never claims a hangup, which is a state and not a hint.
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
