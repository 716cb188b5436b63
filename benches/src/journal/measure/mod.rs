//! The rounds: each measures everything once, so that all of it meets the same disturbances.

mod delivery;
mod device;
mod folder;
mod paced;
mod plain;
mod storing;
mod subscriber;

use std::path::PathBuf;
use std::time::Duration;

use eventwire::journal::Sqlite;
use eventwire::{
    Config, Durability, EventLoop, History, Idle, Journal, JournalConfig, TopicConfig,
};

pub(crate) use folder::file_system;

use super::JournalArgs;
use crate::error::Error;
use crate::load::Latencies;
use crate::machine::{CpuPair, CpuUse};
use crate::progress_bar;
use crate::report::journal::JournalReport;

use folder::Folder;
use paced::Paced;

/// The messages that are stored of each topic. The oldest ones are deleted.
pub(crate) const KEPT: u64 = 10_000;

/// A loop that has not done its part by then has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is measured.
#[derive(Debug)]
struct Setting {
    topics: usize,
    size: usize,
    rate: f64,
    directory: PathBuf,
}

/// The number of the rounds, and the length of their parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    /// As many messages as possible, after a quarter of that time to warm up.
    pub(crate) storing: Duration,
    /// Messages at the rate, after a quarter of that time to warm up.
    pub(crate) delivery: Duration,
    /// Commits of a plain loop, and synchronisations of the device, as often as the engine commits.
    pub(crate) device: Duration,
}

const FULL: Timing = Timing {
    rounds: 5,
    storing: Duration::from_millis(400),
    delivery: Duration::from_millis(700),
    device: Duration::from_millis(400),
};
const QUICK: Timing = Timing {
    rounds: 1,
    storing: Duration::from_millis(40),
    delivery: Duration::from_millis(60),
    device: Duration::from_millis(20),
};

/// The results of one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) deliver_first: Storing,
    pub(crate) commit_first: Storing,
    pub(crate) waiting: Waiting,
}

/// As many messages as possible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storing {
    pub(crate) engine: Stored,
    /// A plain loop that stores the same rows in batches of the same size.
    pub(crate) plain: Stored,
}

/// What one side has stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) messages_per_second: f64,
    /// Of all threads of the program.
    pub(crate) cpu_ns_per_message: f64,
    pub(crate) messages_per_commit: f64,
}

/// Messages at a moderate rate, and what the device takes.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// From the broadcast until the subscriber has the message, in nanoseconds.
    pub(crate) deliver_first: Latencies,
    pub(crate) commit_first: Latencies,
    /// The messages of a commit of the engine, if it commits first.
    pub(crate) messages_per_commit: f64,
    /// Commits of a plain loop of as many messages, in nanoseconds.
    pub(crate) commit: Latencies,
    /// Synchronisations of 4 KiB, in nanoseconds.
    pub(crate) synchronisation: Latencies,
}

/// Runs all measurements.
pub(crate) fn run(args: &JournalArgs) -> Result<JournalReport, Error> {
    let timing = if args.quick { QUICK } else { FULL };
    let setting = Setting {
        topics: args.topics as usize,
        size: args.size as usize,
        rate: args.rate,
        directory: args.directory.clone().unwrap_or_else(std::env::temp_dir),
    };
    let bar = progress_bar(timing.rounds as u64);
    let before = CpuUse::now();
    let mut rounds = Vec::new();
    for _ in 0..timing.rounds {
        rounds.push(setting.round(timing)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let interference = CpuUse::now().zip(before).map(|(now, then)| now.interference_since(then));
    let mut report = JournalReport::new(args, &setting.directory, timing, CpuPair::pick());
    report.add(&rounds, interference);
    Ok(report)
}

impl Setting {
    fn round(&self, timing: Timing) -> Result<Round, Error> {
        Ok(Round {
            deliver_first: self.storing(Durability::DeliverFirst, timing.storing)?,
            commit_first: self.storing(Durability::CommitFirst, timing.storing)?,
            waiting: self.waiting(timing)?,
        })
    }

    fn storing(&self, durability: Durability, time: Duration) -> Result<Storing, Error> {
        let engine = storing::measure(self, durability, time)?;
        let plain = plain::measure(self, durability, engine.messages_per_commit, time)?;
        Ok(Storing { engine, plain })
    }

    fn waiting(&self, timing: Timing) -> Result<Waiting, Error> {
        let (deliver_first, _) =
            delivery::measure(self, Durability::DeliverFirst, timing.delivery)?;
        let (commit_first, messages_per_commit) =
            delivery::measure(self, Durability::CommitFirst, timing.delivery)?;
        let every = Duration::from_secs_f64(messages_per_commit / self.rate);
        let paced = Paced { every, time: timing.device };
        Ok(Waiting {
            deliver_first,
            commit_first,
            messages_per_commit,
            commit: plain::commits(self, messages_per_commit, paced)?,
            synchronisation: device::measure(self, paced)?,
        })
    }
}

/// A loop with a journal in the folder.
fn open<S: 'static>(
    folder: &Folder,
    durability: Durability,
    idle: Idle,
) -> Result<(EventLoop<S>, Journal), Error> {
    let durable = TopicConfig::default()
        .history(History::of(100))
        .durable(durability)
        .stored(History::of(KEPT).bytes(usize::MAX));
    let mut event_loop = EventLoop::new(Config::default().idle(idle).topics("*", durable))?;
    let storage = Sqlite::open(folder.file("journal.db")).map_err(eventwire::Error::from)?;
    let journal = event_loop.journal(storage, JournalConfig::default())?;
    Ok((event_loop, journal))
}

/// Ends a loop, and checks that the journal has stored everything.
fn close<S: 'static>(
    mut event_loop: EventLoop<S>,
    journal: Journal,
    state: &mut S,
) -> Result<(), Error> {
    event_loop.context().shutdown(PATIENCE);
    event_loop.run(state)?;
    let failed = event_loop.stats().journal_failed;
    drop(event_loop);
    journal.close(PATIENCE).map_err(eventwire::Error::from)?;
    if failed > 0 {
        return Err(Error::Events(format!("the journal has not stored {failed} messages")));
    }
    Ok(())
}
