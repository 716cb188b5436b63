//! The application's timers, in virtual time: exact, and without waiting.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use eventwire::reactor::Reactor;
use eventwire::reactor::sim::{SimConfig, SimReactor};
use eventwire::{Config, Context, EventLoop, Idle, PublishError, TimerId};

use crate::shared::Random;
use crate::util::{PATIENCE, Server};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, PartialEq)]
struct Tick(u32);

#[derive(Debug, PartialEq)]
struct Tock(u32);

/// What handlers noted, and what they work with.
#[derive(Default)]
struct App {
    /// The numbers of the events, and the beginnings of the turns in which they arrived.
    ticks: Vec<(u32, Instant)>,
    timers: Vec<TimerId>,
}

impl App {
    fn numbers(&self) -> Vec<u32> {
        self.ticks.iter().map(|(number, _)| *number).collect()
    }
}

/// A loop in a world without faults, in which time passes only while it sleeps.
struct Clockwork {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
}

impl Clockwork {
    /// Notes every tick and tock.
    fn new(config: Config) -> Self {
        let mut clockwork = Self::bare(config);
        clockwork.on(|_, _, _| ());
        clockwork.event_loop.on(|cx: &mut Context<'_>, tock: &Tock, app: &mut App| {
            app.ticks.push((tock.0, cx.now()));
        });
        clockwork
    }

    /// Without handlers.
    fn bare(config: Config) -> Self {
        let reactor = SimReactor::new(1, SimConfig::calm());
        // Looking around takes virtual time, too.
        let config = config.idle(Idle::Block);
        let event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        Self { event_loop, app: App::default() }
    }

    /// Notes every tick, and acts on it.
    fn on(&mut self, mut act: impl FnMut(u32, &mut Context<'_>, &mut App) + 'static) {
        self.event_loop.on(move |cx: &mut Context<'_>, tick: &Tick, app: &mut App| {
            app.ticks.push((tick.0, cx.now()));
            act(tick.0, cx, app);
        });
    }

    fn set(&mut self, after: Duration, number: u32) -> TimerId {
        self.event_loop.set_timer(after, Tick(number)).expect("a timer")
    }

    fn now(&mut self) -> Instant {
        self.event_loop.reactor_mut().instant()
    }

    /// One turn that does not wait.
    fn turn(&mut self) {
        self.event_loop.turn(Some(Duration::ZERO), &mut self.app).expect("a turn");
    }

    /// Lets time pass without the loop: the clock steps.
    fn step(&mut self, time: Duration) {
        let reactor = self.event_loop.reactor_mut();
        reactor.poll(Some(time), &mut Vec::new()).expect("poll");
    }

    /// Turns for so long, sleeping between what there is to do; how many turns it took.
    fn pass(&mut self, time: Duration) -> usize {
        let end = self.now() + time;
        for turns in 0.. {
            let now = self.now();
            if now >= end {
                return turns;
            }
            assert!(turns < 10_000, "it does not sleep");
            self.event_loop.turn(Some(end - now), &mut self.app).expect("a turn");
        }
        0
    }
}

#[test]
fn timers_expire_in_order_and_on_time() {
    let mut clockwork = Clockwork::new(Config::default());
    let after = [7, 1, 300, 7, 0, 60_000, 2, 7];
    let set_at = clockwork.now();
    for (number, millis) in (0..).zip(after) {
        clockwork.set(millis * MS, number);
    }
    let turns = clockwork.pass(HOUR);
    assert_eq!(clockwork.app.numbers(), [4, 1, 6, 0, 3, 7, 2, 5]);
    for (number, at) in &clockwork.app.ticks {
        let due = set_at + after[*number as usize] * MS;
        assert!(*at >= due && *at < due + MS, "{number}: {:?}", *at - due);
    }
    // One for each of the times, and a few for the end of what is waited for.
    assert!(turns < 12, "{turns}");
}

