//! The engine with durable topics.

use std::time::{Duration, Instant};

use eventwire::journal::Sqlite;
use eventwire::{
    ClientConfig, Config, Connection, Durability, EventLoop, History, Idle, Journal, JournalConfig,
    SendStatus, ServerConfig, Stats, TopicConfig, TopicId, WebSocketHandler,
};

use super::setting::{Folder, KEPT, Setting, Stored};
use crate::error::Error;
use crate::load::{Latencies, no_latencies, pattern};
use crate::scenario::{Sample, Timing};

/// The longest turn while as much as possible is stored.
const WAIT: Duration = Duration::from_millis(20);
/// The longest turn while messages become due.
const TICK: Duration = Duration::from_millis(1);
/// A loop that has not done its part by then has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// The bytes at the beginning of a message: when it was broadcast.
const STAMP_BYTES: usize = size_of::<u64>();

/// A loop with durable topics.
struct Durable {
    event_loop: EventLoop<Arrivals>,
    topics: Vec<TopicId>,
    arrivals: Arrivals,
    journal: Journal,
    /// Removed after everything else.
    _folder: Folder,
}

/// What a subscriber received.
struct Arrivals {
    start: Instant,
    /// Of messages that were broadcast from this time on, since the start.
    warm: Duration,
    latencies: Latencies,
    count: u64,
}

struct Server(TopicId);

impl WebSocketHandler<Arrivals> for Server {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Arrivals) {
        // If the connection is already gone, the subscriber is missed.
        let _ = conn.subscribe(self.0);
    }
}

/// Broadcasts as many messages as the journal takes, to all topics in turn.
pub(super) fn store(
    setting: &Setting,
    durability: Durability,
    timing: Timing,
) -> Result<Sample, Error> {
    let mut durable = Durable::open(setting, durability, Idle::Block)?;
    let message = "x".repeat(setting.size);
    durable.fill(timing.warm_up, &message)?;
    let before = durable.stored();
    durable.fill(timing.duration, &message)?;
    let sample = durable.stored().since(before);
    durable.close()?;
    Ok(sample)
}

/// Broadcasts at the rate to a client of the loop. Returns how long messages take to the client,
/// and how many a commit has.
pub(super) fn deliver(
    setting: &Setting,
    durability: Durability,
    timing: Timing,
) -> Result<(Latencies, f64), Error> {
    let mut durable = Durable::open(setting, durability, Idle::default())?;
    durable.subscribe(setting)?;
    let (start, mut sent) = (Instant::now(), 0);
    durable.arrivals.warm = durable.arrivals.start.elapsed() + timing.warm_up;
    let mut payload = pattern(setting.size);
    while start.elapsed() < timing.warm_up + timing.duration {
        while sent < (start.elapsed().as_secs_f64() * setting.rate) as u64 {
            let made = durable.arrivals.start.elapsed().as_nanos() as u64;
            payload[..STAMP_BYTES].copy_from_slice(&made.to_le_bytes());
            let mut cx = durable.event_loop.context();
            if cx.broadcast(durable.topics[0], payload.as_slice()) == SendStatus::Dropped {
                let rate = setting.rate;
                let reason = format!("the journal does not keep up with {rate} messages/s");
                return Err(Error::Events(reason));
            }
            sent += 1;
        }
        durable.turn(TICK)?;
    }
    durable.turn_until("messages were lost", |durable| durable.arrivals.count == sent)?;
    let latencies = std::mem::replace(&mut durable.arrivals.latencies, no_latencies());
    let Stats { journal_messages, journal_commits, .. } = durable.close()?;
    Ok((latencies, journal_messages as f64 / journal_commits.max(1) as f64))
}

