//! How raw streams end.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use eventwire::{CloseCode, Config, RunEnd, StreamConfig};

use super::{Seen, connect, echo_lines, read, rest, streaming, with};
use crate::util::{drive, drive_until};

#[test]
fn a_handler_that_claims_more_than_it_was_lent_loses_its_stream() {
    for extra in [1, usize::MAX / 2, usize::MAX - 3] {
        let (mut event_loop, address) = with(move |conn, data, _| {
            conn.send("answered before");
            data.len() + extra
        });
        let mut seen = Seen::default();
        drive(&mut event_loop, &mut seen, || {
            let mut stream = connect(address);
            stream.write_all(b"abc").expect("write");
            assert_eq!(rest(&mut stream), b"answered before");
        });
        drive_until(&mut event_loop, &mut seen, |_, seen| !seen.closed.is_empty());
        assert_eq!(seen.closed, [format!("OverusedInput {{ used: {}, lent: 3 }}", 3 + extra)]);
        assert_eq!(event_loop.stats().closed_by_panic, 1);
    }
}

#[test]
fn a_handler_that_uses_nothing_loses_its_stream_at_the_limit() {
    for (limit, piece) in [(0, 1), (10, 3), (64 * 1024, 1_000)] {
        let config = StreamConfig::default().max_kept(limit);
        let (mut event_loop, address) = streaming(Config::default(), config, |_, _, _| 0);
        let mut seen = Seen::default();
        drive(&mut event_loop, &mut seen, || {
            let mut stream = connect(address);
            let mut sent = 0;
            while sent <= limit {
                stream.write_all(&vec![7; piece]).expect("write");
                sent += piece;
            }
            assert_eq!(rest(&mut stream), b"");
        });
        assert_eq!(seen.closed, [format!("UnusedInput {{ limit: {limit} }}")]);
        assert_eq!(event_loop.stats().closed_by_protocol, 1);
        drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
        assert_eq!(event_loop.stats().inbound_bytes, 0);
        assert!(seen.data.iter().all(|data| data.len() <= limit + 260 * 1024));
    }
}

#[test]
fn a_panic_costs_the_stream_and_no_other() {
    let (mut event_loop, address) =
        streaming(Config::default(), StreamConfig::default(), |conn, data, seen| {
            assert!(data != b"panic\n", "as it was told");
            echo_lines(conn, data, seen)
        });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let (mut one, mut other) = (connect(address), connect(address));
        one.write_all(b"panic\n").expect("write");
        assert_eq!(rest(&mut one), b"");
        other.write_all(b"hello\n").expect("write");
        assert_eq!(read(&mut other, 6), b"hello\n");
    });
    assert!(seen.closed[0].contains("as it was told"), "{:?}", seen.closed);
    assert_eq!(event_loop.stats().closed_by_panic, 1);
}

#[test]
fn closing_ends_our_half_and_waits_for_the_peers() {
    let (mut event_loop, address) = with(|conn, data, _| {
        conn.close(CloseCode::NORMAL, "");
        data.len()
    });
    let mut seen = Seen::default();
    let mut stream = drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"close").expect("write");
        assert_eq!(rest(&mut stream), b"");
        // What comes behind is thrown away.
        stream.write_all(&[7; 100_000]).expect("write");
        stream
    });
    assert!(seen.closed.is_empty(), "the peer has not ended its half: {:?}", seen.closed);
    drive(&mut event_loop, &mut seen, || {
        stream.shutdown(Shutdown::Write).expect("end");
        let _ = stream.read(&mut [0]);
    });
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
    assert_eq!((seen.closed.len(), seen.data.len()), (1, 1));
    assert_eq!(event_loop.stats().closed_by_application, 1);
}

#[test]
fn a_peer_that_does_not_end_its_half_has_the_close_timeout() {
    let config = StreamConfig::default().close_timeout(Duration::from_millis(30));
    let (mut event_loop, address) = streaming(Config::default(), config, |conn, data, _| {
        conn.send("bye");
        conn.close(CloseCode::NORMAL, "");
        data.len()
    });
    let mut seen = Seen::default();
    let start = Instant::now();
    let stream = drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"close").expect("write");
        assert_eq!(rest(&mut stream), b"bye");
        stream
    });
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert!(seen.closed[0].starts_with("ClosedByApplication"), "{:?}", seen.closed);
    drop(stream);
}

#[test]
fn a_silent_peer_has_the_idle_timeout() {
    let config = StreamConfig::default().idle_timeout(Some(Duration::from_millis(30)));
    let (mut event_loop, address) = streaming(Config::default(), config, echo_lines);
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"hello\n").expect("write");
        assert_eq!(rest(&mut stream), b"hello\n");
    });
    assert_eq!(seen.closed, ["TimedOut(Idle)"]);
    assert_eq!(event_loop.stats().closed_by_timeout, 1);
}

#[test]
fn a_stream_that_fails_says_so() {
    let (mut event_loop, address) = with(echo_lines);
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        stream.write_all(b"hello\n").expect("write");
        assert_eq!(read(&mut stream, 6), b"hello\n");
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("set the option");
    });
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.closed.is_empty());
    assert!(seen.closed[0].starts_with("Io("), "{:?}", seen.closed);
    assert_eq!(event_loop.stats().closed_by_failure, 1);
}

#[test]
fn a_shutdown_sends_what_is_queued_and_ends_the_streams() {
    let (mut event_loop, address) = with(|conn, data, _| {
        conn.send(&vec![7; 1_000_000][..]);
        conn.shutdown(Duration::from_secs(20));
        data.len()
    });
    let (mut seen, mut received) = (Seen::default(), 0);
    let summary = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = connect(address);
            stream.write_all(b"shut down").expect("write");
            received = rest(&mut stream).len();
        });
        event_loop.run(&mut seen).expect("run")
    });
    assert_eq!((summary.end, summary.closed), (RunEnd::ShutDown, 1));
    assert_eq!((summary.cut, summary.lost, summary.refused), (0, 0, 0));
    assert_eq!((received, seen.closed.len()), (1_000_000, 1));
}

#[test]
fn a_stop_cuts_the_streams() {
    let (mut event_loop, address) = with(|conn, data, _| {
        conn.stop();
        data.len()
    });
    let mut seen = Seen::default();
    let summary =
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = connect(address);
                stream.write_all(b"stop").expect("write");
                let ended = stream.read(&mut [0]);
                assert!(ended.as_ref().map_or_else(
                    |error| error.kind() == ErrorKind::ConnectionReset,
                    |len| *len == 0
                ));
            });
            event_loop.run(&mut seen).expect("run")
        });
    assert_eq!((summary.end, summary.cut, seen.closed.len()), (RunEnd::Stopped, 1, 1));
}
