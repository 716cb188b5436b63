//! The statistics of a loop, read from any thread.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::{
    ClientConfig, CloseCode, Config, Connection, Context, EventLoop, HandlerCall, Idle, Message,
    OverflowPolicy, PublishError, ServerConfig, SlowCall, on_message,
};

use crate::util::{PATIENCE, Peer, Server, drive, drive_until, looping};

/// Text is sent back, binary messages are a request to panic.
fn echo_text(conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()) {
    assert!(message.as_text().is_some(), "binary");
    conn.send(message);
}

#[test]
fn connections_and_what_passes_through_them_are_counted() {
    let config = Config::default();
    let mut event_loop = EventLoop::<()>::new(config).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), on_message(echo_text));
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let (handle, state) = (event_loop.handle(), &mut ());
    let mut first = drive(&mut event_loop, state, || {
        let mut first = Peer::connect(address);
        for text in ["one", "two", "three"] {
            first.send(text);
            first.expect(text);
        }
        first
    });
    let mut second = drive(&mut event_loop, state, || {
        let mut second = Peer::connect(address);
        second.send(&[7_u8; 4][..]);
        second.expect_close(CloseCode::INTERNAL);
        second
    });
    let stats = event_loop.stats();
    assert_eq!((stats.connections, stats.opened), (2, 2));
    assert_eq!((stats.messages_received, stats.messages_sent, stats.messages_dropped), (4, 3, 0));
    assert_eq!((stats.panics, stats.closed_by_panic), (1, 1));
    assert!(stats.bytes_received > 2 * 16 + 3 + 3 + 5 + 4 && stats.bytes_sent > 2 * 16 + 3 + 3 + 5);
    assert_eq!(stats.turn_since, None);
    assert!(stats.turn_time.count() > 0 && stats.turn_time.count() <= stats.turns);
    assert_eq!(handle.stats().opened, 2);

    drive(&mut event_loop, state, || {
        first.send_close(1000, "");
        first.expect_close(CloseCode::NORMAL);
        first.finish();
        second.finish();
    });
    drive_until(&mut event_loop, state, |event_loop, ()| event_loop.connections() == 0);
    drive(&mut event_loop, state, || {
        let (_, refusal) = Peer::ask(address, "Origin: http://elsewhere\r\n");
        assert!(refusal.starts_with("HTTP/1.1 403 "), "{refusal}");
    });
    drive_until(&mut event_loop, state, |event_loop, ()| event_loop.connections() == 0);
    let stats = event_loop.stats();
    assert_eq!((stats.opened, stats.closed_by_peer, stats.not_opened), (2, 1, 1));
}

#[test]
fn broadcasts_are_counted_once_per_receiver() {
    let (mut event_loop, address) = looping::<()>(
        Config::default(),
        on_message(|conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()| {
            let topic = conn.topic("all").expect("room for topics");
            let joined = conn.subscribe(topic).expect("an open connection");
            if !joined {
                conn.broadcast(topic, message);
                conn.broadcast_others(topic, message);
            }
        }),
    );
    let state = &mut ();
    let peers = drive(&mut event_loop, state, || {
        let mut peers = [(); 3].map(|()| Peer::connect(address));
        for peer in &mut peers {
            peer.send("join");
            peer.send_frame(true, OpCode::Ping, b"");
            peer.expect_frame(OpCode::Pong, b"");
        }
        peers[0].send("news");
        peers.iter_mut().for_each(|peer| peer.expect("news"));
        peers[1..].iter_mut().for_each(|peer| peer.expect("news"));
        peers
    });
    let stats = event_loop.stats();
    assert_eq!((stats.messages_received, stats.messages_sent), (4, 3 + 2));
    assert_eq!((stats.gaps, stats.broadcasts_dropped, stats.outbound_bytes), (0, 0, 0));
    drop(peers);
}

