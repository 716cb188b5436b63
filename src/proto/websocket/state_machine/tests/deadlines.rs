//! Deadlines in virtual time. Each is exact to the nanosecond.

use super::*;

const NANOSECOND: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits::default()
        .handshake_timeout(10 * SECOND)
        .message_timeout(60 * SECOND)
        .ping_interval(Some(25 * SECOND))
        .pong_timeout(10 * SECOND)
        .close_timeout(5 * SECOND)
}

/// Lets `time` pass, and checks that nothing happens before its last nanosecond.
fn pass_exactly(harness: &mut Harness, time: Duration) -> Result<(), TimedOut> {
    assert_eq!(harness.time_left(), Some(time));
    let (state, written) = (harness.state(), harness.out.len());
    assert_eq!(harness.pass(time - NANOSECOND), Ok(()));
    assert_eq!((harness.state(), harness.out.len()), (state, written));
    harness.pass(NANOSECOND)
}

#[test]
fn the_opening_handshake_has_one_deadline_whatever_arrives() {
    for role in ROLES {
        let mut harness = Harness::connecting(role, &limits());
        harness.out.clear();
        assert_eq!(harness.pass(4 * SECOND), Ok(()));
        let begun: &[u8] = if role == Role::Server { b"GET / " } else { b"HTTP/1.1 1" };
        assert_eq!(harness.feed(begun), []);
        assert_eq!(pass_exactly(&mut harness, 6 * SECOND), Err(TimedOut::Handshake));
        assert_eq!(harness.state(), State::Closed);
        // A client writes nothing when a server is too slow.
        assert_eq!(harness.out.starts_with(b"HTTP/1.1 408 "), role == Role::Server);
        assert_eq!(harness.out.is_empty(), role == Role::Client);
    }
}

#[test]
fn a_request_on_a_kept_connection_has_all_of_its_time_from_its_first_byte_on() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut harness = Harness::connecting(Role::Server, &limits());
    for _ in 0..2 {
        let mut input = request.to_vec();
        let received = harness.with(|connection, workspace| {
            matches!(
                connection.handle_input(&mut input, workspace),
                Ok(Handled { event: Some(Event::Request(_)), .. })
            )
        });
        assert!(received);
        harness.with(|connection, workspace| {
            connection.server_request().expect("it has one").end(false, workspace);
        });
        assert_eq!(harness.pass(9 * SECOND), Ok(()));
    }
    assert_eq!(harness.feed(&request[..5]), []);
    assert_eq!(harness.pass(9 * SECOND), Ok(()));
    assert_eq!(harness.feed(&request[5..9]), []);
    assert_eq!(pass_exactly(&mut harness, SECOND), Err(TimedOut::Handshake));
    assert!(harness.out.starts_with(b"HTTP/1.1 408 "));
}

#[test]
fn a_connection_without_a_request_ends_without_a_response() {
    let header = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for said in [&header[..0], &header[..9], header] {
        let mut harness = Harness::connecting(Role::Server, &limits());
        if !said.is_empty() {
            let server = WebSocket::server(Arc::new(limits()), harness.now);
            harness.connection = server.behind_proxy();
        }
        assert_eq!(harness.feed(said), []);
        assert_eq!(pass_exactly(&mut harness, 10 * SECOND), Err(TimedOut::Handshake));
        assert_eq!((harness.state(), harness.out.len()), (State::Closed, 0));
    }
}

#[test]
fn a_silent_peer_is_pinged_and_then_counts_as_lost() {
    for role in ROLES {
        let mut harness = Harness::open(role, &limits());
        assert_eq!(harness.pass(20 * SECOND), Ok(()));
        assert_eq!(harness.feed(&frame(role, true, OpCode::Text, b"alive")), [text("alive")]);
        assert_eq!(pass_exactly(&mut harness, 25 * SECOND), Ok(()));
        assert_eq!(harness.sent(), [(OpCode::Ping, Vec::new())]);
        assert_eq!(pass_exactly(&mut harness, 10 * SECOND), Err(TimedOut::Pong));
        assert_eq!((harness.state(), harness.sent()), (State::Closed, Vec::new()));
    }
}

