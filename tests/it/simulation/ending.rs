//! The end of a loop, asked for at any time in any way: when it must come, and how its summary adds
//! up.

use std::time::{Duration, Instant};

use eventwire::reactor::Reactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{Context, Hold, PublishError, RunEnd, RunSummary, Stats};

use super::app::{App, LoopEnd};
use super::world::World;

/// How long what is left on its way may take to its peers.
const LAST_POLLS: usize = 10_000;

/// Longer than any run.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a loop was asked to end, and its state when it began to.
#[derive(Debug, Default)]
pub(super) struct Ending {
    stopped: bool,
    /// Those of other threads, which a drain waits for.
    pub(super) holds: Vec<Hold>,
    /// What another thread asked for since the last turn.
    requests: Vec<Duration>,
    /// The shortest deadline that the loop knows from another thread: a longer one changes nothing.
    shortest: Option<Duration>,
    /// The earliest of the deadlines.
    deadline: Option<Instant>,
    /// What there was before the turn in which the drain began, and `on_close` calls by then.
    begun: Option<Begun>,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    connections: u64,
    ended: u64,
    open: u64,
}

/// When and how a run is to be ended in the midst of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doom {
    pub(super) turn: usize,
    pub(super) end: LoopEnd,
    /// By a handler; otherwise by another thread.
    pub(super) inside: bool,
}

impl Ending {
    fn add_deadline(&mut self, from: Instant, within: Duration) {
        let deadline = from + within.min(LONGEST);
        self.deadline = Some(self.deadline.map_or(deadline, |former| former.min(deadline)));
    }
}

impl App {
    /// Ends the loop from inside a handler, if that is due.
    pub(super) fn end_loop(&mut self, cx: &mut Context<'_>) {
        let Some(end) = self.ends_by.take() else { return };
        self.stopping = true;
        match end {
            LoopEnd::Stop => cx.stop(),
            LoopEnd::Shutdown(deadline) => cx.shutdown(deadline),
        }
        self.asked.push((end, cx.now()));
    }
}

impl World {
    /// Whether another thread has asked the loop to end since the last turn.
    pub(super) fn is_asked_to_end(&self) -> bool {
        let Ending { requests, shortest, .. } = &self.ending;
        requests.iter().any(|within| shortest.is_none_or(|shortest| *within < shortest))
    }

    /// Asks the loop to end, as another thread.
    pub(super) fn end_from_outside(&mut self, end: LoopEnd) {
        self.app.stopping = true;
        match end {
            LoopEnd::Stop => {
                self.event_loop.handle().stop();
                self.ending.stopped = true;
                // No turn follows that could handle this.
                self.publish_some();
            }
            LoopEnd::Shutdown(deadline) => {
                self.event_loop.handle().shutdown(deadline);
                self.ending.requests.push(deadline);
            }
        }
    }

    /// Has the loop end once it is time. What is held until then is released bit by bit.
    pub(super) fn meet_doom(&mut self, turn: usize) {
        let is_held = self.app.is_shutting_down && !self.ending.holds.is_empty();
        if is_held && self.app.random.percent(10) {
            self.ending.holds.pop();
        }
        let Some(doom) = self.doom.filter(|doom| doom.turn <= turn) else { return };
        self.doom = None;
        if doom.inside {
            self.app.ends_by = Some(doom.end);
        } else {
            self.end_from_outside(doom.end);
        }
        // Others may want it earlier, or at once.
        if self.app.random.percent(30) {
            let turn = turn + self.app.random.between(1, 50);
            let end = match self.app.random.below(3) {
                0 => LoopEnd::Stop,
                _ => LoopEnd::Shutdown(Duration::from_millis(self.app.random.below(8_000) as u64)),
            };
            self.doom = Some(Doom { turn, end, inside: self.app.random.percent(50) });
        }
    }

