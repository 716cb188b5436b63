//! The publishing threads: as fast as events are accepted, or at a fixed rate.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use eventwire::{PublishError, Publisher};

use super::tally::{Pace, Progress, Tally, nanoseconds};
use crate::error::Error;
use crate::load::{Latencies, Stamp, no_latencies};
use crate::machine::{self, ThreadCpu};

/// Where a publishing thread sends its events, without waiting.
pub(crate) trait Sink: Send {
    fn offer(&self, event: Stamp) -> Offer;
}

/// The outcome of publishing an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Taken,
    /// The queue is full.
    Full,
    /// The consumer has ended.
    Closed,
}

impl Sink for Publisher<Stamp> {
    fn offer(&self, event: Stamp) -> Offer {
        match self.publish(event) {
            Ok(()) => Offer::Taken,
            Err(PublishError::Full(_)) => Offer::Full,
            Err(PublishError::Closed(_) | PublishError::NoHandler(_)) => Offer::Closed,
        }
    }
}

impl Sink for SyncSender<Stamp> {
    fn offer(&self, event: Stamp) -> Offer {
        match self.try_send(event) {
            Ok(()) => Offer::Taken,
            Err(TrySendError::Full(_)) => Offer::Full,
            Err(TrySendError::Disconnected(_)) => Offer::Closed,
        }
    }
}

/// Ends a consumer once everything has arrived, and returns its tally.
pub(crate) type Finish = Box<dyn FnOnce() -> Result<Tally, Error>>;

/// A running consumer with a sink for each publishing thread.
pub(crate) struct Route<K> {
    pub(crate) sinks: Vec<K>,
    pub(crate) finish: Finish,
    /// How many events of one publisher may be in flight, if otherwise only the consumer's memory
    /// would limit them.
    pub(crate) window: Option<u32>,
    /// The CPU time of the loop, or of the channel's thread.
    pub(crate) consumer: ThreadCpu,
}

/// Where and how the publishing threads wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) cpu: Option<usize>,
    /// The thread has a CPU of its own, so it may spin while it waits.
    pub(crate) alone: bool,
    /// The thread shares its CPU, and yields while it waits, so that it does not delay others.
    pub(crate) yields: bool,
}

/// The result of publishing as fast as events are accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    pub(crate) events_per_second: f64,
    pub(crate) sent: Sent,
}

/// The result of publishing at a fixed rate.
#[derive(Clone, Debug)]
pub(crate) struct Paced {
    /// From the intended time to the arrival.
    pub(crate) latency: Latencies,
    /// From the intended time to the moment before publishing.
    pub(crate) late: Latencies,
    pub(crate) sent: Sent,
    /// From the start of the publishing threads until everything had arrived.
    pub(crate) time: Duration,
    /// The CPU time of the loop, or of the channel's thread, in that time.
    pub(crate) consumer_cpu: Option<Duration>,
}

/// What the publishing threads did, including the warm-up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) events: u64,
    /// How often the queue was full.
    pub(crate) refusals: u64,
    /// Calls of `write`, which are wakes in these threads. `None` if the system does not count
    /// them.
    pub(crate) writes: Option<u64>,
}

/// How many events of all publishers may be in flight, if the receiver after the loop has a limit
/// that must not be exceeded.
pub(crate) const WINDOW: u32 = 8192;
/// How many events are published between two checks for the end.
const BATCH: u32 = 64;
/// The time for threads to start before the first event is due.
const HEAD_START: Duration = Duration::from_millis(20);
/// Events that take longer than this to arrive are lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes as fast as the route accepts events, and counts those that arrive in the measured
/// time.
pub(crate) fn flood<K: Sink>(
    route: Route<K>,
    place: Place,
    progress: &Progress,
    (warm_up, measured): (Duration, Duration),
) -> Result<Flood, Error> {
    let Route { sinks, finish, window, .. } = route;
    let over = AtomicBool::new(false);
    let (rate, sent) = thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(sinks)
            .map(|(sender, sink)| {
                let over = &over;
                scope.spawn(move || {
                    place.enter()?;
                    push(&sink, sender, window, progress, over)
                })
            })
            .collect();
        thread::sleep(warm_up);
        let (start, before) = (Instant::now(), progress.total());
        thread::sleep(measured);
        let (end, after) = (Instant::now(), progress.total());
        over.store(true, Ordering::Relaxed);
        let sent: Result<Vec<Sent>, Error> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err(Error::Thread("publishing"))))
            .collect();
        ((after - before) as f64 / end.duration_since(start).as_secs_f64(), sent)
    });
    let sent = settle(&sent?, progress)?;
    finish()?.finish()?;
    Ok(Flood { events_per_second: rate, sent })
}

