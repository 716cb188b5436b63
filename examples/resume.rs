//! Pages that miss nothing while offline: run `cargo run --example resume -- 127.0.0.1:9001`,
//! and open <http://127.0.0.1:9001/>. This program serves the page, and `resume.js`, its client.
//!
//! Over the WebSocket at `/socket`, a client sends the name of each topic that it wants, with a
//! space and the last position that it has, if it has one. It gets JSON:
//!
//! - `{"topic":"news","position":"0123456789abcdef:5","data":"…"}`: a message.
//! - `{"topic":"news","newest":"…"}`: the position where a new subscription begins.
//! - `{"topic":"news","oldest":"…","newest":"…"}`: not all that was missed can be had.
//!
//! The stream of events at `/events?topic=news&last-event-id=…` has the same, where the third is an
//! event named `lost`.

use std::time::Duration;

use eventwire::{
    Answer, CloseCode, Config, Connection, ContentType, Envelope, EventLoop, EventStream, History,
    HttpHandler, HttpRequest, HttpResponse, Message, OverflowPolicy, Position, Resumption, Routes,
    ServerConfig, TopicConfig, TopicId, WebSocketHandler,
};

const PERIOD: Duration = Duration::from_millis(20);
const TOPICS: [&str; 2] = ["news", "sport"];

#[derive(Clone)]
struct Tick;

/// Tells a client where a topic stands, from which it gets all that follows.
fn send_newest(conn: &mut Connection<'_>, topic: TopicId) {
    if let (Some(name), Some(newest)) = (conn.topic_name(topic), conn.position(topic)) {
        let text = format!(r#"{{"topic":"{name}","newest":"{newest}"}}"#);
        conn.send(text);
    }
}

struct Socket;

impl Socket {
    /// Subscribes to a topic as a line says: with its name, and perhaps with a position.
    fn subscribe(conn: &mut Connection<'_>, line: &str) -> Result<(), String> {
        let (name, position) = line.split_once(' ').unwrap_or((line, ""));
        let name = TOPICS.into_iter().find(|topic| *topic == name).ok_or("no such topic")?;
        let topic = conn.topic(name).map_err(|error| error.to_string())?;
        if position.is_empty() {
            conn.subscribe(topic).map_err(|error| error.to_string())?;
            send_newest(conn, topic);
            return Ok(());
        }
        let position: Position = position.parse().map_err(|_| "no position")?;
        let subscribed = conn.subscribe_from(topic, OverflowPolicy::Close, position);
        subscribed.map_err(|error| error.to_string())
    }
}

impl<S> WebSocketHandler<S> for Socket {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut S) {
        if let Err(reason) = Self::subscribe(conn, message.as_text().unwrap_or_default()) {
            conn.close(CloseCode::POLICY, &reason);
        }
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        _: &mut S,
    ) {
        if let Resumption::Lost { oldest, newest } = resumption {
            let name = conn.topic_name(topic).unwrap_or_default();
            let lost = format!(r#"{{"topic":"{name}","oldest":"{oldest}","newest":"{newest}"}}"#);
            conn.send(lost);
        }
    }
}

struct Events;

impl<S> HttpHandler<S> for Events {
    fn on_request(
        &mut self,
        _: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        _: &mut S,
    ) -> Answer {
        let wanted = TOPICS.into_iter().filter(|topic| {
            request.query_pairs().any(|(name, value)| name == "topic" && value == *topic)
        });
        wanted.fold(EventStream::new(), EventStream::topic).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        // A client that resumes has a position of its own, and ignores this.
        let topics: Vec<TopicId> = conn.topics().collect();
        topics.into_iter().for_each(|topic| send_newest(conn, topic));
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let kept = TopicConfig::default().history(History::of(10_000)).envelope(Envelope::json());
    let mut event_loop = EventLoop::new(Config::default().topics("*", kept))?;
    let topics = [event_loop.topic(TOPICS[0])?, event_loop.topic(TOPICS[1])?];
    let mut number = 0;
    event_loop.on(move |cx, _: &Tick, _: &mut ()| {
        number += 1;
        for topic in topics {
            cx.broadcast(topic, number.to_string());
        }
    });
    event_loop.set_interval(PERIOD, Tick)?;

    let script = HttpResponse::new(200)
        .content_type(ContentType::JAVASCRIPT)
        .body(include_str!("resume.js"));
    let routes = Routes::new()
        .page("/", HttpResponse::html(include_str!("resume.html")))
        .page("/resume.js", script)
        .websocket("/socket", ServerConfig::default(), Socket)
        .get_handler("/events", Events);
    let listener = event_loop.listen(&*address, ServerConfig::default(), routes)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on http://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
