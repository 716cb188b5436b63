//! The ways of an event, and what receives it at the end of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use mio::Events;

use super::tally::Tally;
use crate::error::Error;
use crate::load::{Links, ReadOutcome, Stamp};
use crate::machine::{CpuClock, CpuPair};
use crate::target::Target;
use crate::worker::Worker;

/// The way of an event from the publishing threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To a handler on the loop. Floor: to the thread that receives from the channel.
    Handler,
    /// Through the loop to a subscriber's thread. Floor: through the thread, which passes it on
    /// through a second channel.
    Subscriber,
    /// Through a handler, which broadcasts it, to a client. Floor: through the thread, which writes
    /// it to a TCP connection.
    Wire,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) way: Way,
    /// How many threads publish.
    pub(crate) threads: usize,
    /// Events per second of each thread while latency is measured.
    pub(crate) rate: f64,
    /// With two CPUs, the loop has one of them; everything else is on the other.
    pub(crate) cpus: Option<CpuPair>,
}

/// A running consumer.
pub(super) struct Route {
    /// One for each publishing thread.
    pub(super) sinks: Vec<Sink>,
    /// The CPU time of the loop, or of the channel's thread.
    pub(super) consumer: CpuClock,
    /// Ends it once everything has arrived.
    pub(super) finish: Box<dyn FnOnce() -> Result<Tally, Error>>,
}

/// Publishes an event without waiting.
pub(super) type Sink = Box<dyn Fn(Stamp) -> Result<(), TrySendError<Stamp>> + Send>;

/// Payload bytes of the messages on the wire.
pub(super) const SIZE: usize = 64;
/// How long a client waits between two checks for the end.
const LOOK: Duration = Duration::from_millis(2);

impl Setting {
    pub(super) fn consumer_cpu(self) -> Option<usize> {
        self.cpus.map(|cpus| cpus.server)
    }

    pub(super) fn publisher_cpu(self) -> Option<usize> {
        self.cpus.map(|cpus| cpus.load)
    }
}

/// Counts events on a thread of its own while `next` returns any.
pub(super) fn counting(
    name: &'static str,
    cpu: Option<usize>,
    mut tally: Tally,
    mut next: impl FnMut() -> Option<Stamp> + Send + 'static,
) -> Result<(CpuClock, Worker<Tally>), Error> {
    Worker::start(name, cpu, move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(CpuClock::of_thread());
        while let Some(stamp) = next() {
            tally.arrived(stamp);
        }
        Ok(tally)
    })
}

/// A connection on a thread of its own, which counts messages.
#[derive(Debug)]
pub(super) struct Client {
    worker: Worker<Tally>,
    over: Arc<AtomicBool>,
}

impl Client {
    /// Connects, and counts the messages of `size` bytes.
    pub(super) fn start(
        target: Target,
        size: usize,
        cpu: Option<usize>,
        mut tally: Tally,
    ) -> Result<Self, Error> {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let ((), worker) = Worker::start("client", cpu, move |ready| {
            let mut links = Links::open(&target, 1, size, 1)?;
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send(());
            let mut events = Events::with_capacity(8);
            while !seen.load(Ordering::Relaxed) {
                links.wait(&mut events, LOOK)?;
                let mut arrived = |stamp| {
                    tally.arrived(stamp);
                    Ok(())
                };
                while !events.is_empty() && links.read(0, &mut arrived)? == ReadOutcome::Full {}
            }
            links.close();
            Ok(tally)
        })?;
        Ok(Self { worker, over })
    }

    /// Ends the client and returns its tally.
    pub(super) fn finish(self) -> Result<Tally, Error> {
        self.over.store(true, Ordering::Relaxed);
        self.worker.join()
    }
}
