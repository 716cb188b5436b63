//! A network in memory with virtual time, in which a seed makes the decisions of the kernel.
//!
//! [`SimReactor`] runs an event loop with listeners, streams and raw peers that exist only in
//! memory. Virtual time passes only in [`Reactor::poll`], and where a test says so
//! ([`SimReactor::stand_still`], [`SimClock::pass`]), so that simulated hours take no real time.
//! Whatever a kernel or a network may do is a [`Fault`] with a chance in [`SimConfig`], and every
//! decision comes from [`Choices`]: one seed gives one history, down to the last call.
//! [`SimReactor::trace_hash`] proves it.
//!
//! Faults keep the [contract](super#contract) of the seam. An edge is raised whenever bytes, the
//! end of a stream or a reset arrive, and whenever there is room after a send that was not accepted
//! whole. It may be delayed by up to three polls, but is never lost. After a short `recv`, the rest
//! arrives a little later, with its own edge.
//!
//! ```
//! use eventwire::reactor::Reactor;
//! use eventwire::reactor::sim::{SimConfig, SimReactor};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut reactor = SimReactor::new(1, SimConfig::calm());
//! let (mut listener, address) = reactor.listen(([127, 0, 0, 1], 0).into(), 16, 100)?;
//! let peer = reactor.peer_connect(address);
//! reactor.peer_send(peer, b"ping");
//!
//! let mut ready = Vec::new();
//! reactor.poll(None, &mut ready)?;
//! assert_eq!(ready[0].key, 100);
//! let (mut stream, _) = reactor.accept(&mut listener)?;
//! reactor.register(&mut stream, 101)?;
//!
//! let mut buffer = [0; 16];
//! while reactor.recv(&mut stream, &mut buffer).is_err() {
//!     ready.clear();
//!     reactor.poll(None, &mut ready)?;
//! }
//! assert_eq!(&buffer[..4], b"ping");
//! reactor.send(&mut stream, b"pong")?;
//! while !reactor.is_quiescent() {
//!     reactor.poll(None, &mut ready)?;
//! }
//! assert_eq!(reactor.peer_received(peer), b"pong");
//! # Ok(())
//! # }
//! ```

mod choices;
mod config;
mod connect;
mod edges;
mod endpoint;
mod endpoints;
mod environment;
mod listener;
mod names;
mod network;
mod peer;
mod sockets;
mod tasks;
#[cfg(test)]
mod tests;
mod trace;
mod traffic;

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

pub use self::choices::Choices;
pub use self::config::{Fault, FaultCounts, SimConfig};
pub use self::peer::PeerId;

use self::choices::SplitMix;
use self::network::Network;
use self::sockets::Source;
use self::trace::{Outcome, fingerprint};
use super::{EntropySource, Lookup, Polled, Reactor, Readiness, ResolveDone, Task, Wake};
use crate::time::Time;

/// A [`Reactor`] whose network, clock and entropy are simulated.
///
/// Both ends of a connection may belong to the same event loop, or a test drives one end as a raw
/// peer ([`SimReactor::peer_connect`], [`SimReactor::peer_listen`]). EMFILE and ENFILE are the
/// raw system errors 24 and 23.
#[derive(Debug)]
pub struct SimReactor {
    network: Network,
    /// Virtual time counts from here. Only differences are visible.
    beginning: Instant,
    woken: Arc<AtomicBool>,
    clock: SimClock,
    /// Dropped streams and listeners are sent here, because a drop has no access to the reactor.
    drops: Sender<Source>,
    dropped: Receiver<Source>,
    entropy_seed: u64,
    bytes_received: u64,
    bytes_sent: u64,
    /// The last poll has found nothing, and nothing was under way.
    idle: bool,
}

impl SimReactor {
    /// A simulation in which `seed` makes every decision.
    #[must_use]
    pub fn new(seed: u64, config: SimConfig) -> Self {
        Self::with_choices(Choices::from_seed(seed), config)
    }

    /// A simulation in which `choices` make every decision.
    #[must_use]
    pub fn with_choices(choices: Choices, config: SimConfig) -> Self {
        let (drops, dropped) = mpsc::channel();
        Self {
            entropy_seed: choices.derived_seed(),
            network: Network::new(choices, config),
            beginning: Instant::now(),
            woken: Arc::default(),
            clock: SimClock::default(),
            bytes_received: 0,
            bytes_sent: 0,
            drops,
            dropped,
            idle: false,
        }
    }

