//! The edges that are due, and readiness that is not true.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Duration;

use super::super::{Polled, Readiness};
use super::config::Fault;
use super::environment::Environment;
use super::sockets::{Sockets, Source};

/// How often one edge may be delayed.
const DELAYS_MAX: u8 = 3;

/// The most retired keys, from which [`Fault::Stale`] chooses.
const RETIRED_KEYS_MAX: usize = 64;

/// Due edges.
///
/// Invariant: a stream or listener has at most one entry in `due`, and its `edge` flag is then set.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// In the order in which they are reported: by time, and then by number.
    due: BTreeMap<(Duration, u64), Edge>,
    /// Keys of dropped streams and listeners, the newest last.
    retired: VecDeque<u64>,
}

#[derive(Debug)]
struct Edge {
    source: Source,
    delays: u8,
}

impl Edges {
    /// Makes an edge due. As in the kernel, the report has the state at its own time, and a second
    /// edge before the report is the same edge.
    pub(super) fn raise(&mut self, source: Source, sockets: &mut Sockets, env: &mut Environment) {
        let Some(flag) = sockets.edge_flag(source) else { return };
        if !mem::replace(flag, true) {
            let number = env.number();
            self.due.insert((env.elapsed, number), Edge { source, delays: 0 });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// When the next edge is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first_key_value().map(|(&(due, _), _)| due)
    }

    /// Reports due edges in their order, until the batch is full or a fault delays one.
    pub(super) fn collect(
        &mut self,
        sockets: &mut Sockets,
        env: &mut Environment,
        ready: &mut Vec<Readiness>,
    ) -> Polled {
        let most = ready.len().saturating_add(env.config.batch);
        while ready.len() < most {
            let first = self.due.first_key_value().map(|(&place, edge)| (place, edge.delays));
            let Some((place, delays)) = first.filter(|(place, _)| place.0 <= env.elapsed) else {
                return Polled::All;
            };
            let is_delayed = delays < DELAYS_MAX && env.hits(Fault::Delayed);
            if let Some(edge) = self.due.get_mut(&place).filter(|_| is_delayed) {
                edge.delays += 1;
                break;
            }
            if let Some(edge) = self.due.remove(&place) {
                // The next cause raises a new edge.
                if let Some(flag) = sockets.edge_flag(edge.source) {
                    *flag = false;
                }
                ready.extend(sockets.readiness(edge.source, env.config.window));
            }
        }
        Polled::Part
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

    /// Readiness with the key of a dropped stream or listener, by chance.
    pub(super) fn stale(&self, env: &mut Environment) -> Option<Readiness> {
        if self.retired.is_empty() || !env.hits(Fault::Stale) {
            return None;
        }
        let key = self.retired[env.choices.index(self.retired.len())];
        let flags = 1 + env.choices.index(7);
        Some(Readiness {
            key,
            readable: flags & 1 != 0,
            writable: flags & 2 != 0,
            hangup: flags & 4 != 0,
            urgent: false,
        })
    }
}

/// Readiness without a cause, by chance. It never has a hang-up, which is a state and not a hint.
pub(super) fn spurious(sockets: &Sockets, env: &mut Environment) -> Option<Readiness> {
    if !env.would_hit(Fault::Spurious) {
        return None;
    }
    let key = env.one_of(&sockets.keys())?;
    env.count(Fault::Spurious);
    let flags = 1 + env.choices.index(3);
    let (readable, writable) = (flags & 1 != 0, flags & 2 != 0);
    Some(Readiness { key, readable, writable, hangup: false, urgent: false })
}
