//! Requests with bodies whose end somebody else could see elsewhere: what the application sees, and
//! what the client gets, wherever the bytes are cut.

use std::time::Duration;

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{
    CloseCode, Config, Connection, Context, HttpRequest, HttpResponse, Later, Message, RequestId,
    Routes, ServerConfig, on_message,
};

use super::rig::Rig;

/// The longest body that is taken.
const BODY: usize = 64;

/// What a smuggler hides in a body. It fits.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// The requests that handlers were called for, and the messages of WebSockets.
type Seen = Vec<String>;

/// An event: answer the request.
struct Due(RequestId, String);

fn note(request: &HttpRequest<'_>, seen: &mut Seen) -> String {
    let body = String::from_utf8_lossy(request.body()).into_owned();
    seen.push(format!("{} {} {body}", request.method(), request.path()));
    body
}

fn site() -> Routes<Seen> {
    let at_once = |_: &mut Connection<'_>, request: &HttpRequest<'_>, seen: &mut Seen| {
        HttpResponse::text(note(request, seen))
    };
    Routes::new()
        .get("/body", at_once)
        .get("/next", at_once)
        .get("/hidden", at_once)
        .get("/later", |conn, request, seen: &mut Seen| {
            let due = Due(conn.request_id(), note(request, seen));
            conn.set_timer(Duration::from_millis(1), due).expect("room for a timer");
            Later::default()
        })
        .page("/page", HttpResponse::text("page"))
        .websocket("/ws", ServerConfig::default(), on_message(note_message))
}

fn note_message(conn: &mut Connection<'_>, _: Message<'_>, seen: &mut Seen) {
    seen.push("a message".to_owned());
    conn.close(CloseCode::NORMAL, "");
}

fn rig() -> Rig<Seen> {
    let reactor = SimReactor::new(0, SimConfig::calm());
    Rig::with_setup(reactor, Config::default(), |event_loop| {
        event_loop.on(|cx: &mut Context<'_>, due: &Due, _: &mut Seen| {
            assert_eq!(cx.respond(due.0, HttpResponse::text(due.1.clone())), Ok(()));
        });
        let config = ServerConfig::default().max_body(BODY);
        (event_loop.listen("127.0.0.1:0", config, site()).expect("a port"), Seen::new())
    })
}

/// The statuses of whole responses and nothing else. `HEAD` requests come last in a case.
fn statuses(mut bytes: &[u8], is_head: bool) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let head = std::str::from_utf8(&bytes[..end]).expect("text");
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        statuses.push(status.unwrap_or_else(|| panic!("no response: {head}")));
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        let has_body = !(is_head && end == bytes.len());
        bytes = &bytes[end + if has_body { length } else { 0 }..];
    }
    statuses
}

/// What came of the bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    seen: Seen,
    statuses: Vec<u16>,
    /// The server has ended its half of the stream.
    has_ended: bool,
}

/// Sends the pieces, one after the other has arrived.
fn send(rig: &mut Rig<Seen>, pieces: &[&[u8]]) -> PeerId {
    let address = rig.address;
    let peer = rig.sim().peer_connect(address);
    for piece in pieces {
        rig.sim().peer_send(peer, piece);
        rig.run(1);
    }
    rig.run(3);
    peer
}

fn outcome(rig: &mut Rig<Seen>, peer: PeerId, is_head: bool) -> Outcome {
    let statuses = statuses(&rig.sim().peer_received(peer), is_head);
    let has_ended = rig.sim().peer_is_closed(peer);
    assert!(!rig.sim().peer_was_reset(peer), "the response may be lost");
    rig.sim().peer_drop(peer);
    rig.run(2);
    let stats = rig.event_loop.stats();
    let held = (stats.connections, stats.inbound_bytes, stats.outbound_bytes);
    assert_eq!((held, stats.requests_waiting), ((0, 0, 0), 0));
    Outcome { seen: std::mem::take(&mut rig.state), statuses, has_ended }
}

/// Checks what comes of the bytes, in one piece and cut at every place.
fn check(rig: &mut Rig<Seen>, bytes: &str, seen: &[&str], statuses: &[u16]) {
    let has_ended = statuses.last().is_some_and(|status| *status >= 400)
        || bytes.starts_with("GET /page")
        || bytes.starts_with("OPTIONS")
        || bytes.contains(" HTTP/1.0\r\n");
    let seen = seen.iter().map(|&text| text.to_owned()).collect();
    let expected = Outcome { seen, statuses: statuses.to_vec(), has_ended };
    let is_head = bytes.contains("HEAD ");
    for cut in 0..bytes.len() {
        let (front, rest) = bytes.as_bytes().split_at(cut);
        let peer = send(rig, &[front, rest]);
        assert_eq!(outcome(rig, peer, is_head), expected, "cut at {cut}: {bytes:?}");
    }
}

