//! An echo loop that obeys the contract and nothing more, under every fault.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;

use super::super::*;

const SEEDS: u64 = 400;
const LISTENER: u64 = 0;
const RETRY: Duration = Duration::from_millis(1);

/// What one end of a connection, in the loop, is for.
enum Role {
    /// Sends back what it receives, and closes behind the end of the stream.
    Server,
    /// Sends, ends its half, and receives until the end of the stream.
    Client { expected: Vec<u8>, connected: bool },
}

struct Conn {
    stream: SimStream,
    role: Role,
    outbox: VecDeque<u8>,
    received: Vec<u8>,
    /// The last send was not taken whole: nothing is sent before a writable edge.
    blocked: bool,
    /// A hangup was reported: no short receive means that the stream is drained.
    hangup: bool,
    ended: bool,
    shut: bool,
}

/// The loop, and what became of its clients.
struct World {
    reactor: SimReactor,
    listener: SimListener,
    address: SocketAddr,
    conns: BTreeMap<u64, Conn>,
    last_key: u64,
    accept_at: Option<Time>,
    to_connect: Vec<Vec<u8>>,
    whole: usize,
    broken: usize,
}

/// Repeats a call for as long as it is interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SplitMix::new(seed).fill(&mut bytes);
    bytes
}

impl World {
    fn new(choices: Choices, config: SimConfig, clients: usize) -> Self {
        let mut reactor = SimReactor::with_choices(choices, config);
        let any = ([127, 0, 0, 1], 0).into();
        let (listener, address) = reactor.listen(any, 4, LISTENER).expect("the address is free");
        Self {
            reactor,
            listener,
            address,
            conns: BTreeMap::new(),
            last_key: LISTENER,
            accept_at: None,
            to_connect: (0..clients).map(|n| pattern(n as u64, 100 + n * 997)).collect(),
            whole: 0,
            broken: 0,
        }
    }

    /// Runs until every client has come to its end.
    fn run(&mut self, peers: &[PeerId]) {
        for turn in 0..100_000_u64 {
            self.begin_connects();
            let timeout = match (self.accept_at, turn % 3) {
                _ if !self.to_connect.is_empty() => Some(RETRY),
                (_, 0) => Some(Duration::ZERO),
                (Some(at), _) => Some(at.since(self.reactor.now())),
                (None, _) => None,
            };
            let mut ready = Vec::new();
            self.reactor.poll(timeout, &mut ready).expect("polls never fail");
            for readiness in ready {
                self.on_ready(readiness);
            }
            let now = self.reactor.now();
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept_at = None;
                self.accept_all();
            }
            if self.reactor.is_quiescent() && self.accept_at.is_none() {
                let paused = peers.iter().filter(|peer| !self.reactor.peer_is_closed(**peer));
                let paused: Vec<PeerId> = paused.copied().collect();
                if paused.is_empty() && self.to_connect.is_empty() {
                    assert!(self.conns.is_empty(), "hangs: {:#?}", self.last_lines());
                    return;
                }
                for peer in paused {
                    self.reactor.peer_resume(peer);
                }
            }
        }
        panic!("no end: {:#?}", self.last_lines());
    }

    fn last_lines(&self) -> &[String] {
        let lines = self.reactor.trace_lines();
        &lines[lines.len().saturating_sub(60)..]
    }

    fn begin_connects(&mut self) {
        while let Some(bytes) = self.to_connect.pop() {
            let Ok(stream) = uninterrupted(|| self.reactor.connect(self.address)) else {
                self.to_connect.push(bytes);
                return;
            };
            let role = Role::Client { expected: bytes.clone(), connected: false };
            self.add(stream, role, bytes.into());
        }
    }

    fn add(&mut self, mut stream: SimStream, role: Role, outbox: VecDeque<u8>) {
        self.last_key += 1;
        let key = self.last_key;
        uninterrupted(|| self.reactor.register(&mut stream, key)).expect("registered once");
        let (blocked, hangup, ended, shut) = (true, false, false, false);
        let received = Vec::new();
        self.conns
            .insert(key, Conn { stream, role, outbox, received, blocked, hangup, ended, shut });
    }

    fn accept_all(&mut self) {
        loop {
            match uninterrupted(|| self.reactor.accept(&mut self.listener)) {
                Ok((stream, _)) => self.add(stream, Role::Server, VecDeque::new()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    assert!(matches!(error.raw_os_error(), Some(23 | 24)), "{error}");
                    self.accept_at = Some(self.reactor.now() + RETRY);
                    return;
                }
            }
        }
    }

    fn on_ready(&mut self, readiness: Readiness) {
        if readiness.key == LISTENER {
            return self.accept_all();
        }
        // The key of a connection that is gone: stale, and of no interest.
        let Some(conn) = self.conns.get_mut(&readiness.key) else {
            return;
        };
        conn.hangup |= readiness.hangup;
        match conn.on_ready(&mut self.reactor, readiness) {
            Ok(false) => {}
            Ok(true) => {
                let conn = self.conns.remove(&readiness.key).expect("looked up above");
                if let Role::Client { expected, .. } = conn.role {
                    assert!(conn.received == expected, "bytes lost or out of order");
                    self.whole += 1;
                }
            }
            Err(error) => {
                let conn = self.conns.remove(&readiness.key).expect("looked up above");
                let Role::Client { expected, connected } = conn.role else {
                    return;
                };
                match error.kind() {
                    _ if connected => {
                        assert!(expected.starts_with(&conn.received), "not even in order");
                        self.broken += 1;
                    }
                    ErrorKind::ConnectionReset => self.broken += 1,
                    ErrorKind::ConnectionRefused | ErrorKind::TimedOut => {
                        self.to_connect.push(expected);
                    }
                    kind => panic!("a connect failed with {kind:?}"),
                }
            }
        }
    }
}

