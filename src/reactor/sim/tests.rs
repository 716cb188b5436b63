//! The contract of the seam, one clause at a time.

mod echo;

use std::io::ErrorKind;
use std::thread;

use super::*;

const LISTENER: u64 = 1;
const STREAM: u64 = 2;

/// One accepted stream of the engine's, and the raw peer at its other end.
struct Pair {
    reactor: SimReactor,
    _listener: SimListener,
    stream: SimStream,
    peer: PeerId,
}

impl Pair {
    fn calm() -> Self {
        Self::with(SimConfig::calm())
    }

    /// Connects in calm and goes on under `config`.
    fn with(config: SimConfig) -> Self {
        let mut reactor = SimReactor::new(5, SimConfig::calm().window(config.window));
        let (mut listener, address) = listen(&mut reactor);
        let peer = reactor.peer_connect(address);
        assert_eq!(flags(&settle(&mut reactor), LISTENER), "r");
        let mut stream = reactor.accept(&mut listener).expect("a connection waits").0;
        reactor.register(&mut stream, STREAM).expect("not registered before");
        assert_eq!(flags(&settle(&mut reactor), STREAM), "w");
        reactor.set_config(config);
        Self { reactor, _listener: listener, stream, peer }
    }

    fn settle(&mut self) -> Vec<Readiness> {
        settle(&mut self.reactor)
    }

    fn recv(&mut self, len: usize) -> Result<Vec<u8>, ErrorKind> {
        let mut buffer = vec![0; len];
        let count = self.reactor.recv(&mut self.stream, &mut buffer).map_err(|e| e.kind())?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.reactor.send(&mut self.stream, bytes).map_err(|e| e.kind())
    }
}

fn listen(reactor: &mut SimReactor) -> (SimListener, SocketAddr) {
    reactor.listen(([127, 0, 0, 1], 0).into(), 8, LISTENER).expect("the address is free")
}

/// All that is reported until nothing is under way.
fn settle(reactor: &mut SimReactor) -> Vec<Readiness> {
    let mut ready = Vec::new();
    reactor.poll(None, &mut ready).expect("polls never fail");
    while !reactor.is_quiescent() {
        reactor.poll(None, &mut ready).expect("polls never fail");
    }
    ready
}

/// The flags under which `key` was reported, one after another.
fn flags(ready: &[Readiness], key: u64) -> String {
    let mut text = String::new();
    for one in ready.iter().filter(|one| one.key == key) {
        for (set, name) in [(one.readable, 'r'), (one.writable, 'w'), (one.hangup, 'h')] {
            text.extend(set.then_some(name));
        }
        text.push(' ');
    }
    text.trim_end().to_owned()
}

#[test]
fn each_arrival_is_an_edge_and_silence_is_none() {
    let mut pair = Pair::calm();
    assert_eq!(pair.recv(10), Err(ErrorKind::WouldBlock));
    pair.reactor.peer_send(pair.peer, b"abc");
    assert_eq!(flags(&pair.settle(), STREAM), "rw");
    assert_eq!(flags(&pair.settle(), STREAM), "", "unread bytes are no edge of their own");
    pair.reactor.peer_send(pair.peer, b"def");
    assert_eq!(flags(&pair.settle(), STREAM), "rw");
    assert_eq!(pair.recv(10).as_deref(), Ok(&b"abcdef"[..]));
    assert_eq!(pair.recv(10), Err(ErrorKind::WouldBlock));
}

#[test]
fn an_edge_whose_bytes_are_gone_reports_what_is_left() {
    let mut pair = Pair::calm();
    pair.reactor.peer_send(pair.peer, b"abc");
    pair.reactor.peer_stop_reading(pair.peer);
    let room = pair.reactor.network.env.config.window;
    assert_eq!(pair.send(&vec![0; room + 1]), Ok(room));
    pair.settle();
    assert_eq!(pair.recv(10).as_deref(), Ok(&b"abc"[..]));
    assert_eq!(flags(&pair.settle(), STREAM), "");
}

