//! Peers that read late, slowly or never.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::{
    CloseCode, Config, Connection, ConnectionId, Context, Disconnect, EventLoop, Message,
    SendStatus, WebSocketHandler,
};

use crate::util::{Call, Peer, Recorder, Server, drive, drive_until, looping, pattern};

/// Kernels do not hold more than this between two ends of a connection.
const MORE_THAN_KERNELS_HOLD: usize = 64 * 1024 * 1024;

/// What a handler saw.
#[derive(Default)]
struct Seen {
    statuses: Vec<SendStatus>,
    drained: usize,
    most_buffered: usize,
    close: Option<String>,
    /// The connection that opened first.
    first: Option<ConnectionId>,
}

impl Seen {
    fn note(&mut self, conn: ConnectionId, status: SendStatus, cx: &mut Context<'_>) -> SendStatus {
        self.most_buffered = self.most_buffered.max(cx.connection(conn).buffered_bytes());
        self.statuses.push(status);
        status
    }
}

/// Does `act` on every message, and notes what becomes of it.
struct Acting<F>(F);

impl<F> WebSocketHandler<Seen> for Acting<F>
where
    F: FnMut(&mut Connection<'_>, Message<'_>, &mut Seen),
{
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.first.get_or_insert(conn.id());
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
        (self.0)(conn, message, seen);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        assert_eq!(conn.buffered_bytes(), 0);
        seen.drained += 1;
    }

    fn on_close(&mut self, _: &mut Connection<'_>, disconnect: &Disconnect, seen: &mut Seen) {
        seen.close = Some(format!("{disconnect:?}"));
    }
}

fn acting<F>(config: Config, act: F) -> (EventLoop<Seen>, SocketAddr)
where
    F: FnMut(&mut Connection<'_>, Message<'_>, &mut Seen) + 'static,
{
    looping(config, Acting(act))
}