    /// The loop ends when it was asked to, and not before.
    pub(super) fn check_ending(&mut self, stats: &Stats) {
        let now = self.event_loop.reactor_mut().instant();
        let before = self.connections_before;
        let ending = &mut self.ending;
        let is_due = ending.deadline.is_some() || !ending.requests.is_empty();
        for within in std::mem::take(&mut ending.requests) {
            ending.shortest = Some(ending.shortest.map_or(within, |shortest| shortest.min(within)));
            // No time at all would be a stop: a loop that is drained gets a turn for it.
            ending.add_deadline(now, within.max(Duration::from_nanos(1)));
        }
        let has_begun = self.event_loop.local_addr(self.listener).is_none();
        assert!(has_begun || !is_due, "a drain does not begin");
        for (end, at) in self.app.asked.drain(..) {
            match end {
                LoopEnd::Stop => ending.stopped = true,
                LoopEnd::Shutdown(within) => ending.add_deadline(at, within),
            }
        }
        if has_begun {
            let ended = self.ended_before;
            let open = self.open_before;
            ending.begun.get_or_insert(Begun { connections: before, ended, open });
            self.app.is_shutting_down = true;
        }
        let is_late = has_begun && ending.deadline.is_some_and(|deadline| deadline <= now);
        let is_held = !self.ending.holds.is_empty();
        let is_empty = has_begun && stats.connections == 0 && stats.events_waiting == 0 && !is_held;
        let must = self.ending.stopped || is_late || is_empty;
        assert_eq!(self.event_loop.is_stopping(), must, "the end: {:?}", self.ending);
    }

    /// Lets the loop end what is left, and looks whether its summary is right.
    pub(super) fn finish(&mut self) {
        let now = self.event_loop.reactor_mut().instant();
        let stats = self.event_loop.stats();
        let begun = self.ending.begun.unwrap_or(Begun {
            connections: stats.connections,
            ended: self.app.counts.ended(),
            open: self.app.open_count(),
        });
        self.app.alarms.end();
        let summary = self.event_loop.run(&mut self.app).expect("a poll");
        self.check_panics(&self.event_loop.stats());
        assert_eq!(self.event_loop.connections(), 0, "connections are left");
        assert_eq!(summary.unhandled_events as u64, stats.events_waiting, "events: {summary:?}");
        assert_eq!(summary.unreleased_holds, self.ending.holds.len(), "holds: {summary:?}");
        let own = self.app.news.waiting() + self.resumes_published - self.app.resumes;
        assert!(stats.events_waiting >= own, "{own} of the application's were not handled");
        let is_late = self.ending.deadline.is_some_and(|deadline| deadline <= now);
        let is_empty = stats.connections == 0 && self.ending.holds.is_empty();
        let drained = self.ending.begun.is_some() && (is_late || is_empty);
        match summary.end {
            RunEnd::ShutDown => assert!(drained, "{:?}", self.ending),
            RunEnd::Stopped => assert!(self.ending.stopped, "{:?}", self.ending),
            other => panic!("{other:?}"),
        }
        let cuts = self.ending.stopped || is_late;
        assert!(summary.cut == 0 || cuts, "cut before the deadline: {summary:?}");
        self.check_sums(&summary, begun);
        self.check_publishing_is_over();
        self.deliver_the_rest();
    }

    /// Every connection that there was ended in one of the ways.
    fn check_sums(&self, summary: &RunSummary, begun: Begun) {
        let opened = (summary.closed + summary.cut + summary.lost) as u64;
        let calls = self.app.counts.ended() - begun.ended;
        let all = opened + summary.refused as u64;
        assert!(opened >= calls, "on_close was called {calls} times: {summary:?}");
        // Clients that were not open may have failed by themselves just before.
        assert!(opened >= begun.open, "{begun:?}: {summary:?}");
        assert!(all <= begun.connections, "{begun:?}: {summary:?}");
        let stats = self.event_loop.stats();
        assert_eq!((stats.connections, stats.inbound_bytes, stats.outbound_bytes), (0, 0, 0));
    }

    /// Publishers and subscribers learn of the end.
    fn check_publishing_is_over(&mut self) {
        for (source, publisher) in &self.publishers {
            let outcome = publisher.publish(self.app.news.next(*source));
            assert!(matches!(outcome, Err(PublishError::Closed(_))), "published to a dead loop");
        }
        for follower in &mut self.followers {
            follower.look_at_all(&self.app.news.log);
        }
        assert_eq!(self.event_loop.stats().timers, 0, "timers are left");
    }

    /// What was sent before the end arrives in order, as far as it arrives.
    fn deliver_the_rest(&mut self) {
        let reactor = self.event_loop.reactor_mut();
        reactor.set_config(SimConfig::calm());
        let mut ready = Vec::new();
        for _ in 0..LAST_POLLS {
            let reactor = self.event_loop.reactor_mut();
            reactor.poll(Some(Duration::from_millis(1)), &mut ready).expect("a poll");
            let active = self.peers.iter_mut().any(|peer| peer.step(reactor, &mut self.app));
            if !active && reactor.is_quiescent() {
                return;
            }
        }
    }
}
