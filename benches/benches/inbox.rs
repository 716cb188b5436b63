//! How long the loop is held up by publishers that lose the processor: `cargo bench --bench inbox`.
//!
//! Eight publishers share one processor without a pause, so that they are preempted at any point of
//! a publish. On the other one the loop takes their events, or one thread pops a queue that they
//! share. What is printed is how long single takes took, less what others took from the taker's own
//! processor meanwhile, which is not of the queue's making. The last column is the part of all of
//! it that went into takes of more than 100 µs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use eventwire::{Config, Context, EventHandler, EventLoop, Idle};
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

const PUBLISHERS: usize = 8;

/// Few enough for the queues to be in the cache, and enough for a taker that is preempted itself.
const CAPACITY: usize = 8192;

/// Takes that are measured in each round.
const TAKES: u64 = 20_000_000;

const ROUNDS: usize = 3;

/// What a round may last, on a machine with other things to do.
const LIMIT: Duration = Duration::from_secs(10);

fn main() {
    println!("a take, in ns            p50     p99.9    p99.99       max     takes     held");
    for _ in 0..ROUNDS {
        report("a lane each", &lanes());
        report("one shared queue", &shared());
    }
}

fn report(name: &str, times: &Histogram<u64>) {
    let [p50, p99_9, p99_99] = [0.5, 0.999, 0.9999].map(|at| times.value_at_quantile(at));
    let (max, count) = (times.max(), times.len());
    print!("{name:18} {p50:9} {p99_9:9} {p99_99:9} {max:9} {count:9}");
    let total = |from: u64| -> f64 {
        let values = times.iter_recorded().filter(|value| value.value_iterated_to() >= from);
        values.map(|value| (value.value_iterated_to() * value.count_at_value()) as f64).sum()
    };
    println!(" {:7.1}%", 100.0 * total(100_000) / total(0));
}

fn histogram() -> Histogram<u64> {
    const SECOND: u64 = 1_000_000_000;
    Histogram::new_with_bounds(1, 10 * SECOND, 3).expect("bounds in order")
}

/// Keeps this thread on one processor, if there are several.
fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    // Unpinned it still measures something.
    let _ = sched_setaffinity(None, &set);
}

/// The processor time of this thread, in nanoseconds.
fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

/// Tells how long takes took.
struct Clock {
    /// When the processor time was read last.
    read: Instant,
    processor_time: u64,
}

impl Clock {
    fn start() -> Self {
        Self { read: Instant::now(), processor_time: processor_time() }
    }

    /// How long a take lasted, in nanoseconds of this thread's processor time.
    fn took(&mut self, from: Instant, to: Instant) -> u64 {
        /// No thread is away for less.
        const SHORT: Duration = Duration::from_micros(5);
        let took = nanos(to - from);
        if to - from < SHORT {
            return took;
        }
        let (read, last) = (self.read, self.processor_time);
        *self = Self { read: to, processor_time: processor_time() };
        // All other takes since the clock was read were short.
        let away = nanos(to - read).saturating_sub(self.processor_time - last);
        took.saturating_sub(away)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Notes the time from one event of a batch to the next.
struct Stopwatch {
    clock: Clock,
    last: Option<Instant>,
    end: Instant,
}

impl EventHandler<u64, Histogram<u64>> for Stopwatch {
    fn on_event(&mut self, _: &mut Context<'_>, _: &u64, times: &mut Histogram<u64>) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            times.saturating_record(self.clock.took(last, now));
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context<'_>, times: &mut Histogram<u64>) {
        self.last = None;
        if times.len() >= TAKES || Instant::now() > self.end {
            cx.stop();
        }
    }
}

/// From publishers to the handler, as an application sees it.
fn lanes() -> Histogram<u64> {
    pin(0);
    let config = Config::default().idle(Idle::Busy).inbox(CAPACITY / PUBLISHERS);
    let mut event_loop = EventLoop::new(config).expect("a loop");
    let (clock, end) = (Clock::start(), Instant::now() + LIMIT);
    event_loop.on_handler(Stopwatch { clock, last: None, end });
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|_| {
            let events = event_loop.publisher::<u64>();
            thread::spawn(move || {
                pin(1);
                let mut number = 0;
                while !matches!(events.publish(number), Err(eventwire::PublishError::Closed(_))) {
                    number += 1;
                }
            })
        })
        .collect();
    let mut times = histogram();
    event_loop.run(&mut times).expect("run");
    publishing.into_iter().for_each(|thread| thread.join().expect("no panic"));
    times
}

/// The same through one queue, of which a pop waits for whoever claimed the first place.
fn shared() -> Histogram<u64> {
    pin(0);
    let queue = Arc::new(ArrayQueue::new(CAPACITY));
    let done = Arc::new(AtomicBool::new(false));
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|_| {
            let (queue, done) = (Arc::clone(&queue), Arc::clone(&done));
            thread::spawn(move || {
                pin(1);
                let mut number = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    // Full or not, the next follows at once.
                    let _ = queue.push(number);
                    number += 1;
                }
            })
        })
        .collect();
    let (mut times, mut clock) = (histogram(), Clock::start());
    let end = Instant::now() + LIMIT;
    while times.len() < TAKES {
        let before = Instant::now();
        if queue.pop().is_some() {
            times.saturating_record(clock.took(before, Instant::now()));
        }
        if before > end {
            break;
        }
    }
    done.store(true, Ordering::Relaxed);
    publishing.into_iter().for_each(|thread| thread.join().expect("no panic"));
    times
}