/// A request to `/body` with these fields.
fn with(fields: &str) -> String {
    format!("GET /body HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn a_head_that_leaves_the_end_of_its_body_in_doubt_is_refused_with_all_behind_it() {
    let mut rig = rig();
    for (fields, status) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: x\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding\t: chunked\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", 400),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding:\r\n chunked\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: chunkedx\r\n", 501),
        ("Transfer-Encoding: \"chunked\"\r\n", 501),
        ("Transfer-Encoding: chunked;a=b\r\n", 501),
        ("Transfer-Encoding: chunked, chunked\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: identity\r\ntransfer-encoding: chunked\r\n", 501),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding:\r\n", 501),
        ("Transfer-Encoding: ,\r\n", 501),
        ("Transfer-Encoding: chunked\0\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding: chunked\rX: y\r\n", 400),
        ("Transfer-Encoding: chunked\nX: y\r\n", 400),
        ("Content-Length: 0\r\nContent-Length: 33\r\n", 400),
        ("Content-Length: 33\r\nContent-Length: 33\r\n", 400),
        ("Content-Length: 33\r\ncontent-length: 0\r\n", 400),
        ("Content-Length: 33, 33\r\n", 400),
        ("Content-Length: +33\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 0x21\r\n", 400),
        ("Content-Length: 3 3\r\n", 400),
        ("Content-Length: 33;\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length: 18446744073709551649\r\n", 400),
        ("Content-Length: 18446744073709551615\r\n", 413),
        ("Content-Length: 65\r\n", 413),
        ("Content-Length : 33\r\n", 400),
        ("Content-Length: 3\r\n 3\r\n", 400),
        ("Content-Length: 3\r\nExpect: 200-ok\r\n", 417),
        ("Expect: 100-continue, 100-continue\r\n", 417),
    ] {
        check(&mut rig, &(with(fields) + HIDDEN), &[], &[status]);
    }
}

#[test]
fn what_is_in_a_body_is_no_request_and_what_is_behind_it_is_one() {
    let mut rig = rig();
    let hidden = format!("GET /body {HIDDEN}");
    let whole = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let halves = format!("a\r\n{}\r\n{:X}\r\n{}\r\n0\r\n\r\n", &HIDDEN[..10], 23, &HIDDEN[10..]);
    for (fields, body) in [
        ("Content-Length: 33\r\n", HIDDEN),
        ("content-length:33 \r\n", HIDDEN),
        ("Content-Length: 0000033\r\n", HIDDEN),
        (CHUNKED, &whole),
        (CHUNKED, &halves),
        ("Transfer-Encoding:\tChUnKeD\r\n", &whole),
        (CHUNKED, &whole.replacen("\r\n", ";a=b;c=\"d;e\"\r\n", 1)),
        (CHUNKED, &whole.replacen("21", "0000000000000021", 1)),
        // Trailers change nothing, whatever their names say.
        (CHUNKED, &whole.replace("0\r\n\r\n", "0\r\nContent-Length: 9\r\nHost: b\r\n\r\n")),
        (CHUNKED, &whole.replace("0\r\n\r\n", "00;x\r\nTransfer-Encoding: x\r\n\r\n")),
    ] {
        let bytes = with(fields) + body + NEXT;
        check(&mut rig, &bytes, &[&hidden, "GET /next "], &[200, 200]);
    }
    let expecting = with("Content-Length: 33\r\nExpect: 100-Continue\r\n") + HIDDEN + NEXT;
    check(&mut rig, &expecting, &[&hidden, "GET /next "], &[100, 200, 200]);
    let no_body = with("Expect: 100-continue\r\n") + NEXT;
    check(&mut rig, &no_body, &["GET /body ", "GET /next "], &[200, 200]);
}

