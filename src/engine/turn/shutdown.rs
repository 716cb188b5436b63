//! The end of a loop: at once, or in order within a deadline.

use crate::engine::core::Core;
use crate::engine::event_loop::EventLoop;
use crate::engine::turn::ending::{Ending, RunEnd, RunSummary, ShutdownBegun};
use crate::logging::log_line;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::rare_state::End;
use crate::net::streams::Transmit;
use crate::proto::handshake::Refusal;
use crate::proto::{CloseCode, RequestStage, State};
use crate::reactor::Reactor;
use crate::time::Time;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Begins a shutdown that was asked for, and closes the connections whose turn it is.
    pub(crate) fn begin_shutdown(&mut self) {
        if self.core.ending.is_due() {
            self.say_farewell();
            // Most loops have no handler for it.
            let _ = self.core.events.push(ShutdownBegun);
        }
        if self.core.ending.has_begun() {
            self.close_due(self.core.now());
        }
    }

    /// Notices that a shutdown is over: once every connection, job and hold has ended, and every
    /// event is handled.
    #[inline(never)]
    pub(crate) fn end_shutdown(&mut self) {
        let Some(deadline) = self.core.ending.deadline.filter(|_| self.core.ending.begun) else {
            return;
        };
        let is_held = !self.shared.holds.has_ended() || self.events.jobs_in_hand() > 0;
        let mut is_done = self.core.sockets.len() == 0 && !is_held;
        if is_done {
            // First, so that a publisher that goes on for ever cannot keep the loop. What it
            // published before, and what `on_close` does, is handled yet.
            self.events.close();
            is_done = !self.has_events();
        }
        if is_done || deadline <= self.core.now() {
            self.core.ending.is_shut_down = true;
        }
    }

    /// Ends everything that is left.
    pub(crate) fn finish(&mut self, state: &mut S) -> RunSummary {
        if !self.core.ending.begun {
            self.say_farewell();
        }
        self.close_due(Time::NEVER);
        // Those that were given since the last turn.
        self.send_answers(state);
        self.end_events();
        self.core.ending.cutting = true;
        for conn in self.core.sockets.ids() {
            self.core.sender().flush(conn);
            let code = self.core.ending.code;
            self.core.sockets.registry.note_end(conn, Disconnect::ClosedByApplication { code });
            self.core.sockets.registry.kill(conn);
        }
        self.reap_some(usize::MAX, state);
        self.serve_requests();
        // What was broadcast last was sent before the close frames, in no turn.
        self.core.sockets.output.clear_batch_cache();
        let fresh = Ending::new().summary;
        let summary = std::mem::replace(&mut self.core.ending.summary, fresh);
        let end = if self.core.ending.is_shut_down { RunEnd::ShutDown } else { RunEnd::Stopped };
        RunSummary { end, ..summary }
    }

    /// Ends the event bus: publishers, subscribers and workers learn so. Counts what is dropped.
    pub(crate) fn end_events(&mut self) {
        let left = self.events.end_jobs();
        let summary = &mut self.core.ending.summary;
        summary.unhandled_events = self.events.end() + self.core.events.close() + left.results;
        summary.unfinished_jobs = left.jobs;
        summary.unreleased_holds = self.shared.holds.count();
    }

    /// Closes the listeners and the connections that are not open, and begins to close the others.
    fn say_farewell(&mut self) {
        self.core.ending.begun = true;
        log_line!(info, "ending, with {} connections", self.core.sockets.len());
        self.core.erased().close_listeners();
        let mut open = Vec::new();
        for conn in self.core.sockets.ids() {
            let Some(socket) = self.core.sockets.get(conn).filter(|socket| !socket.is_dead())
            else {
                continue;
            };
            if socket.protocol.state() != State::Connecting {
                open.push(conn);
                continue;
            }
            if socket.awaits_response() {
                // The application has the request in hand.
                continue;
            }
            self.core.ending.summary.refused += 1;
            if socket.protocol.request_stage() == Some(RequestStage::Asking) {
                // The request may not even have arrived.
                self.core.sockets.responses().refuse(conn, &Refusal::new(503));
                self.core.sockets.registry.end(conn, End::Connect(ConnectError::Cancelled));
            } else {
                self.core.erased().close(conn, CloseCode::GOING_AWAY, "");
            }
        }
        let (now, ending) = (self.core.now(), &mut self.core.ending);
        ending.farewell.begin(open, now, ending.spread);
    }

    /// Tells the peers whose turn it is by `now` that this end goes away, after whatever they were
    /// sent before.
    fn close_due(&mut self, now: Time) {
        let core = self.core.erased();
        let reason = std::mem::take(&mut core.ending.reason);
        while let Some(conn) = core.ending.farewell.next(now) {
            let code = core.ending.code;
            core.close(conn, code, &reason);
        }
        core.ending.reason = reason;
    }
}

impl Core<dyn Transmit + '_> {
    /// Stops reading from every connection, and from those that open later.
    pub(crate) fn stop_reading(&mut self) {
        self.ending.stops_reading = true;
        for conn in self.sockets.ids() {
            self.sockets.registry.pause(conn);
        }
    }
}