#[test]
fn the_end_of_a_stream_is_a_hangup_with_bytes_before_it() {
    let mut pair = Pair::with(SimConfig::calm().chance(Fault::EarlyHangup, u32::MAX));
    pair.reactor.peer_send(pair.peer, b"last");
    pair.reactor.peer_close(pair.peer);
    let ready = pair.settle();
    assert!(flags(&ready, STREAM).ends_with("rwh"));
    assert_eq!(pair.recv(4).as_deref(), Ok(&b"last"[..]));
    assert_eq!(pair.recv(4).as_deref(), Ok(&b""[..]));
    assert_eq!(pair.recv(4).as_deref(), Ok(&b""[..]));
    assert_eq!(pair.send(b"still open"), Ok(10), "the other half is not closed");
    pair.settle();
    assert_eq!(pair.reactor.peer_received(pair.peer), b"still open");
}

#[test]
fn a_reset_is_told_once_behind_what_was_received() {
    let mut pair = Pair::calm();
    pair.reactor.peer_send(pair.peer, b"abc");
    pair.settle();
    pair.reactor.peer_reset(pair.peer);
    assert_eq!(flags(&pair.settle(), STREAM), "rwh");
    assert_eq!(pair.recv(10).as_deref(), Ok(&b"abc"[..]));
    assert_eq!(pair.recv(10), Err(ErrorKind::ConnectionReset));
    assert_eq!(pair.recv(10).as_deref(), Ok(&b""[..]));
    assert_eq!(pair.send(b"x"), Err(ErrorKind::BrokenPipe));
}

#[test]
fn a_peer_that_does_not_read_blocks_the_sender_until_it_does() {
    let mut pair = Pair::with(SimConfig::calm().window(900));
    pair.reactor.peer_stop_reading(pair.peer);
    assert_eq!(pair.send(&[1; 600]), Ok(600));
    assert_eq!(pair.send(&[2; 600]), Ok(300));
    assert_eq!(pair.send(&[2; 300]), Err(ErrorKind::WouldBlock));
    assert_eq!(flags(&pair.settle(), STREAM), "");
    assert!(pair.reactor.peer_received(pair.peer).is_empty());
    pair.reactor.peer_resume(pair.peer);
    assert_eq!(flags(&pair.settle(), STREAM), "w");
    assert_eq!(pair.reactor.peer_received(pair.peer).len(), 900);
    assert_eq!(flags(&pair.settle(), STREAM), "", "one edge");
}

#[test]
fn a_send_that_fills_the_window_owes_no_edge_until_it_matters() {
    let full = || {
        let mut pair = Pair::with(SimConfig::calm().window(900));
        pair.reactor.peer_stop_reading(pair.peer);
        assert_eq!(pair.send(&[1; 900]), Ok(900));
        pair
    };
    let mut untold = full();
    untold.reactor.peer_resume(untold.peer);
    assert_eq!(flags(&untold.settle(), STREAM), "");

    let mut refused = full();
    assert_eq!(refused.send(&[2]), Err(ErrorKind::WouldBlock));
    refused.reactor.peer_resume(refused.peer);
    assert_eq!(flags(&refused.settle(), STREAM), "w");

    let mut told = full();
    told.reactor.peer_send(told.peer, b"x");
    assert_eq!(flags(&told.settle(), STREAM), "r");
    told.reactor.peer_resume(told.peer);
    assert_eq!(flags(&told.settle(), STREAM), "rw");
}

#[test]
fn a_reset_behind_the_end_of_a_stream_shows_in_sending_only() {
    let mut pair = Pair::calm();
    pair.reactor.peer_close(pair.peer);
    pair.settle();
    pair.reactor.peer_reset(pair.peer);
    assert_eq!(flags(&pair.settle(), STREAM), "rwh");
    assert_eq!(pair.recv(10).as_deref(), Ok(&b""[..]));
    assert_eq!(pair.send(b"x"), Err(ErrorKind::BrokenPipe));
}

