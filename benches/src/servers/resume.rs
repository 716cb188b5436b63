//! The server: topics with histories, to which it broadcasts, and clients that come back.

use std::time::{Duration, Instant};

use eventwire::{
    Config, Connection, Context, Disconnect, EventLoop, History, Message, OverflowPolicy, Position,
    Resumption, ServerConfig, Stats, SubscribeError, TopicConfig, TopicId, WebSocketHandler,
};

use super::connections_max;
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
#[derive(Debug)]
struct Stream {
    topics: Vec<TopicId>,
    rate: f64,
    begun: Instant,
    number: u64,
    padding: String,
}

#[derive(Debug, Default)]
struct State {
    stream: Option<Stream>,
    /// The most memory of all output, looked at each tick.
    outbound_max: u64,
    /// Connections that ended otherwise than by their clients, and how the last of them did.
    closed: u64,
    reason: String,
    /// The statistics when the measurement began.
    before: Option<Stats>,
}

/// Runs the command in a message:
///
/// ```text
/// join TOPIC · from TOPIC POSITION · last TOPIC COUNT · where TOPIC · fill TOPIC COUNT SIZE
/// start TOPICS RATE SIZE · stop · reset · stats · echo
/// ```
struct Interpreter;

impl Interpreter {
    fn subscribe(
        conn: &mut Connection<'_>,
        topic: TopicId,
        position: Option<Position>,
    ) -> Result<(), SubscribeError> {
        let position = position.ok_or(SubscribeError::TopicGone)?;
        conn.subscribe_from(topic, OverflowPolicy::Close, position)
    }

    fn run(conn: &mut Connection<'_>, line: &str, state: &mut State) -> Option<()> {
        let mut words = line.split(' ');
        let command = words.next()?;
        match command {
            "echo" => {
                conn.send(line);
            }
            "stop" => state.stream = None,
            "reset" => {
                (state.outbound_max, state.before) = (0, Some(conn.handle().stats()));
                conn.send(line);
            }
            "stats" => {
                let turns = conn.handle().stats().turn_time;
                let before = state.before.as_ref().map(|before| &before.turn_time);
                let turns = before.map_or(turns.clone(), |before| turns.since(before));
                let (turn_p99, turn_max) = (turns.percentile(99.0), turns.percentile(100.0));
                let State { outbound_max, closed, reason, .. } = state;
                let (p99, max) = (turn_p99.as_nanos(), turn_max.as_nanos());
                conn.send(format!("stats {outbound_max} {closed} {p99} {max} {reason}"));
            }
            "start" => {
                let count: u64 = words.next()?.parse().ok()?;
                let topics = (0..count).map(|number| conn.topic(&number.to_string()));
                let topics = topics.collect::<Result<_, _>>().ok()?;
                let rate = words.next()?.parse().ok()?;
                let padding = "x".repeat(words.next()?.parse().ok()?);
                let begun = Instant::now();
                state.stream = Some(Stream { topics, rate, begun, number: 0, padding });
            }
            _ => Self::run_on_topic(conn, command, words)?,
        }
        Some(())
    }

    fn run_on_topic<'a>(
        conn: &mut Connection<'_>,
        command: &str,
        mut words: impl Iterator<Item = &'a str>,
    ) -> Option<()> {
        let topic = conn.topic(words.next()?).ok()?;
        match command {
            "join" => {
                conn.subscribe(topic).ok()?;
                let position = conn.position(topic)?;
                conn.send(format!("at {position}"));
            }
            "where" => {
                let position = conn.position(topic)?;
                conn.send(format!("at {position}"));
            }
            "from" => Self::subscribe(conn, topic, words.next()?.parse().ok()).ok()?,
            "last" => {
                let position = conn.position_before(topic, words.next()?.parse().ok()?);
                Self::subscribe(conn, topic, position).ok()?;
            }
            "fill" => {
                let count: u64 = words.next()?.parse().ok()?;
                let padding = "x".repeat(words.next()?.parse().ok()?);
                for _ in 0..count {
                    say(conn, topic, &padding);
                }
                conn.send("filled");
            }
            _ => return None,
        }
        Some(())
    }
}

/// Broadcasts a message that begins with its position, as long as the padding.
fn say(cx: &mut Context<'_>, topic: TopicId, padding: &str) {
    let Some(newest) = cx.position(topic) else { return };
    let mut text = Position::new(newest.epoch(), newest.offset() + 1).to_string();
    text.push(' ');
    text.push_str(padding.get(text.len()..).unwrap_or_default());
    cx.broadcast(topic, text);
}

impl WebSocketHandler<State> for Interpreter {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut State) {
        let line = message.as_text().unwrap_or_default();
        if Self::run(conn, line, state).is_none() {
            conn.send("no such command");
        }
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        _: TopicId,
        resumption: Resumption,
        _: &mut State,
    ) {
        conn.send(match resumption {
            Resumption::Recovered { replayed } => format!("recovered {replayed}"),
            Resumption::Lost { newest, .. } => format!("lost {newest}"),
            other => format!("unknown {other:?}"),
        });
    }

    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, state: &mut State) {
        if !matches!(reason, Disconnect::Io(_) | Disconnect::ClosedByPeer { .. }) {
            state.closed += 1;
            state.reason = reason.to_string();
        }
    }
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

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn serve(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let (messages, bytes) = HISTORY;
    let history = TopicConfig::default().history(History::of(messages).bytes(bytes));
    let engine = Config::default().idle(config.idle.engine()).max_connections(connections_max());
    // The storm's history is broadcast at once.
    let engine = engine.max_outbound(OUTBOUND_MAX).topic_backlog(bytes).topics("*", history);
    let mut event_loop = EventLoop::new(engine)?;
    let listener = event_loop.listen(&*config.address, ServerConfig::default(), Interpreter)?;
    event_loop.on(tick);
    let refused = |_| Error::Events("the timer was refused".to_owned());
    event_loop.set_interval(TICK, Tick).map_err(refused)?;
    let address = event_loop.local_addr(listener).expect("the listener is open");
    let handle = event_loop.handle();
    ready.listening(address, Box::new(move || handle.stop()));
    event_loop.run(&mut State::default())?;
    Ok(())
}
