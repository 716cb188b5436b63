//! The workloads of HTTP: requests, and streams of events.

use std::io::{Read, Write};
use std::net::TcpStream;

use eventwire::proto::http::ContentType;
use eventwire::{Context, EventStream, HttpResponse, Later, RequestId, Routes};

use crate::workload::{Seen, Server, read_head};

const PAGE: &str = "Hello, world!";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const SUBSCRIBE: &[u8] =
    b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

/// `count` requests for a page at a time.
pub(crate) fn pages(count: usize, rounds: usize) {
    ask(Server::with_routes(|_| Routes::new().get("/", answer)), count, rounds);
}

/// One request at a time.
pub(crate) fn answers_now(rounds: usize) {
    ask(Server::with_routes(|_| Routes::new().get("/", answer)), 1, rounds);
}

/// One request at a time, answered by the handler of an event.
pub(crate) fn answers_later(rounds: usize) {
    let mut server = Server::with_routes(|_| {
        Routes::new().get("/", |conn, _, _: &mut Seen| {
            let asked = Asked(conn.request_id());
            conn.publish(asked).expect("room for an event");
            Later::default()
        })
    });
    server.event_loop.on(|cx: &mut Context<'_>, asked: &Asked, seen: &mut Seen| {
        seen.0 += 1;
        cx.respond(asked.0, page()).expect("it is awaited");
    });
    ask(server, 1, rounds);
}

/// A request that awaits its answer.
#[derive(Debug)]
struct Asked(RequestId);

fn answer(
    _: &mut eventwire::Connection<'_>,
    _: &eventwire::HttpRequest<'_>,
    seen: &mut Seen,
) -> HttpResponse {
    seen.0 += 1;
    page()
}

fn page() -> HttpResponse {
    HttpResponse::new(200).content_type(ContentType::TEXT).body(PAGE)
}

/// Sends `count` requests at a time and reads the responses, so often.
fn ask(mut server: Server, count: usize, rounds: usize) {
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client.set_nodelay(true).expect("a socket");
    let requests = GET.repeat(count);
    let mut expected = Vec::new();
    page().write(&mut expected);
    let mut responses = vec![0; expected.len() * count];
    for round in 1..=rounds {
        client.write_all(&requests).expect("room for requests");
        server.turn_until(round * count);
        client.read_exact(&mut responses).expect("responses");
    }
    assert!(responses.ends_with(&expected));
}

#[derive(Debug)]
struct News;

/// A message of a topic to `receivers` streams of events.
pub(crate) fn event_streams(receivers: usize, rounds: usize) {
    let mut server =
        Server::with_routes(|_| Routes::new().events("/events", EventStream::of("all")));
    let (topic, message) = (server.topic, "x".repeat(128));
    let data = format!("data: {message}\n\n");
    server.event_loop.on(move |cx: &mut Context<'_>, _: &News, seen: &mut Seen| {
        seen.0 += 1;
        cx.broadcast(topic, message.as_str());
    });
    let publisher = server.event_loop.publisher();
    let mut clients: Vec<_> = (0..receivers).map(|_| subscribe(&mut server)).collect();
    let mut event = Vec::new();
    for round in 1..=rounds {
        publisher.publish(News).expect("room for an event");
        server.turn_until(round);
        // Behind the topic's epoch.
        let expected = format!(":{round}\n{data}");
        event.resize("id: 0123456789abcdef".len() + expected.len(), 0);
        for client in &mut clients {
            client.read_exact(&mut event).expect("an event");
            assert!(event.ends_with(expected.as_bytes()));
        }
    }
}

fn subscribe(server: &mut Server) -> TcpStream {
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client.write_all(SUBSCRIBE).expect("room for a request");
    let before = server.event_loop.stats().opened;
    while server.event_loop.stats().opened == before {
        server.counted_turn();
    }
    read_head(&mut client);
    client
}
