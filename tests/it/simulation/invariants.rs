//! What must hold between any two turns, whatever the seed. [`World::check_turn`] looks at all of
//! it after every turn.
//!
//! - **Ownership of slots.** No two connections that live have one slot, and no id comes twice.
//!   No method is called for a connection that is closed, failed or never opened (each method
//!   checks its connection's [`Phase`]), and once in every turn, or every eighth in a crowd, a
//!   handler asks the loop about all that live: what is open here is open there, or its end is
//!   reported in the next turn.
//! - **Order.** What arrives at either end of a connection is what the other end sent next: each
//!   arrival is checked in [`Flow::arrive`](super::flow::Flow::arrive). Here, what the loop
//!   counted of messages is what the handlers received and sent.
//! - **Accounting of bytes.** The loop has received and sent as many bytes as the network gave
//!   and took; what waits for all connections is no less than what waits for each; nothing waits
//!   without connections; no total is above its limit. Builds with debug assertions compare the
//!   engine's totals with every connection, too.
//! - **No lost wake.** What was published before a turn, from outside or by a handler, is handled
//!   in it; a turn that begins with work does not sleep; no timer is due behind a turn, and none
//!   came up late. A loop that is asked to end does so.
//! - **Pairing.** `on_open` was called as often as connections were opened, `on_close` as often as
//!   they ended, for each reason apart, and the difference are those that live.

use std::time::Duration;

use eventwire::reactor::Reactor;
use eventwire::{ConnectionId, Context, Disconnect, Stats};

use super::app::{App, Phase};
use super::followers::Follower;
use super::jumps;
use super::world::World;

/// More virtual time than a turn takes that does not sleep.
const AWAKE: Duration = Duration::from_micros(200);

/// What control frames and responses add to a connection's outbox, whatever is full.
const CONTROL: u64 = 1024;

/// With this many connections or more, they are checked in one turn of `CROWD_PAUSE`.
const CROWD: usize = 100;
const CROWD_PAUSE: usize = 8;

/// No limits on bytes in all.
pub(super) const UNLIMITED: (u64, u64) = (u64::MAX, u64::MAX);

/// How much of a frame that has begun may still be sent ahead of a close frame.
const REST: u64 = 64 * 1024;

/// What handlers received, and what they did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) opened: u64,
    pub(super) failed: u64,
    pub(super) messages: u64,
    /// Messages that were taken for one connection.
    pub(super) sent: u64,
    /// Broadcasts that were taken, once for each subscriber, though it may have ended.
    pub(super) cast: u64,
    pub(super) refused_casts: u64,
    pub(super) gaps: u64,
    pub(super) panics: u64,
    /// Calls of `on_close` by reason.
    ends: [u64; 8],
}

impl Counts {
    pub(super) fn closed(&mut self, disconnect: &Disconnect) {
        let reason = match disconnect {
            Disconnect::ClosedByApplication { .. } => 0,
            Disconnect::ClosedByPeer { .. } => 1,
            Disconnect::Io(_) => 2,
            Disconnect::Overflow => 3,
            Disconnect::MemoryPressure(_) => 4,
            Disconnect::Panicked { .. } => 5,
            Disconnect::Protocol(_) => 6,
            Disconnect::TimedOut(_) => 7,
            other => panic!("{other:?} is not counted"),
        };
        self.ends[reason] += 1;
    }

    pub(super) fn ended(&self) -> u64 {
        self.ends.iter().sum()
    }
}

/// What is known before a turn.
pub(super) struct Eve {
    pub(super) elapsed: Duration,
    jumps: u64,
    /// Something waits for the loop.
    has_work: bool,
    published: Vec<u64>,
    /// The alarm that was set last.
    alarm: u64,
}

impl App {
    /// A handler is called. The first of every turn looks at all connections.
    pub(super) fn enter(&mut self, cx: &mut Context<'_>) {
        self.callbacks += 1;
        let pause = if self.live.len() < CROWD { 1 } else { CROWD_PAUSE };
        if self.turn >= self.turn_looked_at + pause {
            self.turn_looked_at = self.turn;
            self.look_at_all(cx);
        }
        self.end_loop(cx);
    }

    fn look_at_all(&mut self, cx: &mut Context<'_>) {
        let mut waiting = 0;
        for (conn, ()) in self.live.iter() {
            let (phase, is_open) = (self.phase(conn), cx.connection(conn).is_open());
            match phase {
                Some(Phase::Open) if is_open || self.stopping => {}
                Some(Phase::Open) => self.due_ends.push((conn, self.turn)),
                _ => assert!(!is_open, "{conn:?} is open and {phase:?}"),
            }
            waiting += cx.connection(conn).buffered_bytes();
        }
        self.check_tags(cx);
        let total = cx.buffered_total();
        assert!(waiting <= total, "{waiting} bytes wait, and {total} in all");
    }

    /// How many were opened, and their `on_close` was not called.
    pub(super) fn open_count(&self) -> u64 {
        self.counts.opened - self.counts.ended()
    }

    /// A connection has its slot from here to its end.
    pub(super) fn begin_life(&mut self, conn: ConnectionId) {
        let before = self.live.len();
        self.live.insert(conn, ());
        assert_eq!(self.live.len(), before + 1, "{conn:?} has the slot of one that lives");
    }