/// An echo server and a peer that has sent all it could before it reads anything. In the end
/// `on_drained` is called.
fn echo_to_a_late_reader(config: Config, lens: &[usize], total: usize) -> Seen {
    let (mut event_loop, address) = acting(config, |conn, message, seen| {
        let status = conn.send(message);
        seen.note(conn.id(), status, conn);
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::narrow(address);
        let mut stream = Vec::new();
        let mut sent = Vec::new();
        for &len in lens.iter().cycle() {
            if stream.len() >= total {
                break;
            }
            stream.extend(peer.encode_message(&pattern(len, sent.len())));
            sent.push(len);
        }
        let mut writer = peer.stream();
        writer.set_write_timeout(Some(Duration::from_millis(300))).expect("set a timeout");
        let mut written = 0;
        while written < stream.len() {
            match writer.write(&stream[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        thread::scope(|scope| {
            writer.set_write_timeout(Some(crate::util::PATIENCE)).expect("set a timeout");
            scope.spawn(move || writer.write_all(&stream[written..]).expect("write"));
            for (seed, len) in sent.into_iter().enumerate() {
                peer.expect(&pattern(len, seed));
            }
        });
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.drained > 0);
    seen
}

#[test]
fn echo_to_a_peer_that_reads_late_loses_nothing() {
    let seen = echo_to_a_late_reader(Config::default(), &[100, 1_000, 20_000, 3_000], 24 << 20);
    assert!(!seen.statuses.contains(&SendStatus::Dropped));
    // The soft limit, the answers to one more receive, and the message that it ended in.
    let most = (64 + 260) * 1024 + 20_000;
    assert!(seen.most_buffered <= most, "{}", seen.most_buffered);
}

#[test]
fn echo_of_the_longest_messages_to_a_peer_that_reads_late_loses_nothing() {
    let seen = echo_to_a_late_reader(Config::default(), &[1 << 20, 50, 700_000], 32 << 20);
    assert!(!seen.statuses.contains(&SendStatus::Dropped));
}

#[test]
fn an_endless_stream_to_a_peer_that_never_reads_is_dropped_at_the_hard_limit() {
    let (soft, hard) = (64 * 1024, 300_000);
    let config = Config::default().outbox(soft, hard);
    let (mut event_loop, address) = acting(config, |conn, _, seen| {
        for n in 0..MORE_THAN_KERNELS_HOLD / 10_000 {
            let status = conn.send(pattern(10_000, n));
            if seen.note(conn.id(), status, conn) == SendStatus::Dropped {
                assert_eq!(conn.send("late"), SendStatus::Gone);
                return;
            }
        }
        panic!("never dropped");
    });
    let mut seen = Seen::default();
    let mut peer = drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::narrow(address);
        peer.send("go");
        peer
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.close.is_some());
    assert_eq!(seen.close.as_deref(), Some("Overflow"));
    assert!(seen.most_buffered <= hard, "{}", seen.most_buffered);
    assert_eq!(seen.statuses.pop(), Some(SendStatus::Dropped));
    assert!(seen.statuses.contains(&SendStatus::Queued));
    // What was begun is finished, and nothing follows the close frame.
    drive(&mut event_loop, &mut seen, || {
        for n in 0.. {
            let frame = peer.frame();
            if frame.opcode == OpCode::Close {
                assert_eq!(frame.payload, 1013_u16.to_be_bytes());
                break;
            }
            assert!(frame.payload == pattern(10_000, n), "{n}");
        }
        peer.send_close(1013, "");
        peer.expect_end();
        drop(peer);
    });
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
}

#[test]
fn endless_pings_to_a_peer_that_never_reads_are_dropped_too() {
    let config = Config::default().outbox(64 * 1024, 300_000);
    let (mut event_loop, address) = acting(config, |conn, _, seen| {
        for _ in 0..MORE_THAN_KERNELS_HOLD / 127 {
            let status = conn.ping(&[0; 125]);
            if seen.note(conn.id(), status, conn) == SendStatus::Dropped {
                return;
            }
        }
        panic!("never dropped");
    });
    let mut seen = Seen::default();
    let _peer = drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::narrow(address);
        peer.send("go");
        peer
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.close.is_some());
    assert_eq!(seen.close.as_deref(), Some("Overflow"));
    assert!(seen.most_buffered <= 300_000, "{}", seen.most_buffered);
}

#[test]
fn a_message_longer_than_the_hard_limit_is_taken_while_nothing_waits() {
    const LEN: usize = 16 << 20;
    let config = Config::default().outbox(1_000, 2_000);
    let (mut event_loop, address) = acting(config, |conn, _, seen| {
        let status = conn.send(pattern(LEN, 0));
        seen.note(conn.id(), status, conn);
    });
    let mut seen = Seen::default();
    let mut peer = drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::narrow(address);
        peer.send("go");
        peer
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.statuses.is_empty());
    assert_eq!(seen.statuses, [SendStatus::Queued]);
    assert!(seen.most_buffered > 2_000);
    drive(&mut event_loop, &mut seen, || peer.expect(&pattern(LEN, 0)));
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.drained == 1);
}

#[test]
fn nothing_follows_the_close_frame_of_an_overflowed_subscriber() {
    let config = Config::default().outbox(64 * 1024, 300_000);
    let (mut event_loop, address) = acting(config, |conn, _, seen| {
        let target = seen.first.expect("a subscriber");
        let topic = conn.topic("all").expect("a topic");
        conn.connection(target).subscribe(topic).expect("subscribe");
        while conn.connection(target).buffered_bytes() < 250_000 {
            conn.send_to(target, pattern(20_000, 0));
        }
        assert_eq!(conn.broadcast(topic, pattern(100_000, 1)), SendStatus::Sent);
        // The broadcast comes first, and is too much.
        let status = conn.send_to(target, "late");
        seen.statuses.push(status);
        let status = conn.send_to(target, "later");
        seen.statuses.push(status);
    });
    let mut seen = Seen::default();
    let mut target = drive(&mut event_loop, &mut seen, || {
        let target = Peer::narrow(address);
        Peer::connect(address).send("go");
        target
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.statuses.len() == 2);
    assert_eq!(seen.statuses, [SendStatus::Gone; 2]);
    drive(&mut event_loop, &mut seen, || {
        while target.frame().opcode == OpCode::Binary {}
        target.finish();
        target.expect_end();
    });
}

#[test]
fn a_peer_that_makes_no_progress_is_disconnected() {
    let config = Config::default().outbox(1_000, 64 << 20).outbox_stall(Duration::from_millis(200));
    let (mut event_loop, address) = acting(config, |conn, _, _| {
        assert_eq!(conn.send(pattern(16 << 20, 0)), SendStatus::Queued);
    });
    let mut seen = Seen::default();
    let mut peer = drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::narrow(address);
        peer.send("go");
        peer
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.close.is_some());
    assert_eq!(seen.close.as_deref(), Some("Overflow"));
    drive(&mut event_loop, &mut seen, || {
        peer.expect(&pattern(16 << 20, 0));
        peer.expect_close(CloseCode::TRY_AGAIN_LATER);
    });
}