#[test]
fn an_injected_short_send_is_followed_by_a_writable_edge() {
    let mut pair = Pair::with(SimConfig::calm().chance(Fault::ShortSend, u32::MAX));
    let mut sent = 0;
    while sent < 100 {
        let count = pair.send(&[7; 100][sent..]).expect("there is room");
        assert!(count > 0);
        sent += count;
        if sent < 100 {
            assert_eq!(pair.send(b"x"), Err(ErrorKind::WouldBlock));
            assert_eq!(flags(&pair.settle(), STREAM), "w");
        }
    }
    pair.settle();
    assert_eq!(pair.reactor.peer_received(pair.peer), [7; 100]);
}

#[test]
fn an_injected_short_recv_is_followed_by_a_readable_edge() {
    for fault in [Fault::ShortRecv, Fault::WouldBlock] {
        let mut pair = Pair::with(SimConfig::calm().chance(fault, u32::MAX));
        let sent: Vec<u8> = (0..=255).collect();
        pair.reactor.peer_send(pair.peer, &sent);
        let mut received = Vec::new();
        while received.len() < sent.len() {
            assert!(flags(&pair.settle(), STREAM).contains('r'), "no edge for the rest");
            // A reader that abides by the contract stops at the first short receive.
            received.extend(pair.recv(1000).unwrap_or_default());
        }
        assert_eq!(received, sent);
        assert!(pair.reactor.fault_counts().get(fault) > 0);
    }
}

#[test]
fn dropping_a_stream_sends_fin_or_reset() {
    let Pair { mut reactor, _listener, stream, peer } = Pair::calm();
    drop(stream);
    settle(&mut reactor);
    assert!(reactor.peer_is_closed(peer) && !reactor.peer_was_reset(peer));
    reactor.peer_send(peer, b"to nobody");
    settle(&mut reactor);
    assert!(reactor.peer_was_reset(peer), "a closed socket answers bytes with a reset");

    let Pair { mut reactor, _listener, stream, peer } = Pair::calm();
    reactor.peer_send(peer, b"never read");
    settle(&mut reactor);
    drop(stream);
    settle(&mut reactor);
    assert!(reactor.peer_was_reset(peer));
}

#[test]
fn ends_that_both_owners_dropped_are_forgotten() {
    let Pair { mut reactor, _listener, stream, peer } = Pair::calm();
    assert_eq!(reactor.open_descriptors(), 2);
    drop(stream);
    settle(&mut reactor);
    assert_eq!(reactor.open_descriptors(), 1);
    reactor.peer_drop(peer);
    settle(&mut reactor);
    assert!(reactor.network.sockets.endpoints.iter().next().is_none());
    drop(_listener);
    assert_eq!(reactor.open_descriptors(), 0);
    let late = reactor.peer_connect(([127, 0, 0, 1], 32_768).into());
    settle(&mut reactor);
    assert!(reactor.peer_was_reset(late), "there is no listener any more");
}

#[test]
fn a_dropped_listener_resets_who_waits() {
    let mut reactor = SimReactor::new(1, SimConfig::calm());
    let (listener, address) = listen(&mut reactor);
    let peer = reactor.peer_connect(address);
    settle(&mut reactor);
    assert!(!reactor.peer_is_closed(peer));
    drop(listener);
    settle(&mut reactor);
    assert!(reactor.peer_was_reset(peer));
}

