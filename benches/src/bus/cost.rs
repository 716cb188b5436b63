use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use super::publishers::{Offer, Place, Route, Sink};
use super::tally::Progress;
use crate::error::Error;
use crate::load::Stamp;
use crate::report::median;

/// The time that publishing one event takes while the consumer is awake, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The mean over all batches, including interrupted ones.
    pub(crate) mean: f64,
    /// The median of the batches' means.
    pub(crate) median: f64,
}

/// How many events are published back to back: far fewer than the queue's capacity, and enough to
/// make the two clock reads around them negligible.
const BATCH: u32 = 1000;

/// Publishes batches, each after the previous one has arrived.
pub(crate) fn measure<K: Sink>(
    route: Route<K>,
    place: Place,
    progress: &Progress,
    (warm_up, measured): (Duration, Duration),
) -> Result<Cost, Error> {
    let Route { sinks, finish, .. } = route;
    let means = thread::scope(|scope| {
        let thread = scope.spawn(move || {
            place.enter()?;
            // The thread owns all sinks: a channel ends when its senders are dropped.
            let sink = sinks.first().ok_or_else(refused)?;
            let start = Instant::now();
            let mut sequence = 0;
            let mut means = Vec::new();
            while means.is_empty() || start.elapsed() < warm_up + measured {
                let mean = batch(sink, sequence)?;
                sequence += BATCH;
                await_arrival(progress, sequence, place)?;
                if start.elapsed() > warm_up {
                    means.push(mean);
                }
            }
            Ok(means)
        });
        thread.join().unwrap_or(Err(Error::Thread("publishing")))
    });
    let means: Vec<f64> = means?;
    finish()?.finish()?;
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    Ok(Cost { mean, median: median(means).unwrap_or(mean) })
}

/// The mean time of publishing one event.
fn batch<K: Sink>(sink: &K, first: u32) -> Result<f64, Error> {
    let start = Instant::now();
    for sequence in first..first + BATCH {
        if sink.offer(Stamp { sender: 0, sequence }) != Offer::Taken {
            return Err(refused());
        }
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(BATCH))
}

fn await_arrival(progress: &Progress, events: u32, place: Place) -> Result<(), Error> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let start = Instant::now();
    while progress.of(0) != events {
        if start.elapsed() > PATIENCE {
            return Err(Error::Events("events of a batch did not arrive".to_owned()));
        }
        if place.alone {
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
    Ok(())
}

fn refused() -> Error {
    Error::Events("an empty queue refused an event".to_owned())
}
