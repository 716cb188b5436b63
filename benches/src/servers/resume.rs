//! A server for clients that come back: topics with histories, to which it broadcasts.
//!
//! It speaks those packets of Engine.IO 4 and Socket.IO 5 that resuming needs, so that its clients
//! (`scenarios/resume`) can load Socket.IO servers, too. Topics have numbers. A client says its
//! topic and its position when it connects; `replayed` in the answer is the number of messages that
//! follow. Its other messages are commands:
//!
//! ```text
//! ["join",TOPIC] ["where",TOPIC] ["fill",TOPIC,COUNT,SIZE] ["start",TOPICS,RATE,SIZE] ["stop"]
//! ["echo"] ["stats"]
//! ```

use std::time::{Duration, Instant};

use eventwire::{
    Connection, Context, Disconnect, EventLoop, History, Message, OverflowPolicy, Position,
    Resumption, ServerConfig, Stats, TopicConfig, TopicId, WebSocketHandler,
};
use serde::Deserialize;

use super::engine_loop::{engine_config, serve};
use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

/// How often due messages are broadcast.
const TICK: Duration = Duration::from_millis(1);
/// The most messages that one tick broadcasts.
const TICK_MESSAGES_MAX: u64 = 1_000;
/// What may wait for all clients together, in bytes: the engine's default.
pub(crate) const OUTBOUND_MAX: usize = 256 * 1024 * 1024;
/// The messages of a history, and their bytes.
const HISTORY: (u64, usize) = (100_000, 2 * 1024 * 1024);

#[derive(Clone)]
struct Tick;

/// What is broadcast.
struct Stream {
    topics: Vec<TopicId>,
    rate: f64,
    begun: Instant,
    number: u64,
    padding: String,
}

#[derive(Default)]
struct State {
    stream: Option<Stream>,
    /// The most memory of all output, looked at each tick.
    outbound_max: u64,
    /// Connections that ended otherwise than by their clients, and how the last of them did.
    closed: u64,
    reason: String,
    /// The statistics at the last request for them.
    before: Option<Stats>,
}

/// What a client says when it connects.
#[derive(Deserialize)]
struct Auth {
    topic: u64,
    /// The position of the last message that it has. Empty if it is new.
    offset: String,
}

struct Handler;

impl WebSocketHandler<State> for Handler {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut State) {
        conn.send("0{}");
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut State) {
        let packet = message.as_text().unwrap_or_default();
        let done = match packet.split_at_checked(2) {
            Some(("40", auth)) => greet(conn, auth),
            Some(("42", command)) => execute(conn, command, state),
            _ => None,
        };
        if done.is_none() {
            conn.send("no such command");
        }
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        _: &mut State,
    ) {
        match resumption {
            Resumption::Recovered { replayed } => {
                conn.send(format!(r#"40{{"pid":"0","replayed":"{replayed}"}}"#));
            }
            _ => drop(send_newest(conn, topic)),
        }
    }

    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, state: &mut State) {
        if !matches!(reason, Disconnect::Io(_) | Disconnect::ClosedByPeer { .. }) {
            state.closed += 1;
            state.reason = reason.to_string();
        }
    }
}

fn greet(conn: &mut Connection<'_>, auth: &str) -> Option<()> {
    let Auth { topic, offset } = serde_json::from_str(auth).ok()?;
    let topic = conn.topic(&topic.to_string()).ok()?;
    match offset.parse() {
        Ok(position) => conn.subscribe_from(topic, OverflowPolicy::Close, position).ok()?,
        Err(_) => drop(conn.send(r#"40{"pid":"0"}"#)),
    }
    Some(())
}

fn execute(conn: &mut Connection<'_>, command: &str, state: &mut State) -> Option<()> {
    let (name, numbers) = command.strip_prefix("[\"")?.strip_suffix(']')?.split_once('"')?;
    let numbers: Vec<u64> = numbers.split(',').skip(1).map_while(|it| it.parse().ok()).collect();
    let mut topic = |number: u64| conn.topic(&number.to_string()).ok();
    match (name, &numbers[..]) {
        ("join" | "where", &[number]) => {
            let topic = topic(number)?;
            if name == "join" {
                conn.subscribe(topic).ok()?;
            }
            send_newest(conn, topic)?;
        }
        ("fill", &[number, count, size]) => {
            let (topic, padding) = (topic(number)?, "x".repeat(size as usize));
            (0..count).for_each(|_| say(conn, topic, &padding));
            conn.send("filled");
        }
        ("start", &[topics, rate, size]) => {
            let topics = (0..topics).map(topic).collect::<Option<_>>()?;
            let (rate, padding, begun) = (rate as f64, "x".repeat(size as usize), Instant::now());
            state.stream = Some(Stream { topics, rate, begun, number: 0, padding });
        }
        ("echo", []) => drop(conn.send("echo")),
        ("stop", []) => state.stream = None,
        ("stats", []) => send_stats(conn, state),
        _ => return None,
    }
    Some(())
}

fn send_newest(conn: &mut Connection<'_>, topic: TopicId) -> Option<()> {
    let newest = conn.position(topic)?;
    conn.send(format!(r#"42["at",{},"{newest}"]"#, newest.offset()));
    Some(())
}

/// Sends what has been since the last request.
fn send_stats(conn: &mut Connection<'_>, state: &mut State) {
    let stats = conn.handle().stats();
    let turns = stats.turn_time.since(&state.before.as_ref().unwrap_or(&stats).turn_time);
    let [p99, max] = [99.0, 100.0].map(|it| turns.percentile(it).as_nanos());
    let State { outbound_max, closed, reason, .. } = state;
    conn.send(format!("stats {outbound_max} {closed} {p99} {max} {reason}"));
    (state.outbound_max, state.before) = (0, Some(stats));
}

/// Broadcasts a message, as long as the padding.
fn say(cx: &mut Context<'_>, topic: TopicId, padding: &str) {
    let Some(newest) = cx.position(topic) else { return };
    let position = Position::new(newest.epoch(), newest.offset() + 1);
    let head = format!(r#"42["message",{},""#, position.offset());
    let tail = format!(r#"","{position}"]"#);
    let padding = padding.get(head.len() + tail.len()..).unwrap_or_default();
    cx.broadcast(topic, head + padding + &tail);
}

fn tick(cx: &mut Context<'_>, _: &Tick, state: &mut State) {
    state.outbound_max = state.outbound_max.max(cx.handle().stats().outbound_bytes);
    let Some(stream) = &mut state.stream else { return };
    let due = (stream.begun.elapsed().as_secs_f64() * stream.rate) as u64;
    let due = due.min(stream.number + TICK_MESSAGES_MAX);
    while stream.number < due {
        let topic = stream.topics[stream.number as usize % stream.topics.len()];
        say(cx, topic, &stream.padding);
        stream.number += 1;
    }
}

/// Serves until it is stopped.
pub(super) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let (messages, bytes) = HISTORY;
    let history = TopicConfig::default().history(History::of(messages).bytes(bytes));
    // The storm's history is broadcast at once.
    let limits = engine_config(config).max_outbound(OUTBOUND_MAX).topic_backlog(bytes);
    let mut event_loop = EventLoop::new(limits.topics("*", history))?;
    event_loop.on(tick);
    let refused = |_| Error::Events("the timer was refused".to_owned());
    event_loop.set_interval(TICK, Tick).map_err(refused)?;
    let listener = event_loop.listen(&*config.address, ServerConfig::default(), Handler);
    serve(event_loop, listener, &config.address, ready)
}
