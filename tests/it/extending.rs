//! What a protocol above HTTP and WebSockets needs: bodies by their heads, clients that leave,
//! events with routes, topics with a configuration of their own, random bytes.

use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::proto::http::HeadLimits;
use eventwire::{
    Answer, Config, Connection, Context, Cors, Durability, Error, EventLoop, History, HttpHandler,
    HttpRequest, HttpResponse, Later, Message, OriginPolicy, RequestId, Routes, SendStatus,
    ServerConfig, TopicConfig, WebSocketHandler,
};

use crate::util::{PATIENCE, Peer, drive, drive_until};

/// What the handlers note.
#[derive(Default)]
struct Notes {
    asked: Vec<RequestId>,
    abandoned: Vec<RequestId>,
    bodies: Vec<usize>,
    heads: usize,
    due: usize,
}

/// Puts requests off, and takes bodies up to 100 bytes unless they are secret.
struct Handler;

impl HttpHandler<Notes> for Handler {
    fn max_body(&self) -> Option<usize> {
        Some(100)
    }

    fn on_body(
        &mut self,
        _: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        notes: &mut Notes,
    ) -> Result<(), HttpResponse> {
        notes.heads += 1;
        assert!(request.body().is_empty());
        match request.header("Authorization") {
            Some("none") => Err(HttpResponse::new(401)),
            Some("panic") => panic!("as the request asks"),
            _ => Ok(()),
        }
    }

    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        notes: &mut Notes,
    ) -> Answer {
        if request.method() == "POST" {
            notes.bodies.push(request.body().len());
            return HttpResponse::text("taken").into();
        }
        notes.asked.push(conn.request_id());
        Later::within(PATIENCE).into()
    }

    fn on_abandoned(&mut self, conn: &mut Connection<'_>, request: RequestId, notes: &mut Notes) {
        assert_eq!(conn.id(), request.connection());
        assert!(!conn.is_open());
        notes.abandoned.push(request);
    }
}

fn serving() -> (EventLoop<Notes>, std::net::SocketAddr) {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let routes = Routes::new().route("GET", "/", Handler).route("POST", "/", Handler);
    let config = ServerConfig::default().max_body(10);
    let routes = routes.post("/short", |_, _, _: &mut Notes| HttpResponse::new(204));
    let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
    let address = event_loop.local_addr(listener).expect("an address");
    (event_loop, address)
}

fn status(peer: &mut Peer) -> String {
    peer.head()[9..12].to_owned()
}

#[test]
fn a_handler_learns_that_the_client_left_before_its_answer() {
    let (mut event_loop, address) = serving();
    let mut notes = Notes::default();
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::open(address)).collect();
    for peer in &mut peers {
        peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let count = notes.asked.len();
        drive_until(&mut event_loop, &mut notes, |_, notes| notes.asked.len() > count);
    }
    let asked = notes.asked.clone();
    // The first is answered, the second leaves in order, the third resets.
    event_loop.context().respond(asked[0], HttpResponse::new(204)).expect("an answer");
    drive_until(&mut event_loop, &mut notes, |event_loop, _| {
        event_loop.handle().stats().requests_waiting == 2
    });
    assert_eq!(status(&mut peers[0]), "204");
    peers.pop().expect("three").reset();
    drive_until(&mut event_loop, &mut notes, |_, notes| notes.abandoned.len() == 1);
    drop(peers.pop());
    drive_until(&mut event_loop, &mut notes, |_, notes| notes.abandoned.len() == 2);
    drop(peers.pop());
    drive_until(&mut event_loop, &mut notes, |event_loop, _| event_loop.connections() == 0);
    assert_eq!(notes.abandoned, [asked[2], asked[1]]);
}

#[test]
fn a_body_is_limited_by_its_handler_and_refused_by_its_head() {
    let (mut event_loop, address) = serving();
    let mut notes = Notes::default();
    let (hundred, chunk) = ("x".repeat(100), format!("65\r\n{}\r\n", "x".repeat(101)));
    let cases = [
        ("POST /short HTTP/1.1\r\nContent-Length: 11\r\n", "", "413"),
        ("POST /short HTTP/1.1\r\nContent-Length: 2\r\n", "ab", "204"),
        ("POST / HTTP/1.1\r\nContent-Length: 100\r\n", &hundred, "200"),
        ("POST / HTTP/1.1\r\nContent-Length: 101\r\n", "", "413"),
        // Refused before any of the body has come, and without being asked for it.
        (
            "POST / HTTP/1.1\r\nAuthorization: none\r\nExpect: 100-continue\r\n\
             Content-Length: 50\r\n",
            "",
            "401",
        ),
        ("POST / HTTP/1.1\r\nAuthorization: none\r\nTransfer-Encoding: chunked\r\n", "", "401"),
        ("POST / HTTP/1.1\r\nAuthorization: panic\r\nContent-Length: 5\r\n", "", "500"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", &chunk, "413"),
    ];
    drive(&mut event_loop, &mut notes, || {
        for (head, body, expected) in cases {
            let mut peer = Peer::open(address);
            peer.write(format!("{head}Host: a\r\n\r\n{body}").as_bytes());
            assert_eq!(status(&mut peer), expected, "{head}");
        }
    });
    assert_eq!((notes.bodies, notes.heads), (vec![100], 5));
}

#[derive(Clone)]
struct Due;

#[test]
fn routes_bring_handlers_of_events() {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    for _ in 0..2 {
        let routes = Routes::new().on(|_, _: &Due, notes: &mut Notes| notes.due += 1);
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes).expect("listen");
    }
    event_loop.set_timer(Duration::from_millis(1), Due).expect("a timer");
    let mut notes = Notes::default();
    drive_until(&mut event_loop, &mut notes, |_, notes| notes.due > 0);
    assert_eq!(notes.due, 2);
}

