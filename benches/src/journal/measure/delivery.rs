//! The engine: from a broadcast at a moderate rate to a subscriber's connection.

use std::time::{Duration, Instant};

use eventwire::{
    Connection, Context, Durability, EventLoop, Idle, SendStatus, ServerConfig, TopicId,
    WebSocketHandler,
};

use super::folder::Folder;
use super::subscriber::{STAMP_BYTES, Subscriber};
use super::{PATIENCE, Setting};
use crate::error::Error;
use crate::load::Latencies;

/// How often due messages are broadcast.
const TICK: Duration = Duration::from_millis(1);

#[derive(Clone)]
struct Tick;

/// What is broadcast.
struct Feed {
    topic: TopicId,
    rate: f64,
    payload: Vec<u8>,
    start: Instant,
    /// When the first message was due, since the start.
    begun: Option<Duration>,
    number: u64,
    dropped: u64,
}

struct Subscribe(TopicId);

impl WebSocketHandler<Feed> for Subscribe {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Feed) {
        // If the connection is already gone, the subscriber reports it.
        let _ = conn.subscribe(self.0);
    }
}

/// Broadcasts for that time, after a quarter of it. Returns the latencies, and the messages of a
/// commit.
pub(super) fn measure(
    setting: &Setting,
    durability: Durability,
    time: Duration,
) -> Result<(Latencies, f64), Error> {
    let folder = Folder::create(&setting.directory)?;
    let (mut event_loop, journal) = super::open::<Feed>(&folder, durability, Idle::default())?;
    let topic = event_loop.topic("orders")?;
    let server = ServerConfig::default();
    let listener = event_loop.listen("127.0.0.1:0", server, Subscribe(topic))?;
    let address = event_loop.local_addr(listener).expect("the listener is open");
    let start = Instant::now();
    let mut feed = Feed {
        topic,
        rate: setting.rate,
        payload: vec![b'x'; setting.size.max(STAMP_BYTES)],
        start,
        begun: None,
        number: 0,
        dropped: 0,
    };
    event_loop.on(tick);
    let refused = |_| Error::Events("the timer was refused".to_owned());
    event_loop.set_interval(TICK, Tick).map_err(refused)?;
    let subscriber = Subscriber::start(address, start, time / 4)?;
    await_subscriber(&mut event_loop, &mut feed)?;
    let begun = start.elapsed();
    feed.begun = Some(begun);
    turn_until(&mut event_loop, &mut feed, |_| start.elapsed() >= begun + time + time / 4)?;
    feed.begun = None;
    let is_settled = |event_loop: &EventLoop<Feed>| event_loop.stats().journal_waiting == 0;
    turn_until(&mut event_loop, &mut feed, is_settled)?;
    let stats = event_loop.stats();
    let latencies = subscriber.finish()?;
    super::close(event_loop, journal, &mut feed)?;
    if feed.dropped > 0 {
        let reason = format!("the journal does not keep up with {} messages/s", setting.rate);
        return Err(Error::Events(reason));
    }
    let commits = stats.journal_commits.max(1) as f64;
    Ok((latencies, stats.journal_messages as f64 / commits))
}

fn tick(cx: &mut Context<'_>, _: &Tick, feed: &mut Feed) {
    let Some(begun) = feed.begun else { return };
    let due = ((feed.start.elapsed() - begun).as_secs_f64() * feed.rate) as u64;
    while feed.number < due {
        let made = feed.start.elapsed().as_nanos() as u64;
        feed.payload[..STAMP_BYTES].copy_from_slice(&made.to_le_bytes());
        let status = cx.broadcast(feed.topic, feed.payload.as_slice());
        feed.dropped += u64::from(status == SendStatus::Dropped);
        feed.number += 1;
    }
}

fn await_subscriber(event_loop: &mut EventLoop<Feed>, feed: &mut Feed) -> Result<(), Error> {
    let topic = feed.topic;
    let patience = Instant::now() + PATIENCE;
    while event_loop.context().subscriber_count(topic) == 0 {
        if Instant::now() >= patience {
            return Err(Error::Events("the subscriber does not come".to_owned()));
        }
        event_loop.turn(Some(TICK), feed)?;
    }
    Ok(())
}

fn turn_until(
    event_loop: &mut EventLoop<Feed>,
    feed: &mut Feed,
    is_over: impl Fn(&EventLoop<Feed>) -> bool,
) -> Result<(), Error> {
    while !is_over(event_loop) {
        event_loop.turn(Some(TICK), feed)?;
    }
    Ok(())
}