/// Publishes at the rate that the tally of the route was made for.
pub(crate) fn paced<K: Sink>(
    route: Route<K>,
    place: Place,
    progress: &Progress,
    pace: &Pace,
) -> Result<Paced, Error> {
    let Route { sinks, finish, consumer, .. } = route;
    let (start, before) = (Instant::now(), consumer.time());
    let sent: Result<Vec<(Sent, Latencies)>, Error> = thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(sinks)
            .map(|(sender, sink)| {
                scope.spawn(move || {
                    place.enter()?;
                    keep_time(&sink, sender, place, pace)
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or(Err(Error::Thread("publishing")))
        };
        threads.into_iter().map(join).collect()
    });
    let (sent, lates): (Vec<Sent>, Vec<Latencies>) = sent?.into_iter().unzip();
    let sent = settle(&sent, progress)?;
    let (time, after) = (start.elapsed(), consumer.time());
    let consumer_cpu = after.zip(before).map(|(after, before)| after.saturating_sub(before));
    let mut late = no_latencies();
    for one in lates {
        late.add(one).expect("all histograms have the same bounds");
    }
    Ok(Paced { latency: finish()?.finish()?, late, sent, time, consumer_cpu })
}

/// When the first paced event is due.
pub(crate) fn soon() -> Instant {
    Instant::now() + HEAD_START
}

impl Place {
    pub(crate) fn enter(self) -> Result<(), Error> {
        if self.yields {
            machine::yield_to_others()?;
        }
        self.cpu.map_or(Ok(()), machine::pin)
    }
}

fn push<K: Sink>(
    sink: &K,
    sender: u32,
    window: Option<u32>,
    progress: &Progress,
    over: &AtomicBool,
) -> Result<Sent, Error> {
    let mut stamp = Stamp { sender, sequence: 0 };
    let mut refusals = 0;
    let before = machine::writes_of_thread();
    while !over.load(Ordering::Relaxed) {
        let on_their_way = || stamp.sequence.wrapping_sub(progress.of(sender as usize));
        if window.is_some_and(|window| on_their_way() > window) {
            thread::yield_now();
            continue;
        }
        for _ in 0..BATCH {
            match sink.offer(stamp) {
                Offer::Taken => stamp = stamp.plus(1),
                Offer::Full => {
                    refusals += 1;
                    thread::yield_now();
                    break;
                }
                Offer::Closed => return Err(closed()),
            }
        }
    }
    Ok(Sent { events: stamp.sequence.into(), refusals, writes: writes_since(before) })
}

fn keep_time<K: Sink>(
    sink: &K,
    sender: u32,
    place: Place,
    pace: &Pace,
) -> Result<(Sent, Latencies), Error> {
    let mut late = no_latencies();
    let mut refusals = 0;
    let before = machine::writes_of_thread();
    for sequence in 0..pace.events {
        let intended = pace.time(sender as usize, sequence);
        let mut now = Instant::now();
        while now < intended {
            if place.alone {
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
            now = Instant::now();
        }
        if pace.is_measured(intended) {
            late.saturating_record(nanoseconds(intended, now));
        }
        loop {
            match sink.offer(Stamp { sender, sequence }) {
                Offer::Taken => break,
                Offer::Full => {
                    refusals += 1;
                    thread::yield_now();
                }
                Offer::Closed => return Err(closed()),
            }
        }
    }
    let sent = Sent { events: pace.events.into(), refusals, writes: writes_since(before) };
    Ok((sent, late))
}

/// Waits until everything that was published has arrived.
fn settle(sent: &[Sent], progress: &Progress) -> Result<Sent, Error> {
    let mut all = Sent { writes: Some(0), ..Sent::default() };
    for one in sent {
        all.events += one.events;
        all.refusals += one.refusals;
        all.writes = all.writes.zip(one.writes).map(|(sum, more)| sum + more);
    }
    let start = Instant::now();
    while progress.total() != all.events {
        if start.elapsed() > PATIENCE {
            let (arrived, published) = (progress.total(), all.events);
            return Err(Error::Events(format!(
                "{arrived} of {published} published events arrived"
            )));
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(all)
}

fn writes_since(before: Option<u64>) -> Option<u64> {
    machine::writes_of_thread().zip(before).map(|(now, before)| now - before)
}

fn closed() -> Error {
    Error::Events("the consumer ended while events were published".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts every second event, and counts it.
    struct Fickle(std::sync::Mutex<(bool, Tally)>);

    impl Sink for &Fickle {
        fn offer(&self, event: Stamp) -> Offer {
            let (takes, tally) = &mut *self.0.lock().unwrap();
            *takes = !*takes;
            if !*takes {
                return Offer::Full;
            }
            tally.arrived(event);
            Offer::Taken
        }
    }

    #[test]
    fn refused_events_are_offered_again_at_a_fixed_rate() {
        let pace = Pace::new(soon(), 1, 1e5, Duration::ZERO, Duration::from_millis(1));
        let tally = Tally::new(1, Some(pace.clone()));
        let progress = tally.progress();
        let fickle = Fickle(std::sync::Mutex::new((false, tally)));
        let place = Place { cpu: None, alone: false, yields: false };
        let (sent, late) = keep_time(&&fickle, 0, place, &pace).unwrap();
        assert_eq!((sent.events, sent.refusals, late.len()), (100, 99, 100));
        assert_eq!(progress.total(), 100);
        let latency = fickle.0.into_inner().unwrap().1.finish().unwrap();
        assert_eq!(latency.len(), 100);
    }

    #[test]
    fn a_consumer_that_ends_is_an_error() {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        drop(receiver);
        let (tally, over) = (Tally::new(1, None), AtomicBool::new(false));
        assert!(push(&sender, 0, None, &tally.progress(), &over).is_err());
    }
}
