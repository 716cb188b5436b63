//! Histories of topics, and clients that come back.

use std::time::Duration;

use eventwire::{
    Config, Connection, Envelope, Error, EventLoop, History, InvalidTopicConfig, Message,
    OverflowPolicy, Position, Resumption, SendStatus, ServerConfig, SubscribeError, TopicConfig,
    TopicId, WebSocketHandler,
};

use crate::util::{Peer, Server};

/// Runs the command in a message:
///
/// ```text
/// say TEXT · from POSITION · last COUNT · where · history · leave · remove · fill BYTES
/// ```
///
/// All are about the topic `room`, which is made when it is needed.
struct Interpreter {
    policy: OverflowPolicy,
    /// What is broadcast when a client has come back.
    welcome: Option<&'static str>,
}

impl Interpreter {
    fn new(policy: OverflowPolicy) -> Self {
        Self { policy, welcome: None }
    }

    fn subscribe(
        &self,
        conn: &mut Connection<'_>,
        room: TopicId,
        position: Option<Position>,
    ) -> Result<(), SubscribeError> {
        let position = position.ok_or(SubscribeError::TopicGone)?;
        conn.subscribe_from(room, self.policy, position)
    }
}

impl WebSocketHandler<()> for Interpreter {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()) {
        let line = message.as_text().expect("commands are text");
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let room = conn.topic("room").expect("room for a topic");
        match command {
            "say" => drop(conn.broadcast(room, rest)),
            "from" => {
                let position = rest.parse().ok();
                self.subscribe(conn, room, position).expect("it subscribes");
            }
            "last" => {
                let count = rest.parse().expect("a number");
                let position = conn.position_before(room, count);
                self.subscribe(conn, room, position).expect("it subscribes");
            }
            "where" => {
                let position = conn.position(room).expect("a topic");
                conn.send(position.to_string());
            }
            "history" => {
                let all: Vec<_> = conn
                    .history(room, ..)
                    .map(|it| {
                        format!("{} {}", it.position.offset(), it.message.as_text().expect("text"))
                    })
                    .collect();
                conn.send(all.join(", "));
            }
            "leave" => drop(conn.unsubscribe(room)),
            "remove" => {
                let is_removed = conn.remove_topic(room);
                conn.send(is_removed.to_string());
            }
            "fill" => drop(conn.send(vec![0; rest.parse().expect("a number")])),
            other => panic!("no command: {other}"),
        }
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        room: TopicId,
        resumption: Resumption,
        (): &mut (),
    ) {
        if let Some(text) = self.welcome {
            assert_eq!(conn.broadcast(room, text), SendStatus::Sent);
        }
        conn.send(match resumption {
            Resumption::Recovered { replayed } => format!("recovered {replayed}"),
            Resumption::Lost { oldest, newest } => {
                format!("lost {} {}", oldest.offset(), newest.offset())
            }
            other => panic!("{other:?}"),
        });
    }
}

fn kept(history: History) -> TopicConfig {
    TopicConfig::default().history(history)
}

fn server(history: History, policy: OverflowPolicy) -> Server {
    let config = Config::default().topics("room", kept(history));
    Server::listen(config, ServerConfig::default(), Interpreter::new(policy))
}

fn peer(server: &Server) -> Peer {
    Peer::connect(server.address())
}

fn asked(peer: &mut Peer, command: &str) -> String {
    peer.send(command);
    let frame = peer.frame();
    String::from_utf8(frame.payload).expect("text")
}

fn position(peer: &mut Peer) -> Position {
    asked(peer, "where").parse().expect("a position")
}