#[test]
fn chunks_that_are_not_exactly_right_end_the_connection() {
    let mut rig = rig();
    let digits = "0".repeat(17);
    let long_extension = format!("1;{}\r\n", "x".repeat(4_100));
    let trailers = format!("0\r\n{}\r\n", "a:b\r\n".repeat(101));
    let long_trailer = format!("0\r\na:{}\r\n\r\n", "b".repeat(8_192));
    for (body, status) in [
        ("\r\n", 400),
        (";a\r\n", 400),
        ("0x5\r\nhello\r\n0\r\n\r\n", 400),
        ("+5\r\nhello\r\n0\r\n\r\n", 400),
        ("-5\r\nhello\r\n0\r\n\r\n", 400),
        (" 5\r\nhello\r\n0\r\n\r\n", 400),
        ("5 \r\nhello\r\n0\r\n\r\n", 400),
        ("5g\r\nhello\r\n0\r\n\r\n", 400),
        ("5\nhello\r\n0\r\n\r\n", 400),
        ("5\rhello\r\n0\r\n\r\n", 400),
        ("5;a\nhello\r\n0\r\n\r\n", 400),
        ("5;a\rb\r\nhello\r\n0\r\n\r\n", 400),
        ("5;\"\r\n\"\r\nhello\r\n0\r\n\r\n", 400),
        ("5\r\nhello0\r\n\r\n", 400),
        ("5\r\nhello\n0\r\n\r\n", 400),
        ("4\r\nhello\r\n0\r\n\r\n", 400),
        ("6\r\nhello\r\n0\r\n\r\n", 400),
        ("0\r\n a: b\r\n\r\n", 400),
        ("0\r\na: b\r\n c\r\n\r\n", 400),
        ("0\r\na: b\r\n\tc\r\n\r\n", 400),
        ("0\r\na: b\n\r\n", 400),
        ("0\r\na: b\rc\r\n\r\n", 400),
        ("0\r\na: b\r\n\n", 400),
        ("0\r\n\r", 400),
        ("0\r\n", 400),
        ("0\r\na\r\n\r\n", 400),
        ("0\r\n: b\r\n\r\n", 400),
        ("0\r\na : b\r\n\r\n", 400),
        ("0\r\na: b\r\nc d: e\r\n\r\n", 400),
        ("0\r\n\n", 400),
        ("0\n\r\n", 400),
        ("0\r\na\0: b\r\n\r\n", 400),
        ("41\r\n", 413),
        ("ffffffffffffffff\r\n", 413),
        ("10000000000000005\r\nhello\r\n0\r\n\r\n", 400),
        (&format!("{digits}5\r\nhello\r\n0\r\n\r\n"), 400),
    ] {
        // A chunk that is too long is refused when its data comes.
        let data = if status == 413 { "x".repeat(BODY) } else { String::new() };
        check(&mut rig, &(with(CHUNKED) + body + &data + HIDDEN), &[], &[status]);
    }
    for (body, status) in [(&long_extension, 400), (&trailers, 431), (&long_trailer, 431)] {
        let peer = send(&mut rig, &[(with(CHUNKED) + body + HIDDEN).as_bytes()]);
        let expected = Outcome { seen: Seen::new(), statuses: vec![status], has_ended: true };
        assert_eq!(outcome(&mut rig, peer, false), expected);
    }
}

#[test]
fn no_line_ending_may_be_half_or_double_anywhere() {
    let mut rig = rig();
    let good = with(CHUNKED) + "5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n";
    for at in 0..=good.len() {
        for extra in ["\r", "\n", "\r\n"] {
            let bytes = format!("{}{extra}{}{HIDDEN}", &good[..at], &good[at..]);
            let peer = send(&mut rig, &[bytes.as_bytes()]);
            let outcome = outcome(&mut rig, peer, false);
            if extra == "\r\n" && at < good.len() {
                // A line may begin there. What is hidden behind the end is never seen twice.
                assert!(outcome.seen.iter().filter(|text| text.contains("/hidden")).count() <= 1);
                continue;
            }
            let is_whole = bytes.starts_with(&good);
            let seen: &[&str] = if is_whole { &["GET /body hello"] } else { &[] };
            let statuses: &[u16] = if is_whole { &[200, 400] } else { &[400] };
            assert_eq!(outcome.seen, seen, "{bytes:?}");
            assert_eq!(outcome.statuses, statuses, "{bytes:?}");
            assert!(outcome.has_ended, "{bytes:?}");
        }
    }
    for (at, _) in good.match_indices("\r\n") {
        for half in ["\r", "\n"] {
            let bytes = format!("{}{half}{}{HIDDEN}", &good[..at], &good[at + 2..]);
            check(&mut rig, &bytes, &[], &[400]);
        }
    }
}

