//! Topics: which connections receive a broadcast, and in which order.

mod changes;
mod keyed;
mod order;
mod slow_readers;

use std::collections::HashSet;
use std::net::TcpListener;

use eventwire::proto::OpCode;
use eventwire::{
    ClientConfig, CloseCode, Config, Connection, ConnectionId, Context, Disconnect, EventLoop, Gap,
    Message, OverflowPolicy, SendStatus, ServerConfig, SubscribeError, TopicChanged, TopicId,
    TopicStats, WebSocketHandler, on_message,
};

use crate::util::{Peer, Server, drive, drive_until, looping, pattern};

/// Runs the commands in a message, one a line, all in one call:
///
/// ```text
/// sub TOPIC · unsub TOPIC · cast TOPIC TEXT · others TOPIC TEXT · send TEXT · number TOPIC
/// count TOPIC · remove TOPIC · close
/// ```
///
/// With a question mark behind its name, a command is answered with its outcome.
struct Interpreter;

impl Interpreter {
    fn obey(line: &str, conn: ConnectionId, cx: &mut Context<'_>) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let asked = command.ends_with('?');
        let command = command.trim_end_matches('?');
        let topic = |cx: &mut Context<'_>| cx.topic(name).expect("within the limits");
        let outcome = match command {
            "sub" => topic_outcome(topic(cx), |topic| cx.connection(conn).subscribe(topic)),
            "unsub" => topic_outcome(topic(cx), |topic| cx.connection(conn).unsubscribe(topic)),
            "cast" => topic_outcome(topic(cx), |topic| cx.broadcast(topic, text)),
            "others" => topic_outcome(topic(cx), |topic| cx.broadcast_except(topic, conn, text)),
            "number" => topic_outcome(topic(cx), |topic| cx.topic_sequence(topic)),
            "count" => topic_outcome(topic(cx), |topic| cx.subscriber_count(topic)),
            "remove" => topic_outcome(topic(cx), |topic| cx.remove_topic(topic)),
            "send" => format!("{:?}", cx.send_to(conn, rest)),
            "close" => format!("{:?}", cx.connection(conn).close(CloseCode::NORMAL, rest)),
            "" => String::new(),
            other => panic!("no command: {other}"),
        };
        if asked {
            cx.send_to(conn, &outcome);
        }
    }
}

fn topic_outcome<T: std::fmt::Debug>(topic: TopicId, act: impl FnOnce(TopicId) -> T) -> String {
    format!("{:?}", act(topic))
}

impl WebSocketHandler<()> for Interpreter {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        for line in message.as_text().expect("commands are text").lines() {
            Self::obey(line, conn.id(), conn);
        }
    }
}

fn server() -> Server {
    Server::with(Interpreter)
}

/// Has the peer do something and waits until it is done.
fn tell(peer: &mut Peer, commands: &str) {
    peer.send(&format!("{commands}\nsend done"));
    peer.expect("done");
}

#[test]
fn a_broadcast_reaches_subscribers_only() {
    let server = server();
    let mut inside = [(); 3].map(|()| Peer::connect(server.address()));
    let mut outside = Peer::connect(server.address());
    for peer in &mut inside {
        tell(peer, "sub news");
    }
    tell(&mut outside, "sub other\ncast news hello\ncast empty nobody");
    for peer in &mut inside {
        peer.expect("hello");
        tell(peer, "");
    }
    tell(&mut outside, "");
}

#[test]
fn broadcasts_are_of_any_kind_and_length() {
    let server =
        Server::with(on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
            let topic = conn.topic("all").expect("a topic");
            conn.subscribe(topic).expect("subscribe");
            conn.broadcast(topic, message);
        }));
    let mut peer = Peer::connect(server.address());
    for len in [0, 1, 125, 126, 5_000, 65_535, 65_536, 300_000] {
        let message = pattern(len, len);
        peer.send(&message);
        peer.expect(&message);
        peer.send("text");
        peer.expect("text");
    }
}

#[test]
fn a_new_subscriber_gets_only_what_comes_after() {
    let server = server();
    let mut old = Peer::connect(server.address());
    let mut new = Peer::connect(server.address());
    tell(&mut old, "sub a");
    new.send("cast a 1\nsub? a\ncast a 2\nsub? a\nsend end");
    for text in ["Ok(true)", "2", "Ok(false)", "end"] {
        new.expect(text);
    }
    old.expect("1");
    old.expect("2");
}

#[test]
fn an_unsubscribed_connection_receives_all_earlier_broadcasts() {
    let server = server();
    let mut leaving = Peer::connect(server.address());
    let mut staying = Peer::connect(server.address());
    tell(&mut staying, "sub a");
    tell(&mut leaving, "sub a\nsub b");
    leaving.send("cast a 1\ncast b 2\nunsub? a\ncast a 3\ncast b 4\nunsub? a\nsend end");
    for text in ["1", "2", "true", "4", "false", "end"] {
        leaving.expect(text);
    }
    staying.expect("1");
    staying.expect("3");
}

