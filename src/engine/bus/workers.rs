//! Jobs on threads of their own: registration, and the workers.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::config::OnPanic;
use crate::engine::bus::jobs::Workers;
use crate::engine::bus::pools::{Outcome, Pool, Results};
use crate::engine::event_loop::EventLoop;
use crate::engine::handle::LoopHandle;
use crate::engine::turn::calls::guard;
use crate::error::Error;
use crate::queue::{Inbox, InboxSender, JobQueue, Taken};
use crate::reactor::{Reactor, Task, TaskStep};

/// The most jobs in one batch. A database gains little from larger transactions, and the jobs of a
/// batch are acknowledged only together.
const BATCH_MAX: usize = 1024;

/// The name of every worker's thread.
const THREAD_NAME: &str = "eventwire-worker";

impl<S: 'static, R: Reactor> EventLoop<S, R> {
    /// Starts worker threads that do jobs of type `J`: slow or blocking work, for which a handler
    /// must not wait. A handler [submits](Workers::submit) a job, and its result arrives as an
    /// event of its type ([`on`](Self::on)).
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::{Config, ConnectionId, EventLoop, ServerConfig};
    ///
    /// struct Sum(ConnectionId, Vec<u8>);
    /// struct Summed(ConnectionId, u64);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let workers = event_loop.workers(4, 1024, |Sum(conn, bytes): Sum| {
    ///     Summed(conn, bytes.into_iter().map(u64::from).sum())
    /// })?;
    /// event_loop.on(|cx, summed: &Summed, _: &mut ()| {
    ///     // If the peer is gone, its id is refused.
    ///     cx.send_to(summed.0, summed.1.to_string());
    /// });
    /// event_loop.listen_fn("127.0.0.1:0", ServerConfig::default(), move |conn, message, _| {
    ///     let bytes = message.as_bytes().to_vec();
    ///     if workers.submit(Sum(conn.id(), bytes)).is_err() {
    ///         conn.send("busy, try again");
    ///     }
    /// })?;
    /// # event_loop.turn(Some(Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// `threads` is their number; 0 counts as 1. If nothing else is known, 4 is a good choice for
    /// work that waits, and the number of processors for work that computes. `capacity` is the most
    /// jobs that may be in hand: submitted, and the loop does not have their results. 1,024 is a
    /// good choice; 0 counts as 1. Memory for that many is allocated at once.
    ///
    /// Each thread calls its own clone of `work`. A closure that owns something without a clone,
    /// such as a file or a database connection, is passed to [`workers_each`](Self::workers_each).
    ///
    /// The results of **one** thread arrive in the order of the jobs. Several threads have no
    /// order. If no handler and no subscriber is registered for the result's type, the results are
    /// dropped. So a job that leaves nothing to handle returns `()`, for instance because it has
    /// answered a request through its [`Responder`](crate::Responder).
    ///
    /// A call of `work` that panics costs its job, and is reported as the event
    /// [`JobPanicked`](crate::JobPanicked). The thread then calls the same closure again, so its
    /// captured state must be valid after a panic. [`Config::on_panic`](crate::Config::on_panic)
    /// does not apply.
    ///
    /// A [shutdown](LoopHandle::shutdown) waits for jobs in hand within its deadline, and their
    /// results are handled. At the end of the loop, jobs that have not begun are dropped, and
    /// threads end after their current call. The loop waits for no thread: a call that never
    /// returns delays neither [`run`](Self::run) nor the drop of the loop.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system creates no thread, [`Error::ShuttingDown`] if the loop is
    /// ending.
    pub fn workers<J, T>(
        &mut self,
        threads: usize,
        capacity: usize,
        work: impl FnMut(J) -> T + Clone + Send + 'static,
    ) -> Result<Workers<J>, Error>
    where
        J: Send + 'static,
        T: Send + 'static,
    {
        self.workers_each(capacity, vec![work; threads.max(1)])
    }

    /// Starts one worker thread for each of the closures, as [`workers`](Self::workers). The
    /// closures may own what they work with.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Write;
    /// use eventwire::{Config, EventLoop};
    ///
    /// let mut event_loop = EventLoop::<()>::new(Config::default())?;
    /// # let path = std::env::temp_dir().join(format!("eventwire-{}", std::process::id()));
    /// let mut file = File::create(&path).expect("a new file");
    /// let lines = event_loop.workers_each(1024, [move |line: String| writeln!(file, "{line}")])?;
    /// event_loop.on(|cx, written: &std::io::Result<()>, _| {
    ///     assert!(written.is_ok());
    ///     cx.stop();
    /// });
    /// lines.submit("hello".to_owned())?;
    /// event_loop.run(&mut ())?;
    /// # assert!(std::fs::remove_file(path).is_ok());
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`workers`](Self::workers).
    pub fn workers_each<J, T, F>(
        &mut self,
        capacity: usize,
        work: impl IntoIterator<Item = F>,
    ) -> Result<Workers<J>, Error>
    where
        J: Send + 'static,
        T: Send + 'static,
        F: FnMut(J) -> T + Send + 'static,
    {
        start(self, capacity, work.into_iter().map(Single).collect())
    }

    /// Starts worker threads that do jobs in batches: each call gets all jobs that wait, in order,
    /// up to 1,024. A database then commits once for many jobs, and the more jobs wait, the more
    /// are done at once. Otherwise as [`workers`](Self::workers).
    ///
    /// ```
    /// use eventwire::{Config, EventLoop};
    ///
    /// struct Deposit(u64);
    /// struct Deposited(u64);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let deposits = event_loop.batch_workers(1, 1024, |batch: Vec<Deposit>| {
    ///     // Begin a transaction, add each deposit, and commit once.
    ///     batch.into_iter().map(|deposit| Deposited(deposit.0)).collect()
    /// })?;
    /// event_loop.on(|cx, deposited: &Deposited, sum: &mut u64| {
    ///     *sum += deposited.0;
    ///     if *sum == 6 {
    ///         cx.stop();
    ///     }
    /// });
    /// for amount in 1..=3 {
    ///     deposits.submit(Deposit(amount))?;
    /// }
    /// let mut sum = 0;
    /// event_loop.run(&mut sum)?;
    /// # assert_eq!(sum, 6);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// Each result becomes an event, in the order of the vector. There may be more or fewer results
    /// than jobs, or none: the jobs of the batch are done all the same. A panic costs the batch.
    ///
    /// # Errors
    ///
    /// As [`workers`](Self::workers).
    pub fn batch_workers<J, T>(
        &mut self,
        threads: usize,
        capacity: usize,
        work: impl FnMut(Vec<J>) -> Vec<T> + Clone + Send + 'static,
    ) -> Result<Workers<J>, Error>
    where
        J: Send + 'static,
        T: Send + 'static,
    {
        self.batch_workers_each(capacity, vec![work; threads.max(1)])
    }

    /// Starts one worker thread for each of the closures, as
    /// [`batch_workers`](Self::batch_workers). The closures may own what they work with, as in
    /// [`workers_each`](Self::workers_each).
    ///
    /// # Errors
    ///
    /// As [`workers`](Self::workers).
    pub fn batch_workers_each<J, T, F>(
        &mut self,
        capacity: usize,
        work: impl IntoIterator<Item = F>,
    ) -> Result<Workers<J>, Error>
    where
        J: Send + 'static,
        T: Send + 'static,
        F: FnMut(Vec<J>) -> Vec<T> + Send + 'static,
    {
        start(self, capacity, work.into_iter().map(Batch).collect())
    }
}

