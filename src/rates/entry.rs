//! What is left to an address or a tag.

use std::sync::Arc;
use std::time::Duration;

use super::bucket::Bucket;
use super::key::RateKey;
use super::limits::{OnExcess, RateLimits};
use super::rate::Rate;
use super::scope::{Denied, LimitKind};
use crate::time::Time;

/// How many connections that are refused may wait for their response. Further ones get none.
const REFUSED_MAX: u32 = 16;

/// Connections that wait for one bucket are read from one after the other, at least this far
/// apart, and none waits longer for its turn than the maximum.
const TURN_MIN: Duration = Duration::from_millis(1);
const TURN_MAX: Duration = Duration::from_secs(1);

/// An address or a tag.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: RateKey,
    limits: Arc<RateLimits>,
    /// Connections that count.
    connections: usize,
    /// Connections that were refused and wait for their response.
    refused: u32,
    opened: Bucket,
    messages: Bucket,
    bytes: Bucket,
    /// When the last of the connections that wait for this entry is read from again.
    last_turn: Time,
    /// Its place among the quiet entries, if it is one.
    pub(super) quiet: Option<u64>,
}

/// How a new connection is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Counted,
    /// It gets a response that says so.
    Refused(Denied),
    /// Too many wait for that response already.
    Cut(Denied),
}

/// What a connection may receive, as far as one entry is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// So many messages and bytes, if any are left; otherwise the next one exceeds the limit.
    Some { messages: u64, bytes: u64 },
    /// Nothing before that time; `None`: never.
    Wait(Option<Time>),
    /// The limit is exceeded.
    Exceeded(LimitKind),
}

impl Entry {
    pub(super) fn new(key: RateKey, limits: Arc<RateLimits>) -> Self {
        Self {
            key,
            limits,
            connections: 0,
            refused: 0,
            opened: Bucket::FULL,
            messages: Bucket::FULL,
            bytes: Bucket::FULL,
            last_turn: Time::BEGINNING,
            quiet: None,
        }
    }

    /// Whether no connection belongs to it.
    pub(super) const fn is_unused(&self) -> bool {
        self.connections == 0 && self.refused == 0
    }

    /// Whether a new entry would be the same.
    pub(super) fn is_blank(&mut self, now: Time) -> bool {
        let limits = &self.limits;
        let buckets = [
            (&mut self.opened, &limits.new_connections),
            (&mut self.messages, &limits.messages),
            (&mut self.bytes, &limits.bytes),
        ];
        self.connections == 0
            && self.refused == 0
            && buckets
                .into_iter()
                .all(|(bucket, rate)| rate.is_none_or(|rate| bucket.is_full(&rate, now)))
    }

    /// Sets other limits. Returns whether they are others.
    pub(super) fn set_limits(&mut self, limits: &RateLimits, now: Time) -> bool {
        if *self.limits == *limits {
            return false;
        }
        let old = std::mem::replace(&mut self.limits, Arc::new(*limits));
        for (bucket, from, to) in [
            (&mut self.opened, old.new_connections, limits.new_connections),
            (&mut self.messages, old.messages, limits.messages),
            (&mut self.bytes, old.bytes, limits.bytes),
        ] {
            match (from, to) {
                (Some(from), Some(to)) => bucket.change_rate(&from, &to, now),
                _ => *bucket = Bucket::FULL,
            }
        }
        self.last_turn = Time::BEGINNING;
        true
    }

    pub(super) fn limits_input(&self) -> bool {
        self.limits.limits_input()
    }

    /// Whether another connection may be opened.
    pub(super) fn check_opening(&mut self, now: Time) -> Result<(), Denied> {
        if self.limits.connections.is_some_and(|most| self.connections >= most) {
            return Err(Denied { kind: LimitKind::Connections, ready_at: None });
        }
        if let Some(rate) = &self.limits.new_connections {
            check(&mut self.opened, rate, LimitKind::NewConnections, now)?;
        }
        Ok(())
    }

    /// Counts a connection that may be opened.
    pub(super) fn open(&mut self, now: Time) {
        self.connections += 1;
        if let Some(rate) = &self.limits.new_connections {
            self.opened.take(rate, 1, now);
        }
    }

