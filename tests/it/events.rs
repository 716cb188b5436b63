//! The event bus: typed events from threads and handlers to the loop's handlers.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use eventwire::{
    Config, Connection, Context, EventHandler, EventLoop, Idle, Message, OnPanic, PublishError,
    RunEnd, ServerConfig, WebSocketHandler,
};

use crate::util::{PATIENCE, Peer, Server};

/// What handlers noted, in order.
type Log = Vec<String>;

#[derive(Debug, PartialEq)]
struct Tick(u32);

#[derive(Debug, PartialEq)]
struct Tock(u32);

fn event_loop(config: Config) -> EventLoop<Log> {
    EventLoop::new(config.on_panic(OnPanic::Propagate)).expect("a loop")
}

fn turn(event_loop: &mut EventLoop<Log>, log: &mut Log) {
    event_loop.turn(Some(Duration::ZERO), log).expect("a turn");
}

fn note(name: &'static str) -> impl FnMut(&mut Context<'_>, &Tick, &mut Log) {
    move |_, tick, log| log.push(format!("{name} {}", tick.0))
}

#[test]
fn handlers_of_a_type_are_called_in_the_order_of_registration_for_each_event() {
    let mut event_loop = event_loop(Config::default());
    event_loop.on(note("first"));
    event_loop.on(|_: &mut Context<'_>, _: &Tock, log: &mut Log| log.push("tock".to_owned()));
    event_loop.on(note("second"));
    let ticks = event_loop.publisher();
    for number in 0..2 {
        assert_eq!(ticks.publish(Tick(number)), Ok(()));
    }
    let mut log = Log::new();
    turn(&mut event_loop, &mut log);
    assert_eq!(log, ["first 0", "second 0", "first 1", "second 1"]);
    turn(&mut event_loop, &mut log);
    assert_eq!(log.len(), 4);
}

#[test]
fn events_published_by_a_handler_are_handled_after_it() {
    let mut event_loop = event_loop(Config::default());
    event_loop.on(|cx: &mut Context<'_>, tick: &Tick, log: &mut Log| {
        log.push(format!("begin {}", tick.0));
        if tick.0 < 3 {
            assert_eq!(cx.publish(Tick(tick.0 + 1)), Ok(()));
            assert_eq!(cx.publish(Tock(tick.0)), Ok(()));
        }
        log.push(format!("end {}", tick.0));
    });
    event_loop.on(|_: &mut Context<'_>, tock: &Tock, log: &mut Log| {
        log.push(format!("tock {}", tock.0));
    });
    event_loop.publisher().publish(Tick(1)).expect("room");
    let mut log = Log::new();
    turn(&mut event_loop, &mut log);
    let expected = ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3", "tock 1", "tock 2"];
    assert_eq!(log, expected);
}

#[test]
fn a_full_queue_and_an_ended_loop_give_the_event_back() {
    let mut event_loop = event_loop(Config::default().inbox(2));
    event_loop.on(|cx: &mut Context<'_>, tick: &Tick, log: &mut Log| {
        log.push(format!("tick {}", tick.0));
        assert_eq!(cx.publish(1_u8), Err(PublishError::NoHandler(1)));
        if tick.0 == 9 {
            cx.stop();
        }
    });
    let ticks = event_loop.publisher();
    let clone = ticks.clone();
    assert_eq!(ticks.publish(Tick(1)), Ok(()));
    assert_eq!(ticks.publish(Tick(2)), Ok(()));
    assert_eq!(ticks.publish(Tick(3)), Err(PublishError::Full(Tick(3))));
    assert_eq!(clone.publish(Tick(9)), Ok(()));
    let mut log = Log::new();
    event_loop.run(&mut log).expect("run");
    assert_eq!(log, ["tick 1", "tick 9", "tick 2"]);
    assert_eq!(ticks.publish(Tick(4)), Err(PublishError::Closed(Tick(4))));
    assert_eq!(clone.clone().publish(Tick(5)), Err(PublishError::Closed(Tick(5))));
}

#[test]
fn events_that_handlers_publish_are_bounded() {
    let mut event_loop = event_loop(Config::default().inbox(2));
    event_loop.on(|cx: &mut Context<'_>, tick: &Tick, log: &mut Log| {
        let published = (0..3).filter(|number| cx.publish(Tock(*number)).is_ok()).count();
        log.push(format!("{} {published}", tick.0));
    });
    event_loop.on(|_: &mut Context<'_>, tock: &Tock, log: &mut Log| {
        log.push(format!("tock {}", tock.0));
    });
    event_loop.publisher().publish(Tick(7)).expect("room");
    let mut log = Log::new();
    turn(&mut event_loop, &mut log);
    assert_eq!(log, ["7 2", "tock 0", "tock 1"]);
}

/// Counts events, and notes the count at the end of each batch.
#[derive(Default)]
struct Batches(usize);

impl EventHandler<Tick, Log> for Batches {
    fn on_event(&mut self, _: &mut Context<'_>, _: &Tick, _: &mut Log) {
        self.0 += 1;
    }