#[test]
fn events_and_timers_are_counted_while_they_wait_and_when_they_are_handled() {
    let mut event_loop = EventLoop::<u32>::new(Config::default().inbox(5)).expect("a loop");
    event_loop.on(|_: &mut Context<'_>, _: &u8, sum: &mut u32| *sum += 1);
    let mut slow = event_loop.subscriber::<u8>(2, OverflowPolicy::DropNewest);
    let bytes = event_loop.publisher::<u8>();
    for byte in 0..5 {
        assert_eq!(bytes.publish(byte), Ok(()));
    }
    assert!(event_loop.set_timer(Duration::MAX, 9_u8).is_ok());
    event_loop.turn(Some(Duration::ZERO), &mut 0).expect("a turn");
    let mut sum = 0;
    for byte in 0..5 {
        assert_eq!(bytes.publish(byte), Ok(()));
    }
    assert_eq!(bytes.publish(5), Err(PublishError::Full(5)));
    let stats = event_loop.stats();
    assert_eq!((stats.events, stats.events_waiting, stats.timers), (5, 5, 1));
    assert_eq!((stats.events_refused, stats.events_missed), (1, 5 - 2));
    event_loop.turn(Some(Duration::ZERO), &mut sum).expect("a turn");
    let stats = event_loop.stats();
    assert_eq!((stats.events, stats.events_waiting, sum), (10, 0, 5));
    assert_eq!((stats.events_refused, stats.events_missed), (1, 10 - 2));
    assert_eq!(stats.subscribers_waiting, 2);
    assert_eq!(slow.try_recv(), Ok(0));
    event_loop.turn(Some(Duration::ZERO), &mut sum).expect("a turn");
    assert_eq!(event_loop.stats().subscribers_waiting, 0);
}

#[test]
fn a_handler_that_holds_the_loop_is_seen_from_other_threads() {
    let (entered, is_in) = channel();
    let (let_go, may_go) = channel::<()>();
    let server = Server::with(on_message(
        move |conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()| {
            entered.send(()).expect("somebody looks");
            may_go.recv_timeout(PATIENCE).expect("somebody lets it go");
            conn.send(message);
        },
    ));
    let mut peer = Peer::connect(server.address());
    peer.send("hold");
    is_in.recv_timeout(PATIENCE).expect("the handler is called");
    let since = server.handle.stats().turn_since.expect("the turn goes on");
    assert_eq!(server.handle.stats().turn_since, Some(since));
    let_go.send(()).expect("the handler waits");
    peer.expect("hold");
    while server.handle.stats().turn_since == Some(since) {
        thread::yield_now();
    }
}

#[test]
fn slow_calls_are_reported_with_their_handler_call() {
    type SlowCalls = Vec<SlowCall>;
    let (mut event_loop, address) = looping::<SlowCalls>(
        Config::default().slow_handler(Duration::ZERO),
        on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut SlowCalls| {
            conn.send(message);
            assert_eq!(conn.publish(1_u8), Ok(()));
        }),
    );
    event_loop.on(|_: &mut Context<'_>, _: &u8, _: &mut SlowCalls| {});
    event_loop.on(|_: &mut Context<'_>, slow: &SlowCall, calls: &mut SlowCalls| calls.push(*slow));
    let mut slow_calls = SlowCalls::new();
    let peer = drive(&mut event_loop, &mut slow_calls, || {
        let mut peer = Peer::connect(address);
        peer.send("text");
        peer.expect("text");
        peer.send_frame(true, OpCode::Ping, b"");
        peer.expect_frame(OpCode::Pong, b"");
        peer
    });
    drive_until(&mut event_loop, &mut slow_calls, |_, slow_calls: &SlowCalls| {
        slow_calls.len() >= 6
    });
    let methods: Vec<_> = slow_calls.iter().map(|slow| slow.call).collect();
    let name = std::any::type_name::<u8>();
    let called = |method| methods.contains(&method);
    assert_eq!(methods[..3], [HandlerCall::Upgrade, HandlerCall::Open, HandlerCall::Message]);
    assert!(called(HandlerCall::Event(name)) && called(HandlerCall::BatchEnd(name)));
    assert!(called(HandlerCall::Ping), "{methods:?}");
    assert!(slow_calls.iter().all(|slow| slow.conn.is_some() || slow.call != HandlerCall::Message));
    let stats = event_loop.stats();
    assert!(stats.slow_calls >= 6, "those of the slow calls' own handler are counted");
    assert_eq!(stats.handler_time.count(), stats.slow_calls);
    drop(peer);
}

#[test]
fn only_a_sleeping_loop_is_woken_and_the_latency_is_recorded() {
    let (sender, receiver) = channel();
    let server = Server::start(Config::default().idle(Idle::Block), move |event_loop| {
        event_loop.on(move |_: &mut Context<'_>, number: &u32, (): &mut ()| {
            sender.send(*number).expect("a receiver");
        });
        event_loop.publisher::<u32>()
    });
    let mut published = 0;
    // It falls asleep sooner or later between one event and the next.
    while server.handle.stats().wake_latency.count() == 0 {
        assert_eq!(server.ready.publish(published), Ok(()));
        assert_eq!(receiver.recv_timeout(PATIENCE), Ok(published));
        published += 1;
    }
    let latency = server.handle.stats().wake_latency;
    assert!(latency.count() <= u64::from(published) && latency.max() > Duration::ZERO);
}

#[test]
fn a_wake_for_something_else_is_no_latency_of_a_later_event() {
    let ignore = on_message(|_: &mut Connection<'_>, _: Message<'_>, (): &mut ()| {});
    let config = Config::default().idle(Idle::Block);
    let mut event_loop = EventLoop::<()>::new(config).expect("a loop");
    event_loop.on(|_: &mut Context<'_>, _: &u8, (): &mut ()| {});
    let events = event_loop.publisher::<u8>();
    for round in 1..=50 {
        // The name is looked up by another thread, which wakes the loop; no server listens there.
        event_loop.connect("ws://127.1:1/", ClientConfig::default(), ignore).expect("connecting");
        event_loop.turn(Some(PATIENCE), &mut ()).expect("a turn");
        assert_eq!(events.publish(7), Ok(()));
        event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
        let stats = event_loop.stats();
        assert_eq!((stats.events, stats.wake_latency.count()), (round, 0));
    }
}
