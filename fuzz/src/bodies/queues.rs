//! Events, timers and subscribers against a model that is as simple as can be.
//!
//! Input: a choice of limits, then commands with their arguments. There are no connections, and
//! time passes only when a command says so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eventwire::reactor::sim::{Choices, SimConfig};
use eventwire::reactor::{Reactor, SimReactor};
use eventwire::{
    Config, Context, EventLoop, Idle, OnPanic, OverflowPolicy, PublishError, Publisher, RecvError,
    Subscriber, TimerId, TryRecvError,
};

use super::input::Input;

/// The sources of events: two publishers, as of threads, and a handler.
const SOURCES: usize = 3;
const HANDLER: usize = 2;

const MOST_SUBSCRIBERS: usize = 4;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let mut test = Test::new(choice);
    while !input.is_empty() {
        test.command(&mut input);
    }
    test.end(choice);
}

#[derive(Clone, Debug, PartialEq)]
struct Plain {
    source: usize,
    number: u32,
}

#[derive(Clone)]
struct Timed {
    due: Instant,
    number: u32,
}

#[derive(Clone)]
struct Beat;

struct Interval {
    timer: TimerId,
    every: Duration,
    /// No earlier than this.
    next: Instant,
}

#[derive(Default)]
struct App {
    /// What was handled, in this order.
    handled: Vec<Plain>,
    next: [u32; SOURCES],
    published: [u32; SOURCES],
    timers: BTreeMap<(Instant, u32), TimerId>,
    interval: Option<Interval>,
}

impl App {
    fn plain(&mut self, event: &Plain, cx: &mut Context<'_>) {
        assert_eq!(event.number, self.next[event.source], "out of order, lost, or twice");
        self.next[event.source] += 1;
        self.handled.push(event.clone());
        let own = Plain { source: HANDLER, number: self.published[HANDLER] };
        if event.source != HANDLER && event.number % 3 == 0 && cx.publish(own).is_ok() {
            self.published[HANDLER] += 1;
        }
    }

    fn timed(&mut self, event: &Timed, cx: &mut Context<'_>) {
        assert!(cx.now() >= event.due, "early");
        let (first, _) = self.timers.first_key_value().expect("a timer that is set");
        assert_eq!(first.0, event.due, "out of order");
        assert!(self.timers.remove(&(event.due, event.number)).is_some(), "twice, or cancelled");
    }

    fn beat(&mut self, cx: &mut Context<'_>) {
        let interval = self.interval.as_mut().expect("an interval that was not cancelled");
        assert!(cx.now() >= interval.next, "early");
        // Periods that were missed make one event: the next is a later multiple.
        while interval.next <= cx.now() {
            interval.next += interval.every;
        }
    }
}

/// A subscriber and what it has to see.
struct Receiver {
    subscriber: Subscriber<Plain>,
    policy: OverflowPolicy,
    /// The place in what was handled of what it may get next.
    at: usize,
    received: usize,
    /// How many were handled before it was made.
    before: usize,
    end: Option<RecvError>,
}

impl Receiver {
    /// Takes the next event, if there is one.
    fn receive(&mut self, handled: &[Plain]) -> bool {
        match self.subscriber.try_recv() {
            Ok(event) => {
                assert!(self.end.is_none(), "an event after the end");
                let rest = &handled[self.at..];
                let skipped = rest.iter().position(|handled| *handled == event);
                let skipped = skipped.expect("an event that was handled, in that order");
                let may_skip = !matches!(self.policy, OverflowPolicy::Close);
                assert!(skipped == 0 || may_skip, "a silent gap");
                self.at += skipped + 1;
                self.received += 1;
                let gone = (self.at - self.before - self.received) as u64;
                assert!(self.subscriber.missed() >= gone, "a silent gap");
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Ended(end)) => {
                assert!(self.end.is_none_or(|before| before == end));
                assert!(end == RecvError::Closed || self.policy == OverflowPolicy::Close);
                self.end = Some(end);
                false
            }
            Err(_) => unreachable!("no other errors"),
        }
    }

    /// The loop has ended: every event was received or counted as missed.
    fn finish(mut self, handled: &[Plain]) {
        while self.receive(handled) {}
        let end = self.end.expect("its end");
        if end == RecvError::Closed {
            let all = self.received as u64 + self.subscriber.missed();
            assert_eq!(all, (handled.len() - self.before) as u64);
        }
    }
}

struct Test {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    publishers: [Publisher<Plain>; 2],
    receivers: Vec<Receiver>,
    timers: u32,
    most_timers: usize,
}

