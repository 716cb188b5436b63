//! The workloads of HTTP: requests, and streams of events.

use std::io::Read;

use eventwire::proto::http::ContentType;
use eventwire::{
    Connection, Context, EventStream, HttpRequest, HttpResponse, Later, RequestId, Routes,
};

use crate::workload::{Messages, Seen, Server};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const SUBSCRIBE: &[u8] =
    b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

/// `count` requests for a page at a time.
pub(crate) fn pages(count: usize, rounds: usize) {
    ask(Server::with_routes(|_| Routes::new().get("/", answer)), count, rounds);
}

fn answer(_: &mut Connection<'_>, _: &HttpRequest<'_>, seen: &mut Seen) -> HttpResponse {
    seen.0 += 1;
    page()
}

fn page() -> HttpResponse {
    HttpResponse::new(200).content_type(ContentType::TEXT).body("Hello, world!")
}

/// A request that awaits its answer.
#[derive(Debug)]
struct Asked(RequestId);

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

/// Sends `count` requests at a time and reads the responses, so often.
fn ask(mut server: Server, count: usize, rounds: usize) {
    let mut response = Vec::new();
    page().write(&mut response);
    let messages = Messages { count, sent: GET.repeat(count), received: response.repeat(count) };
    let client = server.connect();
    server.exchange(&mut [client], 1, &messages, rounds);
}

#[derive(Debug)]
struct News;

/// A message of a topic to `receivers` streams of events.
pub(crate) fn event_streams(receivers: usize, size: usize, rounds: usize) {
    let mut server =
        Server::with_routes(|_| Routes::new().events("/events", EventStream::of("all")));
    let (topic, message) = (server.topic, "x".repeat(size));
    let data = format!("data: {message}\n\n");
    server.event_loop.on(move |cx: &mut Context<'_>, _: &News, seen: &mut Seen| {
        seen.0 += 1;
        cx.broadcast(topic, message.as_str());
    });
    let publisher = server.event_loop.publisher();
    let mut clients: Vec<_> = (0..receivers).map(|_| server.open(SUBSCRIBE)).collect();
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
