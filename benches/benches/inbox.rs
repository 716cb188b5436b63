//! How long the loop is held up by publishers that lose the processor: `cargo bench --bench inbox`.
//!
//! Eight publishers share one processor without a pause, so that they are preempted at any point of
//! a publish. On the other one the loop takes their events, or one thread pops a queue that they
//! share. The figures say how long single takes took, less what others took from the taker's own
//! processor meanwhile, which is not of the queue's making. The last column is the part of all of
//! it that went into takes of more than 100 µs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use eventwire::{Config, Context, EventHandler, EventLoop, Idle, PublishError};
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
    pin(0);
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

/// Measures takes, and when there are enough of them.
struct Takes {
    times: Histogram<u64>,
    end: Instant,
    /// When the processor time was read last.
    read: Instant,
    processor_time: u64,
}

impl Takes {
    fn start() -> Self {
        let read = Instant::now();
        let times = Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds in order");
        Self { times, end: read + LIMIT, read, processor_time: processor_time() }
    }

    /// Records a take, in nanoseconds of this thread's processor time.
    fn record(&mut self, from: Instant, to: Instant) {
        /// No thread is away for less.
        const SHORT: Duration = Duration::from_micros(5);
        let mut took = nanos(to - from);
        if to - from >= SHORT {
            // All other takes since the processor time was read were short.
            let (read, last) = (self.read, self.processor_time);
            (self.read, self.processor_time) = (to, processor_time());
            let away = nanos(to - read).saturating_sub(self.processor_time - last);
            took = took.saturating_sub(away);
        }
        self.times.saturating_record(took);
    }

    fn are_enough(&self, now: Instant) -> bool {
        self.times.len() >= TAKES || now > self.end
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Publishes numbers, until it is refused one.
fn publish_all(mut publish: impl FnMut(u64) -> bool) {
    pin(1);
    (0..).take_while(|&number| publish(number)).for_each(drop);
}

/// When the last event of a batch was handled.
struct Stopwatch(Option<Instant>);

impl EventHandler<u64, Takes> for Stopwatch {
    fn on_event(&mut self, _: &mut Context<'_>, _: &u64, takes: &mut Takes) {
        let now = Instant::now();
        if let Some(last) = self.0.replace(now) {
            takes.record(last, now);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context<'_>, takes: &mut Takes) {
        self.0 = None;
        if takes.are_enough(Instant::now()) {
            cx.stop();
        }
    }
}

/// From publishers to the handler, as an application sees it.
fn lanes() -> Histogram<u64> {
    let config = Config::default().idle(Idle::Busy).inbox(CAPACITY / PUBLISHERS);
    let mut event_loop = EventLoop::new(config).expect("a loop");
    event_loop.on_handler(Stopwatch(None));
    let mut takes = Takes::start();
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            let events = event_loop.publisher();
            scope.spawn(move || {
                publish_all(|number| {
                    !matches!(events.publish(number), Err(PublishError::Closed(_)))
                });
            });
        }
        event_loop.run(&mut takes).expect("run");
    });
    takes.times
}

/// The same through one queue, of which a pop waits for whoever claimed the first place.
fn shared() -> Histogram<u64> {
    let (queue, done) = (ArrayQueue::new(CAPACITY), AtomicBool::new(false));
    let mut takes = Takes::start();
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            scope.spawn(|| {
                publish_all(|number| {
                    // Full or not, the next follows at once.
                    let _ = queue.push(number);
                    !done.load(Ordering::Relaxed)
                });
            });
        }
        let mut before = Instant::now();
        while !takes.are_enough(before) {
            if queue.pop().is_some() {
                takes.record(before, Instant::now());
            }
            before = Instant::now();
        }
        done.store(true, Ordering::Relaxed);
    });
    takes.times
}
