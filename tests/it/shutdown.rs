//! Drain: the end of a loop in order, within a deadline.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{
    ClientConfig, CloseCode, Config, Connection, ConnectionId, Context, Disconnect, Error,
    EventLoop, Idle, Message, OnPanic, RunEnd, RunSummary, ServerConfig, WebSocketHandler,
};

use crate::util::{
    Call, Log, PATIENCE, Peer, Recorder, drive, drive_until, looping, pattern, request,
};

const LONG: Duration = Duration::from_secs(3600);

/// What a summary says: closed, cut, lost, refused.
fn counts(summary: &RunSummary) -> [usize; 4] {
    [summary.closed, summary.cut, summary.lost, summary.refused]
}

/// A real loop with a handler that notes everything and echoes messages.
fn recording() -> (EventLoop<()>, SocketAddr, Log) {
    let (recorder, log) = Recorder::new();
    let (event_loop, address) = looping(Config::default(), recorder);
    (event_loop, address, log)
}

/// Runs the loop, which is drained already or by `client`, which stays until it has ended.
fn run<T: Send>(
    mut event_loop: EventLoop<()>,
    client: impl FnOnce() -> T + Send,
) -> (EventLoop<()>, RunSummary, T) {
    let (summary, value) = thread::scope(|scope| {
        let client = scope.spawn(client);
        let summary = event_loop.run(&mut ()).expect("run");
        (summary, client.join().expect("no panic"))
    });
    assert_eq!(event_loop.connections(), 0);
    (event_loop, summary, value)
}

/// Sends this to each connection, and notes how it ends.
struct Sender(Vec<u8>);

impl WebSocketHandler<Vec<String>> for Sender {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Vec<String>) {
        let news = conn.topic("news").expect("a topic");
        conn.subscribe(news).expect("subscribed");
        conn.send(&self.0[..]);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut Vec<String>) {
        assert_eq!(message, Message::Text("drain"));
        let news = conn.topic("news").expect("a topic");
        conn.broadcast(news, "the last news");
        conn.shutdown(LONG);
    }

    fn on_close(&mut self, _: &mut Connection<'_>, why: &Disconnect, reasons: &mut Vec<String>) {
        reasons.push(why.to_string());
    }
}

#[test]
fn peers_receive_queued_output_then_the_close_and_on_close_is_called_once() {
    let much = pattern(8 * 1024 * 1024, 1);
    // More than the kernel takes, and less than may wait.
    let config = Config::default().outbox(64 * 1024, 64 * 1024 * 1024);
    let (mut event_loop, address) = looping(config, Sender(much.clone()));
    let mut reasons = Vec::new();
    let (done, is_done) = mpsc::channel();
    let client = thread::spawn(move || {
        let mut peers = [Peer::narrow(address), Peer::narrow(address)];
        peers[1].expect(&much[..]);
        peers[1].send("drain");
        peers[1].expect("the last news");
        peers[0].expect(&much[..]);
        peers[0].expect("the last news");
        for mut peer in peers {
            peer.expect_close(CloseCode::GOING_AWAY);
            peer.send("after the shutdown");
            peer.send_close(1001, "");
            peer.expect_end();
        }
        done.send(()).expect("somebody waits");
    });
    let summary = event_loop.run(&mut reasons).expect("run");
    is_done.recv_timeout(PATIENCE).expect("the peers see all of it");
    client.join().expect("no panic");
    assert_eq!((summary.end, counts(&summary)), (RunEnd::ShutDown, [2, 0, 0, 0]));
    assert_eq!(reasons, ["closed by the application: 1001 (going away)"; 2]);
    assert_eq!(event_loop.connections(), 0);
}

#[test]
fn a_shutdown_from_another_thread_wakes_a_sleeping_loop() {
    for idle in [Idle::Block, Idle::default(), Idle::Busy] {
        let event_loop = EventLoop::<()>::new(Config::default().idle(idle)).expect("a loop");
        let handle = event_loop.handle();
        let (_, summary, ()) = run(event_loop, move || handle.shutdown(LONG));
        assert_eq!((summary.end, counts(&summary)), (RunEnd::ShutDown, [0; 4]));
    }
}

