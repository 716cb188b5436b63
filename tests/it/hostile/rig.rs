//! The rig of hostile tests: a server in its own process, watched from outside, and bystanders.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use super::bystanders::{self, Bystanders};
use super::service::{Addresses, OVER_TLS, PROFILE, TEST};
use crate::util::{PATIENCE, Peer, Target};

pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;

/// What a process may hold more than is accounted for: pages of the allocator, of the program's
/// own code and of the kernel's counters, which are exact to some hundred KiB only.
pub(super) const NOISE: u64 = 3 * MIB;

/// Storage of messages that a loop keeps for the next ones, at most.
pub(super) const KEPT_INPUT: u64 = 4 * MIB;

/// Storage of output that a loop keeps, at most: 256 pieces of 64 KiB.
pub(super) const KEPT_OUTPUT: u64 = 16 * MIB;

/// What a session of TLS holds beside, between two records: keys, and room for 4 KiB.
pub(super) const SESSION: u64 = 8 * KIB;

/// The same with the list of all the records that 4 KiB may hold.
pub(super) const IN_PIECES: u64 = SESSION + 12 * KIB;

/// The same in the middle of a record, of which up to 18 KiB have come into storage that doubles.
pub(super) const HALF_RECORD: u64 = SESSION + 32 * KIB;

/// The same with all that a session takes for a stream that takes nothing.
pub(super) const UNSENT: u64 = SESSION + 64 * KIB;

/// How long between two looks at the server.
const LOOK: Duration = Duration::from_millis(10);

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Memory in bytes.
    pub(super) memory: u64,
    /// The most that it ever was.
    pub(super) peak: u64,
    pub(super) descriptors: usize,
}

/// A running server with its bystanders.
#[derive(Debug)]
pub(super) struct Rig {
    process: Child,
    /// What it prints; ends when it does.
    output: Receiver<String>,
    addresses: Addresses,
    /// All but control is over TLS.
    secure: bool,
    control: Peer,
    bystanders: Option<Bystanders>,
    /// What those of the peers may hold.
    sessions: u64,
    /// Before anybody did anything wrong.
    baseline: Usage,
}

impl Rig {
    /// Starts a server with the profile of this name, and a hundred bystanders.
    pub(super) fn start(profile: &str) -> Self {
        Self::start_with(profile, env::var_os(OVER_TLS).is_some())
    }

    /// The same over TLS, whatever the others do.
    #[cfg(feature = "tls")]
    pub(super) fn secure(profile: &str) -> Self {
        Self::start_with(profile, true)
    }

    /// Allows at most `count` peers at a time, each with a TLS session of `each` bytes if all is
    /// over TLS. The allocator may keep what is freed in small pieces; another case shows that
    /// thousands of sessions in sequence leave nothing.
    pub(super) fn sessions(mut self, count: usize, each: u64) -> Self {
        if self.secure {
            self.sessions = count as u64 * each;
        }
        self
    }