    fn on_batch_end(&mut self, _: &mut Context<'_>, log: &mut Log) {
        log.push(std::mem::take(&mut self.0).to_string());
    }
}

#[test]
fn a_burst_is_handled_in_batches_and_on_batch_end_is_called() {
    let mut event_loop = event_loop(Config::default());
    event_loop.on_handler(Batches::default());
    let ticks = event_loop.publisher();
    for number in 0..2_500 {
        ticks.publish(Tick(number)).expect("room");
    }
    let mut log = Log::new();
    for _ in 0..5 {
        turn(&mut event_loop, &mut log);
    }
    assert_eq!(log, ["1024", "1024", "452"]);
}

#[test]
fn a_sleeping_loop_wakes_for_every_event_in_every_idle_mode() {
    for idle in [Idle::Block, Idle::default(), Idle::Busy] {
        let (sender, receiver) = mpsc::channel();
        let (made, publishers) = mpsc::channel();
        let looping = thread::spawn(move || {
            let mut event_loop = event_loop(Config::default().idle(idle));
            event_loop.on(move |cx: &mut Context<'_>, tick: &Tick, _: &mut Log| {
                sender.send(tick.0).expect("a receiver");
                if tick.0 == 200 {
                    cx.stop();
                }
            });
            made.send(event_loop.publisher()).expect("received");
            event_loop.run(&mut Log::new())
        });
        let ticks = publishers.recv_timeout(PATIENCE).expect("a publisher");
        for number in 1..=200 {
            assert_eq!(ticks.publish(Tick(number)), Ok(()));
            assert_eq!(receiver.recv_timeout(PATIENCE), Ok(number), "{idle:?}");
        }
        looping.join().expect("no panic").expect("run");
    }
}

#[test]
fn an_inbox_of_zero_holds_one() {
    let mut event_loop = event_loop(Config::default().inbox(0));
    event_loop.on(|cx: &mut Context<'_>, tick: &Tick, log: &mut Log| {
        assert_eq!(cx.publish(Tock(tick.0)), Ok(()));
        assert_eq!(cx.publish(Tock(0)), Err(PublishError::Full(Tock(0))));
        log.push(format!("tick {}", tick.0));
    });
    event_loop.on(|_: &mut Context<'_>, tock: &Tock, log: &mut Log| {
        log.push(format!("tock {}", tock.0));
    });
    let ticks = event_loop.publisher();
    assert_eq!(ticks.publish(Tick(1)), Ok(()));
    assert_eq!(ticks.publish(Tick(2)), Err(PublishError::Full(Tick(2))));
    let mut log = Log::new();
    turn(&mut event_loop, &mut log);
    assert_eq!(log, ["tick 1", "tock 1"]);
}

/// Publishes an event again whenever it is handled.
fn again(cx: &mut Context<'_>, tick: &Tick, _: &mut Log) {
    if tick.0 == 0 {
        assert_eq!(cx.publish(Tick(0)), Ok(()));
    }
}

#[test]
fn a_handler_that_publishes_to_itself_for_ever_starves_nothing() {
    let (sender, receiver) = mpsc::channel();
    let (handled, numbers) = mpsc::channel();
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<Log>| {
        event_loop.on(again);
        event_loop.on(move |_: &mut Context<'_>, tick: &Tick, _: &mut Log| {
            if tick.0 != 0 {
                handled.send(tick.0).expect("a receiver");
            }
        });
        let ticks = event_loop.publisher();
        assert_eq!(ticks.publish(Tick(0)), Ok(()));
        sender.send(ticks).expect("received");
        let listener =
            event_loop.listen_fn("127.0.0.1:0", ServerConfig::default(), |conn, message, _| {
                conn.send(message);
            });
        event_loop.local_addr(listener.expect("listening")).expect("an address")
    });
    let ticks = receiver.recv_timeout(PATIENCE).expect("a publisher");
    let mut peer = Peer::connect(server.address());
    for number in 1..=100 {
        peer.send(&number.to_string());
        peer.expect(&number.to_string());
        assert_eq!(ticks.publish(Tick(number)), Ok(()));
        assert_eq!(numbers.recv_timeout(PATIENCE), Ok(number));
    }
}

#[test]
fn a_stop_counts_the_events_that_it_leaves() {
    let mut event_loop = event_loop(Config::default());
    // Registered first, so that they would be handled in the next turn.
    event_loop.on(|_: &mut Context<'_>, _: &Tock, _: &mut Log| panic!("the event was handled"));
    event_loop.on(|cx: &mut Context<'_>, tick: &Tick, _: &mut Log| {
        if tick.0 == 0 {
            assert_eq!(cx.publish(Tock(0)), Ok(()));
            assert!(cx.set_timer(Duration::ZERO, Tock(1)).is_ok());
            cx.stop();
        }
    });
    event_loop.on(note("ticks"));
    let ticks = event_loop.publisher();
    for number in 0..2_000 {
        assert_eq!(ticks.publish(Tick(number)), Ok(()));
    }
    let mut log = Log::new();
    let summary = event_loop.run(&mut log).expect("run");
    assert_eq!((log.len(), summary.end), (1_024, RunEnd::Stopped));
    assert_eq!(summary.unhandled_events, 2_000 - 1_024 + 1);
    assert_eq!(event_loop.run(&mut log).expect("run").unhandled_events, 0);
}