#[test]
fn any_byte_is_a_sign_of_life() {
    for role in ROLES {
        let pong = frame(role, true, OpCode::Pong, b"");
        for (bytes, seen) in [(&pong[..1], 0), (&pong[..], 1)] {
            let mut harness = Harness::open(role, &limits());
            assert_eq!(harness.pass(25 * SECOND), Ok(()));
            assert_eq!(harness.sent().len(), 1);
            assert_eq!(harness.pass(9 * SECOND), Ok(()));
            assert_eq!(harness.feed(bytes).len(), seen);
            assert_eq!(pass_exactly(&mut harness, 25 * SECOND), Ok(()));
            assert_eq!(harness.sent(), [(OpCode::Ping, Vec::new())]);
        }
    }
}

#[test]
fn a_long_payload_received_directly_is_a_sign_of_life() {
    let mut harness = Harness::open(Role::Server, &limits());
    let long = frame(Role::Server, true, OpCode::Binary, &[1; 50_000]);
    harness.receive_direct(&long[..20_000]);
    assert_eq!(harness.pass(25 * SECOND), Ok(()));
    assert_eq!(harness.sent().len(), 1);
    harness.receive_direct(&long[20_000..25_000]);
    assert_eq!(pass_exactly(&mut harness, 25 * SECOND), Ok(()));
    assert_eq!(harness.sent().len(), 1);
}

#[test]
fn an_unfinished_message_has_a_deadline_from_its_first_byte_on() {
    for role in ROLES {
        let begun = frame(role, false, OpCode::Text, b"begun");
        let half = frame(role, true, OpCode::Text, b"half");
        for first in [&begun[..], &half[..half.len() - 1]] {
            let mut harness = Harness::open(role, &limits().ping_interval(None));
            assert_eq!(harness.time_left(), None);
            assert_eq!(harness.feed(&frame(role, true, OpCode::Text, b"whole")), [text("whole")]);
            assert_eq!(harness.time_left(), None);
            assert_eq!(harness.feed(first), []);
            assert_eq!(harness.time_left(), Some(60 * SECOND));
            assert_eq!(harness.pass(59 * SECOND), Ok(()));
            if first == begun {
                let more = [
                    frame(role, false, OpCode::Continuation, b"more"),
                    frame(role, true, OpCode::Ping, b""),
                ];
                assert_eq!(harness.feed(&more.concat()).len(), 1);
                harness.out.clear();
            }
            assert_eq!(pass_exactly(&mut harness, SECOND), Err(TimedOut::Message));
            assert_eq!(harness.state(), State::Closed);
            let payload = [&1008_u16.to_be_bytes()[..], b"message unfinished"].concat();
            assert_eq!(harness.sent(), [(OpCode::Close, payload)]);
        }
    }
}

#[test]
fn progress_starts_the_time_of_a_message_again() {
    for role in ROLES {
        // 10 KB a second, in one frame and in fragments.
        let whole = frame(role, true, OpCode::Binary, &[1; 900_000]);
        let fragments = frame(role, false, OpCode::Continuation, &[1; 990]).repeat(900);
        let fragments = [frame(role, false, OpCode::Binary, b""), fragments].concat();
        for stream in [whole, fragments] {
            let mut harness = Harness::open(role, &limits().ping_interval(None));
            for piece in stream.chunks(10_000) {
                harness.receive_direct(piece);
                assert_eq!(harness.pass(SECOND), Ok(()));
            }
            assert_eq!(harness.state(), State::Open);
        }
    }
}

#[test]
fn progress_is_64_kib_more_of_the_payload() {
    const STEP: usize = 64 * 1024;
    for role in ROLES {
        for (grown, left) in [(STEP - 1, SECOND), (STEP, 60 * SECOND)] {
            let mut harness = Harness::open(role, &limits().ping_interval(None));
            let header = header(role, true, OpCode::Binary, 1 << 20);
            assert_eq!(harness.feed(&header), []);
            assert_eq!(harness.pass(59 * SECOND), Ok(()));
            harness.receive_direct(&vec![1; grown]);
            assert_eq!(harness.time_left(), Some(left));
            // The next progress is counted from here.
            assert_eq!(harness.pass(left - NANOSECOND), Ok(()));
            harness.receive_direct(&[1; STEP - 1]);
            let more = if grown == STEP { NANOSECOND } else { 60 * SECOND };
            assert_eq!(harness.time_left(), Some(more));
        }
        // Headers and control frames are no progress.
        let mut harness = Harness::open(role, &limits().ping_interval(None));
        let begun = frame(role, false, OpCode::Binary, b"");
        let more = [
            frame(role, false, OpCode::Continuation, b"x").repeat(1_000),
            frame(role, true, OpCode::Ping, &[1; 125]).repeat(100),
        ];
        assert_eq!(harness.feed(&begun), []);
        assert_eq!(harness.pass(59 * SECOND), Ok(()));
        assert_eq!(harness.feed(&more.concat()).len(), 100);
        harness.out.clear();
        assert_eq!(pass_exactly(&mut harness, SECOND), Err(TimedOut::Message));
    }
}

