//! Output of raw streams: peers that read slowly, and topics.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use eventwire::{
    Config, Connection, Disconnect, EventLoop, Gap, OverflowPolicy, PreparedMessage, SendStatus,
    ServerConfig, StreamConfig, StreamHandler, TopicId, WebSocketHandler,
};

use super::{Seen, connect, read, streaming, with};
use crate::util::{Peer, drive, drive_until, pattern};

/// Kernels do not hold more than this between two ends of a connection.
const MORE_THAN_KERNELS_HOLD: usize = 64 * 1024 * 1024;

#[test]
fn output_waits_for_a_slow_peer_and_drains() {
    let config = Config::default().outbox(64 * 1024, MORE_THAN_KERNELS_HOLD);
    let message = pattern(100_000, 3);
    let sent = message.clone();
    let (mut event_loop, address) =
        streaming(config, StreamConfig::default(), move |conn, data, seen| {
            while seen.statuses.last() != Some(&SendStatus::Queued) {
                seen.statuses.push(conn.send(&sent[..]));
            }
            data.len()
        });
    let mut seen = Seen::default();
    let mut stream = drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"go").expect("write");
        stream
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.statuses.is_empty());
    let count = seen.statuses.len();
    drive(&mut event_loop, &mut seen, || {
        for _ in 0..count {
            assert!(read(&mut stream, message.len()) == message);
        }
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.drained == 1);
}

#[test]
fn a_peer_that_never_reads_is_cut() {
    let config = Config::default().outbox(64 * 1024, 256 * 1024);
    let (mut event_loop, address) =
        streaming(config, StreamConfig::default(), move |conn, data, seen| {
            while seen.statuses.last() != Some(&SendStatus::Dropped) {
                seen.statuses.push(conn.send([7; 100_000]));
            }
            assert_eq!(conn.send("late"), SendStatus::Gone);
            data.len()
        });
    let mut seen = Seen::default();
    let mut stream = drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"go").expect("write");
        stream
    });
    drive_until(&mut event_loop, &mut seen, |event_loop, seen| {
        !seen.closed.is_empty() && event_loop.connections() == 0
    });
    assert_eq!(seen.closed, ["Overflow"]);
    assert_eq!(event_loop.stats().outbound_bytes, 0);
    let mut received = Vec::new();
    // Whether it ends or is reset: not all has come.
    let _ = stream.read_to_end(&mut received);
    assert!(received.len() < 100_000 * seen.statuses.len());
}

#[test]
fn a_peer_that_stops_reading_has_the_time_for_progress() {
    let config = Config::default()
        .outbox(64 * 1024, MORE_THAN_KERNELS_HOLD)
        .outbox_stall(Duration::from_millis(50));
    let (mut event_loop, address) =
        streaming(config, StreamConfig::default(), move |conn, data, _| {
            while conn.buffered_bytes() < 1_000_000 {
                conn.send([7; 100_000]);
            }
            data.len()
        });
    let mut seen = Seen::default();
    let stream = drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"go").expect("write");
        stream
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.closed.is_empty());
    assert_eq!(seen.closed, ["Overflow"]);
    drop(stream);
}

/// Subscribes every connection of either kind.
#[derive(Clone, Copy)]
struct Subscribing(TopicId, OverflowPolicy);

impl StreamHandler<Seen> for Subscribing {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        assert_eq!(conn.subscribe_with(self.0, self.1), Ok(true));
        seen.opened += 1;
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], _: &mut Seen) -> usize {
        conn.broadcast_others(self.0, data);
        conn.send("sent");
        data.len()
    }

    fn on_close(&mut self, _: &mut Connection<'_>, disconnect: &Disconnect, seen: &mut Seen) {
        seen.closed.push(format!("{disconnect:?}"));
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, seen: &mut Seen) {
        conn.send(format!("<{}>", gap.missed()));
        seen.gaps.push(gap);
    }
}

impl WebSocketHandler<Seen> for Subscribing {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        assert_eq!(conn.subscribe_with(self.0, self.1), Ok(true));
        seen.opened += 1;
    }
}

