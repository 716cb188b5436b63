use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The messages that are stored of each topic. The oldest ones are deleted.
pub(super) const KEPT: u64 = 10_000;

/// What is measured.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) topics: usize,
    /// Payload bytes of each message.
    pub(super) size: usize,
    /// Messages per second while latency is measured.
    pub(super) rate: f64,
    /// Where the files are made.
    pub(super) directory: PathBuf,
}

/// What was stored until a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    at: Instant,
    /// Of all threads of the program.
    cpu: Duration,
    messages: u64,
    commits: u64,
}

/// How fast messages were stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) messages_per_second: f64,
    pub(super) cpu_ns_per_message: f64,
    pub(super) messages_per_commit: f64,
}

impl Progress {
    pub(super) fn now(messages: u64, commits: u64) -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default();
        Self { at: Instant::now(), cpu, messages, commits }
    }

    pub(super) fn since(self, before: Self) -> Stored {
        let messages = (self.messages - before.messages).max(1) as f64;
        Stored {
            messages_per_second: messages / (self.at - before.at).as_secs_f64(),
            cpu_ns_per_message: (self.cpu - before.cpu).as_nanos() as f64 / messages,
            messages_per_commit: messages / (self.commits - before.commits).max(1) as f64,
        }
    }
}
