//! The loop's end of its workers: collects what became of their jobs.

use std::any::type_name;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::logging::log_line;
use crate::queue::{InboxReceiver, JobQueue, LocalEvents};

/// An event: the function of a worker panicked.
///
/// The panic cost the job, or the batch, that the function was called with. The worker goes on with
/// the next. Register a handler for it with [`EventLoop::on`](crate::EventLoop::on); the statistics
/// count it anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPanicked {
    /// The name of the jobs' type.
    pub job_type: &'static str,
    /// How many jobs the panic cost: one, or those of a batch.
    pub jobs: usize,
    /// The panic's message.
    pub message: String,
}

/// What became of a job, or of a batch.
pub(crate) struct Outcome<R> {
    pub(crate) jobs: usize,
    /// The results, or the message of a panic.
    pub(crate) results: Result<Results<R>, String>,
}

/// The results of one call.
pub(crate) enum Results<R> {
    One(R),
    Many(Vec<R>),
}

/// The loop's end of workers with jobs of type `J` and results of type `R`.
pub(crate) struct Pool<J, R> {
    pub(crate) queue: Arc<JobQueue<J>>,
    pub(crate) outcomes: InboxReceiver<Outcome<R>>,
    /// Results for which the event queue has no room.
    pending: VecDeque<R>,
    done: u64,
    panicked: u64,
}

/// Counts of jobs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JobCounts {
    /// No worker has taken them.
    pub(crate) queued: usize,
    /// Taken by a worker, and not done.
    pub(crate) running: usize,
    pub(crate) done: u64,
    pub(crate) panicked: u64,
    /// Given back because too many were in hand.
    pub(crate) refused: u64,
}

/// What an ended loop has dropped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// Jobs without an outcome.
    pub(crate) jobs: usize,
    /// Results that no handler got.
    pub(crate) results: usize,
}

/// A [`Pool`] of any types.
pub(crate) trait AnyPool {
    /// Whether [`collect`](Self::collect) has something to do.
    fn has_results(&self) -> bool;

    /// Publishes up to `budget` of the results that have come.
    fn collect(&mut self, budget: usize, events: &mut LocalEvents);

    /// How many jobs are in hand or have results that were not published.
    fn in_hand(&self) -> usize;

    fn counts(&self) -> JobCounts;

    /// Whether there will be no further job, and all are done.
    fn is_over(&self) -> bool;

    /// Accepts no further job, and drops those that have not begun.
    fn end(&mut self) -> Left;
}

impl<J, R> Pool<J, R> {
    pub(crate) const fn new(queue: Arc<JobQueue<J>>, outcomes: InboxReceiver<Outcome<R>>) -> Self {
        Self { queue, outcomes, pending: VecDeque::new(), done: 0, panicked: 0 }
    }

    fn finish<T>(&mut self, outcome: Outcome<R>, events: &mut LocalEvents)
    where
        R: 'static,
        T: 'static,
    {
        self.queue.finish(outcome.jobs);
        match outcome.results {
            Ok(results) => {
                self.done += outcome.jobs as u64;
                match results {
                    Results::One(result) => self.pending.push_back(result),
                    Results::Many(results) => self.pending.extend(results),
                }
            }
            Err(message) => {
                self.panicked += outcome.jobs as u64;
                let job_type = type_name::<T>();
                log_line!(error, "a worker's {job_type} panicked: {message}");
                let panicked = JobPanicked { job_type, jobs: outcome.jobs, message };
                // It is optional to register a handler for it. The statistics count it anyway.
                let _ = events.push(panicked);
            }
        }
    }
}

impl<J: 'static, R: 'static> AnyPool for Pool<J, R> {
    fn has_results(&self) -> bool {
        !self.pending.is_empty() || self.outcomes.has_events()
    }

    fn collect(&mut self, budget: usize, events: &mut LocalEvents) {
        for _ in 0..events.room::<R>().min(budget) {
            while self.pending.is_empty() {
                let Some(outcome) = self.outcomes.take() else { return };
                self.finish::<J>(outcome, events);
            }
            let Some(result) = self.pending.pop_front() else { return };
            // Its type is registered, and there is room.
            let _ = events.push(result);
        }
    }

    fn in_hand(&self) -> usize {
        self.queue.in_hand() + self.pending.len()
    }

    fn counts(&self) -> JobCounts {
        let queued = self.queue.waiting();
        JobCounts {
            queued,
            running: self.queue.in_hand().saturating_sub(queued),
            done: self.done,
            panicked: self.panicked,
            refused: self.queue.refused(),
        }
    }

    fn is_over(&self) -> bool {
        self.queue.is_over() && self.pending.is_empty()
    }

    fn end(&mut self) -> Left {
        let jobs = self.queue.close();
        self.outcomes.close();
        Left { jobs, results: self.pending.len() }
    }
}

impl<J, R> Drop for Pool<J, R> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl JobCounts {
    pub(crate) const NONE: Self = Self { queued: 0, running: 0, done: 0, panicked: 0, refused: 0 };

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            running: self.running + other.running,
            done: self.done + other.done,
            panicked: self.panicked + other.panicked,
            refused: self.refused + other.refused,
        }
    }
}