/// Starts a worker for each of `work`.
fn start<S, R, J, T, W>(
    event_loop: &mut EventLoop<S, R>,
    capacity: usize,
    work: Vec<W>,
) -> Result<Workers<J>, Error>
where
    S: 'static,
    R: Reactor,
    J: Send + 'static,
    T: Send + 'static,
    W: Work<J, T> + Send + 'static,
{
    event_loop.core.ending.check_serving()?;
    // Without handlers, the results are dropped.
    event_loop.register::<T>();
    let queue = Arc::new(JobQueue::new(work.len(), capacity));
    // All outcomes are of jobs in hand, so each worker's queue has room for them.
    let outcomes = Inbox::with_capacity(queue.capacity());
    let workers = Workers::new(Arc::clone(&queue));
    let pool = Pool::new(queue, outcomes);
    for (number, work) in work.into_iter().enumerate() {
        let worker = Worker {
            number,
            work,
            jobs: Arc::clone(&pool.queue),
            outcomes: InboxSender::new(pool.outcomes.inbox()),
            handle: event_loop.core.handle.clone(),
            job: PhantomData,
        };
        let spawned = event_loop.core.streams.reactor.spawn(THREAD_NAME, Box::new(worker));
        spawned.map_err(Error::io("start a worker"))?;
    }
    event_loop.events.add_pool(Box::new(pool));
    Ok(workers)
}

/// What a worker does with jobs.
trait Work<J, T> {
    /// Does a job, and others that wait in `jobs` with it.
    fn work(&mut self, job: J, jobs: &JobQueue<J>) -> Outcome<T>;
}

/// One job at a time.
struct Single<F>(F);

/// All jobs that wait.
struct Batch<F>(F);

impl<J, T, F: FnMut(J) -> T> Work<J, T> for Single<F> {
    fn work(&mut self, job: J, _: &JobQueue<J>) -> Outcome<T> {
        let result = guard(OnPanic::CloseConnection, || (self.0)(job));
        Outcome { jobs: 1, results: result.map(Results::One) }
    }
}

impl<J, T, F: FnMut(Vec<J>) -> Vec<T>> Work<J, T> for Batch<F> {
    fn work(&mut self, job: J, jobs: &JobQueue<J>) -> Outcome<T> {
        let mut batch = vec![job];
        jobs.take_more(&mut batch, BATCH_MAX);
        let count = batch.len();
        let results = guard(OnPanic::CloseConnection, || (self.0)(batch));
        Outcome { jobs: count, results: results.map(Results::Many) }
    }
}

/// A worker, on its thread.
struct Worker<J, T, W> {
    number: usize,
    work: W,
    jobs: Arc<JobQueue<J>>,
    outcomes: InboxSender<Outcome<T>>,
    handle: LoopHandle,
    job: PhantomData<fn(J) -> T>,
}

impl<J, T, W> Task for Worker<J, T, W>
where
    J: Send,
    T: Send,
    W: Work<J, T> + Send,
{
    fn step(&mut self, may_sleep: bool) -> TaskStep {
        let taken = if may_sleep {
            self.jobs.take(self.number).map_or(Taken::Ended, Taken::Job)
        } else {
            self.jobs.try_take()
        };
        let job = match taken {
            Taken::Job(job) => job,
            Taken::Nothing => return TaskStep::Idle,
            Taken::Ended => return TaskStep::Ended,
        };
        let outcome = self.work.work(job, &self.jobs);
        // It fails only if the loop has ended, and then nobody waits for the outcome.
        if self.outcomes.send(outcome).is_ok() {
            self.handle.ring_fenced();
        }
        TaskStep::Worked
    }
}
