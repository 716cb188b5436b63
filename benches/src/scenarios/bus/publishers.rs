//! The publishing threads: as fast as events are accepted, at a fixed rate, or back to back.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TrySendError;
use std::thread;
use std::time::{Duration, Instant};

use super::route::{Route, Setting, Sink, Way};
use super::tally::{Pace, Progress, Tally};
use crate::error::Error;
use crate::load::{Latencies, Stamp};
use crate::machine;
use crate::scenario::Timing;

/// How many events of all threads may be in flight, if the receiver after the loop has a limit.
const WINDOW: u32 = 8192;
/// How many events are published between two looks at those in flight.
const BATCH: u32 = 64;
/// How many events are published back to back: far fewer than a queue holds, and enough to make the
/// clock reads around them negligible.
const BACK_TO_BACK: u32 = 1000;
/// Events that take longer than this to arrive are lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts what is measured.
pub(super) type Start<'a> = &'a dyn Fn(Tally) -> Result<Route, Error>;

/// What was measured.
pub(super) struct Outcome {
    pub(super) events_per_second: f64,
    /// From the intended time to the arrival, at a fixed rate.
    pub(super) latency: Latencies,
    /// Of each event: the CPU time of the loop, or of the channel's thread, in nanoseconds.
    pub(super) cpu: Option<f64>,
    /// The share of the time in which that thread used a CPU.
    pub(super) cpu_share: Option<f64>,
    /// Of each event: calls of `write` in the publishing threads, which are wakes.
    pub(super) wakes: Option<f64>,
}

/// Publishes at a pace, or else as fast as events are accepted.
pub(super) fn publish(
    setting: Setting,
    start: Start<'_>,
    timing: Timing,
    pace: Option<Pace>,
) -> Result<Outcome, Error> {
    let tally = Tally::new(setting.threads, pace);
    let progress = tally.progress();
    let Route { sinks, consumer, finish } = start(tally)?;
    let (begun, cpu_before) = (Instant::now(), consumer.time());
    let (over, mut events_per_second) = (AtomicBool::new(false), 0.0);
    let sent = thread::scope(|scope| {
        let threads = (0..).zip(sinks).map(|(sender, sink)| {
            let publishing =
                Publishing { setting, sink, progress: &progress, over: &over, pace: &pace };
            scope.spawn(move || publishing.publish(sender))
        });
        let threads: Vec<_> = threads.collect();
        thread::sleep(match &pace {
            Some(pace) => pace.measured_from.saturating_duration_since(Instant::now()),
            None => timing.warm_up,
        });
        let (from, before) = (Instant::now(), progress.total());
        thread::sleep(timing.duration);
        let (until, after) = (Instant::now(), progress.total());
        over.store(true, Ordering::Relaxed);
        events_per_second = (after - before) as f64 / (until - from).as_secs_f64();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or(Err(Error::Thread("publishing")))
        };
        threads.into_iter().map(join).collect::<Result<Vec<Sent>, Error>>()
    })?;
    let events = sent.iter().map(|sent| u64::from(sent.events)).sum();
    await_arrival(&progress, events)?;
    let time = begun.elapsed().as_nanos() as f64;
    let cpu = consumer.time().zip(cpu_before);
    let cpu = cpu.map(|(after, before)| after.saturating_sub(before).as_nanos() as f64);
    let wakes: Option<u64> = sent.iter().map(|sent| sent.writes).sum();
    drop(sent);
    let per_event = |value: f64| value / events.max(1) as f64;
    Ok(Outcome {
        events_per_second,
        latency: finish()?.finish()?,
        cpu: cpu.map(per_event),
        cpu_share: cpu.map(|cpu| cpu / time),
        wakes: wakes.map(|wakes| per_event(wakes as f64)),
    })
}

/// What a publishing thread needs.
struct Publishing<'a> {
    setting: Setting,
    sink: Sink,
    progress: &'a Progress,
    over: &'a AtomicBool,
    pace: &'a Option<Pace>,
}

