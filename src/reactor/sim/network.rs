//! The network: its sockets, the planned events, and the passing of time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::{Polled, Readiness};
use super::choices::Choices;
use super::config::{Fault, SimConfig};
use super::edges::{Edges, spurious};
use super::environment::Environment;
use super::listener::Attempt;
use super::names::{Answer, Names};
use super::sockets::{Sockets, Source};
use super::tasks::{SimTask, Tasks};

/// The state that the connections of one simulation share.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) env: Environment,
    pub(super) sockets: Sockets,
    pub(super) edges: Edges,
    /// How many streams and listeners the engine has.
    pub(super) descriptors: usize,
    /// Addresses that never answer.
    pub(super) silent: BTreeSet<SocketAddr>,
    pub(super) names: Names,
    pub(super) tasks: Tasks,
    /// Planned events, by time and then in the order of planning.
    plan: BTreeMap<(Duration, u64), Planned>,
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
    /// A task takes a step.
    Step(SimTask),
}

/// The virtual time that each poll takes, so that time passes for a loop that spins.
const POLL_TIME: Duration = Duration::from_micros(1);

/// A poll without a timeout returns after this. Returning early is harmless.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

impl Network {
    pub(super) fn new(choices: Choices, config: SimConfig) -> Self {
        Self {
            env: Environment::new(choices, config),
            sockets: Sockets::default(),
            edges: Edges::default(),
            descriptors: 0,
            silent: BTreeSet::new(),
            names: Names::default(),
            tasks: Tasks::default(),
            plan: BTreeMap::new(),
        }
    }

    /// Makes an edge due.
    pub(super) fn raise(&mut self, source: Source) {
        self.edges.raise(source, &mut self.sockets, &mut self.env);
    }

    /// Plans an event.
    pub(super) fn plan(&mut self, due: Duration, planned: Planned) {
        let number = self.env.number();
        self.plan.insert((due, number), planned);
    }

    /// Lets time pass until there is something to report, `woken` is set or `timeout` has passed.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        woken: &AtomicBool,
        ready: &mut Vec<Readiness>,
    ) -> Polled {
        let from = ready.len();
        let deadline = self.env.elapsed + timeout.map_or(WAIT_MAX, |timeout| timeout.min(WAIT_MAX));
        self.env.elapsed += POLL_TIME;
        for (due, task) in self.tasks.wake(&mut self.env) {
            self.plan(due, Planned::Step(task));
        }
        if self.env.hits(Fault::ClockJump) {
            let time = self.env.jump();
            self.env.elapsed += time;
        }
        if self.env.hits(Fault::EarlyPoll) {
            return Polled::Part;
        }
        self.reset_by_chance();
        let stale = self.edges.stale(&mut self.env);
        let untrue = [stale, spurious(&self.sockets, &mut self.env)];
        loop {
            self.run_due();
            let polled = self.edges.collect(&mut self.sockets, &mut self.env, ready);
            if polled == Polled::All {
                for readiness in untrue.into_iter().flatten() {
                    let place = from + self.env.choices.index(ready.len() - from + 1);
                    ready.insert(place, readiness);
                }
            }
            let is_over = polled == Polled::Part || ready.len() > from;
            if woken.swap(false, Ordering::AcqRel) || is_over {
                return polled;
            }
            let planned = self.plan.first_key_value().map(|(&(due, _), _)| due);
            let next = planned.into_iter().chain(self.edges.next_due()).min();
            if self.env.elapsed >= deadline || (timeout.is_none() && next.is_none()) {
                return polled;
            }
            let until = next.map_or(deadline, |next| next.min(deadline));
            if self.env.hits(Fault::PollInterrupted) {
                let slept = until.saturating_sub(self.env.elapsed);
                self.env.elapsed += self.env.choices.span(Duration::ZERO, slept);
                return Polled::Part;
            }
            if self.env.hits(Fault::Stopped) {
                let time = self.env.jump();
                self.stand_still(time);
                return Polled::Part;
            }
            // This is later than now, because everything due has happened.
            self.env.elapsed = until;
        }
    }

    /// Lets time pass without a call. What is under way arrives.
    pub(super) fn stand_still(&mut self, time: Duration) {
        self.env.elapsed += time;
        self.run_due();
    }

    /// How many events are planned and edges due.
    pub(super) fn in_flight(&self) -> usize {
        self.plan.len() + self.edges.len()
    }

    fn run_due(&mut self) {
        while let Some(entry) = self.plan.first_entry() {
            if entry.key().0 > self.env.elapsed {
                return;
            }
            match entry.remove() {
                Planned::Delivery(id) => self.deliver(id),
                Planned::Unchoke(id) => self.unchoke(id),
                Planned::Connect(attempt) => self.finish_connect(attempt),
                Planned::Arrival { listener, stream } => self.enqueue(listener, stream),
                Planned::Answer(answer) => answer.deliver(),
                Planned::Step(task) => {
                    if let Some((due, task)) = self.tasks.step(task, &mut self.env) {
                        self.plan(due, Planned::Step(task));
                    }
                }
            }
        }
    }

    /// Resets one of the live connections by chance.
    fn reset_by_chance(&mut self) {
        if self.env.would_hit(Fault::Reset) {
            let ids =
                self.sockets.endpoints.iter().filter(|(_, end)| end.is_live()).map(|(id, _)| id);
            if let Some(id) = self.env.one_of(&ids.collect::<Vec<_>>()) {
                self.env.count(Fault::Reset);
                self.reset_both(id);
            }
        }
    }
}