#[test]
fn handshakes_and_new_connections_are_refused() {
    let (mut event_loop, address, log) = recording();
    let mut peers = drive(&mut event_loop, &mut (), || {
        let open = Peer::connect(address);
        let mut half = Peer::open(address);
        half.write(&request("/", "")[..20]);
        [open, half, Peer::open(address)]
    });
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 3);
    // A server that never answers, and one that never accepts: both are given up.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let (recorder, made) = Recorder::new();
    event_loop.connect(&url, ClientConfig::default(), recorder.clone()).expect("connecting");
    event_loop.handle().shutdown(LONG);
    event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
    assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
    let refused = event_loop.connect(&url, ClientConfig::default(), recorder.clone());
    assert!(matches!(refused, Err(Error::ShuttingDown)));
    let refused = event_loop.listen("127.0.0.1:0", ServerConfig::default(), recorder);
    assert!(matches!(refused, Err(Error::ShuttingDown)));
    assert!(!event_loop.is_stopping());
    let (event_loop, summary, ()) = run(event_loop, move || {
        for peer in &mut peers[1..] {
            assert!(peer.head().starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
            peer.expect_end();
        }
        peers[0].expect_close(CloseCode::GOING_AWAY);
        peers[0].send_close(1001, "");
        peers[0].expect_end();
    });
    assert_eq!((summary.end, counts(&summary)), (RunEnd::ShutDown, [1, 0, 0, 3]));
    assert_eq!(made.connect_error(), "Cancelled");
    drop(event_loop);
    assert_eq!(made.rest(), []);
    log.open();
    assert_eq!(log.close(), "ClosedByApplication(1001)");
    assert_eq!(log.rest(), []);
}

#[test]
fn a_stop_ends_a_shutdown_at_once() {
    let (mut event_loop, address, log) = recording();
    let mut peer = drive(&mut event_loop, &mut (), || Peer::connect(address));
    log.open();
    let handle = event_loop.handle();
    handle.shutdown(LONG);
    let (_, summary, mut peer) = run(event_loop, move || {
        peer.expect_close(CloseCode::GOING_AWAY);
        handle.stop();
        peer
    });
    peer.expect_end();
    assert_eq!((summary.end, counts(&summary)), (RunEnd::Stopped, [0, 1, 0, 0]));
    assert_eq!(log.close(), "ClosedByApplication(1001)");
}

#[test]
fn a_stop_reports_what_it_cut() {
    let (mut event_loop, address, log) = recording();
    let mut peers = drive(&mut event_loop, &mut (), || {
        [Peer::connect(address), Peer::connect(address), Peer::open(address)]
    });
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 3);
    event_loop.handle().stop();
    let summary = event_loop.run(&mut ()).expect("run");
    assert_eq!((summary.end, counts(&summary)), (RunEnd::Stopped, [0, 2, 0, 1]));
    for peer in &mut peers[..2] {
        peer.expect_close(CloseCode::GOING_AWAY);
        peer.expect_end();
        log.open();
    }
    let again = event_loop.run(&mut ()).expect("run");
    assert_eq!((again.end, counts(&again)), (RunEnd::Stopped, [0; 4]));
}

/// A loop in a calm network, with open peers.
fn simulated(peers: usize) -> (EventLoop<(), SimReactor>, Vec<PeerId>, Log) {
    let (recorder, log) = Recorder::new();
    let config = Config::default().idle(Idle::Block).on_panic(OnPanic::Propagate);
    let reactor = SimReactor::new(0, SimConfig::calm());
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    // Longer than any deadline here.
    let limits = eventwire::proto::Limits::default().close_timeout(LONG);
    let server = ServerConfig::default().limits(limits);
    let listener = event_loop.listen("127.0.0.1:0", server, recorder).expect("a port");
    let address = event_loop.local_addr(listener).expect("an address");
    let peers: Vec<_> = (0..peers)
        .map(|_| {
            let peer = event_loop.reactor_mut().peer_connect(address);
            event_loop.reactor_mut().peer_send(peer, &request("/", ""));
            peer
        })
        .collect();
    pass(&mut event_loop, Duration::from_millis(1));
    for peer in &peers {
        log.open();
        assert!(!event_loop.reactor_mut().peer_received(*peer).is_empty());
    }
    (event_loop, peers, log)
}

/// Lets virtual time pass.
fn pass(event_loop: &mut EventLoop<(), SimReactor>, time: Duration) {
    let end = event_loop.reactor_mut().elapsed() + time;
    while event_loop.reactor_mut().elapsed() < end {
        let left = end - event_loop.reactor_mut().elapsed();
        event_loop.turn(Some(left), &mut ()).expect("a turn");
    }
}

const CLOSE_1001: [u8; 4] = [0x88, 2, 0x03, 0xE9];
/// The same from a client, with a mask of zeros.
const ANSWER: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9];

