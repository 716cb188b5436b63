//! Jobs from any thread to worker threads.
//!
//! ```text
//! submit ──► jobs: one bounded queue ──take──► worker ──► outcome, in an inbox ──► loop
//!    │                                                                              │
//!    └────────── in hand: from the submission until the loop has the outcome ───────┘
//! ```
//!
//! Submitting takes no lock. It makes a system call only if a worker sleeps: it rings the doorbell
//! of one of them, and unparks that one.

use std::hint;
use std::sync::OnceLock;

use super::sync::{ArrayQueue, AtomicU64, AtomicUsize, Ordering, Thread, current, fence, park};
use super::{Doorbell, PublishError};

/// How often a worker looks for a job before it sleeps, which takes a few microseconds. A job's
/// result has often led to the next job by then, and to wake a thread takes longer.
///
/// It does not offer the processor to others meanwhile: on a busy machine it would get it back only
/// milliseconds later, and much sooner after a sleep.
const LOOKS: u32 = if cfg!(loom) { 0 } else { 200 };

/// A bounded queue of jobs, with the workers that sleep until there is one.
#[derive(Debug)]
pub(crate) struct JobQueue<J> {
    jobs: ArrayQueue<J>,
    /// How many jobs are in hand, and the flags below.
    in_hand: AtomicUsize,
    capacity: usize,
    sleepers: Box<[Sleeper]>,
    /// Jobs that were given back because too many were in hand.
    refused: AtomicU64,
}

/// The loop has ended: nothing is accepted, and workers take no more jobs.
const CLOSED: usize = 1 << (usize::BITS - 1);
/// Nobody can submit any more: workers end after the last job.
const ABANDONED: usize = CLOSED >> 1;
const COUNT: usize = ABANDONED - 1;

/// The sleep of one worker.
#[derive(Debug, Default)]
struct Sleeper {
    doorbell: Doorbell,
    /// Set before the first sleep.
    thread: OnceLock<Thread>,
}

/// What a worker finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<J> {
    Job(J),
    Nothing,
    /// There will be no further job.
    Ended,
}

impl<J> JobQueue<J> {
    /// A queue that accepts up to `capacity` jobs in hand, at least one.
    pub(crate) fn new(workers: usize, capacity: usize) -> Self {
        let capacity = capacity.clamp(1, COUNT);
        Self {
            jobs: ArrayQueue::new(capacity),
            in_hand: AtomicUsize::new(0),
            capacity,
            sleepers: (0..workers).map(|_| Sleeper::default()).collect(),
            refused: AtomicU64::new(0),
        }
    }

    /// The most jobs that may be in hand.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many jobs no worker has taken.
    pub(crate) fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// How many jobs were submitted and not [finished](Self::finish).
    pub(crate) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Acquire) & COUNT
    }

    /// How many jobs were given back because too many were in hand.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Adds a job. Once this has returned `Ok`, a worker gets the job, or the close counts it.
    pub(crate) fn submit(&self, job: J) -> Result<(), PublishError<J>> {
        let has_room = |state| (state < self.capacity).then_some(state + 1);
        let (done, seen) = (Ordering::AcqRel, Ordering::Acquire);
        match self.in_hand.fetch_update(done, seen, has_room) {
            Ok(_) => {}
            Err(state) if state & CLOSED != 0 => return Err(PublishError::Closed(job)),
            Err(_) => return Err(self.refuse(job)),
        }
        // All that wait are in hand, so there is room.
        if let Err(job) = self.jobs.push(job) {
            self.finish(1);
            return Err(self.refuse(job));
        }
        self.wake_one();
        Ok(())
    }

    fn refuse(&self, job: J) -> PublishError<J> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        PublishError::Full(job)
    }

    /// Counts jobs whose outcome the loop has.
    pub(crate) fn finish(&self, jobs: usize) {
        self.in_hand.fetch_sub(jobs, Ordering::AcqRel);
    }

    /// Takes a job without waiting.
    pub(crate) fn try_take(&self) -> Taken<J> {
        let state = self.in_hand.load(Ordering::Acquire);
        if state & CLOSED != 0 {
            return Taken::Ended;
        }
        match self.jobs.pop() {
            Some(job) => Taken::Job(job),
            None if state & ABANDONED != 0 => Taken::Ended,
            None => Taken::Nothing,
        }
    }

    /// Takes a job for a worker, which sleeps until there is one. `None` when none will come.
    pub(crate) fn take(&self, worker: usize) -> Option<J> {
        let sleeper = &self.sleepers[worker];
        sleeper.thread.get_or_init(current);
        loop {
            match self.look() {
                Taken::Job(job) => return Some(job),
                Taken::Nothing => {}
                Taken::Ended => return None,
            }
            sleeper.doorbell.about_to_sleep();
            let taken = self.try_take();
            if matches!(taken, Taken::Nothing) {
                while sleeper.doorbell.is_asleep() {
                    park();
                }
                continue;
            }
            if !sleeper.doorbell.awake() {
                // The ring may have been for another job than the one just taken.
                self.wake_one();
            }
            return match taken {
                Taken::Job(job) => Some(job),
                Taken::Nothing | Taken::Ended => None,
            };
        }
    }

    /// Takes further jobs without waiting, until `jobs` holds `most`.
    pub(crate) fn take_more(&self, jobs: &mut Vec<J>, most: usize) {
        while jobs.len() < most {
            let Taken::Job(job) = self.try_take() else { return };
            jobs.push(job);
        }
    }

    /// Looks for a job for a while.
    fn look(&self) -> Taken<J> {
        for _ in 0..LOOKS {
            let taken = self.try_take();
            if !matches!(taken, Taken::Nothing) {
                return taken;
            }
            hint::spin_loop();
        }
        self.try_take()
    }

    /// Wakes a worker that sleeps, if there is one. The caller has left work before.
    fn wake_one(&self) {
        fence(Ordering::SeqCst);
        for sleeper in &self.sleepers {
            if sleeper.wake_fenced() {
                return;
            }
        }
    }

    fn wake_all(&self) {
        fence(Ordering::SeqCst);
        for sleeper in &self.sleepers {
            sleeper.wake_fenced();
        }
    }

    /// Lets workers end after the last job: nobody can submit any more.
    pub(crate) fn abandon(&self) {
        self.in_hand.fetch_or(ABANDONED, Ordering::AcqRel);
        self.wake_all();
    }

    /// Whether nobody can submit any more, and no job is in hand.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.in_hand.load(Ordering::Acquire);
        state & ABANDONED != 0 && state & COUNT == 0
    }

    /// Whether no job is accepted any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.in_hand.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Accepts no further job, and drops those that no worker has taken. Returns how many were in
    /// hand: every accepted job that was not finished.
    pub(crate) fn close(&self) -> usize {
        let state = self.in_hand.fetch_or(CLOSED, Ordering::AcqRel);
        self.wake_all();
        while self.jobs.pop().is_some() {}
        state & COUNT
    }
}