impl Conn {
    /// Acts on readiness; true when this connection has come to its orderly end.
    fn on_ready(&mut self, reactor: &mut SimReactor, readiness: Readiness) -> io::Result<bool> {
        if let Role::Client { connected: connected @ false, .. } = &mut self.role {
            if !readiness.writable {
                return Ok(false);
            }
            *connected = uninterrupted(|| reactor.connect_result(&mut self.stream))?;
            if !*connected {
                return Ok(false);
            }
        }
        if readiness.writable {
            self.blocked = false;
        }
        if readiness.readable {
            self.receive(reactor)?;
        }
        self.flush(reactor)?;
        match self.role {
            Role::Server => Ok(self.ended && self.outbox.is_empty()),
            Role::Client { .. } => Ok(self.ended),
        }
    }

    fn receive(&mut self, reactor: &mut SimReactor) -> io::Result<()> {
        let mut buffer = [0; 256];
        while !self.ended {
            match uninterrupted(|| reactor.recv(&mut self.stream, &mut buffer)) {
                Ok(count) => {
                    self.ended = count == 0;
                    match self.role {
                        Role::Server => self.outbox.extend(&buffer[..count]),
                        Role::Client { .. } => self.received.extend(&buffer[..count]),
                    }
                    if count < buffer.len() && !self.hangup {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(!self.hangup, "a hangup is final");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn flush(&mut self, reactor: &mut SimReactor) -> io::Result<()> {
        while !self.outbox.is_empty() && !self.blocked {
            let (front, back) = self.outbox.as_slices();
            let slices = [IoSlice::new(front), IoSlice::new(back)];
            match uninterrupted(|| reactor.send_vectored(&mut self.stream, &slices)) {
                Ok(count) => {
                    self.blocked = count < self.outbox.len();
                    self.outbox.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(error) => return Err(error),
            }
        }
        let ends_first = matches!(self.role, Role::Client { .. });
        if ends_first && self.outbox.is_empty() && !self.shut {
            uninterrupted(|| reactor.shutdown(&mut self.stream))?;
            self.shut = true;
        }
        Ok(())
    }
}

/// Every fault but those that end a connection.
fn lossless() -> SimConfig {
    SimConfig::default()
        .window(900)
        .chance(Fault::Reset, 0)
        .chance(Fault::Aborted, 0)
        .chance(Fault::ClockJump, 2000)
}

#[test]
fn every_byte_arrives_in_order_and_nothing_hangs() {
    let mut counts = BTreeMap::new();
    for seed in 0..SEEDS {
        let config = lossless().batch(1 + seed as usize % 4);
        let mut world = World::new(Choices::from_seed(seed), config, 4);
        world.reactor.keep_trace_lines();
        let sent = pattern(seed, 3000);
        let peers: Vec<PeerId> =
            (0..3).map(|_| world.reactor.peer_connect(world.address)).collect();
        for &peer in &peers {
            world.reactor.peer_send(peer, &sent);
            world.reactor.peer_close(peer);
        }
        world.reactor.peer_stop_reading(peers[0]);
        world.run(&peers);
        assert_eq!((world.whole, world.broken), (4, 0), "seed {seed}");
        for peer in peers {
            assert!(!world.reactor.peer_was_reset(peer), "seed {seed}");
            assert!(world.reactor.peer_received(peer) == sent, "seed {seed}");
        }
        for (fault, count) in world.reactor.fault_counts().iter() {
            *counts.entry(fault).or_insert(0) += count;
        }
        let faults = world.reactor.fault_counts();
        if faults.get(Fault::ClockJump) + faults.get(Fault::Stopped) == 0 {
            assert!(world.reactor.elapsed() < Duration::from_secs(1800), "seed {seed}");
        }
    }
    for fault in Fault::ALL {
        let absent = [Fault::Reset, Fault::Aborted, Fault::LostOnReset].contains(&fault);
        assert_eq!(counts[&fault] == 0, absent, "{fault:?}: {}", counts[&fault]);
    }
}

#[test]
fn resets_break_connections_and_nothing_else() {
    let (mut lost, mut broken, mut resets) = (0, 0, 0);
    for seed in 0..SEEDS {
        let config = SimConfig::default().window(900).chance(Fault::Reset, 2000);
        let mut world = World::new(Choices::from_seed(seed), config, 6);
        world.reactor.keep_trace_lines();
        world.run(&[]);
        assert_eq!(world.whole + world.broken, 6, "seed {seed}");
        let counts = world.reactor.fault_counts();
        let causes = counts.get(Fault::Reset) + counts.get(Fault::Aborted);
        assert!(world.broken as u64 <= causes, "seed {seed}");
        lost += counts.get(Fault::LostOnReset);
        broken += world.broken;
        resets += causes;
        assert_eq!(world.reactor.open_descriptors(), 1, "seed {seed}: only the listener is left");
        assert!(
            world.reactor.network.sockets.endpoints.iter().next().is_none(),
            "seed {seed}: an end is left"
        );
    }
    assert!(lost > 0 && broken > 0 && resets > 0, "{lost} {broken} {resets}");
}

#[test]
fn one_seed_is_one_history() {
    let run = |seed| {
        let mut world = World::new(Choices::from_seed(seed), SimConfig::default(), 3);
        world.run(&[]);
        world.reactor.trace_hash()
    };
    let hashes: Vec<u64> = (0..200).map(run).collect();
    assert!((0..200).map(run).eq(hashes.iter().copied()));
    assert_ne!(hashes[0], hashes[1]);
}

#[test]
fn bytes_decide_as_well_as_a_seed_and_run_out_into_calm() {
    let mut world = World::new(Choices::from_bytes([]), SimConfig::default(), 3);
    world.run(&[]);
    assert_eq!((world.whole, world.reactor.fault_counts().total()), (3, 0));
    for seed in 0..100 {
        let bytes = pattern(seed, 2000);
        let mut world = World::new(Choices::from_bytes(bytes), lossless(), 3);
        world.reactor.keep_trace_lines();
        world.run(&[]);
        assert_eq!(world.whole, 3, "seed {seed}");
        assert!(world.reactor.fault_counts().total() > 0, "seed {seed}");
    }
}
