//! The end of a loop: at once, or in order within a deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::EventLoop;
use crate::error::Error;
use crate::logging::log_line;
use crate::net::aside::End;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::socket::Socket;
use crate::proto::handshake::Refusal;
use crate::proto::{CloseCode, Role, State};
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::time::Time;

/// How a loop ended: what [`EventLoop::run`] returns.
///
/// ```
/// use std::time::Duration;
/// use eventwire::{Config, EventLoop, RunEnd};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.handle().shutdown(Duration::from_secs(10));
/// let summary = event_loop.run(&mut ())?;
/// assert_eq!(summary.end, RunEnd::ShutDown);
/// assert_eq!((summary.closed, summary.cut), (0, 0));
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunSummary {
    /// Why the loop ended.
    pub end: RunEnd,
    /// Open connections that were closed in order: both close frames were exchanged.
    pub closed: usize,
    /// Open connections that were cut, at the deadline or because the loop was stopped: their
    /// peers were told, but it is not known what reached them.
    pub cut: usize,
    /// Open connections that ended otherwise before that: their streams failed or ended, or the
    /// closing handshake took longer than its own limit.
    pub lost: usize,
    /// Connections that were not open yet: clients were refused with status 503, connections that
    /// this program was making were cancelled.
    pub refused: usize,
    /// Events that were published and never handled, from other threads, handlers and timers that
    /// were due: the loop was stopped, or the deadline came. Timers that were not due yet are not
    /// counted.
    pub unhandled_events: usize,
}

/// Why a loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunEnd {
    /// It was stopped, perhaps while it was shutting down.
    Stopped,
    /// It was shut down: every connection has ended, or the deadline has come.
    ShutDown,
}

/// How long other threads let the loop go on, in nanoseconds. It only ever becomes less.
#[derive(Debug)]
pub(super) struct TimeLeft(AtomicU64);

impl Default for TimeLeft {
    fn default() -> Self {
        Self(AtomicU64::new(Self::EVER))
    }
}

impl TimeLeft {
    const EVER: u64 = u64::MAX;
    const NONE: u64 = 0;

    /// The loop is to end without a shutdown.
    pub(super) fn stop(&self) {
        self.0.store(Self::NONE, Ordering::Release);
    }

