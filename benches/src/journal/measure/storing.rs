//! The engine: as many durable messages as the journal takes.

use std::time::{Duration, Instant};

use eventwire::{Durability, EventLoop, Idle, SendStatus, TopicId};

use super::folder::Folder;
use super::{Setting, Stored};
use crate::error::Error;
use crate::machine::process_cpu;

/// The longest wait for the journal before the time is looked at.
const WAIT: Duration = Duration::from_millis(20);

/// What was stored until then.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    cpu: Duration,
    messages: u64,
    commits: u64,
}

/// Broadcasts for that time, after a quarter of it.
pub(super) fn measure(
    setting: &Setting,
    durability: Durability,
    time: Duration,
) -> Result<Stored, Error> {
    let folder = Folder::create(&setting.directory)?;
    let (event_loop, journal) = super::open(&folder, durability, Idle::Block)?;
    let mut feed = Feed::new(event_loop, setting)?;
    feed.run(time / 4)?;
    let before = feed.sample();
    feed.run(time)?;
    let after = feed.sample();
    super::close(feed.event_loop, journal, &mut ())?;
    Ok(after.since(before))
}

/// Broadcasts to all topics in turn.
struct Feed {
    event_loop: EventLoop<()>,
    topics: Vec<TopicId>,
    next: usize,
    message: String,
}

impl Feed {
    fn new(mut event_loop: EventLoop<()>, setting: &Setting) -> Result<Self, Error> {
        let topics = (0..setting.topics).map(|number| event_loop.topic(&number.to_string()));
        let topics = topics.collect::<Result<_, _>>()?;
        Ok(Self { event_loop, topics, next: 0, message: "x".repeat(setting.size) })
    }

    /// Broadcasts for that time, and until something is stored.
    fn run(&mut self, time: Duration) -> Result<(), Error> {
        let until = Instant::now() + time;
        let before = self.event_loop.stats().journal_messages;
        loop {
            self.fill();
            self.event_loop.turn(Some(WAIT), &mut ())?;
            let stats = self.event_loop.stats();
            if stats.journal_failed > 0 {
                return Err(Error::Events("the journal has failed".to_owned()));
            }
            // A device may be slow.
            if Instant::now() >= until && stats.journal_messages > before {
                return Ok(());
            }
        }
    }

    /// Broadcasts until the journal takes no more.
    fn fill(&mut self) {
        let mut cx = self.event_loop.context();
        while cx.broadcast(self.topics[self.next], self.message.as_str()) == SendStatus::Sent {
            self.next = (self.next + 1) % self.topics.len();
        }
    }

    fn sample(&self) -> Sample {
        let stats = self.event_loop.stats();
        Sample {
            at: Instant::now(),
            cpu: process_cpu(),
            messages: stats.journal_messages,
            commits: stats.journal_commits,
        }
    }
}

impl Sample {
    fn since(self, before: Self) -> Stored {
        let messages = (self.messages - before.messages).max(1) as f64;
        Stored {
            messages_per_second: messages / (self.at - before.at).as_secs_f64(),
            cpu_ns_per_message: (self.cpu - before.cpu).as_nanos() as f64 / messages,
            messages_per_commit: messages / (self.commits - before.commits).max(1) as f64,
        }
    }
}