impl Sleeper {
    /// Wakes the worker, if it sleeps, after a sequentially consistent fence. Returns whether it
    /// slept.
    fn wake_fenced(&self) -> bool {
        let sleeps = self.doorbell.ring_fenced();
        if let Some(thread) = self.thread.get().filter(|_| sleeps) {
            thread.unpark();
        }
        sleeps
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn jobs_count_against_the_capacity_until_they_are_finished() {
        let queue = JobQueue::new(1, 2);
        assert_eq!((queue.submit(1), queue.submit(2)), (Ok(()), Ok(())));
        assert_eq!(queue.submit(3), Err(PublishError::Full(3)));
        assert_eq!(queue.take(0), Some(1));
        assert_eq!((queue.waiting(), queue.in_hand(), queue.refused()), (1, 2, 1));
        assert_eq!(queue.submit(3), Err(PublishError::Full(3)));
        queue.finish(1);
        assert_eq!(queue.submit(3), Ok(()));
        let mut batch = Vec::new();
        queue.take_more(&mut batch, 1);
        queue.take_more(&mut batch, 9);
        assert_eq!(batch, [2, 3]);
        assert_eq!(queue.try_take(), Taken::Nothing);
    }

    #[test]
    fn an_abandoned_queue_ends_after_its_jobs_and_a_closed_one_at_once() {
        for closes in [false, true] {
            let queue = JobQueue::new(1, 0);
            assert_eq!(queue.submit(1), Ok(()));
            queue.abandon();
            assert_eq!(queue.submit(2), Err(PublishError::Full(2)));
            assert!(!queue.is_over());
            if closes {
                assert_eq!(queue.close(), 1);
                assert_eq!(queue.submit(2), Err(PublishError::Closed(2)));
            } else {
                assert_eq!(queue.take(0), Some(1));
                queue.finish(1);
                assert!(queue.is_over());
            }
            assert_eq!((queue.take(0), queue.try_take()), (None, Taken::Ended));
        }
    }

    #[test]
    fn many_threads_submit_and_many_workers_get_each_job_once() {
        const JOBS: usize = 40_000;
        let queue = Arc::new(JobQueue::new(3, 8));
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let taken = std::iter::from_fn(|| queue.take(worker));
                    taken.inspect(|_| queue.finish(1)).collect::<Vec<usize>>()
                })
            })
            .collect();
        let submitters: Vec<_> = (0..2)
            .map(|number| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    for job in (number..JOBS).step_by(2) {
                        while queue.submit(job).is_err() {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for submitter in submitters {
            submitter.join().unwrap();
        }
        queue.abandon();
        let mut taken = Vec::new();
        for worker in workers {
            let jobs = worker.join().unwrap();
            taken.extend(jobs);
        }
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..JOBS));
        assert!(queue.is_over());
    }
}