#[test]
fn subscribing_again_starts_anew() {
    let server = server();
    let mut peer = Peer::connect(server.address());
    peer.send("sub a\ncast a 1\nunsub a\ncast a 2\nsub a\ncast a 3\nsend end");
    for text in ["1", "3", "end"] {
        peer.expect(text);
    }
}

#[test]
fn a_closing_subscriber_receives_only_earlier_broadcasts() {
    let server = server();
    let mut other = Peer::connect(server.address());
    tell(&mut other, "sub a");
    let mut peer = Peer::connect(server.address());
    peer.send("sub a\ncast a 1\nclose bye\ncast a 2\ncount? a");
    peer.expect("1");
    assert_eq!(peer.expect_close(CloseCode::NORMAL), "bye");
    peer.send_close(1000, "");
    peer.expect_end();
    other.expect("1");
    other.expect("2");
    tell(&mut other, "");
}

#[test]
fn subscribers_are_counted_until_they_leave() {
    let server = server();
    let mut counting = Peer::connect(server.address());
    let mut peers = [(); 3].map(|()| Peer::connect(server.address()));
    for (peer, before) in peers.iter_mut().zip(0..) {
        counting.send("count? a");
        counting.expect(&format!("{before}"));
        tell(peer, "sub a");
    }
    let [first, second, third] = peers;
    drop(first);
    second.reset();
    let mut third = third;
    tell(&mut third, "unsub a");
    // That a connection is gone is noticed at some time: ask until then.
    for _ in 0..100_000 {
        counting.send("count? a");
        if counting.frame().payload == b"0" {
            return;
        }
    }
    panic!("those who left still count");
}

#[test]
fn each_of_many_subscribers_receives_everything_in_order() {
    let server = server();
    let mut speaker = Peer::connect(server.address());
    // Several slices of a broadcast; fewer where few descriptors may be had.
    let count = if descriptor_limit() >= 4_096 { 1_200 } else { 300 };
    let mut peers: Vec<_> = (0..count).map(|_| Peer::connect(server.address())).collect();
    for peer in &mut peers {
        tell(peer, "sub a\nsub b");
    }
    for round in 0..3 {
        // Some leave between the rounds, from everywhere in the list.
        let mut position = 0;
        peers.retain(|_| {
            position += 1;
            position % 7 != round
        });
        for n in 0..5 {
            speaker.send(&format!("cast a {round}{n}x\ncast b {round}{n}y\ncast a {round}{n}z"));
        }
        for peer in &mut peers {
            for n in 0..5 {
                for part in ["x", "y", "z"] {
                    peer.expect(&format!("{round}{n}{part}"));
                }
            }
        }
    }
}

fn descriptor_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(256)
}

/// Takes turns: the first connection subscribes, the next one comes when the first is gone.
struct Successor;

impl WebSocketHandler<Vec<ConnectionId>> for Successor {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Vec<ConnectionId>) {
        let topic = conn.topic("a").expect("a topic");
        assert_eq!(conn.subscribe(topic), Ok(true));
        if let Some(&stale) = seen.first() {
            conn.broadcast(topic, "kept");
            assert!(!conn.connection(stale).unsubscribe(topic));
            assert_eq!(
                conn.connection(stale).subscribe(topic),
                Err(SubscribeError::ConnectionGone)
            );
            assert_eq!(conn.subscriber_count(topic), 1);
        }
        seen.push(conn.id());
    }
}

#[test]
fn a_stale_connection_id_takes_nothing_from_its_successor() {
    let (mut event_loop, address) = looping(Config::default(), Successor);
    let mut seen = Vec::new();
    drop(drive(&mut event_loop, &mut seen, || Peer::connect(address)));
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
    // The slot is the same.
    drive(&mut event_loop, &mut seen, || Peer::connect(address).expect("kept"));
    assert_eq!(seen.len(), 2);
}

// Broadcasting from every method.

/// Broadcasts every arrival, message and departure.
struct Lobby;

impl Lobby {
    fn cast(cx: &mut Context<'_>, text: &str) {
        let topic = cx.topic("lobby").expect("a topic");
        assert_eq!(cx.broadcast(topic, text), SendStatus::Sent);
    }
}

impl WebSocketHandler<()> for Lobby {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        let topic = conn.topic("lobby").expect("a topic");
        assert_eq!(conn.topic_name(topic), Some("lobby"));
        assert_eq!(conn.subscribe(topic), Ok(true));
        Self::cast(conn, "comes");
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        Self::cast(conn, message.as_text().expect("text"));
    }

    fn on_ping(&mut self, conn: &mut Connection<'_>, _: &[u8], _: &mut ()) {
        Self::cast(conn, "pings");
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut ()) {
        let topic = conn.topic("lobby").expect("a topic");
        assert_eq!(conn.subscribe(topic), Err(SubscribeError::ConnectionGone));
        assert!(!conn.unsubscribe(topic));
        Self::cast(conn, "goes");
    }
}

