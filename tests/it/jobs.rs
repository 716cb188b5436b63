//! Jobs on worker threads: their results as events, their limits, their panics and their end.

use std::panic::panic_any;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    Config, Context, Error, EventLoop, Idle, JobPanicked, OnPanic, OverflowPolicy, PublishError,
    RunEnd, Workers,
};

use crate::util::{PATIENCE, drive_until};

const LONG: Duration = Duration::from_secs(3600);

/// What handlers noted, in order.
type Log = Vec<u64>;

/// The result of a job.
#[derive(Clone, Debug, PartialEq)]
struct Done(u64);

/// A loop that notes results.
fn event_loop(config: Config) -> EventLoop<Log> {
    let mut event_loop = EventLoop::new(config.on_panic(OnPanic::Propagate)).expect("a loop");
    event_loop.on(|_, done: &Done, log: &mut Log| log.push(done.0));
    event_loop
}

/// Turns until as much is noted.
fn until_noted(event_loop: &mut EventLoop<Log>, log: &mut Log, count: usize) {
    drive_until(event_loop, log, |_, log| log.len() >= count);
    assert_eq!(log.len(), count);
}

/// A gate that holds a worker up.
struct Gate {
    opens: Sender<()>,
    entered: Receiver<()>,
}

/// A gate, and what passes it: it says that it stands there, and waits until it may go on. A gate
/// that is dropped lets everybody through.
fn gate() -> (Gate, impl FnMut() + Send) {
    let ((opens, may_pass), (enters, entered)) = (mpsc::channel(), mpsc::channel());
    let pass = move || {
        let _ = enters.send(());
        let _ = may_pass.recv();
    };
    (Gate { opens, entered }, pass)
}

impl Gate {
    /// Waits until a worker stands there.
    fn wait(&self) {
        self.entered.recv_timeout(PATIENCE).expect("a worker");
    }

    fn open(&self) {
        self.opens.send(()).expect("a worker");
    }
}

/// A worker that is held up at a gate before each job.
fn gated(event_loop: &mut EventLoop<Log>, capacity: usize) -> (Workers<u64>, Gate) {
    let (gate, mut pass) = gate();
    let work = move |job| {
        pass();
        Done(job)
    };
    (event_loop.workers_each(capacity, [work]).expect("a worker"), gate)
}

#[test]
fn results_of_one_worker_arrive_in_the_order_of_the_jobs() {
    let mut event_loop = event_loop(Config::default());
    let workers = event_loop.workers(1, 64, Done).expect("a worker");
    let (mut log, mut next) = (Log::new(), 0);
    while log.len() < 10_000 {
        while next < 10_000 && workers.submit(next).is_ok() {
            next += 1;
        }
        event_loop.turn(Some(Duration::from_millis(5)), &mut log).expect("a turn");
    }
    assert!(log.iter().copied().eq(0..10_000));
    let stats = event_loop.stats();
    assert_eq!((stats.jobs_done, stats.jobs_queued, stats.jobs_running), (10_000, 0, 0));
    assert_eq!(workers.in_hand(), 0);
}

#[test]
fn a_job_that_finds_no_room_is_given_back() {
    let mut event_loop = event_loop(Config::default());
    let (workers, gate) = gated(&mut event_loop, 2);
    assert_eq!(workers.submit(1), Ok(()));
    gate.wait();
    // One is running, one waits.
    assert_eq!(workers.submit(2), Ok(()));
    assert_eq!(workers.submit(3), Err(PublishError::Full(3)));
    let stats = event_loop.stats();
    assert_eq!((stats.jobs_queued, stats.jobs_running, stats.jobs_refused), (1, 1, 1));
    let mut log = Log::new();
    gate.open();
    until_noted(&mut event_loop, &mut log, 1);
    assert_eq!(workers.submit(4), Ok(()));
    drop(gate);
    until_noted(&mut event_loop, &mut log, 3);
    assert_eq!(log, [1, 2, 4]);
}