#[test]
fn silent_peers_are_cut_at_the_deadline_and_not_before() {
    let (mut event_loop, peers, log) = simulated(4);
    let since = event_loop.reactor_mut().elapsed();
    event_loop.handle().shutdown(Duration::from_secs(3));
    pass(&mut event_loop, Duration::from_millis(1));
    for peer in &peers {
        assert_eq!(event_loop.reactor_mut().peer_received(*peer), CLOSE_1001);
    }
    event_loop.reactor_mut().peer_send(peers[0], &ANSWER);
    event_loop.reactor_mut().peer_close(peers[0]);
    event_loop.reactor_mut().peer_reset(peers[1]);
    pass(&mut event_loop, Duration::from_millis(2_900));
    assert_eq!(event_loop.connections(), 2);
    assert!(!event_loop.is_stopping());
    let summary = event_loop.run(&mut ()).expect("run");
    let took = event_loop.reactor_mut().elapsed() - since;
    assert!((3_000..3_010).contains(&took.as_millis()), "{took:?}");
    assert_eq!((summary.end, counts(&summary)), (RunEnd::ShutDown, [1, 2, 1, 0]));
    assert_eq!((event_loop.connections(), event_loop.reactor_mut().open_descriptors()), (0, 0));
    drop(event_loop);
    let calls = log.rest();
    assert_eq!(calls.len(), 4, "{calls:?}");
    for call in calls {
        assert!(matches!(call, Call::Close(_, why) if why == "ClosedByApplication(1001)"));
    }
}

#[test]
fn a_shutdown_ends_once_every_peer_has_answered_the_close() {
    let (mut event_loop, peers, log) = simulated(3);
    let since = event_loop.reactor_mut().elapsed();
    event_loop.handle().shutdown(LONG);
    pass(&mut event_loop, Duration::from_millis(1));
    for peer in &peers {
        event_loop.reactor_mut().peer_send(*peer, &ANSWER);
    }
    // None of them ends its half of the stream.
    let summary = event_loop.run(&mut ()).expect("run");
    let took = event_loop.reactor_mut().elapsed() - since;
    assert!(took < Duration::from_millis(3), "{took:?}");
    assert_eq!((summary.end, counts(&summary)), (RunEnd::ShutDown, [3, 0, 0, 0]));
    drop(event_loop);
    assert_eq!(log.rest().len(), 3);
}

#[test]
fn the_earliest_of_several_deadlines_counts() {
    for deadlines in [[10, 2], [2, 10]] {
        let (mut event_loop, _, _log) = simulated(1);
        let since = event_loop.reactor_mut().elapsed();
        for seconds in deadlines {
            event_loop.handle().shutdown(Duration::from_secs(seconds));
            event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
        }
        let summary = event_loop.run(&mut ()).expect("run");
        let took = event_loop.reactor_mut().elapsed() - since;
        assert!((2_000..2_010).contains(&took.as_millis()), "{took:?}");
        assert_eq!((summary.end, counts(&summary)), (RunEnd::ShutDown, [0, 1, 0, 0]));
    }
}

#[test]
fn a_shutdown_without_connections_or_time_ends_at_once() {
    for (peers, deadline) in [(0, LONG), (3, Duration::ZERO)] {
        let (mut event_loop, ids, _log) = simulated(peers);
        let since = event_loop.reactor_mut().elapsed();
        event_loop.handle().shutdown(deadline);
        let summary = event_loop.run(&mut ()).expect("run");
        let took = event_loop.reactor_mut().elapsed() - since;
        assert!(took < Duration::from_millis(1), "{took:?}");
        assert_eq!((summary.end, counts(&summary)), (RunEnd::ShutDown, [0, peers, 0, 0]));
        assert_eq!(ids.len(), peers);
    }
}

/// Publishes the end of every connection.
struct Publishes;

impl WebSocketHandler<Vec<ConnectionId>> for Publishes {
    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut Vec<ConnectionId>) {
        assert_eq!(conn.publish(conn.id()), Ok(()));
    }
}

#[test]
fn events_published_in_on_close_are_handled_before_the_end() {
    let (mut event_loop, address) = looping(Config::default(), Publishes);
    event_loop.on(|_: &mut Context<'_>, conn: &ConnectionId, left: &mut Vec<ConnectionId>| {
        left.push(*conn);
    });
    let mut left = Vec::new();
    let peer = drive(&mut event_loop, &mut left, || Peer::connect(address));
    event_loop.handle().shutdown(LONG);
    let client = thread::spawn(move || {
        let mut peer = peer;
        peer.expect_close(CloseCode::GOING_AWAY);
        peer.send_frame(true, OpCode::Close, b"");
        peer.expect_end();
    });
    let summary = event_loop.run(&mut left).expect("run");
    client.join().expect("no panic");
    assert_eq!((left.len(), counts(&summary)), (1, [1, 0, 0, 0]));
}
