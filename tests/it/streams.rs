//! Raw streams over real sockets.

mod ends;
mod making;
mod many;
mod output;
#[cfg(feature = "tls")]
mod tls;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use eventwire::{
    CloseCode, Config, ConnectError, Connection, Disconnect, EventLoop, Gap, HandlerCall, OnPanic,
    SendStatus, SlowCall, StreamConfig, StreamHandler,
};

use crate::util::{PATIENCE, drive, drive_until, pattern};

/// What a handler saw.
#[derive(Default)]
struct Seen {
    opened: usize,
    data: Vec<Vec<u8>>,
    statuses: Vec<SendStatus>,
    drained: usize,
    gaps: Vec<Gap>,
    /// The reasons in their debug form.
    closed: Vec<String>,
    failed: Vec<String>,
}

/// Notes every call, and does `act` with the data.
struct Acting<F>(F);

impl<F> StreamHandler<Seen> for Acting<F>
where
    F: FnMut(&mut Connection<'_>, &[u8], &mut Seen) -> usize,
{
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        assert!(conn.is_open() && !conn.is_paused() && !conn.is_compressed());
        seen.opened += 1;
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], seen: &mut Seen) -> usize {
        assert!(conn.is_open() && !data.is_empty());
        seen.data.push(data.to_vec());
        (self.0)(conn, data, seen)
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        assert_eq!(conn.buffered_bytes(), 0);
        seen.drained += 1;
    }

    fn on_gap(&mut self, _: &mut Connection<'_>, gap: Gap, seen: &mut Seen) {
        seen.gaps.push(gap);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, seen: &mut Seen) {
        assert!(!conn.is_open());
        assert_eq!(conn.send("late"), SendStatus::Gone);
        seen.closed.push(format!("{disconnect:?}"));
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, seen: &mut Seen) {
        seen.failed.push(error.to_string());
    }
}

/// A loop with one listener for raw streams.
fn streaming<F>(config: Config, stream: StreamConfig, act: F) -> (EventLoop<Seen>, SocketAddr)
where
    F: FnMut(&mut Connection<'_>, &[u8], &mut Seen) -> usize + 'static,
{
    let mut event_loop = EventLoop::new(config).expect("make a loop");
    let listener =
        event_loop.listen_stream("127.0.0.1:0", stream, Acting(act)).expect("listen on a port");
    let address = event_loop.local_addr(listener).expect("an address");
    (event_loop, address)
}

fn with<F>(act: F) -> (EventLoop<Seen>, SocketAddr)
where
    F: FnMut(&mut Connection<'_>, &[u8], &mut Seen) -> usize + 'static,
{
    streaming(Config::default().on_panic(OnPanic::Propagate), StreamConfig::default(), act)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    stream.set_nodelay(true).expect("set the option");
    stream
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).expect("read");
    bytes
}

/// Reads until the peer has ended its half.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read to the end");
    bytes
}

/// The length of the whole lines at the front.
fn lines(data: &[u8]) -> usize {
    data.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

fn echo_lines(conn: &mut Connection<'_>, data: &[u8], _: &mut Seen) -> usize {
    let used = lines(data);
    if used > 0 {
        conn.send(&data[..used]);
    }
    used
}

#[test]
fn bytes_come_back_as_they_are() {
    let (mut event_loop, address) = with(|conn, data, seen| {
        assert_eq!(conn.peer_addr().map(|peer| peer.ip()), Some([127, 0, 0, 1].into()));
        seen.statuses.push(conn.ping(b"no frames here"));
        conn.send(data);
        data.len()
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        for len in [1, 125, 4_000, 5_000, 70_000, 1_000_000] {
            let sent = pattern(len, len);
            let mut writer = stream.try_clone().expect("another handle");
            let received = std::thread::scope(|scope| {
                scope.spawn(|| writer.write_all(&sent).expect("write"));
                read(&mut stream, len)
            });
            assert!(received == sent, "{len} bytes came back changed");
        }
        stream.shutdown(Shutdown::Write).expect("end");
        assert_eq!(rest(&mut stream), b"");
    });
    assert_eq!(seen.opened, 1);
    assert!(seen.statuses.iter().all(|status| *status == SendStatus::Gone));
    assert_eq!(seen.closed, ["EndOfStream { unused: 0 }"]);
    let stats = event_loop.stats();
    assert_eq!((stats.opened, stats.closed_by_peer), (1, 1));
    assert_eq!(stats.messages_received, seen.data.len() as u64);
    assert_eq!((stats.bytes_received, stats.bytes_sent), (1_079_126, 1_079_126));
}

#[test]
fn what_is_not_used_comes_again_in_front_of_what_comes_next() {
    let (mut event_loop, address) = with(echo_lines);
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        for piece in ["one\ntw", "o\n", "thr", "ee", "\nfour"] {
            stream.write_all(piece.as_bytes()).expect("write");
            let answered = match piece {
                "one\ntw" => "one\n",
                "o\n" => "two\n",
                "\nfour" => "three\n",
                _ => "",
            };
            assert_eq!(read(&mut stream, answered.len()), answered.as_bytes());
        }
        stream.shutdown(Shutdown::Write).expect("end");
        assert_eq!(rest(&mut stream), b"");
    });
    assert_eq!(seen.closed, ["EndOfStream { unused: 4 }"]);
    // However the pieces were joined on their way: each call begins where the last one ended.
    let (mut at, all) = (0, b"one\ntwo\nthree\nfour");
    for data in &seen.data {
        assert!(all[at..].starts_with(data), "{data:?} at {at}");
        at += lines(data);
    }
}

