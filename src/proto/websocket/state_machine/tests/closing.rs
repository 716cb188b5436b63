//! The closing handshake (RFC 6455 §7), begun by either end, also while messages are unfinished.

use super::*;

/// The payload of a close frame.
fn close(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

#[test]
fn nothing_follows_the_peers_reply_to_our_close_frame() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        harness.close(CloseCode::GOING_AWAY, "bye");
        assert_eq!(harness.state(), State::Closing);
        assert_eq!(harness.sent(), [(OpCode::Close, close(1001, "bye"))]);
        harness.close(CloseCode::NORMAL, "again");
        let answer = frame(role, true, OpCode::Close, &close(1001, ""));
        assert_eq!(harness.feed(&answer), [Seen::Close(close(1001, ""))]);
        assert_eq!((harness.state(), harness.sent()), (State::Closed, Vec::new()));
    }
}

#[test]
fn a_close_frame_gets_a_reply_with_its_code_and_later_input_is_ignored() {
    for role in ROLES {
        for (payload, answer) in [
            (close(1000, "done"), close(1000, "")),
            (close(4999, ""), close(4999, "")),
            (Vec::new(), Vec::new()),
        ] {
            let mut harness = Harness::open(role, &Limits::default());
            let stream = [
                frame(role, false, OpCode::Text, b"never finished"),
                frame(role, true, OpCode::Close, &payload),
                frame(role, true, OpCode::Ping, b"late"),
                b"\xFF no frame at all".to_vec(),
            ];
            assert_eq!(harness.feed(&stream.concat()), [Seen::Close(payload)]);
            assert_eq!(harness.state(), State::Closed);
            assert_eq!(harness.sent(), [(OpCode::Close, answer)]);
            assert_eq!(harness.feed(b"more of it"), []);
        }
    }
}

#[test]
fn close_frames_of_both_ends_may_cross() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        harness.close(CloseCode::NORMAL, "");
        harness.out.clear();
        let theirs = frame(role, true, OpCode::Close, &close(1001, "mine"));
        assert_eq!(harness.feed(&theirs), [Seen::Close(close(1001, "mine"))]);
        assert_eq!((harness.state(), harness.sent()), (State::Closed, Vec::new()));
    }
}

#[test]
fn invalid_close_frames_are_refused() {
    for role in ROLES {
        for (payload, error, code) in [
            (vec![3], ProtocolError::InvalidCloseLength, CloseCode::PROTOCOL),
            (close(1005, ""), ProtocolError::InvalidCloseCode(1005), CloseCode::PROTOCOL),
            (close(2999, "a"), ProtocolError::InvalidCloseCode(2999), CloseCode::PROTOCOL),
            (b"\x03\xE8\xFF".to_vec(), ProtocolError::InvalidUtf8, CloseCode::INVALID_PAYLOAD),
        ] {
            let mut harness = Harness::open(role, &Limits::default());
            let seen = harness.feed(&frame(role, true, OpCode::Close, &payload));
            assert_eq!(seen, [failed(error)]);
            assert_eq!(harness.state(), State::Closed);
            let told = close(code.get(), &error.to_string());
            assert_eq!(harness.sent(), [(OpCode::Close, told)]);
        }
    }
}

#[test]
fn between_our_close_frame_and_the_peers_nothing_is_yielded_or_sent() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        let half = frame(role, true, OpCode::Text, &[b'x'; 300]);
        let stream = [
            frame(role, false, OpCode::Text, b"begun \xE2"),
            // The rest is discarded, so it need not be valid text.
            frame(role, false, OpCode::Continuation, b"\xFF"),
            frame(role, true, OpCode::Ping, b"no pong"),
            frame(role, true, OpCode::Continuation, b"\xFF"),
            frame(role, true, OpCode::Text, b"whole"),
            frame(role, true, OpCode::Pong, b""),
            half.clone(),
        ];
        let cut = stream[0].len() - 2;
        let stream = stream.concat();
        assert_eq!(harness.feed(&stream[..cut]), []);
        harness.close(CloseCode::NORMAL, "");
        assert_eq!(harness.sent().len(), 1);
        assert!(!harness.send("too late"));
        assert!(!harness.with(|connection, workspace| connection.ping(b"", workspace)));
        assert_eq!(harness.feed(&stream[cut..]), []);
        assert_eq!(harness.feed(&half[..half.len() - 1]), []);
        assert_eq!((harness.state(), harness.sent()), (State::Closing, Vec::new()));
        let rest = [&half[half.len() - 1..], &frame(role, true, OpCode::Close, b"")].concat();
        assert_eq!(harness.feed(&rest), [Seen::Close(Vec::new())]);
    }
}

#[test]
fn a_long_payload_is_discarded_once_the_connection_closes() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        let long = frame(role, true, OpCode::Binary, &[1; 50_000]);
        harness.receive_direct(&long[..20_000]);
        assert!(harness.connection.payload_buffer(&mut harness.pool).is_some());
        harness.close(CloseCode::NORMAL, "");
        assert!(harness.connection.payload_buffer(&mut harness.pool).is_none());
        assert!(format!("{:?}", harness.connection).contains("Buffer(0 of 0 bytes)"));
        assert_eq!(harness.feed(&long[20_000..]), []);
        let answer = frame(role, true, OpCode::Close, b"");
        assert_eq!(harness.feed(&answer), [Seen::Close(Vec::new())]);
    }
}

#[test]
fn an_error_after_our_close_frame_ends_the_connection_without_another() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        harness.close(CloseCode::NORMAL, "");
        harness.out.clear();
        assert_eq!(harness.feed(b"\x83"), [failed(ProtocolError::ReservedOpCode(3))]);
        assert_eq!((harness.state(), harness.sent()), (State::Closed, Vec::new()));
    }
}

#[test]
fn a_code_that_must_not_be_sent_is_left_out_and_a_long_reason_is_cut() {
    let long = "é".repeat(100);
    for role in ROLES {
        for (code, reason, payload) in [
            (CloseCode::ABNORMAL, "kept to ourselves", Vec::new()),
            (CloseCode::NORMAL, &long, close(1000, &long[..122])),
        ] {
            let mut harness = Harness::open(role, &Limits::default());
            harness.close(code, reason);
            assert_eq!(harness.sent(), [(OpCode::Close, payload)]);
        }
    }
}

#[test]
fn a_connection_that_is_not_open_yet_is_closed_without_a_frame() {
    for role in ROLES {
        let mut harness = Harness::connecting(role, &Limits::default());
        harness.out.clear();
        assert!(!harness.send("too early"));
        harness.close(CloseCode::NORMAL, "");
        assert_eq!((harness.state(), harness.out.len()), (State::Closed, 0));
        assert_eq!(harness.feed(b"GET / HTTP/1.1\r\n"), []);
    }
}