    /// The loop is to be shut down within this time.
    pub(super) fn shut_down(&self, within: Duration) {
        let nanos = u64::try_from(within.as_nanos()).unwrap_or(Self::EVER);
        self.0.fetch_min(nanos.clamp(Self::NONE + 1, Self::EVER - 1), Ordering::AcqRel);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.get() == Self::NONE
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Where a loop is on the way to its end.
#[derive(Debug)]
pub(super) struct Ending {
    /// A handler asked for the end.
    stopped: bool,
    /// The shutdown is over.
    is_shut_down: bool,
    /// Listeners are closed and peers are told.
    begun: bool,
    /// What is left is being cut.
    cutting: bool,
    /// When a shutdown that was asked for must be over.
    deadline: Option<Time>,
    /// The time left that `deadline` takes into account.
    seen: u64,
    summary: RunSummary,
}

impl Ending {
    pub(super) const fn new() -> Self {
        let summary = RunSummary {
            end: RunEnd::Stopped,
            closed: 0,
            cut: 0,
            lost: 0,
            refused: 0,
            unhandled_events: 0,
        };
        Self {
            stopped: false,
            is_shut_down: false,
            begun: false,
            cutting: false,
            deadline: None,
            seen: TimeLeft::EVER,
            summary,
        }
    }

    /// The loop is to end after this turn.
    pub(super) const fn stop(&mut self) {
        self.stopped = true;
    }

    /// The loop is to be shut down within this time; of several deadlines the earliest stands.
    pub(super) fn shut_down(&mut self, now: Time, within: Duration) {
        /// Longer than any shutdown, and short enough for every clock.
        const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);
        let deadline = now + within.min(LONGEST);
        self.deadline = Some(self.deadline.map_or(deadline, |former| former.min(deadline)));
    }

    pub(super) const fn is_over(&self) -> bool {
        self.stopped || self.is_shut_down
    }

    /// Whether a shutdown was asked for and has not begun.
    pub(super) const fn is_due(&self) -> bool {
        self.deadline.is_some() && !self.begun
    }

    /// Whether listeners are closed and peers are told.
    pub(super) const fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The time left that was last seen: another is news.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Counts a connection whose slot is freed.
    pub(super) fn count(&mut self, socket: &Socket) {
        if !self.begun || !socket.opened {
            return;
        }
        let counter = if socket.is_done && socket.outbox.is_none() {
            &mut self.summary.closed
        } else if self.cutting {
            &mut self.summary.cut
        } else {
            &mut self.summary.lost
        };
        *counter += 1;
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Refuses what a loop that comes to its end does not begin any more.
    pub(super) const fn check_serving(&self) -> Result<(), Error> {
        if self.core.ending.begun { Err(Error::ShuttingDown) } else { Ok(()) }
    }

    /// Begins a shutdown that was asked for.
    pub(super) fn begin_shutdown(&mut self) {
        let left = self.shared.left.get();
        if left != self.core.ending.seen && left != TimeLeft::NONE {
            self.core.ending.seen = left;
            self.core.ending.shut_down(self.core.sockets.now, Duration::from_nanos(left));
        }
        if self.core.ending.is_due() {
            self.say_farewell();
        }
    }

    /// Notices that a shutdown is over: once every connection has ended and every event is handled.
    #[inline(never)]
    pub(super) fn end_shutdown(&mut self) {
        let Some(deadline) = self.core.ending.deadline.filter(|_| self.core.ending.begun) else {
            return;
        };
        let mut is_done = self.core.sockets.len() == 0;
        if is_done {
            // First, so that a publisher that goes on for ever cannot keep the loop. What it
            // published before, and what `on_close` does, is handled yet.
            self.events.close();
            is_done = !self.has_events();
        }
        if is_done || deadline <= self.core.sockets.now {
            self.core.ending.is_shut_down = true;
        }
    }

    /// Ends everything that is left.
    pub(super) fn finish(&mut self, state: &mut S) -> RunSummary {
        if !self.core.ending.begun {
            self.say_farewell();
        }
        self.core.ending.summary.unhandled_events = self.end_events();
        self.core.ending.cutting = true;
        for conn in self.core.sockets.keys() {
            self.core.sockets.flush(conn, &mut self.core.streams);
            let code = CloseCode::GOING_AWAY;
            self.core.sockets.note_end(conn, Disconnect::ClosedByApplication { code });
            self.core.sockets.kill(conn);
        }
        self.reap(state);
        // What was broadcast last was sent before the close frames, in no turn.
        self.core.sockets.forget_batches();
        let fresh = Ending::new().summary;
        let summary = std::mem::replace(&mut self.core.ending.summary, fresh);
        let end = if self.core.ending.is_shut_down { RunEnd::ShutDown } else { RunEnd::Stopped };
        RunSummary { end, ..summary }
    }

    /// Ends the event bus: publishers and subscribers learn so. Tells how many events are dropped.
    pub(super) fn end_events(&mut self) -> usize {
        self.events.end() + self.core.events.close()
    }

    /// Closes the listeners, and tells every peer that this end goes away, after whatever it was
    /// sent before.
    fn say_farewell(&mut self) {
        self.core.ending.begun = true;
        log_line!(info, "ending, with {} connections", self.core.sockets.len());
        self.close_listeners();
        for conn in self.core.sockets.keys() {
            let Some(socket) = self.core.sockets.get(conn).filter(|socket| !socket.is_dead())
            else {
                continue;
            };
            let (state, role) = (socket.protocol.state(), socket.protocol.role());
            if state == State::Connecting {
                self.core.ending.summary.refused += 1;
            }
            let asks = state == State::Connecting && !socket.protocol.is_between_requests();
            if asks && role == Role::Server {
                self.refuse(conn);
            } else {
                let code = CloseCode::GOING_AWAY;
                self.core.sockets.close(
                    conn,
                    code,
                    "",
                    &mut self.core.topics,
                    &mut self.core.streams,
                );
            }
        }
    }

    /// Refuses a client whose request may not even have arrived.
    fn refuse(&mut self, conn: Key) {
        self.core.sockets.refuse(conn, &Refusal::new(503));
        self.core.sockets.end(conn, End::Connect(ConnectError::Cancelled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_only_shrinks_and_nothing_undoes_a_stop() {
        let left = TimeLeft::default();
        assert_eq!(left.get(), TimeLeft::EVER);
        left.shut_down(Duration::MAX);
        assert_eq!(left.get(), TimeLeft::EVER - 1);
        left.shut_down(Duration::from_nanos(7));
        left.shut_down(Duration::from_nanos(8));
        assert_eq!(left.get(), 7);
        left.shut_down(Duration::ZERO);
        assert!(!left.is_stopped());
        left.stop();
        left.shut_down(Duration::from_nanos(7));
        assert!(left.is_stopped());
    }

    #[test]
    fn the_earliest_deadline_stands_and_none_is_too_far() {
        let (mut ending, now) = (Ending::new(), Time::BEGINNING);
        ending.shut_down(now, Duration::MAX);
        assert!(ending.deadline().is_some());
        ending.shut_down(now, Duration::from_secs(2));
        ending.shut_down(now + Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(ending.deadline(), Some(now + Duration::from_secs(2)));
    }
}