#[test]
fn requests_behind_bodies_are_answered_in_order_wherever_they_are_cut() {
    let mut rig = rig();
    let bytes = "GET /later HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n\
        GET /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
        GET /later HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
        HEAD /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok";
    let seen = ["GET /later \r\n\r\n", "GET /body hi", "GET /later x", "HEAD /body ok"];
    check(&mut rig, bytes, &seen, &[200, 200, 200, 200]);
}

#[test]
fn a_body_that_nothing_takes_ends_the_connection_unread() {
    let mut rig = rig();
    for (line, status) in [
        ("GET /page HTTP/1.1", 200),
        ("HEAD /page HTTP/1.1", 200),
        ("POST /page HTTP/1.1", 405),
        ("GET /none HTTP/1.1", 404),
        ("POST /none HTTP/1.1", 404),
        ("POST /body HTTP/1.1", 405),
        ("BREW /body HTTP/1.1", 405),
        ("OPTIONS /body HTTP/1.1", 204),
        ("OPTIONS * HTTP/1.1", 204),
        ("CONNECT a:80 HTTP/1.1", 405),
        ("GET /ws HTTP/1.1", 400),
    ] {
        for fields in ["Content-Length: 33\r\n", "Content-Length: 33\r\nExpect: 100-continue\r\n"] {
            let bytes = format!("{line}\r\nHost: a\r\n{fields}\r\n{HIDDEN}{NEXT}");
            let peer = send(&mut rig, &[bytes.as_bytes()]);
            let expected = Outcome { seen: Seen::new(), statuses: vec![status], has_ended: true };
            assert_eq!(outcome(&mut rig, peer, line.starts_with("HEAD")), expected, "{bytes:?}");
        }
    }
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    for fields in ["Content-Length: 33\r\n", CHUNKED, "Content-Length: 1\r\nContent-Length: 1\r\n"]
    {
        check(&mut rig, &format!("{upgrade}{fields}\r\n{HIDDEN}"), &[], &[400]);
    }
}

#[test]
fn clients_of_http_1_0_may_send_a_body_of_known_length() {
    let mut rig = rig();
    let head = "GET /body HTTP/1.0\r\n";
    let bytes = format!("{head}Content-Length: 33\r\nConnection: keep-alive\r\n\r\n{HIDDEN}{NEXT}");
    check(&mut rig, &bytes, &[&format!("GET /body {HIDDEN}")], &[200]);
    check(&mut rig, &format!("{head}{CHUNKED}\r\n0\r\n\r\n{NEXT}"), &[], &[501]);
    // The expectation is ignored, and no interim response is sent.
    let bytes = format!("{head}Content-Length: 2\r\nExpect: 100-continue\r\n\r\nok");
    check(&mut rig, &bytes, &["GET /body ok"], &[200]);
}

#[test]
fn a_body_that_does_not_come_to_its_end_is_never_handed_over() {
    let mut rig = rig();
    for begun in ["Content-Length: 34\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n22\r\n"] {
        let bytes = format!("GET /body HTTP/1.1\r\nHost: a\r\n{begun}{HIDDEN}");
        for ends in [false, true] {
            let peer = send(&mut rig, &[bytes.as_bytes()]);
            if ends {
                rig.sim().peer_close(peer);
                rig.run(5);
            } else {
                rig.run(60_000);
            }
            let outcome = outcome(&mut rig, peer, false);
            assert_eq!(outcome.seen, Seen::new(), "{bytes:?}");
            // A client that has ended its half of the stream counts as gone.
            let due: &[u16] = if ends { &[] } else { &[408] };
            assert_eq!(outcome.statuses, due, "{bytes:?}");
            assert!(outcome.has_ended);
        }
    }
}

#[test]
fn a_client_that_is_refused_while_it_sends_reads_the_refusal_once() {
    let mut rig = rig();
    let address = rig.address;
    let peer = rig.sim().peer_connect(address);
    rig.sim().peer_send(peer, with("Content-Length: 40000\r\n").as_bytes());
    for _ in 0..40 {
        rig.sim().peer_send(peer, &HIDDEN.repeat(30).as_bytes()[..990]);
        rig.run(1);
    }
    let expected = Outcome { seen: Seen::new(), statuses: vec![413], has_ended: true };
    assert_eq!(outcome(&mut rig, peer, false), expected);
}
