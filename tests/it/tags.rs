//! Tags: finding, sending to and closing the connections of a key; the members of topics.

use std::time::Duration;

use eventwire::{
    Answer, ClientConfig, CloseCode, Config, Connection, ConnectionId, Context, Disconnect, Error,
    EventLoop, HttpHandler, HttpRequest, HttpResponse, MaxAge, Message, Routes, ServerConfig,
    StreamConfig, StreamHandler, StreamedResponse, Tag, TagError, TopicId, WebSocketHandler,
};

use crate::util::{Peer, Server, drive, drive_until, looping, pattern};

/// Runs the commands in a message, one a line, all in one call, and sends each outcome:
///
/// ```text
/// tag KEY · untag KEY · tags · count KEY · send KEY TEXT · close KEY · on_close KEY TEXT
/// ```
///
/// A key of digits is a number.
#[derive(Default)]
struct Interpreter;

/// What a connection sends to others when it ends: a tag and a text.
struct Will(String, String);

fn with_key<V>(key: &str, act: impl FnOnce(Tag<'_>) -> V) -> V {
    match key.parse::<u64>() {
        Ok(number) => act(number.into()),
        Err(_) => act(key.into()),
    }
}

impl Interpreter {
    fn obey(line: &str, conn: &mut Connection<'_>) -> Option<String> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (key, text) = rest.split_once(' ').unwrap_or((rest, ""));
        with_key(key, |tag| match command {
            "tag" => Some(format!("{:?}", conn.tag(tag))),
            "untag" => Some(conn.untag(tag).to_string()),
            "count" => Some(conn.tagged(tag).len().to_string()),
            "send" => {
                conn.send_tagged(tag, text);
                None
            }
            "close" => Some(conn.close_tagged(tag, CloseCode::POLICY, "signed out").to_string()),
            "tags" => {
                let mut tags: Vec<_> = conn.tags().map(|tag| tag.to_string()).collect();
                tags.sort();
                Some(tags.join(" "))
            }
            "on_close" => {
                conn.attach(Will(key.to_owned(), text.to_owned()));
                None
            }
            other => panic!("no command: {other}"),
        })
    }
}

impl WebSocketHandler<()> for Interpreter {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        for line in message.as_text().expect("commands are text").lines() {
            if let Some(outcome) = Self::obey(line, conn) {
                conn.send(outcome);
            }
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut ()) {
        assert_eq!(conn.tags().len(), 0);
        assert_eq!(conn.tag("late"), Err(TagError::ConnectionGone));
        assert!(!conn.untag("late") && !conn.is_tagged("late"));
        if let Some(Will(key, text)) = conn.detach() {
            let id = conn.id();
            assert!(with_key(&key, |key| conn.tagged(key).all(|other| other != id)));
            let count = with_key(&key, |key| conn.tagged(key).len());
            with_key(&key, |tag| conn.send_tagged(tag, format!("{text}, {count} left")));
        }
    }
}

#[track_caller]
fn ask(peer: &mut Peer, command: &str, outcome: &str) {
    peer.send(command);
    peer.expect(outcome);
}

#[test]
fn a_message_to_a_tag_reaches_the_connections_that_have_it() {
    let server = Server::with(Interpreter);
    let mut peers = [(); 4].map(|()| Peer::connect(server.address()));
    ask(&mut peers[0], "tag ada", "Ok(true)");
    ask(&mut peers[1], "tag ada", "Ok(true)");
    ask(&mut peers[2], "tag 7", "Ok(true)");
    peers[3].send("send ada hello\nsend 7 seven\nsend nobody lost\ncount ada");
    peers[3].expect("2");
    for (peer, text) in peers.iter_mut().zip(["hello", "hello", "seven"]) {
        peer.expect(text);
    }
    ask(&mut peers[0], "untag ada\nuntag ada", "true");
    peers[0].expect("false");
    ask(&mut peers[3], "send ada again\ncount ada", "1");
    peers[1].expect("again");
    ask(&mut peers[0], "tag ada\ntag 9\ntags", "Ok(true)");
    peers[0].expect("Ok(true)");
    peers[0].expect("9 ada");
}

#[test]
fn long_messages_reach_all_of_a_tag_whole_and_in_order() {
    struct Relay;
    impl WebSocketHandler<()> for Relay {
        fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
            conn.tag(1_u64).expect("tagged");
        }

        fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
            conn.send("before");
            assert_eq!(conn.send_tagged(1_u64, message), 2);
            conn.send("after");
        }
    }
    let server = Server::with(Relay);
    let mut speaker = Peer::connect(server.address());
    let mut listener = Peer::connect(server.address());
    for len in [0, 125, 4_095, 4_096, 70_000, 300_000] {
        let message = pattern(len, len);
        speaker.send(&message);
        speaker.expect("before");
        speaker.expect(&message);
        speaker.expect("after");
        listener.expect(&message);
    }
}