impl Test {
    fn new(choice: u8) -> Self {
        let reactor = SimReactor::with_choices(Choices::from_bytes([]), SimConfig::calm());
        let most_timers = 1 + usize::from(choice >> 2 & 7);
        let config = Config::default()
            .idle(Idle::Block)
            .on_panic(OnPanic::Propagate)
            .receive_buffer(1_024)
            .inbox(1 << (choice & 3))
            .max_timers(most_timers);
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        event_loop.on(|cx: &mut Context<'_>, event: &Plain, app: &mut App| app.plain(event, cx));
        event_loop.on(|cx: &mut Context<'_>, event: &Timed, app: &mut App| app.timed(event, cx));
        event_loop.on(|cx: &mut Context<'_>, _: &Beat, app: &mut App| app.beat(cx));
        let publishers = [event_loop.publisher(), event_loop.publisher()];
        let (app, receivers) = (App::default(), Vec::new());
        Self { event_loop, app, publishers, receivers, timers: 0, most_timers }
    }

    fn command(&mut self, input: &mut Input<'_>) {
        let command = input.byte();
        let count = usize::from(command >> 4);
        match command & 15 {
            0..=2 => (0..=count).for_each(|_| self.publish(usize::from(command & 1))),
            3 | 4 => self.set_timer(input.byte()),
            5 => self.cancel_timer(count),
            6 => self.set_interval(input.byte()),
            7 => self.cancel_interval(),
            8 | 9 => self.pass(Duration::from_millis(input.byte().into())),
            10 => self.subscribe(count),
            11 if !self.receivers.is_empty() => {
                let receiver = count % self.receivers.len();
                drop(self.receivers.swap_remove(receiver));
            }
            12..=14 if !self.receivers.is_empty() => {
                let receiver = count % self.receivers.len();
                for _ in 0..command & 7 {
                    self.receivers[receiver].receive(&self.app.handled);
                }
            }
            _ => self.turn(),
        }
    }

    fn turn(&mut self) {
        self.event_loop.turn(Some(Duration::ZERO), &mut self.app).expect("a poll");
    }

    fn publish(&mut self, source: usize) {
        let event = Plain { source, number: self.app.published[source] };
        match self.publishers[source].publish(event) {
            Ok(()) => self.app.published[source] += 1,
            Err(PublishError::Full(event)) => {
                assert_eq!(event.number, self.app.published[source], "another event comes back");
                assert_ne!(self.app.next[source], event.number, "an empty inbox is full");
            }
            Err(PublishError::Closed(_) | PublishError::NoHandler(_)) => {
                panic!("the loop is there")
            }
        }
    }

    fn is_full(&self) -> bool {
        self.app.timers.len() + usize::from(self.app.interval.is_some()) >= self.most_timers
    }

    fn set_timer(&mut self, millis: u8) {
        let after = Duration::from_millis(millis.into());
        let due = self.event_loop.reactor_mut().instant() + after;
        let number = self.timers;
        match self.event_loop.set_timer(after, Timed { due, number }) {
            Ok(timer) => {
                assert!(!self.is_full(), "more timers than there may be");
                self.app.timers.insert((due, number), timer);
                self.timers += 1;
            }
            Err(error) => {
                assert!(self.is_full() && matches!(error, PublishError::Full(_)));
            }
        }
    }

    fn cancel_timer(&mut self, which: usize) {
        let Some((&key, &timer)) = self.app.timers.iter().nth(which) else { return };
        assert!(self.event_loop.cancel_timer(timer), "it is set");
        assert!(!self.event_loop.cancel_timer(timer), "it is cancelled");
        self.app.timers.remove(&key);
    }

    fn set_interval(&mut self, millis: u8) {
        let every = Duration::from_millis(millis.max(1).into());
        let next = self.event_loop.reactor_mut().instant() + every;
        if self.app.interval.is_some() {
            return;
        }
        match self.event_loop.set_interval(Duration::from_millis(millis.into()), Beat) {
            Ok(timer) => self.app.interval = Some(Interval { timer, every, next }),
            Err(_) => assert!(self.is_full()),
        }
    }

    fn cancel_interval(&mut self) {
        if let Some(interval) = self.app.interval.take() {
            assert!(self.event_loop.cancel_timer(interval.timer), "it goes on until then");
            assert!(!self.event_loop.cancel_timer(interval.timer));
        }
    }

    /// Lets time pass; then nothing is late.
    fn pass(&mut self, time: Duration) {
        let target = self.event_loop.reactor_mut().elapsed() + time;
        loop {
            let elapsed = self.event_loop.reactor_mut().elapsed();
            let left = target.saturating_sub(elapsed);
            self.event_loop.turn(Some(left), &mut self.app).expect("a poll");
            if left.is_zero() {
                break;
            }
        }
        (0..3).for_each(|_| self.turn());
        let now = self.event_loop.reactor_mut().instant();
        let late = Duration::from_millis(2);
        let first = self.app.timers.first_key_value().map(|((due, _), _)| *due);
        assert!(first.is_none_or(|due| due + late > now), "a timer is late");
        let beat = self.app.interval.as_ref().map(|interval| interval.next);
        assert!(beat.is_none_or(|next| next + late > now), "a beat is late");
    }

    fn subscribe(&mut self, choice: usize) {
        if self.receivers.len() == MOST_SUBSCRIBERS {
            return;
        }
        let policy = [
            OverflowPolicy::Close,
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
            OverflowPolicy::KeepLatest,
        ][choice & 3];
        let subscriber = self.event_loop.subscriber(choice >> 2, policy);
        let at = self.app.handled.len();
        self.receivers.push(Receiver {
            subscriber,
            policy,
            at,
            received: 0,
            before: at,
            end: None,
        });
    }

    fn end(mut self, choice: u8) {
        let handle = self.event_loop.handle();
        if choice & 0x20 == 0 {
            handle.stop();
        } else {
            handle.shutdown(Duration::from_secs(1));
        }
        let summary = self.event_loop.run(&mut self.app).expect("a poll");
        let sum = |counts: [u32; SOURCES]| counts.iter().sum::<u32>() as usize;
        let waiting = sum(self.app.published) - sum(self.app.next);
        let now = self.event_loop.reactor_mut().instant();
        let due = self.app.timers.keys().filter(|(due, _)| *due <= now).count();
        let most = waiting + due + usize::from(self.app.interval.is_some());
        assert!((waiting..=most).contains(&summary.unhandled_events), "{waiting} {summary:?}");
        if choice & 0x20 != 0 {
            assert_eq!(waiting, 0, "what was published is not handled");
        }
        let event = Plain { source: 0, number: self.app.published[0] };
        let refused = Err(PublishError::Closed(event.clone()));
        assert_eq!(self.publishers[0].publish(event), refused);
        for receiver in self.receivers {
            receiver.finish(&self.app.handled);
        }
    }
}