#[test]
fn a_shutdown_handles_events_published_before_its_end() {
    let mut event_loop = event_loop(Config::default());
    event_loop.on(note("tick"));
    let ticks = event_loop.publisher();
    for number in 0..5_000 {
        assert_eq!(ticks.publish(Tick(number)), Ok(()));
    }
    event_loop.handle().shutdown(Duration::from_secs(3600));
    let mut log = Log::new();
    let summary = event_loop.run(&mut log).expect("run");
    assert_eq!((log.len(), summary.end), (5_000, RunEnd::ShutDown));
    assert_eq!(summary.unhandled_events, 0);
}

#[test]
fn an_endless_publisher_does_not_block_a_shutdown() {
    for idle in [Idle::Block, Idle::default()] {
        let mut event_loop = event_loop(Config::default().idle(idle).inbox(256));
        event_loop.on(|cx: &mut Context<'_>, tick: &Tick, log: &mut Log| {
            log.push(tick.0.to_string());
            if log.len() == 2_000 {
                cx.shutdown(Duration::from_secs(3600));
            }
        });
        let publishing = [(); 3].map(|()| {
            let ticks = event_loop.publisher();
            thread::spawn(move || {
                let mut published = 0;
                loop {
                    match ticks.publish(Tick(published)) {
                        Ok(()) => published += 1,
                        Err(PublishError::Full(_)) => thread::yield_now(),
                        Err(PublishError::Closed(_) | PublishError::NoHandler(_)) => {
                            return published as usize;
                        }
                    }
                }
            })
        });
        let mut log = Log::new();
        let summary = event_loop.run(&mut log).expect("run");
        assert_eq!((summary.end, summary.unhandled_events), (RunEnd::ShutDown, 0));
        let published: usize =
            publishing.map(|thread| thread.join().expect("no panic")).iter().sum();
        assert_eq!(log.len(), published);
    }
}

#[test]
fn a_stop_amid_publishing_handles_counts_or_gives_back_every_event() {
    for _ in 0..20 {
        let mut event_loop = event_loop(Config::default().inbox(4));
        event_loop.on(|cx: &mut Context<'_>, tick: &Tick, log: &mut Log| {
            log.push(tick.0.to_string());
            if log.len() == 200 {
                cx.stop();
            }
        });
        let publishing = [(); 3].map(|()| {
            let ticks = event_loop.publisher();
            thread::spawn(move || {
                let mut published = 0;
                loop {
                    match ticks.publish(Tick(published)) {
                        Ok(()) => published += 1,
                        Err(PublishError::Full(_)) => thread::yield_now(),
                        Err(PublishError::Closed(back) | PublishError::NoHandler(back)) => {
                            assert_eq!(back, Tick(published));
                            return published as usize;
                        }
                    }
                }
            })
        });
        let mut log = Log::new();
        let summary = event_loop.run(&mut log).expect("run");
        let published: usize =
            publishing.map(|thread| thread.join().expect("no panic")).iter().sum();
        assert_eq!(log.len() + summary.unhandled_events, published);
    }
}

#[test]
fn a_shutdown_leaves_endless_events_at_its_deadline() {
    let mut event_loop = event_loop(Config::default());
    event_loop.on(again);
    assert_eq!(event_loop.publisher().publish(Tick(0)), Ok(()));
    event_loop.handle().shutdown(Duration::from_millis(20));
    let summary = event_loop.run(&mut Log::new()).expect("run");
    assert_eq!((summary.end, summary.unhandled_events), (RunEnd::ShutDown, 1));
}

struct Chat;

impl WebSocketHandler<Log> for Chat {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Log) {
        let room = conn.topic("room").expect("room");
        conn.subscribe(room).expect("subscribed");
        conn.send("welcome");
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut Log) {
        let said = message.as_text().expect("text").to_owned();
        assert_eq!(conn.publish(said), Ok(()));
    }
}

#[test]
fn a_message_becomes_an_event_and_an_event_a_broadcast() {
    let (sender, receiver) = mpsc::channel();
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<Log>| {
        event_loop.on(|cx: &mut Context<'_>, said: &String, _: &mut Log| {
            let room = cx.topic("room").expect("room");
            cx.broadcast(room, said);
        });
        sender.send(event_loop.publisher::<String>()).expect("received");
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Chat);
        event_loop.local_addr(listener.expect("listening")).expect("an address")
    });
    let publisher = receiver.recv_timeout(PATIENCE).expect("a publisher");
    let mut peers = [Peer::connect(server.address()), Peer::connect(server.address())];
    for peer in &mut peers {
        peer.expect("welcome");
    }
    peers[0].send("said");
    for peer in &mut peers {
        peer.expect("said");
    }
    publisher.publish("from a thread".to_owned()).expect("room");
    for peer in &mut peers {
        peer.expect("from a thread");
    }
}