#[test]
fn a_clock_jump_expires_all_due_timers_in_order() {
    let mut clockwork = Clockwork::new(Config::default());
    for number in 0..100 {
        clockwork.set((100 - number) * MS, number);
    }
    clockwork.set(2 * HOUR, 1000);
    clockwork.step(HOUR);
    assert_eq!(clockwork.app.numbers(), [0; 0]);
    clockwork.turn();
    assert_eq!(clockwork.app.numbers(), (0..100).rev().collect::<Vec<_>>());
    clockwork.pass(HOUR);
    assert_eq!(clockwork.app.ticks.len(), 101);
}

#[test]
fn many_due_timers_are_spread_over_turns() {
    let mut clockwork = Clockwork::new(Config::default());
    for number in 0..1000 {
        clockwork.set(MS, number);
    }
    clockwork.step(2 * MS);
    let from = clockwork.now();
    let mut arrived = Vec::new();
    for _ in 0..4 {
        clockwork.event_loop.turn(None, &mut clockwork.app).expect("a turn");
        arrived.push(clockwork.app.ticks.len());
    }
    assert_eq!(arrived, [256, 512, 768, 1000]);
    assert_eq!(clockwork.app.numbers(), (0..1000).collect::<Vec<_>>());
    assert!(clockwork.now() < from + MS);
}

#[test]
fn a_timer_counts_from_the_present_outside_of_turns_and_from_the_turn_inside() {
    let mut clockwork = Clockwork::bare(Config::default());
    clockwork.on(|number, cx, _| {
        if number < 3 {
            assert!(cx.set_timer(10 * MS, Tick(number + 1)).is_ok());
        }
    });
    clockwork.turn();
    clockwork.step(HOUR);
    let set_at = clockwork.now();
    clockwork.set(10 * MS, 1);
    clockwork.pass(HOUR);
    assert_eq!(clockwork.app.numbers(), [1, 2, 3]);
    let mut earliest = set_at + 10 * MS;
    for (number, at) in &clockwork.app.ticks {
        assert!(*at >= earliest && *at < earliest + MS, "{number}");
        earliest = *at + 10 * MS;
    }
}

#[test]
fn a_timer_without_a_delay_comes_in_the_next_turn_and_does_not_hold_this_one() {
    let mut clockwork = Clockwork::bare(Config::default());
    clockwork.on(|number, cx, _| {
        assert!(cx.set_timer(Duration::ZERO, Tick(number + 1)).is_ok());
    });
    clockwork.set(Duration::ZERO, 0);
    for turns in 1..10 {
        clockwork.turn();
        assert_eq!(clockwork.app.ticks.len(), turns);
    }
}

#[test]
fn a_cancelled_timer_does_not_arrive_and_is_cancelled_once() {
    let mut clockwork = Clockwork::new(Config::default());
    let kept = clockwork.set(MS, 1);
    let cancelled = clockwork.set(MS, 2);
    assert!(clockwork.event_loop.cancel_timer(cancelled));
    assert!(!clockwork.event_loop.cancel_timer(cancelled));
    clockwork.pass(HOUR);
    assert_eq!(clockwork.app.numbers(), [1]);
    // What arrived cannot be cancelled, nor can its id reach a timer in its place.
    let successor = clockwork.set(MS, 3);
    for stale in [kept, cancelled] {
        assert_ne!(stale, successor);
        assert!(!clockwork.event_loop.cancel_timer(stale));
    }
    clockwork.pass(HOUR);
    assert_eq!(clockwork.app.numbers(), [1, 3]);
}