#[test]
fn a_long_unit_is_kept_whichever_way_its_pieces_come() {
    const LEN: usize = 60_000;
    let (mut event_loop, address) = with(|conn, data, _| {
        let used = data.len() / LEN * LEN;
        if used > 0 {
            conn.send(&data[..used]);
        }
        used
    });
    let sent = pattern(3 * LEN, 5);
    for piece in [100, 1_000, 7_777, LEN, 3 * LEN] {
        let mut seen = Seen::default();
        drive(&mut event_loop, &mut seen, || {
            let mut stream = connect(address);
            let mut writer = stream.try_clone().expect("another handle");
            let received = std::thread::scope(|scope| {
                scope.spawn(|| {
                    for piece in sent.chunks(piece) {
                        writer.write_all(piece).expect("write");
                    }
                });
                read(&mut stream, 3 * LEN)
            });
            assert!(received == sent, "pieces of {piece} bytes");
        });
        assert_eq!(event_loop.stats().inbound_bytes, 0);
    }
}

#[test]
fn a_paused_handler_uses_one_command_at_a_time() {
    /// Reading may go on.
    struct GoOn(eventwire::ConnectionId);
    let (mut event_loop, address) = with(|conn, data, _| {
        let line = data.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if line > 0 {
            assert!(conn.pause() && conn.is_paused());
            let id = conn.id();
            conn.publish(GoOn(id)).expect("room for an event");
        }
        line
    });
    event_loop.on(|cx, go_on: &GoOn, _| {
        let mut conn = cx.connection(go_on.0);
        conn.send("+");
        assert!(conn.resume());
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"one\ntwo\nthree\nfo").expect("write");
        assert_eq!(read(&mut stream, 3), b"+++");
        stream.write_all(b"ur\n").expect("write");
        assert_eq!(read(&mut stream, 1), b"+");
        stream.shutdown(Shutdown::Write).expect("end");
        assert_eq!(rest(&mut stream), b"");
    });
    assert_eq!(seen.closed, ["EndOfStream { unused: 0 }"]);
    let first: Vec<_> = seen.data.iter().take(3).map(|data| data[..4].to_vec()).collect();
    assert_eq!(first, [b"one\n", b"two\n", b"thre"]);
}

#[test]
fn slow_handlers_of_streams_are_reported() {
    let config = Config::default().slow_handler(std::time::Duration::ZERO);
    let (mut event_loop, address) = streaming(config, StreamConfig::default(), echo_lines);
    event_loop.on(|_, slow: &SlowCall, seen: &mut Seen| {
        if slow.call == HandlerCall::Data {
            seen.drained += 1;
        }
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"one\n").expect("write");
        assert_eq!(read(&mut stream, 4), b"one\n");
        stream.write_all(b"two\n").expect("write");
        assert_eq!(read(&mut stream, 4), b"two\n");
    });
    assert!(seen.drained > 0);
}

#[test]
fn a_stream_that_is_closed_in_on_data_gets_no_more() {
    let (mut event_loop, address) = with(|conn, data, _| {
        conn.send("bye");
        assert!(conn.close(CloseCode::NORMAL, ""));
        assert!(!conn.close(CloseCode::NORMAL, "") && !conn.is_open());
        assert_eq!(conn.send("late"), SendStatus::Gone);
        data.len() / 2
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"hello").expect("write");
        assert_eq!(rest(&mut stream), b"bye");
        stream.write_all(b"is anybody there?").expect("write");
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.closed.is_empty());
    assert_eq!((seen.data.len(), seen.closed.len()), (1, 1));
    assert!(seen.closed[0].starts_with("ClosedByApplication"), "{:?}", seen.closed);
}
