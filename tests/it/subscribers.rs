//! Threads that receive events: in what order, until when, and what a slow one misses.

use std::error::Error;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use eventwire::{
    Config, Context, EventLoop, Idle, OnPanic, OverflowPolicy, PublishError, Publisher, RecvError,
    RunEnd, Subscriber, TryRecvError,
};

use crate::util::PATIENCE;

const LONG: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, PartialEq)]
struct Tick(u32);

fn event_loop(config: Config) -> EventLoop<Vec<u32>> {
    EventLoop::new(config.on_panic(OnPanic::Propagate)).expect("a loop")
}

fn turn(event_loop: &mut EventLoop<Vec<u32>>) {
    event_loop.turn(Some(Duration::ZERO), &mut Vec::new()).expect("a turn");
}

fn publish(publisher: &Publisher<Tick>, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        assert_eq!(publisher.publish(Tick(number)), Ok(()));
    }
}

/// Everything that is left, and why there is no more.
fn rest(subscriber: &mut Subscriber<Tick>) -> (Vec<u32>, RecvError) {
    let numbers = subscriber.by_ref().map(|tick| tick.0).collect();
    (numbers, subscriber.recv().expect_err("it has ended"))
}

#[test]
fn subscribers_receive_events_in_the_order_of_handling() {
    let mut event_loop = event_loop(Config::default());
    let mut subscribers = [(); 2].map(|()| event_loop.subscriber(64, OverflowPolicy::Close));
    event_loop.on(|cx: &mut Context<'_>, tick: &Tick, handled: &mut Vec<u32>| {
        handled.push(tick.0);
        match tick.0 {
            1 => assert_eq!(cx.publish(Tick(2)), Ok(())),
            2 => assert!(cx.set_timer(Duration::from_millis(1), Tick(3)).is_ok()),
            3 => cx.stop(),
            _ => {}
        }
    });
    event_loop.publisher().publish(Tick(1)).expect("room");
    let mut handled = Vec::new();
    event_loop.run(&mut handled).expect("run");
    assert_eq!(handled, [1, 2, 3]);
    for subscriber in &mut subscribers {
        assert_eq!(rest(subscriber), (handled.clone(), RecvError::Closed));
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Ended(RecvError::Closed)));
        assert_eq!(subscriber.missed(), 0);
    }
}

