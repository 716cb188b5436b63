//! Between two turns: looking for work, and sleeping while there is none.

use std::io;
use std::thread;
use std::time::Duration;

use super::EventLoop;
use super::idle::PREEMPTED;
use crate::reactor::Reactor;
use crate::time::Time;

/// How many looks for work are made between two offers of the processor to others.
const LOOKS: u32 = 32;

impl<S, R: Reactor> EventLoop<S, R> {
    pub(super) fn read_clock(&mut self) {
        self.sockets.now = self.streams.reactor.now();
    }

    /// Waits for work, for `timeout` at most, and reads the clock, which was read just before.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        may_have_work: bool,
    ) -> io::Result<()> {
        self.ready.clear();
        let now = self.sockets.now;
        let has_work = may_have_work && self.has_work(now);
        let timeout = if has_work { Some(Duration::ZERO) } else { timeout };
        let timeout = earliest(timeout, self.until_deadline(now));
        if timeout == Some(Duration::ZERO) {
            self.streams.reactor.poll(Some(Duration::ZERO), &mut self.ready)?;
        } else if self.idle.is_busy() {
            self.look(timeout)?;
        } else if !self.idle.is_adaptive() {
            self.sleep(timeout)?;
        } else if let Some(looked) = self.spin(timeout)? {
            let start = self.streams.reactor.now();
            self.sleep(timeout.map(|timeout| timeout.saturating_sub(looked)))?;
            self.idle.slept(self.streams.reactor.now().since(start));
        }
        self.read_clock();
        Ok(())
    }

    /// Looks for work without sleeping, however long it takes.
    fn look(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let start = self.sockets.now;
        loop {
            self.streams.reactor.poll(Some(Duration::ZERO), &mut self.ready)?;
            if !self.ready.is_empty() || self.has_remote_work() {
                return Ok(());
            }
            let looked = self.streams.reactor.now().since(start);
            if timeout.is_some_and(|timeout| looked >= timeout) {
                return Ok(());
            }
        }
    }

    /// Looks for work without sleeping, for as long as it promises to pay. Tells for how long it
    /// was in vain, if it was.
    fn spin(&mut self, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        let start = self.sockets.now;
        let budget = self.idle.spin(start).min(timeout.unwrap_or(Duration::MAX));
        let (mut before, mut looks) = (start, 0);
        while before.since(start) < budget {
            self.streams.reactor.poll(Some(Duration::ZERO), &mut self.ready)?;
            if !self.ready.is_empty() || self.has_remote_work() {
                self.idle.hit();
                return Ok(None);
            }
            let now = self.streams.reactor.now();
            if now.since(before) > PREEMPTED {
                self.idle.preempted(now);
                return Ok(Some(now.since(start)));
            }
            before = now;
            looks += 1;
            if looks % LOOKS == 0 {
                thread::yield_now();
            }
        }
        if !budget.is_zero() {
            self.idle.miss();
        }
        Ok(Some(before.since(start)))
    }

    fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared.doorbell.about_to_sleep();
        let timeout = if self.has_remote_work() { Some(Duration::ZERO) } else { timeout };
        let polled = self.streams.reactor.poll(timeout, &mut self.ready);
        self.shared.doorbell.awake();
        self.woken_at = self.streams.reactor.woken();
        polled
    }

    /// Whether other threads, or handlers' events, want something.
    fn has_remote_work(&self) -> bool {
        self.shared.has_work(self.ending.seen()) || self.has_events()
    }

    /// Whether there is something to do that no readiness will bring up.
    pub(super) fn has_work(&self, now: Time) -> bool {
        self.sockets.has_work()
            || self.topics.is_delivering()
            || self.topics.gaps_due() > 0
            || self.has_remote_work()
            || self.ending.is_due()
            || (self.sockets.len() < self.max_connections
                && self.pending.may_have_room(now)
                && self.listeners.iter().flatten().any(|listener| listener.may_accept(now)))
    }

    /// Whether there is something to do at a turn's end that is no reason for another turn.
    pub(super) fn has_chores(&self) -> bool {
        self.sockets.is_due() || self.topics.has_changes() || self.ending.has_begun()
    }

    fn until_deadline(&mut self, now: Time) -> Option<Duration> {
        // A listener that may not accept anyhow waits for a connection to end, not for a time.
        let accepting = self.sockets.len() < self.max_connections;
        let listeners = self.listeners.iter().flatten().filter(|_| accepting);
        let pending = self.pending.deadline();
        let listeners = listeners.filter_map(|listener| listener.deadline(pending)).min();
        let others = [self.ending.deadline(), self.local_events.next_due(), listeners];
        let or_never = |deadline: Option<Time>| deadline.unwrap_or(Time::NEVER);
        let deadline = or_never(self.sockets.next_deadline());
        let deadline = others.map(or_never).into_iter().fold(deadline, Time::min);
        (deadline != Time::NEVER).then(|| deadline.since(now))
    }
}

fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
