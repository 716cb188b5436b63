//! The engine: from a handler to a worker and back.

use std::sync::atomic::Ordering;
use std::time::Instant;

use eventwire::{Config, EventLoop, Workers};

use super::clock::Clock;
use super::{Batches, CAPACITY, Setting};
use crate::error::Error;
use crate::load::Latencies;
use crate::machine;
use crate::worker::Worker;

/// A job is the time of its submission, and so is its result.
struct Submitted(Instant);

/// One job at a time.
pub(crate) fn trips(setting: Setting, clock: Clock) -> Result<Latencies, Error> {
    let mut at_home = Pin(setting.cpus.map(|cpus| cpus.load));
    let work = move |job: Submitted| {
        at_home.once();
        job
    };
    let make = move |event_loop: &mut EventLoop<Clock>| event_loop.workers_each(CAPACITY, [work]);
    run(setting, clock, 1, make).map(Clock::trips)
}

/// As many jobs in hand as there may be.
pub(crate) fn batches(setting: Setting, clock: Clock) -> Result<Batches, Error> {
    let mut at_home = Pin(setting.cpus.map(|cpus| cpus.load));
    let calls = clock.calls();
    let work = move |batch: Vec<Submitted>| {
        at_home.once();
        calls.fetch_add(1, Ordering::Relaxed);
        batch
    };
    let make =
        move |event_loop: &mut EventLoop<Clock>| event_loop.batch_workers_each(CAPACITY, [work]);
    run(setting, clock, CAPACITY, make).map(|clock| clock.batches())
}

/// Runs a loop on which each result leads to another job, with `in_hand` jobs at the beginning.
fn run(
    setting: Setting,
    clock: Clock,
    in_hand: usize,
    workers: impl FnOnce(&mut EventLoop<Clock>) -> Result<Workers<Submitted>, eventwire::Error>
    + Send
    + 'static,
) -> Result<Clock, Error> {
    let cpu = setting.cpus.map(|cpus| cpus.server);
    let ((), running) = Worker::start("loop", cpu, move |ready| {
        let mut event_loop = EventLoop::new(Config::default().idle(setting.idle.engine()))?;
        let workers = workers(&mut event_loop)?;
        for _ in 0..in_hand {
            workers.submit(Submitted(Instant::now())).map_err(eventwire::Error::from)?;
        }
        event_loop.on(move |cx, job: &Submitted, clock: &mut Clock| {
            let next = clock.came_back(job.0).map(Submitted);
            // As many jobs leave as come back, so there is room.
            if next.is_none_or(|job| workers.submit(job).is_err()) {
                cx.stop();
            }
        });
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(());
        let mut clock = clock;
        event_loop.run(&mut clock)?;
        Ok(clock)
    })?;
    running.join()
}

/// The CPU that a thread moves to when it is called first.
struct Pin(Option<usize>);

impl Pin {
    fn once(&mut self) {
        if let Some(cpu) = self.0.take() {
            // The loop's thread has been bound in the same way, which would have failed, too.
            let _ = machine::pin(cpu);
        }
    }
}
