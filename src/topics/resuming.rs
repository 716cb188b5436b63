//! Subscriptions from a position in the past.

use super::all_topics::Topics;
use super::gaps::MissedRange;
use super::limits::TopicError;
use super::position::Position;
use super::registry::Registry;
use super::topic::Topic;
use crate::overflow::OverflowPolicy;
use crate::slots::Key;
use crate::time::Time;

/// What a client that comes back gets of what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resumption {
    /// Everything: what it has missed comes next, and then the later messages, without a gap and
    /// without a duplicate.
    Recovered {
        /// How many messages come from the history, those included that
        /// [exclude](crate::Context::broadcast_except) the connection. 0: it has missed none.
        replayed: u64,
    },
    /// Nothing, because the topic does not have all of it. Later messages come.
    Lost {
        /// The position of the oldest message that the topic has, or that the next one will have.
        oldest: Position,
        /// The position of the newest message: the next one that comes follows it.
        newest: Position,
    },
}

/// A subscription that is to be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResumeRequest {
    pub(crate) conn: Key,
    pub(crate) topic: Key,
    /// Distinguishes it from other requests for the same topic and connection.
    number: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) resumption: Resumption,
    /// The number of the first broadcast that the client gets.
    first: u64,
    /// The number of the last one so far, and how many of them exclude the connection.
    newest: u64,
    left_out: u32,
}

/// What resumes subscriptions, borrowed from [`Topics`].
pub(crate) struct Resuming<'a>(pub(crate) &'a mut Topics);

impl Resuming<'_> {
    /// Subscribes a connection that is to be [resumed](Self::resume): nothing is delivered to it
    /// before that. A subscription that it has ends, and with it a request for that.
    pub(crate) fn await_resume(
        &mut self,
        conn: Key,
        topic: Key,
        policy: OverflowPolicy,
    ) -> Result<ResumeRequest, TopicError> {
        self.0.unsubscribe(conn, topic);
        self.0.subscribe(conn, topic, policy)?;
        self.0.registry.resumes += 1;
        let number = self.0.registry.resumes;
        if let Some(position) = self.0.registry.position(conn, topic) {
            if let Some(topic) = self.0.registry.topics.get_mut(topic) {
                topic.subscribers[position].await_resume(number);
            }
        }
        Ok(ResumeRequest { conn, topic, number })
    }

    /// What a subscription that is to be resumed gets of what its client missed behind a position.
    /// If that is something, nothing is delivered before [`replay`](Self::replay). `None` if the
    /// subscription does not await that: it has ended, or was made again.
    pub(crate) fn resume(
        &mut self,
        request: ResumeRequest,
        behind: Position,
        now: Time,
    ) -> Option<Resumed> {
        let ResumeRequest { conn, topic: key, number } = request;
        let registry = &mut self.0.registry;
        let position = registry.position(conn, key)?;
        let sequence = registry.sequence;
        let topic = registry.topics.get_mut(key)?;
        let (newest, start) = (topic.broadcasts, topic.history_start(now));
        let (epoch, keeps_latest) =
            (topic.epoch, topic.history.is_some_and(|history| history.is_latest()));
        let subscriber = &mut topic.subscribers[position];
        if !subscriber.awaits_request(number) {
            return None;
        }
        if keeps_latest && behind != Position::new(epoch, newest) && start == newest {
            let resumption = Resumption::Recovered { replayed: 1 };
            return Some(topic.resumed(resumption, newest, conn));
        }
        let is_kept = (start..=newest + 1).contains(&behind.offset().saturating_add(1));
        let (resumption, first) = if behind.epoch() == epoch && is_kept {
            let replayed = newest - behind.offset();
            (Resumption::Recovered { replayed }, behind.offset() + 1)
        } else {
            let at = |offset| Position::new(epoch, offset);
            (Resumption::Lost { oldest: at(start), newest: at(newest) }, newest + 1)
        };
        if first > newest {
            subscriber.since = sequence;
        }
        Some(topic.resumed(resumption, first, conn))
    }

    /// Makes what a client missed pending for its subscription, if it still awaits that. Returns
    /// how many bytes it has.
    pub(crate) fn replay(&mut self, request: ResumeRequest, resumed: &Resumed) -> usize {
        let ResumeRequest { conn, topic: key, number } = request;
        let Some(position) = self.0.registry.position(conn, key) else {
            return 0;
        };
        let topic = self.0.registry.topics.get(key);
        if !topic.is_some_and(|topic| topic.subscribers[position].awaits_request(number)) {
            return 0;
        }
        self.0.registry.rewind(conn, key, position, resumed)
    }
}

impl Topic {
    /// What becomes of a subscription that gets the broadcasts from number `first` on.
    fn resumed(&self, resumption: Resumption, first: u64, conn: Key) -> Resumed {
        let mut left_out = 0;
        if let Some(mark) = self.first_numbered(first) {
            self.visit(mark.sequence..=u64::MAX, true, |_, _, mark| {
                left_out += u32::from(mark.except == conn);
            });
        }
        Resumed { resumption, first, newest: self.broadcasts, left_out }
    }
}

impl Registry {
    /// Makes the stored broadcasts of a topic that a client missed pending for the subscriber at
    /// `position`. Returns how many bytes they have.
    fn rewind(&mut self, conn: Key, key: Key, position: usize, resumed: &Resumed) -> usize {
        let Resumed { first: number, newest, left_out: all_left_out, .. } = *resumed;
        let Some(topic) = self.topics.get(key) else {
            return 0;
        };
        let first = topic.first_numbered(number).copied();
        let Some(first) = first else {
            // All of it was given up for memory meanwhile.
            let missed = MissedRange {
                topic: key,
                first: number,
                last: topic.broadcasts,
                left_out: all_left_out.into(),
            };
            let sequence = self.sequence;
            if let Some(topic) = self.topics.get_mut(key) {
                topic.subscribers[position].since = sequence;
            }
            if missed.count() > 0 {
                self.miss(conn, missed);
            }
            return 0;
        };
        let since = first.sequence - 1;
        let (mut left_out, mut unlogged, mut bytes) = (0, all_left_out, 0);
        topic.visit(first.sequence..=u64::MAX, true, |_, range, mark| {
            let is_left_out = mark.except == conn;
            left_out += u32::from(is_left_out);
            unlogged -= u32::from(is_left_out && mark.number <= newest);
            bytes += range.len();
        });
        self.lower_served(conn, since);
        let Some(topic) = self.topics.get_mut(key) else {
            return 0;
        };
        let policy = topic.subscribers[position].policy;
        if policy != OverflowPolicy::DropOldest {
            topic.set_policy(position, OverflowPolicy::DropOldest);
            topic.subscribers[position].policy_after = Some(policy);
        }
        let subscriber = &mut topic.subscribers[position];
        (subscriber.since, subscriber.left_out) = (since, left_out);
        subscriber.left_out_unlogged = unlogged;
        // What was given up for memory meanwhile is noticed as a gap.
        self.start_lagging(conn, key, position, number);
        bytes
    }

    /// Lets broadcasts after `since` be pending for a connection. Its subscriptions note themselves
    /// what they have got of them.
    fn lower_served(&mut self, conn: Key, since: u64) {
        let member = &mut self.members[conn.index()];
        let served = member.served;
        member.served = served.min(since);
        for own in &member.subscriptions {
            let topic = self.topics.get_mut(own.topic);
            let subscriber = topic.and_then(|it| it.subscribers.get_mut(own.position as usize));
            if let Some(subscriber) = subscriber {
                // No follower's number is that low.
                subscriber.since = subscriber.since.max(served);
            }
        }
    }
}