#[test]
fn only_the_latest_pong_waits_for_a_peer_that_does_not_read() {
    /// Sends until something has to wait, again whenever nothing does, and echoes nothing.
    struct Filler(Recorder);
    impl WebSocketHandler<()> for Filler {
        fn on_message(&mut self, conn: &mut Connection<'_>, _: Message<'_>, _: &mut ()) {
            while conn.send([0; 10_000]) == SendStatus::Sent {}
        }
        fn on_drained(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
            while conn.send([0; 10_000]) == SendStatus::Sent {}
        }
        fn on_ping(&mut self, conn: &mut Connection<'_>, ping: &[u8], s: &mut ()) {
            self.0.on_ping(conn, ping, s);
        }
    }
    let (recorder, log) = Recorder::new();
    let config = Config::default().outbox(1 << 20, 2 << 20);
    let server = Server::listen(config, Default::default(), Filler(recorder));
    let mut peer = Peer::narrow(server.address());
    peer.send("go");
    for n in 0..100 {
        peer.send_frame(true, OpCode::Ping, &[n]);
    }
    for n in 0..100 {
        assert_eq!(log.next(), Call::Ping(vec![n]));
    }
    // The system may take some more now and then, and with it the pong that waits.
    let mut pongs = Vec::new();
    while pongs.last() != Some(&99) {
        let frame = peer.frame();
        if frame.opcode == OpCode::Pong {
            pongs.extend(frame.payload);
        }
    }
    assert!(pongs.is_sorted() && pongs.len() < 50, "{pongs:?}");
}

#[test]
fn queued_output_is_delivered_after_the_peer_half_closes() {
    // About as much as kernels hold, and a little more: some of it waits in the loop.
    for len in (200_000..4_600_000).step_by(200_000) {
        let config = Config::default().outbox(64 * 1024, 16 << 20);
        let (mut event_loop, address) = acting(config, move |conn, _, _| {
            assert_ne!(conn.send(pattern(len, 0)), SendStatus::Dropped);
        });
        let mut seen = Seen::default();
        drive(&mut event_loop, &mut seen, || {
            let mut peer = Peer::narrow(address);
            peer.send("go");
            peer.finish();
            peer.expect(&pattern(len, 0));
            peer.expect_end();
        });
        drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
        assert_eq!(seen.close.as_deref(), Some("Io(Kind(UnexpectedEof))"));
    }
}

#[test]
fn a_slow_peer_is_still_read_and_its_pings_are_answered() {
    const LEN: usize = 32 << 20;
    let config = Config::default().outbox(64 * 1024, 128 << 20);
    let waiting = std::rc::Rc::new(std::cell::Cell::new(0));
    let noted = std::rc::Rc::clone(&waiting);
    let (mut event_loop, address) = acting(config, move |conn, message, _| match message {
        Message::Text("go") => {
            for n in 0..LEN / 10_000 {
                assert_ne!(conn.send(pattern(10_000, n)), SendStatus::Dropped);
            }
        }
        _ => noted.set(conn.buffered_bytes()),
    });
    let mut seen = Seen::default();
    let after = drive(&mut event_loop, &mut seen, || {
        let mut peer = Peer::narrow(address);
        peer.send("go");
        peer.frame();
        peer.send("enough");
        peer.send_frame(true, OpCode::Ping, b"there?");
        let before = std::iter::from_fn(|| Some(peer.frame()))
            .take_while(|frame| frame.opcode == OpCode::Binary)
            .count();
        let after = LEN / 10_000 - 1 - before;
        for _ in 0..after {
            peer.frame();
        }
        after
    });
    assert!(waiting.get() > 64 * 1024, "its message was read when {} bytes waited", waiting.get());
    assert!(after > 0, "the pong came behind all else");
}
