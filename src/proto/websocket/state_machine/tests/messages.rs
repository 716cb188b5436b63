//! Messages, pings and pongs, byte for byte.

use super::*;
use crate::proto::handshake::Refusal;

/// RFC 6455 §5.7, frame for frame.
#[test]
fn the_examples_of_rfc_6455_5_7() {
    let pong = Seen::Pong(b"Hello".to_vec());
    let [mut short, mut long] = [&b"\x82\x7E\x01\x00"[..], b"\x82\x7F\0\0\0\0\0\x01\0\0"];
    let [short, long] = [(&mut short, 256), (&mut long, 65_536)].map(|(header, len)| {
        let bytes = vec![0xA5; len];
        ([header, &bytes[..]].concat(), Seen::Binary(bytes))
    });
    let masked = b"\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58".to_vec();
    let masked_pong = b"\x8A\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58".to_vec();
    for (role, stream, seen) in [
        (Role::Client, b"\x81\x05Hello".to_vec(), text("Hello")),
        (Role::Server, masked, text("Hello")),
        (Role::Client, b"\x01\x03Hel\x80\x02lo".to_vec(), text("Hello")),
        (Role::Client, b"\x89\x05Hello".to_vec(), Seen::Ping(b"Hello".to_vec())),
        (Role::Server, masked_pong, pong),
        (Role::Client, short.0, short.1),
        (Role::Client, long.0, long.1),
    ] {
        let mut harness = Harness::open(role, &Limits::default());
        assert_eq!(harness.feed(&stream), [seen]);
    }
}

#[test]
fn frames_that_come_with_the_opening_head_are_received_after_it() {
    for role in ROLES {
        let (mut stream, key) = (Vec::new(), Key::from_nonce([7; 16]));
        match role {
            Role::Server => asked().write(&key, &mut stream),
            Role::Client => Acceptance::new().write(&key, &mut stream),
        }
        let head = stream.len();
        stream.extend(frame(role, true, OpCode::Text, b"early"));
        stream.extend(frame(role, true, OpCode::Ping, b"?"));
        for cut in 0..=stream.len() {
            let mut harness = Harness::connecting(role, &Limits::default());
            harness.receive(&stream[..cut]);
            assert_eq!(harness.state() == State::Connecting, cut < head);
            harness.receive(&stream[cut..]);
            assert_eq!(harness.seen, [text("early"), Seen::Ping(b"?".to_vec())], "cut at {cut}");
        }
    }
}

#[test]
fn a_connection_that_begins_open_handles_frames_at_once() {
    for role in ROLES {
        let limits = Limits::default();
        let mut harness = Harness::connecting(role, &limits);
        harness.connection = WebSocket::opened(role, Arc::new(limits.clone()), harness.now);
        harness.out.clear();
        assert_eq!(harness.feed(&frame(role, true, OpCode::Text, b"at once")), [text("at once")]);
        assert_eq!(harness.feed(&frame(role, true, OpCode::Ping, b"")), [Seen::Ping(Vec::new())]);
        assert_eq!(harness.sent(), [(OpCode::Pong, Vec::new())]);
        assert_eq!(harness.time_left(), limits.ping_interval);
    }
}

#[test]
fn no_input_is_consumed_between_a_request_and_its_response() {
    let (mut stream, key) = (Vec::new(), Key::from_nonce([7; 16]));
    asked().write(&key, &mut stream);
    let head = stream.len();
    stream.extend(frame(Role::Server, true, OpCode::Text, b"early"));
    let mut harness = Harness::connecting(Role::Server, &Limits::default());
    harness.with(|connection, workspace| {
        let Handled { consumed: used, event } =
            connection.handle_input(&mut stream, workspace).unwrap();
        assert!(used == head && matches!(event, Some(Event::Request(_))));
        let waiting = connection.handle_input(&mut stream[head..], workspace).unwrap();
        assert!(matches!(waiting, Handled { consumed: 0, event: None }));
        connection.refuse(&Refusal::new(404), workspace);
    });
    assert!(harness.out.starts_with(b"HTTP/1.1 404 "));
    assert_eq!(harness.state(), State::Closed);
    assert_eq!(harness.feed(&stream[head..]), []);
}

#[test]
fn a_server_does_not_mask_and_a_client_masks_with_a_fresh_key_each_time() {
    let mut server = Harness::open(Role::Server, &Limits::default());
    assert!(server.send("hi"));
    assert_eq!(server.out, b"\x81\x02hi");

    let mut client = Harness::open(Role::Client, &Limits::default());
    assert!(client.send("hi") && client.send("hi"));
    let (one, other) = client.out.split_at(8);
    assert_eq!((&one[..2], &other[..2]), (&b"\x81\x82"[..], &b"\x81\x82"[..]));
    assert_ne!(one[2..6], other[2..6]);
    assert_eq!(client.sent(), [(OpCode::Text, b"hi".to_vec()), (OpCode::Text, b"hi".to_vec())]);
}

#[test]
fn a_pong_has_the_pings_payload_also_inside_a_message() {
    for role in ROLES {
        for len in [0, 1, 125] {
            let mut harness = Harness::open(role, &Limits::default());
            let payload = vec![b'p'; len];
            let stream = [
                frame(role, false, OpCode::Text, b"\xE2\x82"),
                frame(role, true, OpCode::Ping, &payload),
                frame(role, true, OpCode::Pong, &payload),
                frame(role, true, OpCode::Continuation, b"\xAC"),
            ];
            let seen = harness.feed(&stream.concat());
            assert_eq!(seen, [Seen::Ping(payload.clone()), Seen::Pong(payload.clone()), text("€")]);
            assert_eq!(harness.sent(), [(OpCode::Pong, payload)]);
        }
    }
}

