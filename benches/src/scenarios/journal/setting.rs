use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::error::Error;
use crate::results::Figure;
use crate::scenario::Sample;

pub(super) const CPU: Figure = Figure::time("server_cpu_ns", "CPU/message");
pub(super) const RATE: Figure = Figure::rate("messages_per_second", "messages/s");
pub(super) const BATCH: Figure = Figure::count("messages_per_commit", "messages/commit");

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

impl Setting {
    pub(super) fn folder(&self) -> Result<Folder, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("eventwire-bench-{}-{number}", std::process::id());
        let path = self.directory.join(name);
        let what = format!("cannot create {}", path.display());
        fs::create_dir(&path).map_err(Error::system(what))?;
        Ok(Folder(path))
    }
}

/// A folder for the files of one measurement, removed at its end.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains is in a folder for temporary files, or one that the caller has named.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What was stored until a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    at: Instant,
    /// Of all threads of the program.
    cpu: Duration,
    messages: u64,
    commits: u64,
}

impl Stored {
    pub(super) fn now(messages: u64, commits: u64) -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default();
        Self { at: Instant::now(), cpu, messages, commits }
    }

    pub(super) fn since(self, before: Self) -> Sample {
        let messages = (self.messages - before.messages).max(1) as f64;
        Sample::default()
            .with(&CPU, (self.cpu - before.cpu).as_nanos() as f64 / messages)
            .with(&RATE, messages / (self.at - before.at).as_secs_f64())
            .with(&BATCH, messages / (self.commits - before.commits).max(1) as f64)
    }
}