/// Has them broadcast.
fn say(peer: &mut Peer, texts: &[&str]) {
    for text in texts {
        peer.send(&*format!("say {text}"));
    }
    // All was handled before this answer.
    position(peer);
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed_and_then_what_is_live() {
    for policy in [
        OverflowPolicy::Close,
        OverflowPolicy::DropNewest,
        OverflowPolicy::DropOldest,
        OverflowPolicy::KeepLatest,
    ] {
        let server = server(History::of(10), policy);
        let mut speaker = peer(&server);
        say(&mut speaker, &["a", "b"]);
        let seen = position(&mut speaker);
        assert_eq!(seen.offset(), 2);
        say(&mut speaker, &["c", "d"]);

        let mut client = peer(&server);
        assert_eq!(asked(&mut client, &format!("from {seen}")), "recovered 2", "{policy:?}");
        client.expect("c");
        client.expect("d");
        say(&mut speaker, &["e"]);
        client.expect("e");
        // It misses nothing while it is away for a moment.
        let seen = position(&mut speaker);
        let mut client = peer(&server);
        assert_eq!(asked(&mut client, &format!("from {seen}")), "recovered 0");
        say(&mut speaker, &["f"]);
        client.expect("f");
    }
}

#[test]
fn a_position_that_the_history_does_not_reach_is_lost_and_later_messages_come() {
    let server = server(History::of(3), OverflowPolicy::Close);
    let mut speaker = peer(&server);
    let begin = position(&mut speaker);
    say(&mut speaker, &["a", "b", "c"]);
    let mut client = peer(&server);
    assert_eq!(asked(&mut client, &format!("from {begin}")), "recovered 3");
    ["a", "b", "c"].into_iter().for_each(|text| client.expect(text));
    say(&mut speaker, &["d"]);
    let newest = position(&mut speaker);
    let in_epoch = |offset| Position::new(newest.epoch(), offset);
    let others = Position::new(newest.epoch() ^ 1, newest.offset());
    let lost = [begin, in_epoch(newest.offset() + 1), in_epoch(u64::MAX), others];
    let mut clients = lost.map(|position| {
        let mut client = peer(&server);
        assert_eq!(asked(&mut client, &format!("from {position}")), "lost 2 4", "{position}");
        client
    });
    say(&mut speaker, &["e"]);
    clients.iter_mut().for_each(|client| client.expect("e"));
}

#[test]
fn a_topic_that_keeps_the_latest_gives_it_to_all_that_have_not_got_it() {
    let server = server(History::latest(), OverflowPolicy::KeepLatest);
    let mut speaker = peer(&server);
    let begin = position(&mut speaker);
    let elsewhere = Position::new(begin.epoch() ^ 1, 0);
    assert_eq!(asked(&mut peer(&server), &format!("from {begin}")), "recovered 0");
    assert_eq!(asked(&mut peer(&server), &format!("from {elsewhere}")), "lost 1 0");
    say(&mut speaker, &["a", "b"]);
    let newest = position(&mut speaker);
    for behind in [begin, elsewhere, Position::new(begin.epoch(), 7)] {
        let mut client = peer(&server);
        assert_eq!(asked(&mut client, &format!("from {behind}")), "recovered 1", "{behind}");
        client.expect("b");
        assert_eq!(asked(&mut client, "history"), "2 b");
    }
    assert_eq!(asked(&mut peer(&server), &format!("from {newest}")), "recovered 0");
}

#[test]
fn a_topic_that_is_made_again_has_another_epoch() {
    let server = server(History::of(3), OverflowPolicy::Close);
    let mut speaker = peer(&server);
    say(&mut speaker, &["a"]);
    let before = position(&mut speaker);
    assert_eq!(asked(&mut speaker, "remove"), "true");
    say(&mut speaker, &["b"]);
    assert_ne!(position(&mut speaker).epoch(), before.epoch());
    assert_eq!(asked(&mut peer(&server), &format!("from {before}")), "lost 1 1");
    assert_eq!(asked(&mut speaker, "history"), "1 b");
}

#[test]
fn without_a_history_only_what_is_missing_nothing_is_recovered() {
    let server = Server::with(Interpreter::new(OverflowPolicy::Close));
    let mut speaker = peer(&server);
    let begin = position(&mut speaker);
    assert_eq!(asked(&mut peer(&server), &format!("from {begin}")), "recovered 0");
    say(&mut speaker, &["a"]);
    assert_eq!(asked(&mut peer(&server), &format!("from {begin}")), "lost 2 1");
    assert_eq!(asked(&mut peer(&server), "last 10"), "recovered 0");
    assert_eq!(asked(&mut speaker, "history"), "");
}

#[test]
fn a_client_that_comes_late_gets_the_last_messages() {
    // A frame of three bytes for each.
    let server = server(History::of(100).bytes(9), OverflowPolicy::Close);
    let mut speaker = peer(&server);
    assert_eq!(asked(&mut peer(&server), "last 2"), "recovered 0");
    say(&mut speaker, &["a", "b", "c", "d"]);
    for (count, texts) in
        [(0, &[][..]), (2, &["c", "d"]), (3, &["b", "c", "d"]), (9, &["b", "c", "d"])]
    {
        let mut client = peer(&server);
        let recovered = format!("recovered {}", texts.len());
        assert_eq!(asked(&mut client, &format!("last {count}")), recovered);
        texts.iter().for_each(|text| client.expect(*text));
    }
    assert_eq!(asked(&mut speaker, "history"), "2 b, 3 c, 4 d");
}

#[test]
fn a_long_history_waits_for_a_slow_reader_whatever_its_policy() {
    let history = History::of(1000).bytes(16 * 1024 * 1024);
    let config = Config::default().topics("r*", kept(history)).outbox(16 * 1024, 64 * 1024);
    let handler = Interpreter::new(OverflowPolicy::Close);
    let server = Server::listen(config, ServerConfig::default(), handler);
    let mut speaker = peer(&server);
    let text = "x".repeat(64 * 1024 - 64);
    for _ in 0..200 {
        say(&mut speaker, &[&text]);
    }
    let mut reader = Peer::narrow(server.address());
    reader.send("last 200");
    reader.expect("recovered 200");
    // The loop serves others while the reader is slow.
    say(&mut speaker, &[&text, "end"]);
    (0..201).for_each(|_| reader.expect(&*text));
    reader.expect("end");
}

#[test]
fn a_resumed_subscription_that_ends_at_once_gets_nothing() {
    let server = server(History::of(3), OverflowPolicy::Close);
    let mut speaker = peer(&server);
    let begin = position(&mut speaker);
    say(&mut speaker, &["a"]);
    let mut client = peer(&server);
    // Both in one turn.
    let commands = [format!("from {begin}"), "leave".to_owned(), "where".to_owned()];
    send_together(&mut client, &commands);
    let newest = position(&mut speaker);
    client.expect(&*newest.to_string());
}

/// Sends all commands at once, so that one turn handles them.
fn send_together(peer: &mut Peer, commands: &[String]) {
    let bytes: Vec<u8> = commands.iter().flat_map(|text| peer.encode_message(&**text)).collect();
    peer.write(&bytes);
}

#[test]
fn the_last_of_several_positions_decides() {
    let server = server(History::of(10), OverflowPolicy::Close);
    let mut speaker = peer(&server);
    let begin = position(&mut speaker);
    say(&mut speaker, &["a", "b"]);
    let seen = position(&mut speaker);
    say(&mut speaker, &["c"]);
    let begin = format!("from {begin}");
    let seen = format!("from {seen}");
    for commands in [vec![begin.clone(), seen.clone()], vec![begin, "leave".to_owned(), seen]] {
        let mut client = peer(&server);
        send_together(&mut client, &commands);
        client.expect("recovered 1");
        client.expect("c");
        assert_eq!(asked(&mut client, "history"), "1 a, 2 b, 3 c");
    }
}

#[test]
fn what_is_broadcast_when_a_client_has_come_back_comes_after_what_it_missed() {
    for history in [History::of(10), History::latest()] {
        let config = Config::default().topics("room", kept(history));
        let handler =
            Interpreter { welcome: Some("welcome"), ..Interpreter::new(OverflowPolicy::Close) };
        let server = Server::listen(config, ServerConfig::default(), handler);
        let mut speaker = peer(&server);
        let begin = position(&mut speaker);
        say(&mut speaker, &["a"]);
        let mut client = peer(&server);
        assert_eq!(asked(&mut client, &format!("from {begin}")), "recovered 1");
        client.expect("a");
        client.expect("welcome");
    }
}

#[test]
fn what_was_broadcast_in_the_same_turn_is_history_too() {
    for policy in [OverflowPolicy::DropNewest, OverflowPolicy::KeepLatest] {
        let config = Config::default().topics("room", kept(History::of(10)));
        let config = config.outbox(16 * 1024, 64 * 1024 * 1024);
        let server = Server::listen(config, ServerConfig::default(), Interpreter::new(policy));
        let mut speaker = peer(&server);
        let begin = position(&mut speaker);
        let mut client = Peer::narrow(server.address());
        // More than the socket takes: the client's output waits when it comes back.
        const FILLING: usize = 16 * 1024 * 1024;
        let commands =
            [format!("fill {FILLING}"), "say a".into(), "say b".into(), format!("from {begin}")];
        send_together(&mut client, &commands);
        assert_eq!(client.frame().payload.len(), FILLING);
        client.expect("recovered 2");
        client.expect("a");
        client.expect("b");
    }
}

#[test]
fn a_client_learns_positions_from_envelopes_and_resumes_from_there() {
    let config = Config::default()
        .topics("room", kept(History::of(10)).envelope(Envelope::json()))
        .max_topic_bytes(1 << 20);
    let handler = Interpreter::new(OverflowPolicy::Close);
    let server = Server::listen(config, ServerConfig::default(), handler);
    let mut speaker = peer(&server);
    let begin = position(&mut speaker);
    say(&mut speaker, &["a", "\"b\"", "c"]);
    let enveloped = |offset, data| {
        let position = Position::new(begin.epoch(), offset);
        format!(r#"{{"topic":"room","position":"{position}","data":{data}}}"#)
    };
    let all = [enveloped(1, r#""a""#), enveloped(2, r#""\"b\"""#), enveloped(3, r#""c""#)];
    let mut client = peer(&server);
    assert_eq!(asked(&mut client, &format!("from {begin}")), "recovered 3");
    all.iter().for_each(|text| client.expect(&**text));
    // As a script does.
    let (_, rest) = all[1].split_once(r#""position":""#).expect("a position");
    let seen = rest.split('"').next().expect("a position");
    let mut client = peer(&server);
    assert_eq!(asked(&mut client, &format!("from {seen}")), "recovered 1");
    client.expect(&*all[2]);
    say(&mut speaker, &["d"]);
    client.expect(&*enveloped(4, r#""d""#));
    let history = asked(&mut speaker, "history");
    assert!(history.starts_with(&format!("1 {}, 2 ", all[0])), "{history}");
}

#[test]
fn a_history_that_cannot_be_meant_is_refused() {
    let one = History::of(1);
    for (pattern, history, error) in [
        ("a*b", one, InvalidTopicConfig::Pattern("a*b".to_owned())),
        ("a", one.age(Duration::ZERO), InvalidTopicConfig::Empty("a".to_owned())),
        ("b", one, InvalidTopicConfig::Taken("b".to_owned())),
    ] {
        let config = Config::default().topics("b", kept(one)).topics(pattern, kept(history));
        let refused = EventLoop::<()>::new(config).map(drop).expect_err("an error");
        assert!(matches!(refused, Error::TopicConfig(found) if found == error), "{pattern}");
    }
}
