//! The engine with durable topics.

use std::time::{Duration, Instant};

use eventwire::journal::Sqlite;
use eventwire::{
    Config, Durability, EventLoop, History, Idle, Journal, JournalConfig, SendStatus, Stats,
    TopicConfig, TopicId,
};

use super::folder::Folder;
use super::setting::{KEPT, Progress, Setting, Stored};
use crate::error::Error;
use crate::scenario::Timing;

/// A loop that has not done its part by then has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The longest wait for the journal before the time is looked at.
const WAIT: Duration = Duration::from_millis(20);

/// A loop with durable topics.
pub(super) struct Durable {
    pub(super) event_loop: EventLoop<()>,
    pub(super) topics: Vec<TopicId>,
    journal: Journal,
    /// Removed after everything else.
    _folder: Folder,
}

/// Broadcasts as many messages as the journal takes, to all topics in turn.
pub(super) fn store(
    setting: &Setting,
    durability: Durability,
    timing: Timing,
) -> Result<Stored, Error> {
    let mut durable = Durable::open(setting, durability, Idle::Block)?;
    let message = "x".repeat(setting.size);
    durable.fill_for(timing.warm_up, &message)?;
    let before = durable.progress();
    durable.fill_for(timing.duration, &message)?;
    let stored = durable.progress().since(before);
    durable.close()?;
    Ok(stored)
}

impl Durable {
    pub(super) fn open(
        setting: &Setting,
        durability: Durability,
        idle: Idle,
    ) -> Result<Self, Error> {
        let folder = Folder::create(&setting.directory)?;
        let config = TopicConfig::default()
            .history(History::of(100))
            .durable(durability)
            .stored(History::of(KEPT).bytes(usize::MAX));
        let mut event_loop = EventLoop::new(Config::default().idle(idle).topics("*", config))?;
        let storage = Sqlite::open(folder.file("journal.db")).map_err(eventwire::Error::from)?;
        let journal = event_loop.journal(storage, JournalConfig::default())?;
        let topics = (0..setting.topics).map(|number| event_loop.topic(&number.to_string()));
        let topics = topics.collect::<Result<_, _>>()?;
        Ok(Self { event_loop, topics, journal, _folder: folder })
    }

    /// Broadcasts for that time, and until something is stored: a device may be slow.
    fn fill_for(&mut self, time: Duration, message: &str) -> Result<(), Error> {
        let until = Instant::now() + time;
        let before = self.event_loop.stats().journal_messages;
        while Instant::now() < until || self.event_loop.stats().journal_messages == before {
            let mut cx = self.event_loop.context();
            while cx.broadcast(self.topics[0], message) == SendStatus::Sent {
                self.topics.rotate_left(1);
            }
            self.event_loop.turn(Some(WAIT), &mut ())?;
            stored(&self.event_loop.stats())?;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let stats = self.event_loop.stats();
        Progress::now(stats.journal_messages, stats.journal_commits)
    }

    /// Ends the loop, and checks that the journal has stored everything.
    pub(super) fn close(mut self) -> Result<Stats, Error> {
        self.event_loop.context().shutdown(PATIENCE);
        self.event_loop.run(&mut ())?;
        let stats = self.event_loop.stats();
        drop(self.event_loop);
        self.journal.close(PATIENCE).map_err(eventwire::Error::from)?;
        stored(&stats)?;
        Ok(stats)
    }
}

fn stored(stats: &Stats) -> Result<(), Error> {
    match stats.journal_failed {
        0 => Ok(()),
        failed => Err(Error::Events(format!("the journal has not stored {failed} messages"))),
    }
}