/// What a publishing thread did.
struct Sent {
    events: u32,
    /// Calls of `write`. `None` if the system does not count them.
    writes: Option<u64>,
    /// Keeps a channel's thread from ending before its CPU time is read.
    _sink: Sink,
}

impl Publishing<'_> {
    /// Publishes until it is over.
    fn publish(self, sender: u32) -> Result<Sent, Error> {
        self.setting.enter()?;
        let window = match self.setting.way {
            Way::Handler => u32::MAX,
            _ => WINDOW / self.setting.threads as u32,
        };
        let before = machine::writes_of_thread();
        let mut stamp = Stamp { sender, sequence: 0 };
        while !self.over.load(Ordering::Relaxed) {
            let is_due = match self.pace {
                Some(pace) => pace.time(stamp) <= Instant::now(),
                None if stamp.sequence % BATCH != 0 => true,
                None => stamp.sequence.wrapping_sub(self.progress.of(sender)) <= window,
            };
            if !is_due {
                self.setting.pause();
            } else if offer(&self.sink, stamp)? {
                stamp = stamp.plus(1);
            } else {
                thread::yield_now();
            }
        }
        let writes = machine::writes_of_thread().zip(before).map(|(now, before)| now - before);
        Ok(Sent { events: stamp.sequence, writes, _sink: self.sink })
    }
}

/// Publishes back to back from one thread, each time after the former events have arrived. Returns
/// the mean time that publishing an event takes, in nanoseconds.
pub(super) fn back_to_back(
    setting: Setting,
    start: Start<'_>,
    timing: Timing,
) -> Result<f64, Error> {
    let tally = Tally::new(1, None);
    let progress = tally.progress();
    let Route { sinks, finish, .. } = start(tally)?;
    let mean = machine::run_on(setting.publisher_cpu(), || {
        let begun = Instant::now();
        let (mut stamp, mut time, mut events) =
            (Stamp { sender: 0, sequence: 0 }, Duration::ZERO, 0);
        while events == 0 || begun.elapsed() < timing.warm_up + timing.duration {
            let from = Instant::now();
            for _ in 0..BACK_TO_BACK {
                if !offer(&sinks[0], stamp)? {
                    return Err(Error::Events("an empty queue refused an event".to_owned()));
                }
                stamp = stamp.plus(1);
            }
            let until = Instant::now();
            while progress.of(0) != stamp.sequence {
                if until.elapsed() > PATIENCE {
                    return Err(Error::Events("events did not arrive".to_owned()));
                }
                setting.pause();
            }
            if begun.elapsed() > timing.warm_up {
                time += until - from;
                events += BACK_TO_BACK;
            }
        }
        // A channel ends when its senders are dropped.
        drop(sinks);
        Ok(time.as_nanos() as f64 / f64::from(events))
    })?;
    finish()?.finish()?;
    Ok(mean)
}

impl Setting {
    /// Makes the calling thread a publishing one.
    fn enter(self) -> Result<(), Error> {
        if self.way != Way::Handler {
            // It shares its CPU with the receiver, which it must not delay.
            machine::yield_to_others()?;
        }
        self.publisher_cpu().map_or(Ok(()), machine::pin)
    }

    /// Waits a moment: without sleeping if the thread has a CPU of its own.
    fn pause(self) {
        if self.cpus.is_some() && self.threads == 1 && self.way == Way::Handler {
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

/// Whether the event was accepted. If not, the queue is full.
fn offer(sink: &Sink, stamp: Stamp) -> Result<bool, Error> {
    match sink(stamp) {
        Ok(()) => Ok(true),
        Err(TrySendError::Full(_)) => Ok(false),
        Err(TrySendError::Disconnected(_)) => {
            Err(Error::Events("the consumer ended while events were published".to_owned()))
        }
    }
}

fn await_arrival(progress: &Progress, published: u64) -> Result<(), Error> {
    let start = Instant::now();
    while progress.total() != published {
        if start.elapsed() > PATIENCE {
            let arrived = progress.total();
            return Err(Error::Events(format!(
                "{arrived} of {published} published events arrived"
            )));
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