#[test]
fn closing_a_tag_closes_its_connections_with_that_of_the_caller() {
    let server = Server::with(Interpreter);
    let mut peers = [(); 3].map(|()| Peer::connect(server.address()));
    for peer in &mut peers {
        ask(peer, "tag ada", "Ok(true)");
    }
    ask(&mut peers[2], "untag ada", "true");
    // The outcome is for a connection that is closed.
    peers[0].send("close ada");
    for peer in &mut peers[..2] {
        peer.expect_close(CloseCode::POLICY);
    }
    ask(&mut peers[2], "count ada\nclose ada", "0");
    peers[2].expect("0");
}

#[test]
fn a_tag_is_lost_before_on_close_which_can_send_to_the_others() {
    let server = Server::with(Interpreter);
    let mut peers = [(); 3].map(|()| Peer::connect(server.address()));
    for (peer, text) in peers.iter_mut().zip(["first gone", "second gone", "third gone"]) {
        ask(peer, &format!("tag ada\non_close ada {text}"), "Ok(true)");
    }
    let [first, mut second, mut third] = peers;
    // One closes in order, the other does not.
    drop(first);
    third.expect("first gone, 2 left");
    second.expect("first gone, 2 left");
    second.send_close(1000, "");
    third.expect("second gone, 1 left");
    ask(&mut third, "count ada", "1");
}

#[test]
fn bad_keys_and_too_many_tags_are_refused() {
    let config = Config::default().max_connection_tags(2).max_tags(3);
    let server = Server::listen(config, ServerConfig::default(), Interpreter);
    let [mut first, mut second] = [(); 2].map(|()| Peer::connect(server.address()));
    ask(&mut first, "tag ", "Err(EmptyKey)");
    ask(&mut first, &format!("tag {}", "k".repeat(257)), "Err(KeyTooLong)");
    for (command, outcome) in [
        ("tag a", "Ok(true)"),
        ("tag a", "Ok(false)"),
        ("tag b", "Ok(true)"),
        ("tag c", "Err(TooMany)"),
        ("tag b", "Ok(false)"),
    ] {
        ask(&mut first, command, outcome);
    }
    for (command, outcome) in [
        ("tag c", "Ok(true)"),
        ("tag d", "Err(TooManyTags)"),
        ("tag a", "Ok(true)"),
        ("untag c", "true"),
        ("tag d", "Ok(true)"),
    ] {
        ask(&mut second, command, outcome);
    }
    let error: Error = TagError::TooMany.into();
    assert_eq!(error.to_string(), "the connection has too many tags");
}

#[test]
fn tags_of_connections_that_ended_make_room_for_others() {
    let config = Config::default().max_tags(1);
    let server = Server::listen(config, ServerConfig::default(), Interpreter);
    for number in 0..20 {
        let mut peer = Peer::connect(server.address());
        ask(&mut peer, &format!("tag user{number}"), "Ok(true)");
        peer.send(&format!("close user{number}"));
        peer.expect_close(CloseCode::POLICY);
    }
}