#[test]
fn a_subscriber_needs_no_handler_and_gets_nothing_from_before() {
    let mut event_loop = event_loop(Config::default());
    let publisher = event_loop.publisher();
    publish(&publisher, 1..=2);
    turn(&mut event_loop);
    let mut subscriber = event_loop.subscriber::<Tick>(64, OverflowPolicy::Close);
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(subscriber.recv_timeout(Duration::from_millis(1)), Err(TryRecvError::Empty));
    publish(&publisher, 3..=4);
    turn(&mut event_loop);
    assert_eq!(subscriber.try_recv(), Ok(Tick(3)));
    assert_eq!(subscriber.recv_timeout(Duration::ZERO), Ok(Tick(4)));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_slow_subscriber_misses_what_its_policy_says_and_knows_how_much() {
    use OverflowPolicy::{Close, DropNewest, DropOldest, KeepLatest};
    let closed = RecvError::Closed;
    for (policy, capacity, numbers, end, missed) in [
        (Close, 5, vec![1, 2, 3, 4, 5], closed, 0),
        (Close, 2, vec![1, 2], RecvError::Overflowed, 0),
        (Close, 0, vec![1], RecvError::Overflowed, 0),
        (DropNewest, 2, vec![1, 2], closed, 3),
        (DropNewest, 0, vec![1], closed, 4),
        (DropOldest, 2, vec![4, 5], closed, 3),
        (DropOldest, 0, vec![5], closed, 4),
        (KeepLatest, 2, vec![5], closed, 4),
        (KeepLatest, 0, vec![5], closed, 4),
    ] {
        for turns in [1, 5] {
            let mut event_loop = event_loop(Config::default());
            let mut subscriber = event_loop.subscriber(capacity, policy);
            let publisher = event_loop.publisher();
            for number in 1..=5 {
                publish(&publisher, number..=number);
                if turns == 5 {
                    turn(&mut event_loop);
                }
            }
            turn(&mut event_loop);
            drop(event_loop);
            let context = format!("{policy:?} {capacity} in {turns} turns");
            assert_eq!(rest(&mut subscriber), (numbers.clone(), end), "{context}");
            assert_eq!(subscriber.missed(), missed, "{context}");
        }
    }
    assert_eq!(OverflowPolicy::default(), Close);
}

#[test]
fn dropped_subscribers_cost_the_others_nothing() {
    let mut event_loop = event_loop(Config::default());
    let dropped = event_loop.subscriber::<Tick>(1, OverflowPolicy::Close);
    let mut overflowed = event_loop.subscriber(2, OverflowPolicy::Close);
    let mut kept = event_loop.subscriber(64, OverflowPolicy::Close);
    let publisher = event_loop.publisher();
    publish(&publisher, 1..=1);
    turn(&mut event_loop);
    drop(dropped);
    publish(&publisher, 2..=4);
    turn(&mut event_loop);
    assert_eq!(rest(&mut overflowed), (vec![1, 2], RecvError::Overflowed));
    publish(&publisher, 5..=5);
    turn(&mut event_loop);
    drop(event_loop);
    assert_eq!(rest(&mut kept), (vec![1, 2, 3, 4, 5], RecvError::Closed));
}

#[test]
fn a_loop_that_ends_in_any_way_ends_publishers_and_subscribers() {
    let ends: [fn(&mut EventLoop<Vec<u32>>); 3] = [
        |event_loop| {
            event_loop.handle().stop();
            let summary = event_loop.run(&mut Vec::new()).expect("run");
            assert_eq!((summary.end, summary.unhandled_events), (RunEnd::Stopped, 1));
        },
        |event_loop| {
            event_loop.handle().shutdown(LONG);
            let summary = event_loop.run(&mut Vec::new()).expect("run");
            assert_eq!((summary.end, summary.unhandled_events), (RunEnd::ShutDown, 0));
        },
        |event_loop| *event_loop = self::event_loop(Config::default()),
    ];
    for (end, received) in ends.into_iter().zip([vec![1], vec![1, 2], vec![1]]) {
        let mut event_loop = event_loop(Config::default());
        let mut subscriber = event_loop.subscriber(64, OverflowPolicy::Close);
        let publisher = event_loop.publisher();
        publish(&publisher, 1..=1);
        turn(&mut event_loop);
        publish(&publisher, 2..=2);
        end(&mut event_loop);
        assert_eq!(publisher.publish(Tick(3)), Err(PublishError::Closed(Tick(3))));
        assert_eq!(publisher.clone().publish(Tick(4)), Err(PublishError::Closed(Tick(4))));
        assert_eq!(rest(&mut subscriber), (received, RecvError::Closed));
    }
}

#[test]
fn publishers_and_subscribers_made_after_the_end_are_closed() {
    let mut event_loop = event_loop(Config::default());
    event_loop.handle().stop();
    event_loop.run(&mut Vec::new()).expect("run");
    let publisher = event_loop.publisher();
    assert_eq!(publisher.publish(Tick(1)), Err(PublishError::Closed(Tick(1))));
    let mut subscriber = event_loop.subscriber(64, OverflowPolicy::Close);
    assert_eq!(rest(&mut subscriber), (vec![], RecvError::Closed));
}

#[test]
fn sleeping_loops_and_sleeping_subscribers_wake_for_every_event() {
    for idle in [Idle::Block, Idle::default(), Idle::Busy] {
        let (made, ends) = mpsc::channel();
        let looping = thread::spawn(move || {
            let mut event_loop = event_loop(Config::default().idle(idle));
            let subscriber = event_loop.subscriber(1, OverflowPolicy::Close);
            made.send((event_loop.publisher(), subscriber, event_loop.handle())).expect("received");
            event_loop.run(&mut Vec::new())
        });
        let (ticks, mut subscriber, handle) = ends.recv_timeout(PATIENCE).expect("both ends");
        for number in 1..=500 {
            publish(&ticks, number..=number);
            assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Tick(number)), "{idle:?}");
        }
        let ending = thread::spawn(move || rest(&mut subscriber));
        handle.stop();
        assert_eq!(ending.join().expect("no panic"), (vec![], RecvError::Closed));
        looping.join().expect("no panic").expect("run");
    }
}

/// Cannot be cloned if it is odd.
#[derive(Debug)]
struct Fragile(u32);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0 % 2 == 0, "an odd one");
        Self(self.0)
    }
}

#[test]
fn an_event_whose_clone_panics_counts_as_missed() {
    let mut event_loop: EventLoop<()> = EventLoop::new(Config::default()).expect("a loop");
    let [mut first, mut last] =
        [(); 2].map(|()| event_loop.subscriber::<Fragile>(64, OverflowPolicy::Close));
    let publisher = event_loop.publisher();
    for number in 1..=4 {
        publisher.publish(Fragile(number)).expect("room");
    }
    event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
    drop(event_loop);
    assert_eq!(first.by_ref().map(|event| event.0).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(last.by_ref().map(|event| event.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((first.missed(), last.missed()), (2, 0));
}

#[test]
fn errors_say_what_happened() {
    let texts = [
        (TryRecvError::Empty.to_string(), "no event arrived in time"),
        (TryRecvError::from(RecvError::Closed).to_string(), "the loop has ended"),
        (RecvError::Overflowed.to_string(), "the subscriber was too slow"),
    ];
    for (text, expected) in texts {
        assert_eq!(text, expected);
    }
    let _: Box<dyn Error + Send + Sync> = Box::new(RecvError::Closed);
    fn is_send<T: Send>() {}
    is_send::<Subscriber<std::cell::Cell<u8>>>();
}
