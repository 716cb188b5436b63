//! Streams of server-sent events whose clients come back.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::{
    Answer, Config, Connection, Envelope, EventLoop, EventStream, History, HttpHandler,
    HttpRequest, Later, Position, RequestId, Resumption, Routes, ServerConfig, TopicConfig,
    TopicId,
};

use crate::util::{Peer, drive, drive_until};

/// An event of a stream, as a browser takes it apart.
#[derive(Debug, Default, PartialEq)]
struct Event {
    id: Option<Position>,
    name: Option<String>,
    data: String,
}

impl Event {
    fn read(peer: &mut Peer) -> Self {
        let mut text = String::new();
        while !text.ends_with("\n\n") {
            text.push(char::from(peer.bytes(1)[0]));
        }
        let mut event = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ").expect("a field") {
                ("id", id) => event.id = Some(id.parse().expect("a position")),
                ("event", name) => event.name = Some(name.to_owned()),
                ("data", data) => event.data.push_str(data),
                other => panic!("{other:?}"),
            }
        }
        event
    }
}

/// Streams of the topics `news` and `sport`, each with three messages of history at most.
struct Site {
    event_loop: EventLoop<()>,
    address: SocketAddr,
}

fn config(history: History) -> Config {
    Config::default().topics("*", TopicConfig::default().history(history))
}

impl Site {
    fn new() -> Self {
        let events = EventStream::of("news").topic("sport");
        Self::with(config(History::of(3)), Routes::new().events("/events", events))
    }

    fn with(config: Config, routes: Routes<()>) -> Self {
        let mut event_loop = EventLoop::new(config).expect("make a loop");
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
        Self { event_loop, address }
    }

    fn topic(&mut self, name: &str) -> TopicId {
        self.event_loop.topic(name).expect("room for a topic")
    }

    /// Broadcasts texts, each in a turn of its own.
    fn say(&mut self, topic: &str, texts: &[&str]) {
        let topic = self.topic(topic);
        for text in texts {
            self.event_loop.context().broadcast(topic, *text);
            self.event_loop.turn(Some(Duration::ZERO), &mut ()).expect("turn");
        }
    }

    /// The position of the topic's message with that offset.
    fn at(&mut self, topic: &str, offset: u64) -> Position {
        let topic = self.topic(topic);
        let newest = self.event_loop.context().position(topic).expect("it exists");
        Position::new(newest.epoch(), offset)
    }

    /// A stream whose request has this target and these headers.
    fn open(&mut self, target: &str, headers: &str) -> Peer {
        let mut peer = Peer::open(self.address);
        peer.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
        let opened = self.event_loop.handle().stats().opened;
        drive_until(&mut self.event_loop, &mut (), |event_loop, ()| {
            event_loop.handle().stats().opened > opened
        });
        drive(&mut self.event_loop, &mut (), || assert!(peer.head().contains(" 200 OK\r\n")));
        peer
    }

    fn open_after(&mut self, id: impl ToString) -> Peer {
        self.open("/events", &format!("Last-Event-ID: {}\r\n", id.to_string()))
    }

    fn next(&mut self, peer: &mut Peer) -> Event {
        drive(&mut self.event_loop, &mut (), || Event::read(peer))
    }

    #[track_caller]
    fn expect(&mut self, peer: &mut Peer, topic: &str, offset: u64, text: &str) {
        let id = Some(self.at(topic, offset));
        assert_eq!(self.next(peer), Event { id, name: None, data: text.to_owned() });
    }