    fn check_due_ends(&mut self) {
        for (conn, turn) in std::mem::take(&mut self.due_ends) {
            let is_over = self.live.get(conn).is_none() || self.stopping;
            assert!(is_over || turn == self.turn, "on_close of {conn:?} was not called");
            if !is_over {
                self.due_ends.push((conn, turn));
            }
        }
    }
}

impl World {
    pub(super) fn eve(&mut self) -> Eve {
        let resumes = self.resumes_published > self.app.resumes;
        let has_work = resumes || self.app.news.waiting() > 0 || self.is_asked_to_end();
        let reactor = self.event_loop.reactor_mut();
        Eve {
            elapsed: reactor.elapsed(),
            jumps: jumps(reactor.fault_counts()),
            has_work,
            published: self.app.news.published(),
            alarm: self.app.alarms.last(),
        }
    }

    /// Checks everything that must hold between two turns, of which one has just ended.
    pub(super) fn check_turn(&mut self, eve: &Eve) {
        let stats = self.event_loop.stats();
        self.check_panics(&stats);
        self.check_slots(&stats);
        self.check_pairing(&stats);
        self.check_messages(&stats);
        self.check_bytes(&stats);
        self.check_wakes(eve);
        self.check_events(&stats);
        self.check_ending(&stats);
    }

    /// A handler's panic that was not injected is a failed assertion, which the loop has caught.
    pub(super) fn check_panics(&self, stats: &Stats) {
        assert_eq!(stats.panics, self.app.counts.panics, "an assertion in a handler has failed");
    }

    fn check_slots(&mut self, stats: &Stats) {
        let (connections, live) = (self.event_loop.connections(), self.app.live.len());
        assert_eq!(stats.connections, connections as u64);
        assert!(connections <= self.max_connections, "{connections} connections");
        assert!(live <= connections, "{live} live, and there are {connections}");
        self.app.check_due_ends();
    }

    fn check_pairing(&self, stats: &Stats) {
        let (app, counts) = (&self.app, &self.app.counts);
        assert_eq!(stats.opened, counts.opened, "on_open");
        let ends = [
            stats.closed_by_application,
            stats.closed_by_peer,
            stats.closed_by_failure,
            stats.closed_by_overflow,
            stats.closed_by_memory_pressure,
            stats.closed_by_panic,
            stats.closed_by_protocol,
            stats.closed_by_timeout,
        ];
        assert_eq!(ends, counts.ends, "on_close, by reason");
        assert!(stats.not_opened >= counts.failed, "on_connect_error");
        let clients = app.connecting - counts.failed - app.opened_clients;
        let live = app.open_count() + clients;
        assert_eq!(app.live.len() as u64, live, "those that live");
    }

    fn check_messages(&self, stats: &Stats) {
        let counts = &self.app.counts;
        assert_eq!(stats.messages_received, counts.messages, "messages that arrived");
        let most = counts.sent + counts.cast;
        let sent = counts.sent..=most;
        assert!(sent.contains(&stats.messages_sent), "{} of {sent:?} sent", stats.messages_sent);
        assert_eq!(stats.gaps, counts.gaps, "gaps");
        assert_eq!(stats.broadcasts_dropped, counts.refused_casts, "broadcasts dropped");
    }

    fn check_bytes(&mut self, stats: &Stats) {
        let reactor = self.event_loop.reactor_mut();
        let network = (reactor.bytes_received(), reactor.bytes_sent());
        assert_eq!((stats.bytes_received, stats.bytes_sent), network, "bytes in and out");
        let held = (stats.inbound_bytes, stats.outbound_bytes);
        assert!(stats.connections > 0 || held == (0, 0), "{held:?} bytes of nobody");
        let (inbound, outbound) = self.limits;
        if self.limits == UNLIMITED {
            return;
        }
        assert!(held.0 <= inbound, "{held:?} and no more than {inbound}");
        let open = self.app.live.iter().filter(|(conn, ())| self.app.is_open(Some(*conn))).count();
        let closing = stats.connections - open as u64;
        let extra = stats.connections * CONTROL + closing * REST;
        let most = outbound.saturating_add(outbound / 4).saturating_add(extra);
        assert!(held.1 <= most, "{held:?} and no more than {outbound}");
    }

    fn check_wakes(&mut self, eve: &Eve) {
        let reactor = self.event_loop.reactor_mut();
        let jumped = jumps(reactor.fault_counts()) > eve.jumps;
        let took = reactor.elapsed() - eve.elapsed;
        assert!(!eve.has_work || jumped || took < AWAKE, "the loop slept for {took:?} over work");
        let now = reactor.instant();
        self.app.alarms.check(eve.alarm, now, jumped);
        assert!(self.app.news.has_arrived(&eve.published), "events were not handled");
        assert_eq!(self.resumes_published, self.app.resumes, "events were not handled");
    }

    fn check_events(&self, stats: &Stats) {
        let app = &self.app;
        assert_eq!(stats.events, app.handled, "events");
        assert_eq!(stats.events_refused, app.news.refused, "events refused");
        assert_eq!(stats.timers, app.alarms.len() as u64, "timers");
        app.news.check();
        let missed = self.missed_before + self.followers.iter().map(Follower::missed).sum::<u64>();
        assert!(stats.events_missed >= missed, "events missed");
        assert!(self.has_left || stats.events_missed == missed, "events missed");
    }
}