#[test]
fn a_full_backlog_lets_connects_try_again() {
    let mut reactor = SimReactor::new(1, SimConfig::calm());
    let any = ([127, 0, 0, 1], 0).into();
    let (mut listener, address) = reactor.listen(any, 2, LISTENER).expect("the address is free");
    assert!(reactor.listen(address, 2, 9).is_err_and(|e| e.kind() == ErrorKind::AddrInUse));
    let peers: Vec<PeerId> = (0..3).map(|_| reactor.peer_connect(address)).collect();
    let mut ready = Vec::new();
    reactor.poll(Some(Duration::from_millis(1)), &mut ready).expect("polls never fail");
    let first = reactor.accept(&mut listener).expect("two wait");
    let second = reactor.accept(&mut listener).expect("one waits");
    assert!(reactor.accept(&mut listener).is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
    ready.clear();
    reactor.poll(None, &mut ready).expect("polls never fail");
    assert_eq!(flags(&ready, LISTENER), "r");
    let third = reactor.accept(&mut listener).expect("the third tried again");
    assert!(reactor.elapsed() >= Duration::from_secs(1));
    drop((first, second, third));
    settle(&mut reactor);
    assert!(peers.into_iter().all(|peer| reactor.peer_is_closed(peer)));
}

#[test]
fn without_descriptors_a_connection_waits_and_no_edge_tells() {
    let mut reactor = SimReactor::new(1, SimConfig::calm().descriptors(2));
    let (mut listener, address) = listen(&mut reactor);
    reactor.peer_connect(address);
    reactor.peer_connect(address);
    settle(&mut reactor);
    let first = reactor.accept(&mut listener).expect("one descriptor is free");
    let error = reactor.accept(&mut listener).expect_err("none is free");
    assert_eq!(error.raw_os_error(), Some(24));
    assert_eq!(reactor.connect(address).expect_err("none is free").raw_os_error(), Some(24));
    assert!(settle(&mut reactor).is_empty());
    drop(first);
    assert!(reactor.accept(&mut listener).is_ok());
}

#[test]
fn the_engine_connects_to_a_raw_peer() {
    let mut reactor = SimReactor::new(1, SimConfig::calm());
    let address = reactor.peer_listen(([127, 0, 0, 1], 0).into()).expect("the address is free");
    let mut stream = reactor.connect(address).expect("descriptors are free");
    reactor.register(&mut stream, STREAM).expect("not registered before");
    assert!(matches!(reactor.connect_result(&mut stream), Ok(false)));
    assert!(reactor.peer_accept(address).is_none());
    assert_eq!(flags(&settle(&mut reactor), STREAM), "w");
    assert!(matches!(reactor.connect_result(&mut stream), Ok(true)));
    let peer = reactor.peer_accept(address).expect("the connection is made");
    let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")];
    assert!(matches!(reactor.send_vectored(&mut stream, &slices), Ok(3)));
    reactor.shutdown(&mut stream).expect("connected");
    assert!(reactor.send(&mut stream, b"d").is_err_and(|e| e.kind() == ErrorKind::BrokenPipe));
    settle(&mut reactor);
    assert_eq!(reactor.peer_received(peer), b"abc");
    assert!(reactor.peer_is_closed(peer));
}

#[test]
fn a_connect_to_nobody_is_refused_and_a_silent_one_ends() {
    for (fault, kind, seconds) in [
        (Fault::Refused, ErrorKind::ConnectionRefused, 0),
        (Fault::ConnectNever, ErrorKind::TimedOut, 127),
    ] {
        let mut reactor = SimReactor::new(1, SimConfig::calm().chance(fault, u32::MAX));
        let (_listener, address) = listen(&mut reactor);
        let mut stream = reactor.connect(address).expect("descriptors are free");
        reactor.register(&mut stream, STREAM).expect("not registered before");
        assert_eq!(flags(&settle(&mut reactor), STREAM), "rwh");
        let outcome = reactor.connect_result(&mut stream);
        assert!(outcome.is_err_and(|e| e.kind() == kind));
        assert_eq!(reactor.elapsed().as_secs(), seconds);
    }
}

#[test]
fn time_passes_in_polls_only_and_up_to_the_timeout() {
    let mut reactor = SimReactor::new(1, SimConfig::calm());
    let start = reactor.now();
    let mut ready = Vec::new();
    reactor.poll(Some(Duration::from_secs(3600)), &mut ready).expect("polls never fail");
    assert_eq!(reactor.now().since(start), Duration::from_secs(3600));
    assert!(reactor.is_quiescent());
    reactor.poll(Some(Duration::ZERO), &mut ready).expect("polls never fail");
    assert_eq!(reactor.now().since(start), Duration::from_secs(3600) + Duration::from_micros(1));
    reactor.poll(Some(Duration::MAX), &mut ready).expect("polls never fail");
    assert!(ready.is_empty());
    assert!(reactor.now() > start);
}

#[test]
fn a_poll_reports_a_batch_in_the_order_in_which_they_became_ready() {
    let mut reactor = SimReactor::new(1, SimConfig::calm().batch(2));
    let (mut listener, address) = listen(&mut reactor);
    let peers: Vec<PeerId> = (0..5).map(|_| reactor.peer_connect(address)).collect();
    settle(&mut reactor);
    let mut streams = Vec::new();
    for key in 10..15 {
        let mut stream = reactor.accept(&mut listener).expect("a connection waits").0;
        reactor.register(&mut stream, key).expect("not registered before");
        settle(&mut reactor);
        streams.push(stream);
    }
    let keys = |reactor: &mut SimReactor| {
        let mut ready = Vec::new();
        let polled = reactor.poll(Some(Duration::ZERO), &mut ready).expect("polls never fail");
        (polled, ready.iter().map(|one| one.key).collect::<Vec<_>>())
    };
    for &peer in &peers {
        reactor.peer_send(peer, b"a");
        reactor.stand_still(Duration::from_micros(30));
    }
    assert_eq!(keys(&mut reactor), (Polled::Part, vec![10, 11]));
    // It was reported, and comes behind those that were not.
    reactor.peer_send(peers[0], b"b");
    reactor.peer_send(peers[4], b"b");
    reactor.stand_still(Duration::from_micros(30));
    assert_eq!(keys(&mut reactor), (Polled::Part, vec![12, 13]));
    assert_eq!(keys(&mut reactor), (Polled::Part, vec![14, 10]));
    assert_eq!(keys(&mut reactor), (Polled::All, vec![]));
}

#[test]
fn a_process_that_was_stopped_finds_the_time_gone_and_what_arrived() {
    let second = Duration::from_secs(1);
    let stopped = SimConfig::calm().chance(Fault::Stopped, u32::MAX).clock_jump(second);
    let mut pair = Pair::with(stopped);
    let (start, mut ready) = (pair.reactor.elapsed(), Vec::new());
    pair.reactor.peer_send(pair.peer, b"abc");
    while pair.reactor.fault_counts().get(Fault::Stopped) == 0 {
        assert!(ready.is_empty());
        let polled = pair.reactor.poll(None, &mut ready).expect("polls never fail");
        assert_eq!(polled, Polled::Part);
    }
    assert!(pair.reactor.elapsed() - start >= second);
    let polled = pair.reactor.poll(Some(Duration::ZERO), &mut ready).expect("polls never fail");
    assert_eq!((polled, &*flags(&ready, STREAM)), (Polled::All, "rw"));
}

#[test]
fn time_passes_where_a_handler_takes_it() {
    let mut reactor = SimReactor::new(1, SimConfig::calm());
    let (start, clock) = (reactor.now(), reactor.clock());
    clock.pass(Duration::from_secs(2));
    clock.pass(Duration::from_secs(1));
    assert_eq!(reactor.now().since(start), Duration::from_secs(3));
    assert_eq!(reactor.now().since(start), Duration::from_secs(3));
}

#[test]
fn a_wake_from_another_thread_ends_a_poll_once() {
    let mut reactor = SimReactor::new(1, SimConfig::calm());
    let waker = reactor.waker();
    thread::spawn(move || waker.wake()).join().expect("no panic").expect("wakes never fail");
    assert!(!reactor.is_quiescent());
    let mut ready = Vec::new();
    reactor.poll(Some(Duration::from_secs(1)), &mut ready).expect("polls never fail");
    assert!(reactor.elapsed() < Duration::from_secs(1));
    reactor.poll(Some(Duration::from_secs(1)), &mut ready).expect("polls never fail");
    assert!(reactor.elapsed() > Duration::from_secs(1));
}

#[test]
fn entropy_follows_the_seed() {
    let draw = |seed| {
        let mut reactor = SimReactor::new(seed, SimConfig::default());
        let mut bytes = [[0; 13]; 2];
        for one in &mut bytes {
            reactor.entropy().expect("never fails")(one);
        }
        bytes
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let [first, second] = draw(1);
    assert_ne!(first, second);
}