    /// Opens a connection, or refuses it.
    pub(super) fn open_or_refuse(&mut self, now: Time) -> Opening {
        match self.check_opening(now) {
            Ok(()) => {
                self.open(now);
                Opening::Counted
            }
            Err(denied) if self.refused < REFUSED_MAX => {
                self.refused += 1;
                Opening::Refused(denied)
            }
            Err(denied) => Opening::Cut(denied),
        }
    }

    /// A connection has ended.
    pub(super) fn close(&mut self) {
        debug_assert!(self.connections > 0, "it was counted");
        self.connections = self.connections.saturating_sub(1);
    }

    /// A connection has ended that was refused.
    pub(super) fn close_refused(&mut self) {
        debug_assert!(self.refused > 0, "it was counted");
        self.refused = self.refused.saturating_sub(1);
    }

    /// Takes a request with this many bytes, or denies it.
    pub(super) fn request(&mut self, bytes: u64, now: Time) -> Result<(), Denied> {
        if let Some(rate) = &self.limits.messages {
            check(&mut self.messages, rate, LimitKind::Messages, now)?;
        }
        if let Some(rate) = &self.limits.bytes {
            check(&mut self.bytes, rate, LimitKind::Bytes, now)?;
        }
        self.charge(1, bytes, now);
        Ok(())
    }

    /// Takes what has arrived.
    pub(super) fn charge(&mut self, messages: u64, bytes: u64, now: Time) {
        if let Some(rate) = &self.limits.messages {
            self.messages.take(rate, messages, now);
        }
        if let Some(rate) = &self.limits.bytes {
            self.bytes.take(rate, bytes, now);
        }
    }

    /// What a connection may receive. Messages do not matter to one that has none.
    pub(super) fn left(&mut self, has_messages: bool, now: Time) -> Left {
        let messages_rate = self.limits.messages.filter(|_| has_messages);
        let bytes_rate = self.limits.bytes;
        let left = |bucket: &mut Bucket, rate: Option<Rate>| {
            rate.map_or(u64::MAX, |rate| bucket.available(&rate, now))
        };
        let messages = left(&mut self.messages, messages_rate);
        let bytes = left(&mut self.bytes, bytes_rate);
        match self.limits.on_excess {
            OnExcess::Close => {
                let is_overdrawn = |bucket: &mut Bucket, rate: Option<Rate>| {
                    rate.is_some_and(|rate| bucket.is_overdrawn(&rate, now))
                };
                if is_overdrawn(&mut self.messages, messages_rate) {
                    Left::Exceeded(LimitKind::Messages)
                } else if is_overdrawn(&mut self.bytes, bytes_rate) {
                    Left::Exceeded(LimitKind::Bytes)
                } else {
                    Left::Some { messages, bytes }
                }
            }
            OnExcess::Pause => {
                // Bytes are received in more than ones.
                let has_bytes = bytes_rate.is_none_or(|rate| bytes >= rate.refill());
                if messages > 0 && has_bytes {
                    Left::Some { messages, bytes }
                } else {
                    let messages_rate = messages_rate.filter(|_| messages == 0);
                    let bytes_rate = bytes_rate.filter(|_| !has_bytes);
                    Left::Wait(self.next_turn(messages_rate, bytes_rate, now))
                }
            }
        }
    }

    /// When another connection that waits for these is read from again: when there is enough for
    /// it, and after those that have waited for longer. `None` if never.
    fn next_turn(
        &mut self,
        messages: Option<Rate>,
        bytes: Option<Rate>,
        now: Time,
    ) -> Option<Time> {
        let (mut ready, mut turn) = (now, TURN_MIN);
        if let Some(rate) = messages {
            ready = ready.max(self.messages.ready_at(&rate, rate.refill(), now)?);
            turn = turn.max(rate.time_for(1)?);
        }
        if let Some(rate) = bytes {
            ready = ready.max(self.bytes.ready_at(&rate, rate.refill(), now)?);
            turn = turn.max(rate.time_for(rate.refill())?);
        }
        let latest = ready + TURN_MAX;
        if self.last_turn > now {
            ready = ready.max(self.last_turn + turn).min(latest);
        }
        self.last_turn = ready;
        Some(ready)
    }
}

fn check(bucket: &mut Bucket, rate: &Rate, kind: LimitKind, now: Time) -> Result<(), Denied> {
    if bucket.available(rate, now) > 0 {
        return Ok(());
    }
    Err(Denied { kind, ready_at: bucket.ready_at(rate, 1, now) })
}