#[test]
fn a_panic_costs_its_job_and_is_reported() {
    let mut event_loop = event_loop(Config::default());
    event_loop.on(|_, panicked: &JobPanicked, log: &mut Log| {
        assert_eq!((panicked.job_type, panicked.jobs), ("u64", 1));
        let known = ["seven is unlucky", "a panic without a message"];
        log.push(
            100 + known.iter().position(|one| *one == panicked.message).expect("known") as u64,
        );
    });
    let work = |job| match job {
        7 => panic!("seven is unlucky"),
        8 => panic_any(8),
        job => Done(job),
    };
    let workers = event_loop.workers(1, 64, work).expect("a worker");
    for job in 6..=9 {
        assert_eq!(workers.submit(job), Ok(()));
    }
    let mut log = Log::new();
    until_noted(&mut event_loop, &mut log, 4);
    // Events of two types have no order between them.
    log.sort_unstable();
    assert_eq!(log, [6, 9, 100, 101]);
    let stats = event_loop.stats();
    assert_eq!((stats.jobs_done, stats.jobs_panicked, stats.panics), (2, 2, 0));
    assert!(stats.to_prometheus().contains("\neventwire_jobs_panicked_total 2\n"));
}

#[test]
fn a_batch_is_all_that_waits_up_to_its_limit() {
    let mut event_loop = event_loop(Config::default());
    let (gate, mut pass) = gate();
    let work = move |batch: Vec<u64>| {
        pass();
        vec![Done(batch.len() as u64), Done(*batch.last().expect("no batch is empty"))]
    };
    let workers = event_loop.batch_workers_each(4_096, [work]).expect("a worker");
    assert_eq!(workers.submit(0), Ok(()));
    gate.wait();
    for job in 1..=1_100 {
        assert_eq!(workers.submit(job), Ok(()));
    }
    drop(gate);
    let mut log = Log::new();
    until_noted(&mut event_loop, &mut log, 6);
    assert_eq!(log, [1, 0, 1_024, 1_024, 76, 1_100]);
    assert_eq!(event_loop.stats().jobs_done, 1_101);
}

#[test]
fn a_batch_that_panics_or_has_another_number_of_results_costs_nothing_else() {
    let mut event_loop = event_loop(Config::default());
    event_loop.on(|_, panicked: &JobPanicked, log: &mut Log| log.push(panicked.jobs as u64));
    let (gate, mut pass) = gate();
    let mut calls = 0;
    let work = move |batch: Vec<u64>| {
        pass();
        calls += 1;
        match calls {
            1 => Vec::new(),
            2 => panic!("of {} jobs", batch.len()),
            _ => [10, 11, 12].map(Done).to_vec(),
        }
    };
    let workers = event_loop.batch_workers_each(16, [work]).expect("a worker");
    let mut log = Log::new();
    assert_eq!(workers.submit(0), Ok(()));
    gate.wait();
    for job in 1..=3 {
        assert_eq!(workers.submit(job), Ok(()));
    }
    gate.open();
    gate.wait();
    assert_eq!(workers.submit(4), Ok(()));
    drop(gate);
    until_noted(&mut event_loop, &mut log, 4);
    log.sort_unstable();
    assert_eq!(log, [3, 10, 11, 12]);
    let stats = event_loop.stats();
    assert_eq!((stats.jobs_done, stats.jobs_panicked, workers.in_hand()), (2, 3, 0));
}

#[test]
fn results_beyond_the_room_of_the_event_queue_follow_in_order() {
    let mut event_loop = event_loop(Config::default().inbox(3));
    let many = |batch: Vec<u64>| (0..5_000).map(|number| Done(batch[0] + number)).collect();
    let workers = event_loop.batch_workers(1, 4, many).expect("a worker");
    assert_eq!(workers.submit(7), Ok(()));
    let mut log = Log::new();
    until_noted(&mut event_loop, &mut log, 5_000);
    assert!(log.into_iter().eq(7..5_007));
    assert_eq!(event_loop.stats().events_refused, 0);
}