    /// The virtual time since the beginning.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.network.env.elapsed
    }

    /// Lets time pass without the event loop, as if its process were stopped. What is under way
    /// arrives, and a test may drive peers between two calls.
    pub fn stand_still(&mut self, time: Duration) {
        self.network.env.note(format_args!("stands still for {time:?}"));
        self.network.stand_still(time);
    }

    /// The clock with which a handler simulates that it takes time.
    #[must_use]
    pub fn clock(&self) -> SimClock {
        self.clock.clone()
    }

    /// How many events happen without another call: arrivals, outcomes of connects, edges to
    /// report.
    #[must_use]
    pub fn pending_in_flight(&self) -> usize {
        self.network.in_flight()
    }

    /// Whether the last poll has found nothing and nothing will happen without another call. An
    /// event loop that still waits for something then waits for ever, or for one of its timers.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.idle && self.pending_in_flight() == 0 && !self.woken.load(Ordering::Acquire)
    }

    /// How many streams and listeners the event loop has.
    pub fn open_descriptors(&mut self) -> usize {
        self.reap();
        self.network.descriptors
    }

    /// How often each fault was injected.
    #[must_use]
    pub const fn fault_counts(&self) -> FaultCounts {
        self.network.env.counts
    }

    /// How many bytes the event loop has received from its streams.
    #[must_use]
    pub const fn bytes_received(&self) -> u64 {
        self.bytes_received
    }

    /// How many bytes the streams have accepted from the event loop.
    #[must_use]
    pub const fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// Changes the chances and limits from here on, for instance to end a run without faults.
    pub fn set_config(&mut self, config: SimConfig) {
        self.network.env.config = config;
    }

    /// A hash of every call that reaches the network, with its outcome, bytes and time, and of
    /// every arrival and fault. Equal hashes mean equal histories. The hash contains no real time
    /// and no memory address. Only wakes from other threads can make two runs of one seed differ.
    #[must_use]
    pub const fn trace_hash(&self) -> u64 {
        self.network.env.trace.hash()
    }

    /// Records the history from here on as readable lines, without a limit.
    pub fn keep_trace_lines(&mut self) {
        self.network.env.trace.keep_lines();
    }

    /// The history since [`SimReactor::keep_trace_lines`], one line per call, arrival and fault.
    #[must_use]
    pub fn trace_lines(&self) -> &[String] {
        self.network.env.trace.lines()
    }

    /// Gives a host a name. A lookup takes about as long as bytes take to the other end. Other
    /// names do not exist.
    pub fn name(&mut self, host: impl Into<String>, ips: impl Into<Vec<IpAddr>>) {
        self.network.names.insert(host.into(), ips.into());
    }

    /// Leaves all later connects to `address` unanswered: they fail after 127 s, as on Linux.
    pub fn silence(&mut self, address: SocketAddr) {
        self.network.silent.insert(address);
    }

    /// Lets the time pass that handlers have taken.
    fn catch_up(&mut self) {
        let nanos = self.clock.passed.swap(0, Ordering::Relaxed);
        if nanos > 0 {
            self.stand_still(Duration::from_nanos(nanos));
        }
    }

    /// Closes the streams and listeners that were dropped since the last call.
    fn reap(&mut self) {
        while let Ok(source) = self.dropped.try_recv() {
            self.network.env.note(format_args!("close {source:?}"));
            self.network.close(source);
            self.idle = false;
        }
    }

    /// Begins a call. Closes what was dropped before it.
    fn begin(&mut self) -> &mut Network {
        self.reap();
        self.idle = false;
        &mut self.network
    }

    fn stream(&self, id: u64) -> SimStream {
        SimStream { id, drops: self.drops.clone() }
    }
}

impl Reactor for SimReactor {
    type Stream = SimStream;
    type Listener = SimListener;
    type Waker = SimWaker;

    fn poll(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Readiness>,
    ) -> io::Result<Polled> {
        self.reap();
        self.catch_up();
        let from = ready.len();
        let polled = self.network.wait(timeout, &self.woken, ready);
        self.idle = ready.len() == from && self.network.in_flight() == 0;
        let count = ready.len() - from;
        self.network.env.note(format_args!("poll {timeout:?} -> {polled:?}, {count} ready"));
        for one in &ready[from..] {
            let flag = |set, name| if set { name } else { '-' };
            self.network.env.note(format_args!(
                "ready {:#x} {}{}{}",
                one.key,
                flag(one.readable, 'r'),
                flag(one.writable, 'w'),
                flag(one.hangup, 'h'),
            ));
        }
        Ok(polled)
    }

    fn now(&mut self) -> Time {
        self.catch_up();
        Time::from_beginning(self.network.env.elapsed)
    }

    fn beginning(&self) -> Instant {
        self.beginning
    }

    fn entropy(&mut self) -> io::Result<EntropySource> {
        let number = self.begin().env.number();
        self.network.env.note(format_args!("entropy"));
        let mut random = SplitMix::new(self.entropy_seed ^ number);
        Ok(Box::new(move |bytes| random.fill(bytes)))
    }

    fn waker(&self) -> SimWaker {
        SimWaker { woken: Arc::clone(&self.woken) }
    }

    fn max_connections(&self) -> usize {
        usize::MAX
    }

    fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> io::Result<Lookup> {
        let lookup = self.begin().resolve(host, port, done);
        self.network.env.note(format_args!("resolve {host} {port}"));
        Ok(lookup)
    }

