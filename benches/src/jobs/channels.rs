//! The floor: the standard library's bounded channels to a plain thread and back.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use super::clock::Clock;
use super::{Batches, CAPACITY};
use crate::error::Error;
use crate::load::Latencies;
use crate::machine::CpuPair;
use crate::worker::Worker;

/// One job at a time.
pub(crate) fn trips(cpus: Option<CpuPair>, clock: Clock) -> Result<Latencies, Error> {
    let work = |jobs: Receiver<Instant>, results: SyncSender<Instant>| {
        for job in jobs {
            if results.send(job).is_err() {
                break;
            }
        }
    };
    run(cpus, clock, 1, work).map(Clock::trips)
}

/// As many jobs as a channel holds.
pub(crate) fn batches(cpus: Option<CpuPair>, clock: Clock) -> Result<Batches, Error> {
    let calls = clock.calls();
    let work = move |jobs: Receiver<Instant>, results: SyncSender<Instant>| {
        while let Ok(first) = jobs.recv() {
            let rest = jobs.try_iter().take(CAPACITY - 1);
            let batch: Vec<Instant> = std::iter::once(first).chain(rest).collect();
            calls.fetch_add(1, Ordering::Relaxed);
            if batch.into_iter().any(|job| results.send(job).is_err()) {
                break;
            }
        }
    };
    run(cpus, clock, CAPACITY, work).map(|clock| clock.batches())
}

/// Sends a further job for each result, with `in_hand` jobs at the beginning.
fn run(
    cpus: Option<CpuPair>,
    clock: Clock,
    in_hand: usize,
    work: impl FnOnce(Receiver<Instant>, SyncSender<Instant>) + Send + 'static,
) -> Result<Clock, Error> {
    let ((to, jobs), (back, results)) = (sync_channel(CAPACITY), sync_channel(CAPACITY));
    let ((), working) = Worker::start("worker", cpus.map(|cpus| cpus.load), move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(());
        work(jobs, back);
        Ok(())
    })?;
    let ((), sending) = Worker::start("sender", cpus.map(|cpus| cpus.server), move |ready| {
        let _ = ready.send(());
        let mut clock = clock;
        for _ in 0..in_hand {
            to.send(Instant::now()).map_err(|_| Error::Thread("worker"))?;
        }
        for job in &results {
            // As many jobs leave as come back, so there is room.
            if clock.came_back(job).is_none_or(|next| to.send(next).is_err()) {
                break;
            }
        }
        Ok(clock)
    })?;
    let clock = sending.join()?;
    working.join()?;
    Ok(clock)
}
