//! Collects a loop's counts and publishes them to other threads.

use std::sync::atomic::Ordering;

use crate::engine::event_loop::EventLoop;
use crate::engine::stats::snapshot::{EndCounts, JobCounts, JournalCounts, Stats, TurnCounts};
use crate::net::disconnect::MemoryLimit;
use crate::reactor::Reactor;

impl<S, R: Reactor> EventLoop<S, R> {
    /// The loop's statistics up to now. Other threads use
    /// [`LoopHandle::stats`](crate::LoopHandle::stats).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.publish_stats();
        self.publish_rare_stats();
        self.core.handle.stats()
    }

    /// Begins a turn after its wait.
    pub(crate) fn begin_turn(&mut self) {
        self.tally.turns += 1;
        self.meters.begin_turn(self.core.now());
    }

    /// Ends a turn. `worked` says whether it had work, and `ended_work` whether it had work at its
    /// end. Reads the clock.
    pub(crate) fn end_turn(&mut self, worked: bool, ended_work: bool) {
        // If no event was handled, the wake had another reason.
        self.woken_at = None;
        let began = self.core.now();
        self.core.read_clock();
        if worked {
            self.meters.turn_time.record(self.core.now().since(began));
        }
        self.publish_stats();
        let (has_links, has_limits) = (self.core.links.len() > 0, self.core.limiter.is_used);
        if ended_work || has_links || has_limits || self.events.has_workers {
            self.publish_rare_stats();
        }
        self.meters.turn_since.store(0, Ordering::Relaxed);
    }

    fn publish_stats(&self) {
        let (tally, topics) = (&self.tally, self.core.topics.totals());
        let events = self.events.counts();
        self.meters.publish_turn(TurnCounts {
            connections: self.core.sockets.len() as u64,
            opened: tally.opened,
            requests: tally.requests,
            requests_waiting: self.core.pending.waiting() as u64,
            messages_received: tally.messages_received,
            bytes_received: self.core.streams.received,
            messages_sent: self.core.sockets.output.messages_sent + topics.delivered,
            bytes_sent: self.core.streams.sent,
            messages_compressed: self.core.sockets.output.storage.buffers.compressions(),
            messages_dropped: self.core.sockets.output.messages_dropped,
            broadcasts_dropped: topics.refused,
            broadcasts_dropped_newest: topics.dropped_newest,
            broadcasts_dropped_oldest: topics.dropped_oldest,
            broadcasts_conflated: topics.conflated,
            gaps: topics.gaps,
            inbound_bytes: self.core.sockets.memory(MemoryLimit::Inbound) as u64,
            outbound_bytes: self.core.sockets.memory(MemoryLimit::Outbound) as u64,
            topic_bytes: self.core.topics.memory_bytes() as u64,
            events: self.events.handled,
            events_waiting: (events.waiting + self.core.events.len()) as u64,
            subscribers_waiting: events.handed_on as u64,
            events_refused: events.refused + self.core.events.refused(),
            events_missed: events.missed,
            timers: self.core.events.timers_set() as u64,
            panics: self.calls.panics,
            slow_calls: self.calls.slow,
            turns: tally.turns,
        });
    }

    #[inline(never)]
    fn publish_rare_stats(&self) {
        let (tally, links, limiter) = (&self.tally, &self.core.links, &self.core.limiter);
        self.meters.publish_end(EndCounts {
            not_opened: tally.not_opened,
            links: links.len() as u64,
            links_waiting: links.waiting as u64,
            reconnect_attempts: links.attempts,
            reconnected: links.reconnected,
            closed_by_application: tally.closed_by_application,
            max_age_reached: tally.max_age_reached,
            closed_by_peer: tally.closed_by_peer,
            closed_by_failure: tally.closed_by_failure,
            closed_by_overflow: tally.closed_by_overflow,
            closed_by_memory_pressure: tally.closed_by_memory_pressure,
            closed_by_panic: tally.closed_by_panic,
            closed_by_protocol: tally.closed_by_protocol,
            closed_by_timeout: tally.closed_by_timeout,
            closed_by_limit: tally.closed_by_limit,
            refused_by_limit: limiter.refused,
            paused_by_limit: limiter.paused,
            limited_addresses: limiter.rates.addresses_len() as u64,
            limited_tags: limiter.rates.tags_len() as u64,
        });
        if self.events.has_workers {
            let counts = self.events.job_counts();
            self.meters.publish_jobs(JobCounts {
                jobs_queued: counts.queued as u64,
                jobs_running: counts.running as u64,
                jobs_done: counts.done,
                jobs_panicked: counts.panicked,
                jobs_refused: counts.refused,
                // The handle counts them.
                holds: 0,
            });
        }
        if let Some(journal) = &self.core.journal.attached {
            let (counts, (waiting, bytes)) = (self.core.journal.counts, journal.load());
            self.meters.publish_journal(JournalCounts {
                journal_waiting: waiting as u64,
                journal_waiting_bytes: bytes as u64,
                journal_messages: counts.messages,
                journal_commits: counts.commits,
                journal_largest_commit: counts.largest,
                journal_failed: counts.failed,
                journal_refused: counts.refused,
            });
        }
    }
}
