//! The submission of jobs.

use std::fmt;
use std::sync::Arc;

use crate::queue::{JobQueue, PublishError};

/// Submits jobs of one type to worker threads.
///
/// [`EventLoop::workers`](crate::EventLoop::workers) creates it, and
/// [`EventLoop::batch_workers`](crate::EventLoop::batch_workers) for jobs that are better done
/// together. Clone it for other handlers and other threads. When the last clone is dropped, the
/// threads end after the jobs that were accepted.
pub struct Workers<J> {
    jobs: Arc<Submitter<J>>,
}

/// The last one to be dropped ends the workers.
struct Submitter<J>(Arc<JobQueue<J>>);

impl<J> Workers<J> {
    pub(crate) fn new(queue: Arc<JobQueue<J>>) -> Self {
        Self { jobs: Arc::new(Submitter(queue)) }
    }

    /// Submits a job, which a worker does when one is free. It never waits: it takes no lock, and
    /// makes a system call only if a worker sleeps.
    ///
    /// If this returns `Ok`, the job's result becomes an event, or its panic a
    /// [`JobPanicked`](crate::JobPanicked), or the job is counted in
    /// [`RunSummary::unfinished_jobs`](crate::RunSummary) because the loop ended first.
    ///
    /// # Errors
    ///
    /// The error returns the job: [`PublishError::Full`] if as many jobs are in hand as the
    /// workers' capacity allows, [`PublishError::Closed`] if the loop has ended. A loop that shuts
    /// down accepts jobs until it ends, so that a job whose result leads to another job is done to
    /// the end.
    pub fn submit(&self, job: J) -> Result<(), PublishError<J>> {
        self.jobs.0.submit(job)
    }

    /// How many jobs are in hand: submitted, and the loop does not have their results.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.jobs.0.in_hand()
    }
}

impl<J> Workers<J> {
    /// Whether a further job is accepted.
    pub(crate) fn has_room(&self) -> bool {
        self.in_hand() < self.jobs.0.capacity()
    }

    /// Whether the loop has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.jobs.0.is_closed()
    }
}

impl<J> Clone for Workers<J> {
    fn clone(&self) -> Self {
        Self { jobs: Arc::clone(&self.jobs) }
    }
}

impl<J> Drop for Submitter<J> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<J> fmt::Debug for Workers<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("in_hand", &self.in_hand()).finish_non_exhaustive()
    }
}
