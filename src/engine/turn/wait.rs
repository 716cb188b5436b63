//! Waits for work between two turns: polls, spins and sleeps.

use std::time::Duration;
use std::{io, thread};

use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::turn::idle::PREEMPTED;
use crate::reactor::{Polled, Reactor};
use crate::time::Time;

/// How many polls are made between two yields of the processor.
const LOOKS: u32 = 32;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Waits for work, until `until` at most, and then reads the clock. The caller has just read
    /// the clock, too. Returns whether it found all that was ready. It polls at least once, even if
    /// there is work.
    pub(crate) fn wait(&mut self, until: Time, may_have_work: bool) -> io::Result<Polled> {
        self.ready.clear();
        let now = self.core.now();
        let has_work = may_have_work && self.has_work();
        self.due = if has_work { now } else { self.deadline() };
        let until = until.min(self.due);
        let polled = if self.idle.blocks() && until > now {
            self.sleep(now, until)
        } else {
            self.wait_awake(now, until)
        };
        self.core.read_clock();
        polled
    }

    /// Waits without sleeping, or spins before it sleeps.
    #[inline(never)]
    fn wait_awake(&mut self, now: Time, until: Time) -> io::Result<Polled> {
        if until <= now {
            return self.core.streams.reactor.poll(Some(Duration::ZERO), &mut self.ready);
        }
        if self.idle.is_busy() {
            return self.look(until);
        }
        if let Some(polled) = self.spin(now, until)? {
            return Ok(polled);
        }
        let start = self.core.streams.reactor.now();
        let polled = self.sleep(start, until)?;
        self.idle.slept(self.core.streams.reactor.now().since(start));
        Ok(polled)
    }

    /// Polls without sleeping until there is work or the time is up.
    fn look(&mut self, until: Time) -> io::Result<Polled> {
        loop {
            let polled = self.core.streams.reactor.poll(Some(Duration::ZERO), &mut self.ready)?;
            let has_work = !self.ready.is_empty() || self.has_remote_work();
            if has_work || self.core.streams.reactor.now() >= until {
                return Ok(polled);
            }
        }
    }

    /// Polls without sleeping, within the spinning budget. `None` if it found no work.
    fn spin(&mut self, start: Time, until: Time) -> io::Result<Option<Polled>> {
        let budget = self.idle.spin(start);
        let end = until.min(start + budget);
        let (mut before, mut looks) = (start, 0);
        while before < end {
            let polled = self.core.streams.reactor.poll(Some(Duration::ZERO), &mut self.ready)?;
            if !self.ready.is_empty() || self.has_remote_work() {
                self.idle.hit();
                return Ok(Some(polled));
            }
            let now = self.core.streams.reactor.now();
            if now.since(before) > PREEMPTED {
                self.idle.preempted(now);
                return Ok(None);
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
        Ok(None)
    }

    #[inline]
    fn sleep(&mut self, now: Time, until: Time) -> io::Result<Polled> {
        self.shared.doorbell.about_to_sleep();
        let until = if self.has_remote_work() { now } else { until };
        let until = (until != Time::NEVER).then_some(until);
        let polled = self.core.streams.reactor.poll_until(now, until, &mut self.ready);
        self.shared.doorbell.awake();
        self.woken_at = self.core.streams.reactor.woken();
        polled
    }

    /// Whether other threads have brought work, or events are queued.
    fn has_remote_work(&self) -> bool {
        self.shared.has_work() || self.has_events()
    }

    /// Whether there is work that readiness will not announce.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.core.sockets.has_work()
            || self.core.topics.is_delivering()
            || self.core.topics.gaps_due() > 0
            || self.has_remote_work()
            || self.core.requests.is_pending()
            || self.may_accept(self.core.now())
    }

    /// Whether a listener may have pending connections, and there is room for them.
    pub(crate) fn may_accept(&self, now: Time) -> bool {
        self.core.streams.listeners.may_accept(now) && self.has_room(now)
    }

    /// Whether the end of the turn has work that is no reason for another turn. What became due
    /// since the wait has work in the next turn, which then does not sleep.
    pub(crate) fn has_end_of_turn_work(&self) -> bool {
        self.due <= self.core.now()
            || self.core.topics.has_changes()
            || self.core.ending.has_begun()
    }

    /// The next deadline or timer.
    pub(crate) fn deadline(&mut self) -> Time {
        // Usually no listener is ready.
        let listeners = if self.core.streams.listeners.has_ready() {
            self.core.streams.listeners.deadline(self.no_room_until())
        } else {
            None
        };
        let attempts = self.dialer.deadline();
        let others =
            [self.core.ending.deadline(), self.core.events.next_due(), listeners, attempts];
        let or_never = |deadline: Option<Time>| deadline.unwrap_or(Time::NEVER);
        let deadline = or_never(self.core.sockets.registry.deadlines.next());
        let Core { links, ages, limiter, topics, .. } = &self.core;
        let deadline = deadline.min(links.next_due()).min(ages.next_due());
        let deadline = deadline.min(limiter.rates.next_due()).min(topics.ticks.next());
        let deadline = deadline.min(topics.expiry.next());
        others.map(or_never).into_iter().fold(deadline, Time::min)
    }
}