/// Tags every connection with what it is.
struct Kinds(&'static str);

#[derive(Default)]
struct Seen {
    server: Vec<u8>,
    client: Vec<String>,
    stream: Vec<u8>,
    ids: Vec<ConnectionId>,
}

impl WebSocketHandler<Seen> for Kinds {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        assert_eq!((conn.tag("all"), conn.tag(self.0)), (Ok(true), Ok(true)));
        seen.ids.push(conn.id());
    }

    fn on_message(&mut self, _: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
        if self.0 == "client" {
            seen.client.extend(message.as_text().map(str::to_owned));
        } else {
            seen.server.extend(message.as_bytes());
        }
    }
}

impl StreamHandler<Seen> for Kinds {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        WebSocketHandler::on_open(self, conn, seen);
    }

    fn on_data(&mut self, _: &mut Connection<'_>, data: &[u8], seen: &mut Seen) -> usize {
        seen.stream.extend(data);
        data.len()
    }
}

#[test]
fn every_kind_of_connection_can_be_tagged_sent_to_and_closed() {
    struct Send;
    struct Close;
    let (mut event_loop, address) = looping(Config::default(), Kinds("server"));
    let listener = event_loop.listen_stream("127.0.0.1:0", StreamConfig::default(), Kinds("in"));
    let streams = event_loop.local_addr(listener.expect("a port")).expect("it listens");
    let url = format!("ws://{address}");
    event_loop.connect(&url, ClientConfig::default(), Kinds("client")).expect("it is begun");
    event_loop.connect_stream(streams, StreamConfig::default(), Kinds("out")).expect("begun");
    event_loop.on(|cx, _: &Send, _: &mut Seen| {
        for kind in ["server", "client", "in", "out"] {
            assert_eq!(cx.tagged(kind).len(), 1, "{kind}");
        }
        assert_eq!(cx.send_tagged("all", "x".repeat(5_000)), 4);
    });
    event_loop.on(|cx, _: &Close, _: &mut Seen| {
        assert_eq!(cx.close_tagged("all", CloseCode::NORMAL, ""), 4);
        assert_eq!(cx.close_tagged("all", CloseCode::NORMAL, ""), 0);
    });
    let publish = |event_loop: &mut EventLoop<Seen>| {
        event_loop.publisher().publish(Send).expect("it is taken");
    };
    let mut seen = Seen::default();
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.ids.len() == 4);
    publish(&mut event_loop);
    drive_until(&mut event_loop, &mut seen, |_, seen| {
        seen.stream.len() == 10_000 && seen.client.len() == 1 && seen.server.len() == 5_000
    });
    event_loop.publisher().publish(Close).expect("it is taken");
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
}

/// Streams a response that never ends by itself, tagged.
struct Streaming;

impl HttpHandler<Option<String>> for Streaming {
    fn on_request(
        &mut self,
        _: &mut Connection<'_>,
        _: &HttpRequest<'_>,
        _: &mut Option<String>,
    ) -> Answer {
        StreamedResponse::new(HttpResponse::text("")).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Option<String>) {
        assert_eq!(conn.tag("streams"), Ok(true));
        assert_eq!(conn.send_tagged("streams", "x".repeat(5_000)), conn.tagged("streams").len());
    }

    fn on_close(
        &mut self,
        conn: &mut Connection<'_>,
        reason: &Disconnect,
        ended: &mut Option<String>,
    ) {
        assert_eq!(conn.tagged("streams").len(), 0);
        *ended = Some(reason.to_string());
    }
}