#[test]
fn two_workers_work_at_once() {
    let mut event_loop = event_loop(Config::default());
    let both = Arc::new(Barrier::new(2));
    let work = move |job| {
        both.wait();
        Done(job)
    };
    let workers = event_loop.workers(2, 8, work).expect("workers");
    for job in 0..8 {
        assert_eq!(workers.submit(job), Ok(()));
    }
    let mut log = Log::new();
    until_noted(&mut event_loop, &mut log, 8);
    log.sort_unstable();
    assert_eq!(log, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_result_wakes_a_sleeping_loop_in_every_idle_mode() {
    for idle in [Idle::Block, Idle::default(), Idle::Busy] {
        let mut event_loop = event_loop(Config::default().idle(idle));
        let workers = event_loop.workers(1, 1, Done).expect("a worker");
        let again = workers.clone();
        event_loop.on(move |cx, done: &Done, _| match done.0 {
            200 => cx.stop(),
            number => assert_eq!(again.submit(number + 1), Ok(())),
        });
        assert_eq!(workers.submit(1), Ok(()));
        let mut log = Log::new();
        let summary = event_loop.run(&mut log).expect("run");
        assert_eq!((log.len(), summary.unfinished_jobs), (200, 0));
    }
}

#[test]
fn threads_submit_and_get_their_jobs_back_when_the_loop_has_ended() {
    let mut event_loop = event_loop(Config::default());
    let workers = event_loop.workers(2, 16, Done).expect("workers");
    let (threads, handle) = (3, event_loop.handle());
    let submitting: Vec<_> = (0..threads)
        .map(|_| {
            let (workers, handle) = (workers.clone(), handle.clone());
            thread::spawn(move || {
                let mut accepted = 0;
                loop {
                    match workers.submit(1) {
                        Ok(()) => accepted += 1,
                        Err(PublishError::Full(_)) => thread::yield_now(),
                        Err(PublishError::Closed(job) | PublishError::NoHandler(job)) => {
                            assert_eq!(job, 1);
                            return accepted;
                        }
                    }
                    if accepted == 1_000 {
                        handle.stop();
                    }
                }
            })
        })
        .collect();
    let mut log = Log::new();
    let summary = event_loop.run(&mut log).expect("run");
    let accepted: usize =
        submitting.into_iter().map(|thread| thread.join().expect("a thread")).sum();
    assert_eq!(summary.end, RunEnd::Stopped);
    let left = summary.unfinished_jobs + summary.unhandled_events;
    assert_eq!(log.len() + left, accepted, "{summary:?}");
    let refused = event_loop.workers(1, 1, Done).err();
    assert!(matches!(refused, Some(Error::ShuttingDown)), "{refused:?}");
    assert_eq!(event_loop.stats().jobs_queued, 0);
}

#[test]
fn a_shutdown_waits_for_jobs_in_hand_and_for_those_that_follow_from_them() {
    let mut event_loop = event_loop(Config::default());
    let (workers, gate) = gated(&mut event_loop, 16);
    let further = workers.clone();
    event_loop.on(move |_, done: &Done, _| {
        if done.0 < 10 {
            assert_eq!(further.submit(done.0 + 10), Ok(()));
        }
    });
    for job in 0..3 {
        assert_eq!(workers.submit(job), Ok(()));
    }
    gate.wait();
    event_loop.handle().shutdown(LONG);
    let mut log = Log::new();
    for _ in 0..3 {
        event_loop.turn(Some(Duration::ZERO), &mut log).expect("a turn");
        assert!(!event_loop.is_stopping());
    }
    drop(gate);
    let summary = event_loop.run(&mut log).expect("run");
    assert_eq!((summary.end, summary.unfinished_jobs), (RunEnd::ShutDown, 0));
    assert_eq!(log, [0, 1, 2, 10, 11, 12]);
    assert_eq!(workers.submit(7), Err(PublishError::Closed(7)));
}

#[test]
fn jobs_of_events_that_wait_at_the_shutdown_are_done() {
    let mut event_loop = event_loop(Config::default());
    let workers = event_loop.workers(1, 10_000, Done).expect("a worker");
    event_loop.on(move |_, job: &u64, _| assert_eq!(workers.submit(*job), Ok(())));
    let jobs = event_loop.publisher();
    for job in 0..5_000_u64 {
        assert_eq!(jobs.publish(job), Ok(()));
    }
    event_loop.handle().shutdown(LONG);
    let mut log = Log::new();
    let summary = event_loop.run(&mut log).expect("run");
    assert_eq!((summary.unfinished_jobs, summary.unhandled_events), (0, 0));
    assert!(log.into_iter().eq(0..5_000));
}

#[test]
fn a_worker_that_never_returns_delays_neither_the_end_nor_the_drop() {
    for stops in [false, true] {
        let mut event_loop = event_loop(Config::default());
        let (workers, gate) = gated(&mut event_loop, 16);
        for job in 0..4 {
            assert_eq!(workers.submit(job), Ok(()));
        }
        gate.wait();
        let handle = event_loop.handle();
        if stops {
            handle.stop();
        } else {
            handle.shutdown(Duration::from_millis(20));
        }
        let mut log = Log::new();
        let summary = event_loop.run(&mut log).expect("run");
        let end = if stops { RunEnd::Stopped } else { RunEnd::ShutDown };
        assert_eq!((summary.end, summary.unfinished_jobs, log.len()), (end, 4, 0));
        drop(event_loop);
        // The three that had not begun never do.
        gate.open();
        assert!(gate.entered.recv_timeout(PATIENCE).is_err());
    }
}

#[test]
fn workers_end_after_the_last_job_when_nobody_can_submit_any_more() {
    let mut event_loop = event_loop(Config::default());
    let (alive, ended) = mpsc::channel::<()>();
    let work = move |job| {
        assert!(alive.send(()).is_ok());
        Done(job)
    };
    let workers = event_loop.workers(3, 16, work).expect("workers");
    let other = workers.clone();
    for job in 0..10 {
        assert_eq!(workers.submit(job), Ok(()));
    }
    drop((workers, other));
    for _ in 0..10 {
        assert_eq!(ended.recv_timeout(PATIENCE), Ok(()));
    }
    let gone = ended.recv_timeout(PATIENCE);
    assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected));
    let mut log = Log::new();
    until_noted(&mut event_loop, &mut log, 10);
    assert_eq!(event_loop.stats().jobs_done, 10);
}