#[test]
fn a_broadcast_may_come_from_every_method() {
    let server = Server::with(Lobby);
    let mut first = Peer::connect(server.address());
    first.expect("comes");
    let mut second = Peer::connect(server.address());
    second.expect("comes");
    second.send("speaks");
    second.expect("speaks");
    second.send_frame(true, OpCode::Ping, b"");
    second.expect_frame(OpCode::Pong, b"");
    second.expect("pings");
    second.send_close(1000, "");
    second.expect_close(CloseCode::NORMAL);
    for text in ["comes", "speaks", "pings", "goes"] {
        first.expect(text);
    }
}

#[test]
fn a_subscriber_that_is_a_client_gets_masked_frames() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        event_loop.connect(&url, ClientConfig::default(), Lobby).expect("begin to connect");
        let listener =
            event_loop.listen("127.0.0.1:0", ServerConfig::default(), Lobby).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    let mut far = Peer::accept(&listener);
    far.expect("comes");
    let mut near = Peer::connect(server.address());
    let long = "x".repeat(10_000);
    let mut keys = HashSet::new();
    near.send("short");
    near.send(&long);
    for text in ["comes", "short", &long] {
        let frame = far.frame();
        assert_eq!(frame.payload, text.as_bytes());
        keys.insert(frame.mask.expect("a client masks"));
        near.expect(text);
    }
    assert_eq!(keys.len(), 3);
}

#[test]
fn broadcast_except_accepts_a_connection_that_is_not_subscribed() {
    let server = server();
    let mut inside = Peer::connect(server.address());
    let mut outside = Peer::connect(server.address());
    tell(&mut inside, "sub a");
    outside.send("others? a hello\nothers? b nobody\nnumber? a\nnumber? c");
    for text in ["Sent", "Sent", "Some(1)", "Some(0)"] {
        outside.expect(text);
    }
    inside.expect("hello");
    tell(&mut inside, "");
}

// Limits.

#[test]
fn a_broadcast_beyond_the_backlog_is_dropped_and_the_others_are_delivered() {
    let server = Server::listen(
        Config::default().topic_backlog(1_000),
        ServerConfig::default(),
        Interpreter,
    );
    let mut peer = Peer::connect(server.address());
    tell(&mut peer, "sub a");
    let long = "x".repeat(600);
    peer.send(&format!("cast? a {long}\ncast? a {long}\ncast? a short\ncast a end"));
    // The answers are sent after what was broadcast before them.
    for text in [&long, "Sent", "Dropped", "short", "Sent", "end"] {
        peer.expect(text);
    }
    tell(&mut peer, "");
}

#[test]
fn a_broadcast_beyond_what_all_topics_may_hold_is_dropped_and_the_others_are_delivered() {
    let server = Server::listen(
        Config::default().max_topic_bytes(4_000),
        ServerConfig::default(),
        Interpreter,
    );
    let mut peer = Peer::connect(server.address());
    tell(&mut peer, "sub a\nsub b\nsub c");
    let (long, other) = ("x".repeat(1_500), "y".repeat(1_000));
    for _ in 0..2 {
        peer.send(&format!("cast? a {long}\ncast? b {long}\ncast? c {other}\ncast? c short"));
        // Three topics would hold too much, though each of them has room.
        for text in [&long, "Sent", &long, "Sent", "Dropped", "short", "Sent"] {
            peer.expect(text);
        }
        // What was delivered takes no room any more.
        tell(&mut peer, "");
    }
}

#[test]
fn a_topic_with_subscribers_is_not_removed() {
    let server =
        Server::with(on_message(|conn: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {
            let topic = conn.topic("a").expect("a topic");
            assert_eq!(conn.subscribe(topic), Ok(true));
            conn.broadcast(topic, "before");
            assert!(!conn.remove_topic(topic));
            assert!(conn.unsubscribe(topic));
            assert!(conn.remove_topic(topic));
            assert!(!conn.remove_topic(topic));
            assert_eq!(conn.topic_name(topic), None);
            assert_eq!(conn.subscriber_count(topic), 0);
            assert_eq!(conn.broadcast(topic, "lost"), SendStatus::Gone);
            assert_eq!(conn.subscribe(topic), Err(SubscribeError::TopicGone));
            let other = conn.topic("a").expect("a topic");
            assert_ne!(other, topic);
            assert_eq!(conn.subscribe(other), Ok(true));
            assert!(!conn.unsubscribe(topic));
            conn.broadcast(other, "after");
        }));
    let mut peer = Peer::connect(server.address());
    peer.send("go");
    peer.expect("before");
    peer.expect("after");
}
