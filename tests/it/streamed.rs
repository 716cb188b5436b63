//! Responses that are sent in pieces, and server-sent events.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use eventwire::proto::TimedOut;
use eventwire::{
    Answer, CloseCode, Config, Connection, Context, Disconnect, EventLoop, EventStream, Gap,
    HttpHandler, HttpRequest, HttpResponse, Later, OverflowPolicy, RequestId, Routes, SendStatus,
    ServerConfig, StreamedResponse, TopicId,
};

use crate::util::{PATIENCE, Peer, Server, drive, drive_until};

/// What happened to a stream.
#[derive(Debug)]
enum Seen {
    Open,
    Drained,
    Close(String),
}

type Report = Sender<Seen>;

/// Answers with a stream, and does what its path says when that is open.
struct Streaming(Report);

impl<S> HttpHandler<S> for Streaming {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        _: &mut S,
    ) -> Answer {
        assert!(!conn.is_open());
        let head = HttpResponse::text(request.query().unwrap_or_default());
        let silence = if request.path() == "/stops" { Duration::from_millis(20) } else { PATIENCE };
        StreamedResponse::new(head).silence(silence).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        assert!(conn.is_open());
        self.0.send(Seen::Open).expect("the test listens");
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        self.0.send(Seen::Drained).expect("the test listens");
        conn.send("the end");
        conn.close(CloseCode::NORMAL, "");
    }

    fn on_close(&mut self, _: &mut Connection<'_>, disconnect: &Disconnect, _: &mut S) {
        self.0.send(Seen::Close(disconnect.to_string())).unwrap_or_default();
    }
}

/// The same, with what is to be done once it is open.
struct Doing<F>(Streaming, F);

impl<S, F: FnMut(&mut Connection<'_>)> HttpHandler<S> for Doing<F> {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Answer {
        self.0.on_request(conn, request, state)
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut S) {
        self.0.on_open(conn, state);
        (self.1)(conn);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {
        self.0.on_drained(conn, state);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, state: &mut S) {
        self.0.on_close(conn, disconnect, state);
    }
}

fn serve(act: impl FnMut(&mut Connection<'_>) + Send + 'static) -> (Server, Receiver<Seen>) {
    let (report, seen) = channel();
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let routes = Routes::new().get_handler("/*", Doing(Streaming(report), act));
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        event_loop.local_addr(listener.expect("listen")).expect("an address")
    });
    (server, seen)
}

fn ask(address: SocketAddr, target: &str) -> Peer {
    let mut peer = Peer::open(address);
    peer.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    peer
}

fn next(seen: &Receiver<Seen>) -> Seen {
    seen.recv_timeout(PATIENCE).expect("something happens")
}

#[track_caller]
fn expect_close(seen: &Receiver<Seen>, reason: &str) {
    loop {
        match next(seen) {
            Seen::Close(text) => return assert_eq!(text, reason),
            Seen::Open | Seen::Drained => {}
        }
    }
}

#[test]
fn a_response_is_sent_in_chunks_and_ended_by_the_application() {
    let (server, seen) = serve(|conn| {
        conn.send("hello");
        conn.send("");
        conn.send([b'x'; 17].as_slice());
        conn.close(CloseCode::NORMAL, "");
    });
    let mut peer = ask(server.address(), "/?first");
    let head = peer.head();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"), "{head}");
    assert!(head.ends_with("Transfer-Encoding: chunked\r\n\r\n"), "{head}");
    let body = "5\r\nfirst\r\n5\r\nhello\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n";
    assert_eq!(peer.rest(), body);
    drop(peer);
    assert!(matches!(next(&seen), Seen::Open));
    expect_close(&seen, "closed by the application: 1000 (normal closure)");
}

#[test]
fn what_is_not_ended_in_order_is_seen_to_be_incomplete() {
    let (server, seen) = serve(|conn| {
        conn.send("half");
        conn.close(CloseCode::INTERNAL, "");
    });
    let mut peer = ask(server.address(), "/");
    peer.head();
    assert_eq!(peer.rest(), "4\r\nhalf\r\n");
    drop(peer);
    expect_close(&seen, "closed by the application: 1011 (internal error)");
}

#[test]
fn clients_without_chunks_get_the_body_until_the_end_of_the_stream() {
    let (server, _seen) = serve(|conn| {
        conn.send("hello");
        conn.close(CloseCode::NORMAL, "");
    });
    let mut peer = Peer::open(server.address());
    peer.write(b"GET /?first- HTTP/1.0\r\n\r\n");
    assert!(!peer.head().contains("chunked"));
    assert_eq!(peer.rest(), "first-hello");
}