#[test]
fn a_broadcast_reaches_streams_without_frames_and_web_sockets_with_them() {
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    let topic = event_loop.topic("all").expect("room for a topic");
    let handler = Subscribing(topic, OverflowPolicy::Close);
    let config = StreamConfig::default();
    let raw = event_loop.listen_stream("127.0.0.1:0", config, handler).expect("listen");
    let web = event_loop.listen("127.0.0.1:0", ServerConfig::default(), handler).expect("listen");
    let [raw, web] = [raw, web].map(|it| event_loop.local_addr(it).expect("an address"));
    struct Say(Vec<Vec<u8>>);
    event_loop.on(move |cx, say: &Say, _| {
        for message in &say.0 {
            assert_eq!(cx.broadcast(topic, message), SendStatus::Sent);
        }
        let prepared = PreparedMessage::new("prepared");
        cx.broadcast(topic, &prepared);
    });
    let publisher = event_loop.publisher();
    let mut seen = Seen::default();
    let (mut streams, mut peer) =
        drive(&mut event_loop, &mut seen, || ([(); 3].map(|()| connect(raw)), Peer::connect(web)));
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened == 4);
    drive(&mut event_loop, &mut seen, move || {
        streams[0].write_all(b"hello").expect("write");
        assert_eq!(read(&mut streams[0], 4), b"sent");
        for stream in &mut streams[1..] {
            assert_eq!(read(stream, 5), b"hello");
        }
        peer.expect(b"hello");
        let messages: Vec<_> = [1, 100, 0, 300, 70_000].map(|len| pattern(len, len)).into();
        publisher.publish(Say(messages.clone())).expect("room for an event");
        for stream in &mut streams {
            let all = read(stream, 70_401 + 8);
            assert!(all == [messages.concat(), b"prepared".to_vec()].concat());
        }
        for message in &messages {
            peer.expect(&message[..]);
        }
        peer.expect("prepared");
    });
}

#[test]
fn a_slow_stream_misses_broadcasts_and_learns_which() {
    for policy in
        [OverflowPolicy::DropOldest, OverflowPolicy::DropNewest, OverflowPolicy::KeepLatest]
    {
        let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
        let topic = event_loop.topic("all").expect("room for a topic");
        let handler = Subscribing(topic, policy);
        let listener = event_loop.listen_stream("127.0.0.1:0", StreamConfig::default(), handler);
        let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
        struct Flood(usize);
        event_loop.on(move |cx, flood: &Flood, _| {
            for _ in 0..flood.0 {
                cx.broadcast(topic, [b'x'; 50_000]);
            }
        });
        let publisher = event_loop.publisher();
        let mut seen = Seen::default();
        let mut stream: TcpStream = drive(&mut event_loop, &mut seen, || connect(address));
        drive_until(&mut event_loop, &mut seen, |_, seen| seen.opened == 1);
        // More than the system holds and the topic keeps.
        let flooded = 8 * 400;
        for _ in 0..400 {
            publisher.publish(Flood(8)).expect("room for an event");
            event_loop.turn(Some(Duration::ZERO), &mut seen).expect("turn");
        }
        let stream = drive(&mut event_loop, &mut seen, move || {
            let (mut bytes, mut reports, mut buffer) = (0, String::new(), vec![0; 1 << 20]);
            // Every broadcast is received, or part of a gap.
            while bytes / 50_000 + missed_in(&reports) < flooded {
                let len = stream.read(&mut buffer).expect("read");
                assert!(len > 0, "{bytes} bytes and {reports} of {flooded} broadcasts");
                let others = buffer[..len].iter().filter(|byte| **byte != b'x');
                let before = reports.len();
                reports.extend(others.map(|byte| char::from(*byte)));
                bytes += len - (reports.len() - before);
            }
            assert_eq!(bytes / 50_000 + missed_in(&reports), flooded);
            stream
        });
        assert!(!seen.gaps.is_empty(), "{policy:?}");
        assert!(seen.closed.is_empty(), "{:?}", seen.closed);
        drop(stream);
    }
}

/// The sum of the whole numbers in `<…>`.
fn missed_in(reports: &str) -> usize {
    let whole = reports.rfind('>').map_or("", |end| &reports[..end]);
    whole.split(['<', '>']).filter_map(|number| number.parse::<usize>().ok()).sum()
}

#[test]
fn an_echo_of_part_of_what_came_is_that_part() {
    let (mut event_loop, address) = with(|conn, data, _| {
        // From the middle, so that it is no whole loan.
        conn.send(&data[1..]);
        conn.send(data);
        data.len()
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(&pattern(20_000, 1)).expect("write");
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while received.len() < 20_000 {
            let len = stream.read(&mut buffer).expect("read");
            received.extend_from_slice(&buffer[..len]);
        }
    });
    assert_eq!(seen.opened, 1);
}