#[test]
fn our_ping_is_cut_to_the_length_of_a_control_frame() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        let sent = harness.with(|connection, workspace| connection.ping(&[1; 200], workspace));
        assert!(sent);
        assert_eq!(harness.sent(), [(OpCode::Ping, vec![1; 125])]);
    }
}

#[test]
fn a_message_may_be_empty_and_so_may_its_fragments() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        let stream = [
            frame(role, true, OpCode::Binary, b""),
            frame(role, false, OpCode::Text, b""),
            frame(role, false, OpCode::Continuation, b"a"),
            frame(role, false, OpCode::Continuation, b""),
            frame(role, true, OpCode::Continuation, b""),
            frame(role, false, OpCode::Binary, b""),
            frame(role, true, OpCode::Continuation, b""),
        ];
        let seen = harness.feed(&stream.concat());
        assert_eq!(seen, [Seen::Binary(Vec::new()), text("a"), Seen::Binary(Vec::new())]);
    }
}

#[test]
fn fragments_out_of_sequence_are_refused() {
    for role in ROLES {
        let begun = frame(role, false, OpCode::Text, b"a");
        for (stream, error) in [
            (frame(role, true, OpCode::Continuation, b"a"), ProtocolError::UnexpectedContinuation),
            (frame(role, false, OpCode::Continuation, b""), ProtocolError::UnexpectedContinuation),
            (
                [&begun[..], &frame(role, true, OpCode::Text, b"b")].concat(),
                ProtocolError::InterruptedMessage,
            ),
            (
                [&begun[..], &frame(role, false, OpCode::Binary, b"b")].concat(),
                ProtocolError::InterruptedMessage,
            ),
        ] {
            let mut harness = Harness::open(role, &Limits::default());
            assert_eq!(harness.feed(&stream), [failed(error)]);
            assert_eq!(harness.state(), State::Closed);
            let payload = [&b"\x03\xEA"[..], error.to_string().as_bytes()].concat();
            assert_eq!(harness.sent(), [(OpCode::Close, payload)]);
        }
    }
}

#[test]
fn text_fails_at_the_first_impossible_byte_of_an_unfinished_frame() {
    for role in ROLES {
        for (before, bad) in [("", 0xFF), ("abc", 0x80), ("€", 0xC0)] {
            for first in [OpCode::Text, OpCode::Continuation] {
                let mut harness = Harness::open(role, &Limits::default());
                if first == OpCode::Continuation {
                    let begun = frame(role, false, OpCode::Text, b"begun");
                    assert_eq!(harness.feed(&begun), []);
                }
                // The header announces much more than arrives.
                let payload = [before.as_bytes(), &[bad], &[b'z'; 1000]].concat();
                let bytes = frame(role, true, first, &payload);
                let good = bytes.len() - 1001;
                assert_eq!(harness.feed(&bytes[..good]), []);
                let seen = harness.feed(&bytes[good..=good]);
                assert_eq!(seen, [failed(ProtocolError::InvalidUtf8)]);
                assert_eq!(harness.sent()[0].1[..2], 1007_u16.to_be_bytes());
            }
        }
    }
}

#[test]
fn text_that_is_cut_inside_a_character_fails_with_its_last_frame() {
    for role in ROLES {
        for stream in [
            frame(role, true, OpCode::Text, b"\xE2\x82"),
            [
                frame(role, false, OpCode::Text, b"\xE2\x82"),
                frame(role, true, OpCode::Continuation, b""),
            ]
            .concat(),
        ] {
            let mut harness = Harness::open(role, &Limits::default());
            assert_eq!(harness.feed(&stream[..stream.len() - 1]), []);
            let seen = harness.feed(&stream[stream.len() - 1..]);
            assert_eq!(seen, [failed(ProtocolError::InvalidUtf8)]);
        }
    }
}

#[test]
fn nothing_of_an_ended_connection_gets_into_the_next() {
    for role in ROLES {
        // Messages that end inside a character, beyond a limit, or out of sequence.
        let wrongs = [
            frame(role, true, OpCode::Text, b"abc\xC3"),
            [frame(role, false, OpCode::Text, b"abc\xC3"), frame(role, true, OpCode::Text, b"")]
                .concat(),
            [
                frame(role, false, OpCode::Binary, b"abc"),
                header(role, true, OpCode::Continuation, 1 << 40),
            ]
            .concat(),
            [frame(role, false, OpCode::Text, b"abc"), header(role, false, OpCode::Ping, 0)]
                .concat(),
        ];
        for wrong in wrongs {
            let mut harness = Harness::open(role, &Limits::default());
            // In two pieces, so that the first must be kept.
            assert_eq!(harness.feed(&wrong[..1]), []);
            assert!(matches!(harness.feed(&wrong[1..])[..], [Seen::Failed(_)]));
            let limits = Arc::new(Limits::default());
            harness.connection = WebSocket::opened(role, limits, harness.now);
            let text = [
                frame(role, false, OpCode::Text, b"one"),
                frame(role, true, OpCode::Continuation, b" more"),
            ];
            assert_eq!(harness.feed(&text.concat()), [Seen::Text("one more".to_owned())]);
        }
    }
}
