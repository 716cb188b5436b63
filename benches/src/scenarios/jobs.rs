//! `jobs`: from a handler to a worker thread and back, beside two channels of the standard library.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use clap::Args;
use eventwire::{Config, EventLoop, Workers};

use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Latencies, no_latencies};
use crate::machine::{self, CpuPair};
use crate::output::FileArgs;
use crate::results::{Better, Bound, Figure, Role, To, Unit};
use crate::scenario::{ENGINE, Plan, Sample, Scenario, Timing};
use crate::worker::Worker;

/// Measure jobs: from a handler to a worker thread and back, one at a time and in batches
///
/// Alternately it measures two of the standard library's bounded channels, there and back (the
/// floor). It takes a quarter of a minute.
#[derive(Args, Debug)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
}

const P50: Figure = Figure::time("trip_p50_ns", "round trip p50");
const P99: Figure = Figure::time("trip_p99_ns", "p99");
const JOBS: Figure = Figure::rate("jobs_per_second", "jobs/s");
const BATCH: Figure = Figure::new("jobs_per_batch", "jobs/batch", Unit::Count, Better::Neither);

const FULL: Timing =
    Timing { rounds: 7, warm_up: Duration::from_millis(30), duration: Duration::from_millis(150) };
const QUICK: Timing =
    Timing { rounds: 1, warm_up: Duration::from_millis(2), duration: Duration::from_millis(20) };

const FLOOR: &str = "floor";
/// How much longer the round trip of a job may be than the floor's, in nanoseconds.
const ADDED_MAX: f64 = 2_000.0;
/// The most jobs in hand, and in each of the floor's channels.
const CAPACITY: usize = 1024;

impl JobsArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let cpus = CpuPair::pick();
        let place = match cpus {
            Some(cpus) => format!("loop on CPU {}, worker on CPU {}", cpus.server, cpus.load),
            None => "everything on one CPU".to_owned(),
        };
        let mut scenario = Scenario::new("jobs", "a job and its result", [P50, P99, JOBS, BATCH])
            .base(FLOOR)
            .target(&P50, To::MoreThan(FLOOR.to_owned()), Bound::AtMost(ADDED_MAX));
        for (name, role, idle) in [
            (ENGINE, Role::Engine, IdleMode::Adaptive),
            ("eventwire (block)", Role::Mode, IdleMode::Block),
            ("eventwire (busy)", Role::Mode, IdleMode::Busy),
        ] {
            let one_by_one = move |clock, in_hand| on_loop(idle, cpus, clock, in_hand);
            scenario = scenario.entrant(name, role, move |timing| sample(timing, one_by_one));
        }
        let on_channels = move |clock, in_hand| on_channels(cpus, clock, in_hand);
        Ok(Plan {
            title: "Jobs on a worker thread",
            conditions: vec![
                place,
                "round trip: one job at a time, from its submission in a handler to its result in \
                 a handler; jobs/s: 1,024 jobs in hand, done in batches"
                    .to_owned(),
                "floor: std's sync_channel to a plain thread and another one back".to_owned(),
            ],
            timing: if self.quick { QUICK } else { FULL },
            repetition_max: Duration::ZERO,
            scenarios: vec![
                scenario.entrant(FLOOR, Role::Floor, move |timing| sample(timing, on_channels)),
            ],
            notes: Vec::new(),
        })
    }
}

/// Measures one job at a time, and then as many in hand as there may be.
fn sample(
    timing: Timing,
    run: impl Fn(Clock, usize) -> Result<Clock, Error>,
) -> Result<Sample, Error> {
    let trips = run(Clock::start(timing), 1)?.trips;
    let crowd = run(Clock::start(timing), CAPACITY)?;
    let calls = crowd.calls.load(Ordering::Relaxed) - crowd.calls_before.unwrap_or(0);
    Ok(Sample::default()
        .percentiles(&trips, &[(&P50, 0.5), (&P99, 0.99)])
        .with(&JOBS, crowd.jobs as f64 / (crowd.last - crowd.from).as_secs_f64())
        .with(&BATCH, crowd.jobs as f64 / calls.max(1) as f64)
        .plot(trips))
}

