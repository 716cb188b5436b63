//! Millions of events from more threads than there are processors.

use std::thread;
use std::time::Duration;

use eventwire::{
    Config, Context, EventLoop, Idle, OverflowPolicy, PublishError, Publisher, RecvError,
};

const PUBLISHERS: usize = 8;

/// The publisher, and the number of its event.
type Event = (usize, u32);

/// What came from each publisher, which must be in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen([u32; PUBLISHERS]);

impl Seen {
    fn note(&mut self, (publisher, number): Event) {
        assert_eq!(self.0[publisher], number, "of publisher {publisher}");
        self.0[publisher] += 1;
    }
}

/// Publishes `count` events, and waits whenever there is no room.
fn publish(events: &Publisher<Event>, publisher: usize, count: u32) {
    for number in 0..count {
        let mut event = (publisher, number);
        while let Err(error) = events.publish(event) {
            assert!(matches!(error, PublishError::Full(_)), "{error:?}");
            event = error.into_event();
            thread::yield_now();
        }
    }
}

/// Has all publishers publish `count` events each, through inboxes of `inbox` events.
fn stress(idle: Idle, inbox: usize, count: u32) {
    let config = Config::default().idle(idle).inbox(inbox);
    let mut event_loop: EventLoop<Seen> = EventLoop::new(config).expect("a loop");
    event_loop.on(move |cx: &mut Context<'_>, event: &Event, seen: &mut Seen| {
        seen.note(*event);
        if seen.0 == [count; PUBLISHERS] {
            // One that lasted until its deadline would be noticed.
            cx.shutdown(Duration::from_secs(3600));
        }
    });
    // Room for whatever the subscriber does not get around to.
    let mut subscriber = event_loop.subscriber::<Event>(usize::MAX, OverflowPolicy::Close);
    let receiving = thread::spawn(move || {
        let mut seen = Seen::default();
        subscriber.by_ref().for_each(|event| seen.note(event));
        (seen, subscriber.recv(), subscriber.missed())
    });
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let events = event_loop.publisher();
            thread::spawn(move || publish(&events, publisher, count))
        })
        .collect();
    let mut seen = Seen::default();
    let summary = event_loop.run(&mut seen).expect("run");
    assert_eq!(summary.unhandled_events, 0);
    for publisher in publishing {
        publisher.join().expect("no panic");
    }
    let all = Seen([count; PUBLISHERS]);
    assert_eq!(seen, all);
    assert_eq!(receiving.join().expect("no panic"), (all, Err(RecvError::Closed), 0));
}

#[test]
fn ten_million_events_arrive_once_and_in_each_publishers_order() {
    stress(Idle::default(), 65_536, 10_000_000 / PUBLISHERS as u32);
}

#[test]
fn a_loop_that_sleeps_whenever_it_can_loses_nothing() {
    stress(Idle::Block, 1, 20_000);
}