#[test]
fn a_streamed_response_can_be_tagged_and_ends_at_its_age() {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let age = MaxAge::new(Duration::from_millis(20)).code(CloseCode::RESTART, "again");
    let routes = Routes::new().get_handler("/stream", Streaming);
    let config = ServerConfig::default().max_age(age);
    let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("a port");
    let address = event_loop.local_addr(listener).expect("it listens");
    let mut ended = None;
    let received = drive(&mut event_loop, &mut ended, || {
        let mut browser = Peer::open(address);
        browser.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
        browser.rest()
    });
    assert!(received.contains(&"x".repeat(5_000)), "{received}");
    assert!(!received.ends_with("\r\n0\r\n\r\n"), "it is incomplete");
    drive_until(&mut event_loop, &mut ended, |event_loop, _| event_loop.connections() == 0);
    assert!(ended.expect("on_close is called").starts_with("closed by the application: 1012"));
    assert_eq!(event_loop.stats().max_age_reached, 1);
}

/// Checks that the topics' members and the members' topics agree.
#[track_caller]
fn check_members(cx: &mut Context<'_>, topics: &[TopicId], ids: &[ConnectionId]) {
    for topic in topics {
        let members: Vec<ConnectionId> = cx.members(*topic).collect();
        assert_eq!(members.len(), cx.subscriber_count(*topic));
        for id in ids {
            let conn = cx.connection(*id);
            assert_eq!(conn.is_subscribed(*topic), members.contains(id));
            assert_eq!(conn.topics().any(|own| own == *topic), members.contains(id));
        }
    }
}

#[test]
fn members_and_topics_are_exact_while_handlers_subscribe_and_close() {
    struct Toggle;
    #[derive(Default)]
    struct App {
        topics: Vec<TopicId>,
        ids: Vec<ConnectionId>,
        closed: usize,
    }
    impl WebSocketHandler<App> for Toggle {
        fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
            assert_eq!(conn.topics().len(), 0);
            app.ids.push(conn.id());
        }

        /// Each byte is the number of a topic to be joined or left.
        fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
            for topic in message.as_bytes().iter().map(|at| app.topics[usize::from(*at)]) {
                if conn.is_subscribed(topic) {
                    assert!(conn.unsubscribe(topic));
                } else {
                    assert_eq!(conn.subscribe(topic), Ok(true));
                }
                check_members(conn, &app.topics, &app.ids);
            }
            if message.as_bytes().is_empty() {
                let topics: Vec<TopicId> = conn.topics().collect();
                assert!(!topics.is_empty() && conn.close(CloseCode::NORMAL, ""));
                assert!(conn.topics().len() == 0 && !conn.is_subscribed(topics[0]));
                check_members(conn, &app.topics, &app.ids);
            }
            conn.send("done");
        }

        fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
            assert_eq!(conn.topics().len(), 0);
            check_members(conn, &app.topics, &app.ids);
            app.closed += 1;
        }
    }
    let (mut event_loop, address) = looping(Config::default(), Toggle);
    let topics = (0..4).map(|at| event_loop.topic(&at.to_string()).expect("a topic"));
    let mut app = App { topics: topics.collect(), ..App::default() };
    drive(&mut event_loop, &mut app, || {
        let mut peers = [(); 3].map(|()| Peer::connect(address));
        for (peer, path) in peers.iter_mut().zip([&[0, 1, 2, 3, 1, 0][..], &[3, 2, 3], &[2, 1]]) {
            peer.send(path);
            peer.expect("done");
        }
        peers[0].send(&[]);
        peers[0].expect_close(CloseCode::NORMAL);
        // A later connection in the same slot has no topics.
        let mut later = Peer::connect(address);
        later.send(&[0, 0, 2]);
        later.expect("done");
    });
    drive_until(&mut event_loop, &mut app, |_, app| app.closed == 4);
    let (topics, mut cx) = (app.topics, event_loop.context());
    check_members(&mut cx, &topics, &app.ids);
    assert!(topics.iter().all(|topic| cx.members(*topic).len() == 0));
    assert!(cx.remove_topic(topics[0]));
    assert_eq!(cx.members(topics[0]).len(), 0);
    let _ = event_loop.turn(Some(Duration::ZERO), &mut App::default());
}