    fn spawn(&mut self, name: &str, task: Box<dyn Task>) -> io::Result<()> {
        let Network { tasks, env, .. } = self.begin();
        tasks.add(task, env);
        env.note(format_args!("spawn {name}"));
        Ok(())
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        backlog: u32,
        key: u64,
    ) -> io::Result<(SimListener, SocketAddr)> {
        let outcome = self.begin().listen(address, backlog, Some(key));
        self.network.env.note(format_args!("listen {address} {key:#x} -> {}", Outcome(&outcome)));
        let (id, address) = outcome?;
        Ok((SimListener { id, drops: self.drops.clone() }, address))
    }

    fn accept(
        &mut self,
        listener: &mut SimListener,
    ) -> io::Result<(SimStream, Option<SocketAddr>)> {
        let outcome = self.begin().accept(listener.id);
        self.network.env.note(format_args!("accept #{} -> {}", listener.id, Outcome(&outcome)));
        let (id, address) = outcome?;
        Ok((self.stream(id), Some(address)))
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<SimStream> {
        let outcome = self.begin().connect(address);
        self.network.env.note(format_args!("connect {address} -> {}", Outcome(&outcome)));
        Ok(self.stream(outcome?))
    }

    fn connect_result(&mut self, stream: &mut SimStream) -> io::Result<bool> {
        let outcome = self.begin().connect_result(stream.id);
        self.network.env.note(format_args!(
            "connect_result #{} -> {}",
            stream.id,
            Outcome(&outcome)
        ));
        outcome
    }

    fn register(&mut self, stream: &mut SimStream, key: u64) -> io::Result<()> {
        let outcome = self.begin().register(stream.id, key);
        self.network.env.note(format_args!(
            "register #{} {key:#x} -> {}",
            stream.id,
            Outcome(&outcome)
        ));
        outcome
    }

    fn rekey(&mut self, stream: &mut SimStream, key: u64) -> io::Result<()> {
        let outcome = self.begin().rekey(stream.id, key);
        self.network.env.note(format_args!(
            "rekey #{} {key:#x} -> {}",
            stream.id,
            Outcome(&outcome)
        ));
        outcome
    }

    fn recv(&mut self, stream: &mut SimStream, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.begin().recv(stream.id, buffer);
        let count = *outcome.as_ref().unwrap_or(&0);
        self.bytes_received += count as u64;
        let seen = fingerprint(&buffer[..count]);
        self.network.env.note(format_args!(
            "recv #{} {} -> {} {seen:x}",
            stream.id,
            buffer.len(),
            Outcome(&outcome),
        ));
        outcome
    }

    fn send(&mut self, stream: &mut SimStream, bytes: &[u8]) -> io::Result<usize> {
        self.send_vectored(stream, &[IoSlice::new(bytes)])
    }

    fn send_vectored(
        &mut self,
        stream: &mut SimStream,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        let outcome = self.begin().admit(stream.id, len);
        let taken = *outcome.as_ref().unwrap_or(&0);
        self.bytes_sent += taken as u64;
        let bytes = front(slices, taken);
        self.network.env.note(format_args!(
            "send #{} {len} -> {} {:x}",
            stream.id,
            Outcome(&outcome),
            fingerprint(&bytes),
        ));
        self.network.transmit(stream.id, bytes);
        outcome
    }

    fn shutdown(&mut self, stream: &mut SimStream) -> io::Result<()> {
        let outcome = self.begin().shutdown(stream.id);
        self.network.env.note(format_args!("shutdown #{} -> {}", stream.id, Outcome(&outcome)));
        outcome
    }
}

/// The first `count` bytes of `slices`.
fn front(slices: &[IoSlice<'_>], count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count);
    for slice in slices {
        let wanted = slice.len().min(count - bytes.len());
        bytes.extend_from_slice(&slice[..wanted]);
    }
    bytes
}

/// A stream of a [`SimReactor`]. Dropping it closes it before the reactor's next call.
pub struct SimStream {
    id: u64,
    drops: Sender<Source>,
}

impl Drop for SimStream {
    fn drop(&mut self) {
        // It fails if the whole network was dropped. Nothing is left to close then.
        let _ = self.drops.send(Source::Stream(self.id));
    }
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStream({})", self.id)
    }
}

/// A listener of a [`SimReactor`]. Dropping it resets the connections in its backlog.
pub struct SimListener {
    id: u64,
    drops: Sender<Source>,
}

impl Drop for SimListener {
    fn drop(&mut self) {
        // It fails if the whole network was dropped. Nothing is left to close then.
        let _ = self.drops.send(Source::Listener(self.id));
    }
}

impl fmt::Debug for SimListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimListener({})", self.id)
    }
}

/// Lets virtual time pass where the [`SimReactor`] is not accessible: in a handler.
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    /// Nanoseconds that the reactor has not added.
    passed: Arc<AtomicU64>,
}

impl SimClock {
    /// Simulates that the caller takes this long and blocks the event loop meanwhile.
    pub fn pass(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.passed.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Makes a poll of a [`SimReactor`] return, from any thread.
#[derive(Clone, Debug)]
pub struct SimWaker {
    woken: Arc<AtomicBool>,
}

impl Wake for SimWaker {
    fn wake(&self) -> io::Result<()> {
        self.woken.store(true, Ordering::Release);
        Ok(())
    }
}