#[test]
fn a_head_request_gets_no_stream() {
    let (server, seen) = serve(|_| {});
    let mut peer = Peer::open(server.address());
    peer.write(b"HEAD /?first HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = peer.head();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("chunked") && !head.contains("Content-Length"), "{head}");
    assert_eq!(peer.rest(), "");
    drop(server);
    assert!(seen.recv_timeout(PATIENCE).is_err(), "nothing was opened");
}

#[test]
fn an_application_that_stops_is_cut_off() {
    let (server, seen) = serve(|conn| {
        conn.send("then nothing");
    });
    let mut peer = ask(server.address(), "/stops");
    peer.head();
    assert_eq!(peer.rest(), "c\r\nthen nothing\r\n");
    let missed = Disconnect::TimedOut(TimedOut::Response).to_string();
    expect_close(&seen, &missed);
}

#[test]
fn the_handler_learns_that_its_client_has_left() {
    let (server, seen) = serve(|conn| {
        conn.send("hello");
    });
    let mut peer = ask(server.address(), "/");
    peer.head();
    assert!(matches!(next(&seen), Seen::Open));
    drop(peer);
    match next(&seen) {
        Seen::Close(_) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_sends_much_behind_its_request_is_cut_off() {
    let (server, seen) = serve(|_| {});
    let mut peer = ask(server.address(), "/");
    peer.head();
    peer.try_write(&vec![b'x'; 100_000]);
    expect_close(&seen, "more than 65536 bytes of input were left unused");
}

#[test]
fn a_stream_that_had_to_wait_goes_on_when_the_client_has_read() {
    const PIECE: usize = 0x10_0000;
    let (waits, waiting) = channel();
    let (server, seen) = serve(move |conn| {
        let mut pieces = 1;
        while conn.send(vec![b'x'; PIECE]) == SendStatus::Sent {
            pieces += 1;
        }
        waits.send(pieces).expect("the test listens");
    });
    let mut peer = ask(server.address(), "/");
    let pieces: usize = waiting.recv_timeout(PATIENCE).expect("something has to wait");
    peer.head();
    let body = peer.rest();
    assert!(body.starts_with("100000\r\nxxx"));
    let end = "\r\n7\r\nthe end\r\n0\r\n\r\n";
    assert!(body.ends_with(end), "{}", &body[body.len() - end.len()..]);
    assert_eq!(body.matches('x').count(), pieces * PIECE);
    drop(peer);
    assert!(matches!(next(&seen), Seen::Open));
    assert!(matches!(next(&seen), Seen::Drained));
    expect_close(&seen, "closed by the application: 1000 (normal closure)");
}

#[test]
fn a_later_answer_may_be_a_stream() {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let (report, seen) = channel();
    let routes = Routes::new()
        .get("/", |conn, _, requests: &mut Vec<RequestId>| {
            requests.push(conn.request_id());
            Later::default()
        })
        .get_handler("/stream", Streaming(report));
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let (mut peer, mut requests) = (ask(address, "/"), Vec::new());
    drive_until(&mut event_loop, &mut requests, |_, requests| !requests.is_empty());
    let request = requests.remove(0);
    let mut context = event_loop.context();
    assert!(context.respond(request, StreamedResponse::new(HttpResponse::text("a"))).is_ok());
    drive_until(&mut event_loop, &mut requests, |event_loop, _| {
        event_loop.handle().stats().opened == 1
    });
    let mut context = event_loop.context();
    assert_eq!(context.send_to(request.connection(), "b"), SendStatus::Sent);
    assert!(context.connection(request.connection()).close(CloseCode::NORMAL, ""));
    drive_until(&mut event_loop, &mut requests, |event_loop, _| {
        event_loop.handle().stats().connections == 1
    });
    event_loop.turn(Some(Duration::ZERO), &mut requests).expect("turn");
    peer.head();
    assert_eq!(peer.rest(), "1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    drop(seen);
}

/// Events of a topic, which a test broadcasts to.
fn news(events: EventStream, config: Config) -> (EventLoop<()>, SocketAddr) {
    let mut event_loop = EventLoop::new(config).expect("make a loop");
    let routes = Routes::new().events("/news", events);
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    (event_loop, address)
}

/// The epoch of a topic, as it stands in the ids of events.
fn epoch(context: &Context<'_>, topic: TopicId) -> String {
    let position = context.position(topic).expect("it exists");
    format!("{:016x}", position.epoch())
}

#[test]
fn broadcasts_are_events_for_all_streams_of_a_topic() {
    let events = EventStream::of("news").retry(Duration::from_millis(1_500));
    let (mut event_loop, address) = news(events, Config::default());
    let mut peers: Vec<_> = (0..3).map(|_| ask(address, "/news")).collect();
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 3);
    let topic = event_loop.topic("news").expect("it exists");
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.handle().stats().opened == 3);
    let long = "x".repeat(5_000);
    let mut context = event_loop.context();
    let epoch = epoch(&context, topic);
    assert_eq!(context.broadcast(topic, "one"), SendStatus::Sent);
    assert_eq!(context.broadcast(topic, "two\nlines"), SendStatus::Sent);
    assert_eq!(context.broadcast(topic, [1_u8, 2].as_slice()), SendStatus::Sent);
    assert_eq!(context.broadcast(topic, long.as_str()), SendStatus::Sent);
    for _ in 0..3 {
        event_loop.turn(Some(Duration::ZERO), &mut ()).expect("turn");
    }
    for peer in &mut peers {
        let head = peer.head();
        assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("\r\nCache-Control: no-store\r\n"), "{head}");
        let expected = format!(
            "retry: 1500\n\nid: {epoch}:1\ndata: one\n\n\
            id: {epoch}:2\ndata: two\ndata: lines\n\n\
            id: {epoch}:3\nevent: binary\ndata: AQI=\n\nid: {epoch}:4\ndata: {long}\n\n"
        );
        assert_eq!(String::from_utf8(peer.bytes(expected.len())).expect("text"), expected);
    }
}

#[test]
fn events_may_have_the_names_of_their_topics() {
    let events = EventStream::of("news").topic("sport").named();
    let (mut event_loop, address) = news(events, Config::default());
    let mut peer = ask(address, "/news");
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.handle().stats().opened == 1);
    let [news, sport] = ["news", "sport"].map(|name| event_loop.topic(name).expect("it exists"));
    for (topic, text) in [(sport, "1:0"), (news, "rain"), (sport, "1:1")] {
        assert_eq!(event_loop.context().broadcast(topic, text), SendStatus::Sent);
        event_loop.turn(Some(Duration::ZERO), &mut ()).expect("turn");
    }
    peer.head();
    let [news, sport] = [news, sport].map(|topic| epoch(&event_loop.context(), topic));
    let expected = format!(
        "id: {sport}:1\nevent: sport\ndata: 1:0\n\nid: {news}:1\nevent: news\ndata: rain\n\n\
        id: {sport}:2\nevent: sport\ndata: 1:1\n\n"
    );
    assert_eq!(String::from_utf8(peer.bytes(expected.len())).expect("text"), expected);
}