#[test]
fn the_longest_message_takes_no_longer_than_its_length_allows() {
    const STEP: usize = 64 * 1024;
    let mut harness = Harness::open(Role::Client, &limits().ping_interval(None));
    assert_eq!(harness.feed(&header(Role::Client, true, OpCode::Binary, 1 << 20)), []);
    // As slowly as allowed, and without the end.
    for step in 1..=16 {
        assert_eq!(harness.time_left(), Some(60 * SECOND));
        assert_eq!(harness.pass(60 * SECOND - NANOSECOND), Ok(()));
        harness.receive_direct(&vec![1; if step < 16 { STEP } else { STEP - 1 }]);
    }
    assert_eq!(harness.pass(NANOSECOND), Err(TimedOut::Message));
}

#[test]
fn a_finished_message_has_no_deadline_and_the_next_has_its_own() {
    for role in ROLES {
        let mut harness = Harness::open(role, &limits().ping_interval(None));
        assert_eq!(harness.feed(&frame(role, false, OpCode::Text, b"a")), []);
        assert_eq!(harness.pass(30 * SECOND), Ok(()));
        assert_eq!(harness.feed(&frame(role, true, OpCode::Continuation, b"b")), [text("ab")]);
        assert_eq!(harness.time_left(), None);
        assert_eq!(harness.feed(&frame(role, false, OpCode::Binary, b"a")), []);
        assert_eq!(harness.time_left(), Some(60 * SECOND));
    }
}

#[test]
fn deadlines_that_come_together_are_acted_on_one_by_one() {
    let limits = limits().message_timeout(25 * SECOND);
    let mut harness = Harness::open(Role::Server, &limits);
    assert_eq!(harness.feed(&frame(Role::Server, false, OpCode::Text, b"")), []);
    assert_eq!(pass_exactly(&mut harness, 25 * SECOND), Ok(()));
    assert_eq!(harness.sent(), [(OpCode::Ping, Vec::new())]);
    assert_eq!(harness.pass(Duration::ZERO), Err(TimedOut::Message));
}

#[test]
fn the_closing_handshake_and_the_end_of_the_stream_have_deadlines() {
    for role in ROLES {
        let mut harness = Harness::open(role, &limits());
        harness.close(CloseCode::NORMAL, "");
        harness.out.clear();
        assert_eq!(harness.pass(2 * SECOND), Ok(()));
        assert_eq!(harness.feed(&frame(role, true, OpCode::Text, b"discarded")), []);
        assert_eq!(pass_exactly(&mut harness, 3 * SECOND), Err(TimedOut::Close));
        assert_eq!((harness.state(), harness.sent()), (State::Closed, Vec::new()));

        let mut harness = Harness::open(role, &limits());
        assert_eq!(harness.pass(SECOND), Ok(()));
        assert_eq!(harness.feed(&frame(role, true, OpCode::Close, b"")).len(), 1);
        assert_eq!(pass_exactly(&mut harness, 5 * SECOND), Err(TimedOut::Close));
    }
}

#[test]
fn times_beyond_the_clocks_range_are_no_deadlines() {
    let limits = Limits::default()
        .handshake_timeout(Duration::MAX)
        .message_timeout(Duration::MAX)
        .ping_interval(Some(Duration::MAX))
        .pong_timeout(Duration::MAX)
        .close_timeout(Duration::MAX);
    for role in ROLES {
        assert_eq!(Harness::connecting(role, &limits).time_left(), None);
        let mut harness = Harness::open(role, &limits);
        assert_eq!(harness.feed(&frame(role, false, OpCode::Text, b"")), []);
        assert_eq!(harness.time_left(), None);
        assert_eq!(harness.pass(1_000_000 * SECOND), Ok(()));
        harness.close(CloseCode::NORMAL, "");
        assert_eq!(harness.time_left(), None);
    }
}