#[test]
fn a_handler_cancels_what_is_due_in_the_same_turn() {
    let mut clockwork = Clockwork::bare(Config::default());
    clockwork.on(|_, cx, app| {
        let outcomes: Vec<bool> = app.timers.iter().map(|timer| cx.cancel_timer(*timer)).collect();
        // Its own event has arrived; the next has not, though it is due; the last is far away.
        assert_eq!(outcomes, [false, true, true]);
    });
    for (number, after) in [(1, MS), (2, MS), (3, HOUR)] {
        let timer = clockwork.set(after, number);
        clockwork.app.timers.push(timer);
    }
    clockwork.step(2 * MS);
    clockwork.turn();
    clockwork.pass(2 * HOUR);
    assert_eq!(clockwork.app.numbers(), [1]);
}

#[test]
fn all_handlers_are_called_though_the_first_cancels_the_timer() {
    let mut clockwork = Clockwork::bare(Config::default());
    clockwork.on(|_, cx, app| assert!(cx.cancel_timer(app.timers[0])));
    clockwork.on(|_, _, _| ());
    let timer = clockwork.event_loop.set_interval(MS, Tick(1)).expect("a timer");
    clockwork.app.timers.push(timer);
    clockwork.pass(HOUR);
    assert_eq!(clockwork.app.numbers(), [1, 1]);
}

#[test]
fn an_interval_does_not_drift_and_skips_what_it_missed() {
    let mut clockwork = Clockwork::new(Config::default());
    let set_at = clockwork.now();
    let every = 10 * MS;
    let timer = clockwork.event_loop.set_interval(every, Tick(0)).expect("a timer");
    clockwork.pass(HOUR / 1000);
    let arrived = clockwork.app.ticks.len() as u32;
    assert!((359..=360).contains(&arrived), "{arrived}");
    for ((_, at), nth) in clockwork.app.ticks.iter().zip(1..) {
        let due = set_at + nth * every;
        assert!(*at >= due && *at < due + MS, "{nth}");
    }
    // A jump by an hour and seven milliseconds makes one event, and the next is in time again.
    clockwork.step(HOUR + 7 * MS);
    clockwork.app.ticks.clear();
    clockwork.turn();
    assert_eq!(clockwork.app.ticks.len(), 1);
    clockwork.pass(every);
    assert_eq!(clockwork.app.ticks.len(), 2);
    let since = clockwork.app.ticks[1].1 - set_at;
    assert!(since.as_nanos() % every.as_nanos() < MS.as_nanos(), "{since:?}");
    assert!(clockwork.event_loop.cancel_timer(timer));
    clockwork.pass(HOUR);
    assert_eq!(clockwork.app.ticks.len(), 2);
}

#[test]
fn a_period_of_zero_is_a_millisecond() {
    let mut clockwork = Clockwork::new(Config::default());
    assert!(clockwork.event_loop.set_interval(Duration::ZERO, Tick(0)).is_ok());
    clockwork.pass(100 * MS);
    let arrived = clockwork.app.ticks.len();
    assert!((90..=100).contains(&arrived), "{arrived}");
}

#[test]
fn a_timer_that_never_expires_can_be_cancelled() {
    let mut clockwork = Clockwork::new(Config::default().max_timers(2));
    let never = clockwork.set(Duration::MAX, 1);
    let interval = clockwork.event_loop.set_interval(Duration::MAX, Tick(2)).expect("a timer");
    let refused = clockwork.event_loop.set_timer(MS, Tick(3));
    assert_eq!(refused, Err(PublishError::Full(Tick(3))));
    clockwork.pass(24 * HOUR);
    assert_eq!(clockwork.app.numbers(), [0; 0]);
    for timer in [never, interval] {
        assert!(clockwork.event_loop.cancel_timer(timer));
        assert!(!clockwork.event_loop.cancel_timer(timer));
    }
    clockwork.set(MS, 4);
    clockwork.pass(2 * MS);
    assert_eq!(clockwork.app.numbers(), [4]);
}