/// Measures the jobs that come back, after a warm-up. A job is the time of its submission, and so
/// is its result.
#[derive(Debug)]
struct Clock {
    from: Instant,
    until: Instant,
    /// When the last job came back.
    last: Instant,
    trips: Latencies,
    jobs: u64,
    /// How often the worker was called, with any number of jobs.
    calls: Arc<AtomicU64>,
    /// The calls before the first measured job.
    calls_before: Option<u64>,
}

impl Clock {
    fn start(timing: Timing) -> Self {
        let from = Instant::now() + timing.warm_up;
        Self {
            from,
            until: from + timing.duration,
            last: from,
            trips: no_latencies(),
            jobs: 0,
            calls: Arc::default(),
            calls_before: None,
        }
    }

    /// Counts a job that has come back. Returns the present time if a further job follows.
    fn came_back(&mut self, submitted: Instant) -> Option<Instant> {
        let now = Instant::now();
        self.last = now;
        if submitted >= self.from {
            let calls = self.calls.load(Ordering::Relaxed);
            self.calls_before.get_or_insert(calls);
            self.jobs += 1;
            self.trips.saturating_record((now - submitted).as_nanos() as u64);
        }
        // A thread may not get the processor for all of the time.
        (now < self.until || self.jobs == 0).then_some(now)
    }
}

struct Job(Instant);

/// Runs a loop on which each result leads to another job, with `in_hand` jobs at the beginning.
fn on_loop(
    idle: IdleMode,
    cpus: Option<CpuPair>,
    mut clock: Clock,
    in_hand: usize,
) -> Result<Clock, Error> {
    let ((), running) = Worker::start("loop", cpus.map(|cpus| cpus.server), move |ready| {
        let mut event_loop = EventLoop::new(Config::default().idle(idle.engine()))?;
        let mut cpu = cpus.map(|cpus| cpus.load);
        let mut enter = move || {
            if let Some(cpu) = cpu.take() {
                // The loop's thread has been bound in the same way, which would have failed, too.
                let _ = machine::pin(cpu);
            }
        };
        let calls = Arc::clone(&clock.calls);
        let workers: Workers<Job> = if in_hand == 1 {
            event_loop.workers_each(
                CAPACITY,
                [move |job: Job| {
                    enter();
                    job
                }],
            )?
        } else {
            event_loop.batch_workers_each(
                CAPACITY,
                [move |jobs: Vec<Job>| {
                    enter();
                    calls.fetch_add(1, Ordering::Relaxed);
                    jobs
                }],
            )?
        };
        for _ in 0..in_hand {
            workers.submit(Job(Instant::now())).map_err(eventwire::Error::from)?;
        }
        event_loop.on(move |cx, job: &Job, clock: &mut Clock| {
            let next = clock.came_back(job.0).map(Job);
            // As many jobs leave as come back, so there is room.
            if next.is_none_or(|job| workers.submit(job).is_err()) {
                cx.stop();
            }
        });
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(());
        event_loop.run(&mut clock)?;
        Ok(clock)
    })?;
    running.join()
}

/// Sends a further job for each result, with `in_hand` jobs at the beginning.
fn on_channels(cpus: Option<CpuPair>, mut clock: Clock, in_hand: usize) -> Result<Clock, Error> {
    let (to, jobs): (SyncSender<Instant>, Receiver<Instant>) = sync_channel(CAPACITY);
    let (back, results) = sync_channel(CAPACITY);
    let calls = Arc::clone(&clock.calls);
    let ((), working) = Worker::start("worker", cpus.map(|cpus| cpus.load), move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(());
        let mut batch = Vec::with_capacity(CAPACITY);
        while let Ok(first) = jobs.recv() {
            batch.push(first);
            batch.extend(jobs.try_iter().take(in_hand - 1));
            calls.fetch_add(1, Ordering::Relaxed);
            if batch.drain(..).any(|job| back.send(job).is_err()) {
                break;
            }
        }
        Ok(())
    })?;
    for _ in 0..in_hand {
        to.send(Instant::now()).map_err(|_| Error::Thread("worker"))?;
    }
    let clock = machine::run_on(cpus.map(|cpus| cpus.server), move || {
        for job in &results {
            // As many jobs leave as come back, so there is room.
            if clock.came_back(job).is_none_or(|next| to.send(next).is_err()) {
                break;
            }
        }
        Ok(clock)
    })?;
    working.join()?;
    Ok(clock)
}