#[test]
fn a_silent_stream_has_heartbeats() {
    let events = EventStream::of("news").heartbeat(Some(Duration::from_millis(20)));
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let routes = Routes::new().events("/news", events);
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        event_loop.local_addr(listener.expect("listen")).expect("an address")
    });
    let mut peer = ask(server.address(), "/news");
    peer.head();
    assert_eq!(peer.bytes(9), b":\n\n:\n\n:\n\n");
}

/// Closes its streams after a gap.
struct UntilGap;

impl HttpHandler<()> for UntilGap {
    fn on_request(&mut self, _: &mut Connection<'_>, _: &HttpRequest<'_>, (): &mut ()) -> Answer {
        EventStream::new().topic_with("\"news\"", OverflowPolicy::DropOldest).into()
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, (): &mut ()) {
        conn.send(format!("missed {}", gap.missed()));
        conn.close(CloseCode::NORMAL, "");
    }
}

#[test]
fn a_gap_is_an_event_that_the_page_sees() {
    let config = Config::default().topic_backlog(100_000);
    let mut event_loop = EventLoop::new(config).expect("make a loop");
    let routes = Routes::new().get_handler("/", UntilGap);
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let mut peer = ask(address, "/");
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.handle().stats().opened == 1);
    let topic = event_loop.topic("\"news\"").expect("it exists");
    let long = "x".repeat(50_000);
    // More than the system holds and the topic keeps.
    for number in 0..400 {
        event_loop.context().broadcast(topic, format!("{number} {long}"));
        event_loop.turn(Some(Duration::ZERO), &mut ()).expect("turn");
    }
    let text = drive(&mut event_loop, &mut (), || {
        peer.head();
        peer.rest()
    });
    let gap = text.rsplit("event: gap\n").next().expect("the last part");
    let (data, missed) = gap.trim_end().split_once("\n\n").expect("two events");
    let data = data.strip_prefix(r#"data: {"topic":"\"news\"","first":"#).expect("a gap");
    let missed = missed.strip_prefix("data: missed ").expect("what the handler sent");
    assert!(data.ends_with(&format!("\"missed\":{missed}}}")), "{gap}");
    assert!(missed.parse::<u64>().expect("a number") > 100);
}