impl Durable {
    fn open(setting: &Setting, durability: Durability, idle: Idle) -> Result<Self, Error> {
        let folder = setting.folder()?;
        let config = TopicConfig::default()
            .history(History::of(100))
            .durable(durability)
            .stored(History::of(KEPT).bytes(usize::MAX));
        let mut event_loop = EventLoop::new(Config::default().idle(idle).topics("*", config))?;
        let storage = Sqlite::open(folder.file("journal.db")).map_err(eventwire::Error::from)?;
        let journal = event_loop.journal(storage, JournalConfig::default())?;
        let topics = (0..setting.topics).map(|number| event_loop.topic(&number.to_string()));
        let topics = topics.collect::<Result<_, _>>()?;
        let (start, latencies) = (Instant::now(), no_latencies());
        let arrivals = Arrivals { start, warm: Duration::ZERO, latencies, count: 0 };
        Ok(Self { event_loop, topics, arrivals, journal, _folder: folder })
    }

    /// Broadcasts for that time, and until something is stored: a device may be slow.
    fn fill(&mut self, time: Duration, message: &str) -> Result<(), Error> {
        let until = Instant::now() + time;
        let before = self.event_loop.stats().journal_messages;
        let mut next = 0;
        while Instant::now() < until || self.event_loop.stats().journal_messages == before {
            let mut cx = self.event_loop.context();
            while cx.broadcast(self.topics[next], message) == SendStatus::Sent {
                next = (next + 1) % self.topics.len();
            }
            self.turn(WAIT)?;
        }
        Ok(())
    }

    fn stored(&self) -> Stored {
        let stats = self.event_loop.stats();
        Stored::now(stats.journal_messages, stats.journal_commits)
    }

    /// Connects a client, and waits until it is subscribed to the first topic.
    fn subscribe(&mut self, setting: &Setting) -> Result<(), Error> {
        let topic = self.topics[0];
        let server = ServerConfig::default();
        let listener = self.event_loop.listen("127.0.0.1:0", server, Server(topic))?;
        let address = self.event_loop.local_addr(listener).expect("the listener is open");
        let config = ClientConfig::default().address(address);
        let pattern = pattern(setting.size);
        self.event_loop.connect_fn("ws://localhost/", config, move |_, message, arrivals| {
            arrivals.add(message.as_bytes(), &pattern);
        })?;
        self.turn_until("the subscriber does not come", |durable| {
            durable.event_loop.context().subscriber_count(topic) == 1
        })
    }

    fn turn(&mut self, longest: Duration) -> Result<(), Error> {
        self.event_loop.turn(Some(longest), &mut self.arrivals)?;
        check(&self.event_loop.stats())
    }

    fn turn_until(
        &mut self,
        otherwise: &str,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Error> {
        let patience = Instant::now() + PATIENCE;
        while !is_so(self) {
            self.turn(TICK)?;
            if Instant::now() >= patience {
                return Err(Error::Events(otherwise.to_owned()));
            }
        }
        Ok(())
    }

    /// Ends the loop, and checks that the journal has stored everything.
    fn close(mut self) -> Result<Stats, Error> {
        self.event_loop.context().shutdown(PATIENCE);
        self.event_loop.run(&mut self.arrivals)?;
        let stats = self.event_loop.stats();
        drop(self.event_loop);
        self.journal.close(PATIENCE).map_err(eventwire::Error::from)?;
        check(&stats)?;
        Ok(stats)
    }
}

impl Arrivals {
    /// Counts a message that is as it was sent.
    fn add(&mut self, message: &[u8], pattern: &[u8]) {
        let Some((stamp, content)) = message.split_first_chunk() else { return };
        let made = Duration::from_nanos(u64::from_le_bytes(*stamp));
        if made >= self.warm {
            let latency = self.start.elapsed().saturating_sub(made);
            self.latencies.saturating_record(latency.as_nanos() as u64);
        }
        self.count += u64::from(*content == pattern[STAMP_BYTES..]);
    }
}

fn check(stats: &Stats) -> Result<(), Error> {
    match stats.journal_failed {
        0 => Ok(()),
        failed => Err(Error::Events(format!("the journal has not stored {failed} messages"))),
    }
}