    fn start_with(profile: &str, secure: bool) -> Self {
        let descriptors = super::profile(profile).descriptors;
        let mut command = again(TEST, descriptors);
        if secure {
            command.env(OVER_TLS, "1");
        }
        command.env(PROFILE, profile).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("start a server");
        let printed = BufReader::new(process.stdout.take().expect("its output"));
        let (lines, output) = channel();
        thread::spawn(move || {
            printed.lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let addresses = loop {
            let line = output.recv_timeout(PATIENCE).expect("the server's addresses");
            if let Some(addresses) = Addresses::parse(&line) {
                break addresses;
            }
        };
        let control = Peer::connect(addresses.control);
        let bystanders = Some(Bystanders::start(Target { address: addresses.echo, secure }));
        let baseline = usage(process.id());
        Self { process, output, addresses, secure, control, bystanders, sessions: 0, baseline }
    }

    /// Where messages are echoed.
    pub(super) const fn echo(&self) -> Target {
        Target { address: self.addresses.echo, secure: self.secure }
    }

    /// Where every connection receives what is broadcast.
    pub(super) const fn feed(&self) -> Target {
        Target { address: self.addresses.feed, secure: self.secure }
    }

    /// Where clients of Socket.IO are served.
    #[cfg(feature = "socketio")]
    pub(super) fn socket_io(&self) -> Target {
        let address = self.addresses.socket_io.expect("a profile that serves them");
        Target { address, secure: self.secure }
    }

    /// Broadcasts `count` messages of `len` bytes; returns how many were accepted.
    pub(super) fn broadcast(&mut self, count: usize, len: usize) -> usize {
        self.ask(&format!("{count} {len}")).parse().expect("a number")
    }

    /// Lets a broadcast come to everybody: a turn brings it to two hundred at least.
    #[track_caller]
    pub(super) fn deliver_to(&mut self, count: usize) {
        let turns = self.stat("turns") + count.div_ceil(200) as u64 + 1;
        self.until(|rig| rig.stat("turns") > turns);
    }

    pub(super) fn stats(&mut self) -> HashMap<String, u64> {
        let answer = self.ask("stats");
        let numbers = answer.split(' ').filter_map(|word| word.split_once('='));
        numbers.map(|(name, number)| (name.to_owned(), number.parse().expect("a number"))).collect()
    }

    pub(super) fn stat(&mut self, name: &str) -> u64 {
        self.stats()[name]
    }

    fn ask(&mut self, question: &str) -> String {
        self.control.send(question);
        String::from_utf8(self.control.frame().payload).expect("text")
    }

    /// Connections that are neither the bystanders' nor this rig's own.
    pub(super) fn peers(&mut self) -> u64 {
        let own = 1 + if self.bystanders.is_some() { bystanders::COUNT } else { 0 };
        self.stat("connections") - own as u64
    }

    /// Looks at the server until `done` says so.
    #[track_caller]
    pub(super) fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "it never happens: {:?}", self.stats());
            self.pass(LOOK);
        }
    }

    /// Lets time pass in which the server has nothing to say to this rig.
    #[track_caller]
    pub(super) fn pass(&mut self, time: Duration) {
        assert!(self.control.stays_silent_for(time));
    }

    /// Waits until every bystander has made `rounds` more round trips, in the middle of the attack.
    #[track_caller]
    pub(super) fn progress(&self, rounds: u64) {
        self.bystanders.as_ref().expect("bystanders").progress(rounds);
    }

    /// Sends the bystanders away, in order.
    pub(super) fn dismiss_bystanders(&mut self) {
        if let Some(bystanders) = self.bystanders.take() {
            bystanders.finish();
        }
    }

    /// Has a hundred new ones come.
    pub(super) fn recall_bystanders(&mut self) {
        self.bystanders = Some(Bystanders::start(self.echo()));
    }

    pub(super) fn usage(&self) -> Usage {
        usage(self.process.id())
    }

    /// The server never held more than this, and sessions, beyond what it held at first.
    #[track_caller]
    pub(super) fn assert_held_at_most(&self, bytes: u64) {
        let bytes = bytes + self.sessions;
        let grown = self.usage().peak.saturating_sub(self.baseline.memory);
        if env::var_os("EVENTWIRE_HOSTILE_FIGURES").is_some() {
            eprintln!("{}: {grown} of {bytes} bytes", thread::current().name().unwrap_or_default());
        }
        assert!(grown <= bytes, "{grown} bytes more than at first instead of {bytes} at most");
    }

    /// Everything is over: once all hostile peers are gone, the server holds what it held at
    /// first, and at most `kept` bytes more; the bystanders and the server end in order.
    #[track_caller]
    pub(super) fn end(mut self, kept: u64) {
        let kept = kept + self.sessions;
        self.until(|rig| rig.peers() == 0);
        if self.bystanders.is_some() {
            self.progress(1);
            let before = self.baseline.descriptors;
            self.until(|rig| rig.usage().descriptors == before);
        }
        let grown = self.usage().memory.saturating_sub(self.baseline.memory);
        assert!(grown <= kept, "{grown} bytes are kept instead of {kept} at most");
        self.dismiss_bystanders();
        self.until(|rig| rig.stat("connections") == 1);
        drop(self.process.stdin.take());
        let end = loop {
            if let Err(error) = self.output.recv_timeout(PATIENCE) {
                break error;
            }
        };
        assert_eq!(end, RecvTimeoutError::Disconnected, "the server does not end");
        assert!(self.process.wait().expect("its status").success());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // It may have ended in order.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program again, to run one test, with this many descriptors if the system allows.
fn again(test: &str, descriptors: usize) -> Command {
    const SCRIPT: &str = r#"ulimit -S -n "$1" 2>/dev/null || ulimit -S -n "$(ulimit -H -n)"
        shift
        exec "$@""#;
    let program = env::current_exe().expect("the path of this program");
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "sh"]).arg(descriptors.to_string()).arg(program);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
}

/// Runs `body`, the whole of that test, with room for `count` peers beside whatever else this
/// program does: if there is none, in a process of its own.
#[track_caller]
pub(super) fn with_room_for(count: usize, test: &str, body: impl FnOnce()) {
    const AGAIN: &str = "EVENTWIRE_HOSTILE_AGAIN";
    let needed = count + 1000;
    if descriptor_limit() >= needed || env::var_os(AGAIN).is_some() {
        return body();
    }
    let status = again(test, needed).env(AGAIN, "1").status().expect("run it again");
    assert!(status.success(), "{test} failed in a process of its own");
}

/// As many peers as `count`, or as this process may have.
pub(super) fn crowd(count: usize) -> usize {
    let room = descriptor_limit().saturating_sub(300);
    if room < count {
        eprintln!("only {room} peers instead of {count}: the system allows no more descriptors");
    }
    room.min(count)
}

fn descriptor_limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("the limits of this process");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the line");
    let soft = line.split_whitespace().nth(3).expect("the soft limit");
    soft.parse().unwrap_or(usize::MAX)
}

fn usage(process: u32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let bytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("the line");
        let kib = line.split_whitespace().nth(1).expect("its number");
        kib.parse::<u64>().expect("a number") * KIB
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("its descriptors").count();
    Usage { memory: bytes("VmRSS:"), peak: bytes("VmHWM:"), descriptors }
}

/// Lets every peer send garbage until its stream is cut.
#[track_caller]
pub(super) fn feed_until_cut(mut peers: Vec<Peer>) {
    // As text, a control byte; as a frame, reserved bits.
    let garbage = [0xFF; 256];
    let start = Instant::now();
    while !peers.is_empty() {
        assert!(start.elapsed() < PATIENCE, "{} streams are still fed", peers.len());
        peers.retain_mut(|peer| peer.pour(&garbage).is_some());
        // The others need the processor, too.
        thread::yield_now();
    }
}