#[test]
fn a_topic_may_bring_its_configuration() {
    let config = Config::default().topics("known/*", TopicConfig::default());
    let mut event_loop = EventLoop::<()>::new(config).expect("make a loop");
    let mut cx = event_loop.context();
    let keeping = TopicConfig::default().history(History::of(10));
    let has_history = |cx: &mut Context<'_>, name: &str| {
        let topic = cx.topic_with(name, &keeping).expect("a topic");
        assert_eq!(cx.broadcast(topic, "a"), SendStatus::Sent);
        assert_eq!(cx.durability(topic), None);
        cx.history(topic, ..).count() == 1
    };
    assert!(has_history(&mut cx, "own"));
    // The configuration of the loop decides, and so does the one that a topic has.
    assert!(!has_history(&mut cx, "known/a"));
    cx.topic("plain").expect("a topic");
    assert!(!has_history(&mut cx, "plain"));
    let nothing = TopicConfig::default().history(History::of(0));
    assert!(matches!(cx.topic_with("b", &nothing), Err(Error::TopicConfig(_))));
    let durable = keeping.clone().durable(Durability::DeliverFirst);
    assert!(matches!(cx.topic_with("c", &durable), Err(Error::NoJournal)));
    assert!(matches!(cx.topic_with(&"n".repeat(257), &keeping), Err(Error::TopicLimit)));
}

#[test]
fn random_bytes_differ() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).expect("make a loop");
    let mut cx = event_loop.context();
    let mut drawn: Vec<[u8; 18]> = (0..200).map(|_| cx.random_bytes()).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 200);
    assert_eq!(cx.random_bytes::<0>(), [0; 0]);
    let mut shorter = cx.reborrow();
    assert_eq!(shorter.random_bytes::<3>().len(), 3);
}

#[test]
fn an_origin_is_checked_for_requests_as_for_web_sockets() {
    let check = |policy: &OriginPolicy, origin: &str| {
        let head = format!("POST / HTTP/1.1\r\nHost: a.example\r\n{origin}\r\n");
        let request = HttpRequest::parse(head.as_bytes(), &HeadLimits::default()).expect("a head");
        policy.check_request(&request).is_ok()
    };
    let same = OriginPolicy::SameOrigin;
    assert!(check(&same, "") && check(&same, "Origin: http://a.example\r\n"));
    assert!(!check(&same, "Origin: http://b.example\r\n"));
    assert!(!check(&OriginPolicy::Any, "Origin: a\r\nOrigin: b\r\n"));
    let listed = Cors::origins(["http://b.example"]).expect("an origin").origin_policy();
    assert!(check(&listed, "Origin: http://b.example\r\n"));
    assert!(!check(&listed, "Origin: http://c.example\r\n"));
    assert_eq!(Cors::any().origin_policy(), OriginPolicy::Any);
}

/// Sends until output is queued.
struct Filler;

impl WebSocketHandler<usize> for Filler {
    fn on_message(&mut self, conn: &mut Connection<'_>, _: Message<'_>, sent: &mut usize) {
        assert!(!conn.has_queued_output());
        while conn.send(vec![0; 16 * 1024]) == SendStatus::Sent {
            assert!(!conn.has_queued_output());
            *sent += 1;
        }
        assert!(conn.has_queued_output());
        assert!(!conn.is_gone());
        conn.send("end");
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, sent: &mut usize) {
        assert!(!conn.has_queued_output());
        *sent = 0;
    }
}

#[test]
fn output_is_queued_until_the_peer_reads() {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Filler);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let (mut sent, opcode) = (0, OpCode::Text);
    drive(&mut event_loop, &mut sent, || {
        let mut peer = Peer::connect(address);
        peer.send("fill");
        while peer.frame().opcode != opcode {}
    });
    drive_until(&mut event_loop, &mut sent, |_, sent| *sent == 0);
}