    #[track_caller]
    fn expect_lost(&mut self, peer: &mut Peer, topic: &str, oldest: u64, newest: u64) {
        let [oldest, newest] = [oldest, newest].map(|offset| self.at(topic, offset));
        let data = format!(r#"{{"topic":"{topic}","oldest":"{oldest}","newest":"{newest}"}}"#);
        let expected = Event { id: Some(newest), name: Some("lost".to_owned()), data };
        assert_eq!(self.next(peer), expected);
    }
}

#[test]
fn a_client_that_says_its_last_event_gets_what_it_missed() {
    let events = Routes::new().events("/events", EventStream::of("news"));
    let mut site = Site::with(config(History::of(3)), events);
    let mut peer = site.open("/events", "");
    site.say("news", &["a"]);
    site.expect(&mut peer, "news", 1, "a");
    drop(peer);
    site.say("news", &["b", "c"]);
    let seen = site.at("news", 1);
    let mut peer = site.open_after(seen);
    site.say("news", &["d"]);
    site.expect(&mut peer, "news", 2, "b");
    site.expect(&mut peer, "news", 3, "c");
    site.expect(&mut peer, "news", 4, "d");
    // It hears of nothing if it has missed nothing.
    let newest = site.at("news", 4);
    let mut peer = site.open_after(newest);
    site.say("news", &["e"]);
    site.expect(&mut peer, "news", 5, "e");
    // Now the history begins with the third message.
    let mut peer = site.open_after(seen);
    site.say("news", &["f"]);
    site.expect_lost(&mut peer, "news", 3, 5);
    site.expect(&mut peer, "news", 6, "f");
}

#[test]
fn of_several_topics_each_resumes_from_its_own_position() {
    let mut site = Site::new();
    site.say("news", &["a", "b"]);
    site.say("sport", &["0:0", "0:1"]);
    let [news, sport] = [site.at("news", 1), site.at("sport", 1)];
    let list = format!("{sport}, {news}");
    let in_query = format!("/events?last-event-id={news}%2C{sport}").replace(':', "%3A");
    for (target, headers) in [("/events", &*format!("Last-Event-ID: {list}\r\n")), (&in_query, "")]
    {
        let mut peer = site.open(target, headers);
        site.expect(&mut peer, "news", 2, "b");
        site.expect(&mut peer, "sport", 2, "0:1");
    }
    // A browser knows one of them alone.
    let mut peer = site.open_after(news);
    site.expect(&mut peer, "news", 2, "b");
    site.expect_lost(&mut peer, "sport", 1, 2);
    site.say("sport", &["1:1"]);
    site.expect(&mut peer, "sport", 3, "1:1");
}

#[test]
fn a_client_that_says_nothing_gets_what_comes() {
    let mut site = Site::new();
    site.say("news", &["a"]);
    let mut peer = site.open("/events?room=1", "");
    site.say("news", &["b"]);
    site.expect(&mut peer, "news", 2, "b");
}

#[test]
fn what_is_no_position_of_a_topic_has_lost_everything() {
    let mut site = Site::new();
    site.say("news", &["a"]);
    let here = site.at("news", 1);
    let other = Position::new(here.epoch() ^ 1, 1);
    let beyond = site.at("news", 2);
    let long = vec![here.to_string(); 300].join(",");
    for id in ["7", ",", &format!("{here},7"), &other.to_string(), &beyond.to_string(), &long] {
        let mut peer = site.open_after(id);
        site.expect_lost(&mut peer, "news", 1, 1);
        site.expect_lost(&mut peer, "sport", 1, 0);
    }
    let mut peer = site.open("/events?last-event-id=", "");
    site.expect_lost(&mut peer, "news", 1, 1);
}

#[test]
fn a_topic_that_was_removed_and_made_again_is_another() {
    let events = EventStream::of("news");
    let mut site = Site::with(config(History::of(3)), Routes::new().events("/events", events));
    site.say("news", &["a", "b"]);
    let (seen, topic) = (site.at("news", 1), site.topic("news"));
    assert!(site.event_loop.context().remove_topic(topic));
    site.say("news", &["c", "d"]);
    let mut peer = site.open_after(seen);
    site.expect_lost(&mut peer, "news", 1, 2);
    site.say("news", &["e"]);
    site.expect(&mut peer, "news", 3, "e");
}

#[test]
fn a_topic_of_which_the_latest_message_counts_loses_nothing() {
    let events = EventStream::of("news");
    let mut site = Site::with(config(History::latest()), Routes::new().events("/events", events));
    site.say("news", &["a", "b"]);
    let (first, newest) = (site.at("news", 1), site.at("news", 2));
    for id in [first.to_string(), Position::new(!first.epoch(), 7).to_string(), "x".to_owned()] {
        let mut peer = site.open_after(id);
        site.expect(&mut peer, "news", 2, "b");
    }
    let mut peer = site.open_after(newest);
    site.say("news", &["c"]);
    site.expect(&mut peer, "news", 3, "c");
}

#[test]
fn a_slow_reader_gets_all_of_a_long_history_in_its_envelopes() {
    let history = History::of(1000).bytes(16 * 1024 * 1024);
    let topic = TopicConfig::default().history(history).envelope(Envelope::json());
    let config = Config::default().topics("*", topic).outbox(16 * 1024, 64 * 1024);
    let events = EventStream::of("news");
    let mut site = Site::with(config, Routes::new().events("/events", events));
    let (begin, text) = (site.at("news", 0), "x".repeat(60 * 1024));
    // More than the system holds.
    for _ in 0..200 {
        site.say("news", &[&text]);
    }
    let mut peer = Peer::open(site.address);
    let id = format!("Last-Event-ID: {begin}\r\n");
    peer.write(format!("GET /events HTTP/1.1\r\nHost: a\r\n{id}\r\n").as_bytes());
    drive_until(&mut site.event_loop, &mut (), |event_loop, ()| {
        event_loop.handle().stats().opened == 1
    });
    site.say("news", &["end"]);
    drive(&mut site.event_loop, &mut (), || {
        peer.head();
        for offset in 1..=201 {
            let position = Position::new(begin.epoch(), offset);
            let text = if offset == 201 { "end" } else { &text };
            let data = format!(r#"{{"topic":"news","position":"{position}","data":"{text}"}}"#);
            let event = format!("id: {position}\ndata: {data}\n\n");
            assert!(peer.bytes(event.len()) == event.as_bytes(), "{offset}");
        }
    });
}

/// Answers later, and sends what became of its topics.
struct AnswersLater;

struct Answered(RequestId);

impl HttpHandler<()> for AnswersLater {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        _: &HttpRequest<'_>,
        (): &mut (),
    ) -> Answer {
        assert!(conn.publish(Answered(conn.request_id())).is_ok());
        Later::default().into()
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        (): &mut (),
    ) {
        let name = conn.topic_name(topic).unwrap_or_default().to_owned();
        conn.send(match resumption {
            Resumption::Recovered { replayed } => format!("{name}: {replayed}"),
            _ => format!("{name}: lost"),
        });
    }
}

#[test]
fn a_stream_that_is_answered_later_resumes_and_its_handler_learns_so() {
    let routes = Routes::new().get_handler("/events", AnswersLater);
    let mut site = Site::with(config(History::of(3)), routes);
    site.event_loop.on(|cx, answered: &Answered, ()| {
        let events = EventStream::of("news").topic("sport");
        assert!(cx.respond(answered.0, events).is_ok());
    });
    site.say("news", &["a", "b"]);
    let seen = site.at("news", 1);
    let mut peer = site.open_after(seen);
    let said = |data: &str| Event { data: data.to_owned(), ..Event::default() };
    assert_eq!(site.next(&mut peer), said("news: 1"));
    site.expect(&mut peer, "news", 2, "b");
    site.expect_lost(&mut peer, "sport", 1, 0);
    assert_eq!(site.next(&mut peer), said("sport: lost"));
}