#[test]
fn a_dropped_loop_ends_its_workers() {
    let mut event_loop = event_loop(Config::default());
    let (alive, ended) = mpsc::channel::<()>();
    let work = move |job| {
        let _ = alive.send(());
        Done(job)
    };
    let workers = event_loop.workers(3, 16, work).expect("workers");
    drop(event_loop);
    assert_eq!(workers.submit(1), Err(PublishError::Closed(1)));
    let gone = ended.recv_timeout(PATIENCE);
    assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn results_reach_subscribers_and_may_have_no_handler() {
    let mut event_loop = EventLoop::<Log>::new(Config::default()).expect("a loop");
    let workers = event_loop.workers(1, 16, Done).expect("a worker");
    assert_eq!(workers.submit(1), Ok(()));
    drive_until(&mut event_loop, &mut Log::new(), |event_loop, _| event_loop.stats().events == 1);
    let mut results = event_loop.subscriber::<Done>(16, OverflowPolicy::Close);
    assert_eq!(workers.submit(2), Ok(()));
    event_loop.handle().shutdown(LONG);
    event_loop.run(&mut Log::new()).expect("run");
    assert_eq!(results.recv(), Ok(Done(2)));
}

#[test]
fn a_shutdown_waits_for_holds_and_handles_what_their_threads_publish() {
    let mut event_loop = event_loop(Config::default());
    let (done, handle) = (event_loop.publisher(), event_loop.handle());
    let (gate, mut pass) = gate();
    let (hold, other) = (event_loop.hold(), handle.hold().clone());
    let mut log = Log::new();
    handle.shutdown(LONG);
    for _ in 0..3 {
        event_loop.turn(Some(Duration::ZERO), &mut log).expect("a turn");
    }
    assert!(!event_loop.is_stopping());
    assert_eq!(event_loop.stats().holds, 2);
    drop(other);
    let working = thread::spawn(move || {
        pass();
        assert_eq!(done.publish(Done(7)), Ok(()));
        drop(hold);
    });
    gate.wait();
    drop(gate);
    let summary = event_loop.run(&mut log).expect("run");
    working.join().expect("a thread");
    assert_eq!((summary.end, summary.unreleased_holds), (RunEnd::ShutDown, 0));
    assert_eq!(log, [7]);
}

#[test]
fn a_handler_holds_the_loop_for_work_on_a_thread() {
    let mut event_loop = event_loop(Config::default());
    let done = event_loop.publisher();
    event_loop.on(move |cx, work: &u64, _| {
        let (hold, done, work) = (cx.hold(), done.clone(), *work);
        thread::spawn(move || {
            assert_eq!(done.publish(Done(work + 1)), Ok(()));
            drop(hold);
        });
        cx.shutdown(LONG);
    });
    assert_eq!(event_loop.publisher().publish(7_u64), Ok(()));
    let mut log = Log::new();
    let summary = event_loop.run(&mut log).expect("run");
    assert_eq!((log, summary.unreleased_holds), (vec![8], 0));
}

#[test]
fn the_drop_of_the_last_hold_wakes_a_sleeping_loop() {
    for idle in [Idle::Block, Idle::default()] {
        let mut event_loop = event_loop(Config::default().idle(idle));
        let (hold, handle) = (event_loop.hold(), event_loop.handle());
        let dropping = thread::spawn(move || {
            let before = handle.stats().turns;
            handle.shutdown(LONG);
            // The loop has noticed, and sleeps or is about to.
            while handle.stats().turns == before {
                thread::yield_now();
            }
            drop(hold);
        });
        let summary = event_loop.run(&mut Log::new()).expect("run");
        dropping.join().expect("a thread");
        assert_eq!((summary.end, summary.unreleased_holds), (RunEnd::ShutDown, 0));
    }
}

#[test]
fn a_hold_that_is_never_dropped_ends_with_the_deadline() {
    let mut event_loop = event_loop(Config::default());
    let hold = event_loop.hold();
    event_loop.handle().shutdown(Duration::from_millis(20));
    let summary = event_loop.run(&mut Log::new()).expect("run");
    assert_eq!((summary.end, summary.unreleased_holds), (RunEnd::ShutDown, 1));
    drop(event_loop);
    drop(hold);
}

#[test]
fn a_publisher_waits_for_room() {
    let mut event_loop = event_loop(Config::default().inbox(2));
    let (done, handle) = (event_loop.publisher(), event_loop.handle());
    let publishers = [done.clone(), done].map(|done| {
        thread::spawn(move || {
            let published =
                (0..5_000).all(|number| done.publish_timeout(Done(number), LONG).is_ok());
            assert!(published);
        })
    });
    let waiting = thread::spawn(move || {
        for publisher in publishers {
            publisher.join().expect("a thread");
        }
        handle.shutdown(LONG);
    });
    let mut log = Log::new();
    event_loop.run(&mut log).expect("run");
    waiting.join().expect("a thread");
    assert_eq!((log.len(), log.iter().sum()), (10_000, 5_000 * 4_999_u64));
}

#[test]
fn a_publisher_gets_its_event_back_when_the_time_is_up() {
    let mut event_loop = event_loop(Config::default().inbox(1));
    let done = event_loop.publisher();
    assert_eq!(done.publish_timeout(Done(1), Duration::ZERO), Ok(()));
    let (start, timeout) = (Instant::now(), Duration::from_millis(5));
    assert_eq!(done.publish_timeout(Done(2), timeout), Err(PublishError::Full(Done(2))));
    assert!(start.elapsed() >= timeout);
    assert_eq!(event_loop.stats().events_refused, 1);
    let mut log = Log::new();
    event_loop.turn(Some(Duration::ZERO), &mut log).expect("a turn");
    assert_eq!(done.publish_timeout(Done(3), LONG), Ok(()));
    until_noted(&mut event_loop, &mut log, 2);
    assert_eq!(log, [1, 3]);
}

#[test]
fn a_publisher_that_waits_learns_that_the_loop_has_ended() {
    for drops in [false, true] {
        let mut event_loop = EventLoop::<Log>::new(Config::default().inbox(1)).expect("a loop");
        let done = event_loop.publisher();
        assert_eq!(done.publish(Done(1)), Ok(()));
        let (begins, begun) = mpsc::channel();
        let waiting = thread::spawn(move || {
            begins.send(()).expect("somebody waits");
            done.publish_timeout(Done(2), LONG)
        });
        begun.recv_timeout(PATIENCE).expect("a thread");
        if drops {
            drop(event_loop);
        } else {
            event_loop.handle().stop();
            event_loop.run(&mut Log::new()).expect("run");
        }
        let outcome = waiting.join().expect("a thread");
        assert_eq!(outcome, Err(PublishError::Closed(Done(2))));
    }
}

/// Runs chains of jobs in a simulation, and shuts down in the midst of them. Returns the log and
/// the hash of the history.
fn simulated(seed: u64) -> (Log, u64) {
    let reactor = SimReactor::new(seed, SimConfig::default());
    let config = Config::default().idle(Idle::Block).on_panic(OnPanic::Propagate);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let double = |job: u64| {
        assert!(job != 64, "a job panics");
        Done(job * 2)
    };
    let workers = event_loop.workers(3, 4, double).expect("workers");
    let further = workers.clone();
    event_loop.on(move |cx: &mut Context<'_>, done: &Done, log: &mut Log| {
        log.push(done.0);
        if done.0 < 1_000 {
            assert_eq!(further.submit(done.0), Ok(()));
        }
        if log.len() == 7 {
            cx.shutdown(LONG);
        }
    });
    event_loop.on(|_, panicked: &JobPanicked, log: &mut Log| log.push(panicked.jobs as u64));
    for job in [1, 3, 5, 7] {
        assert_eq!(workers.submit(job), Ok(()));
    }
    assert_eq!(workers.submit(9), Err(PublishError::Full(9)));
    let mut log = Log::new();
    let summary = event_loop.run(&mut log).expect("run");
    assert_eq!((summary.end, summary.unfinished_jobs), (RunEnd::ShutDown, 0), "seed {seed}");
    (log, event_loop.reactor_mut().trace_hash())
}

#[test]
fn a_simulation_works_jobs_off_as_its_seed_says() {
    let mut histories: Vec<_> = (0..100)
        .map(|seed| {
            let (mut log, hash) = simulated(seed);
            assert_eq!(simulated(seed), (log.clone(), hash), "seed {seed}");
            log.sort_unstable();
            let chain = |from: u64, to| (1..=to).map(move |power| from << power);
            let mut expected: Log = [(1, 6), (3, 9), (5, 8), (7, 8)]
                .into_iter()
                .flat_map(|(from, to)| chain(from, to))
                .chain([1])
                .collect();
            expected.sort_unstable();
            assert_eq!(log, expected, "seed {seed}");
            hash
        })
        .collect();
    histories.sort_unstable();
    histories.dedup();
    assert_eq!(histories.len(), 100, "seeds make no difference");
}