#[test]
fn an_unknown_type_and_an_ended_loop_give_the_event_back() {
    let mut clockwork = Clockwork::bare(Config::default());
    let refused = clockwork.event_loop.set_timer(MS, Tick(1));
    assert_eq!(refused, Err(PublishError::NoHandler(Tick(1))));
    clockwork.on(|_, cx, _| {
        assert_eq!(cx.set_timer(MS, Tock(2)), Err(PublishError::NoHandler(Tock(2))));
        cx.stop();
    });
    let far = clockwork.set(HOUR, 2);
    clockwork.set(MS, 1);
    clockwork.event_loop.run(&mut clockwork.app).expect("run");
    assert_eq!(clockwork.app.numbers(), [1]);
    assert!(!clockwork.event_loop.cancel_timer(far));
    let refused = clockwork.event_loop.set_interval(MS, Tick(3));
    assert_eq!(refused, Err(PublishError::Closed(Tick(3))));
}

#[test]
fn a_full_queue_neither_loses_nor_delays_a_timer() {
    let mut clockwork = Clockwork::bare(Config::default().inbox(2));
    // Keeps the queue full for ever.
    clockwork.event_loop.on(|cx: &mut Context<'_>, tock: &Tock, app: &mut App| {
        if tock.0 > 0 {
            app.ticks.push((tock.0, cx.now()));
        }
        while cx.publish(Tock(0)).is_ok() {}
    });
    assert!(clockwork.event_loop.set_timer(Duration::ZERO, Tock(1)).is_ok());
    clockwork.turn();
    for number in 2..5 {
        assert!(clockwork.event_loop.set_timer(Duration::ZERO, Tock(number)).is_ok());
    }
    clockwork.turn();
    assert_eq!(clockwork.app.numbers(), [1, 2, 3, 4]);
}

#[test]
fn a_million_pending_timers_cost_no_turns() {
    const MANY: u32 = 1_000_000;
    let mut clockwork = Clockwork::new(Config::default());
    let mut random = Random::new(0);
    for number in 0..MANY {
        // All within the hour after the first.
        let after = HOUR + random.below(3_600_000) as u32 * MS;
        let timer = clockwork.set(after, number);
        clockwork.app.timers.push(timer);
    }
    // Connections' deadlines and the timers together need no turn in the first hour.
    assert_eq!(clockwork.pass(HOUR - MS), 1);
    for timer in std::mem::take(&mut clockwork.app.timers) {
        assert!(clockwork.event_loop.cancel_timer(timer));
    }
    let turns = clockwork.pass(2 * HOUR);
    assert!(turns <= 3, "{turns}");
    assert_eq!(clockwork.app.numbers(), [0; 0]);
}

#[test]
fn timers_expire_on_the_real_clock_in_every_idle_mode() {
    for idle in [Idle::Block, Idle::default(), Idle::Busy] {
        let (sender, receiver) = mpsc::channel();
        let setup = move |event_loop: &mut EventLoop<()>| {
            let start = Instant::now();
            event_loop.on(move |cx: &mut Context<'_>, tick: &Tick, _: &mut ()| {
                // The channel ends with the test.
                let _ = sender.send((tick.0, start.elapsed()));
                if tick.0 == 3 {
                    cx.stop();
                }
            });
            event_loop.set_interval(2 * MS, Tick(0)).expect("a timer");
            for (after, number) in [(5, 1), (10, 2), (30, 3)] {
                event_loop.set_timer(after * MS, Tick(number)).expect("a timer");
            }
        };
        let server = Server::start(Config::default().idle(idle), setup);
        let (mut order, mut periods) = (Vec::new(), 0);
        while order.len() < 3 {
            let (number, elapsed) = receiver.recv_timeout(PATIENCE).expect("a tick");
            if number == 0 {
                periods += 1;
                continue;
            }
            order.push(number);
            let due = [5, 10, 30][number as usize - 1] * MS;
            assert!(elapsed >= due, "{idle:?}: {number} after {elapsed:?}");
        }
        assert_eq!(order, [1, 2, 3], "{idle:?}");
        assert!(periods > 0, "{idle:?}");
        server.wait();
    }
}
