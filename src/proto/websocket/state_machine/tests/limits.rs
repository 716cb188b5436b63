//! Limits are exact, are checked at the first byte that exceeds them, and bound the memory.

use std::slice::from_ref;

use super::*;

/// Feeds `fragments` as one message of bytes.
fn feed_fragments(harness: &mut Harness, fragments: &[&[u8]]) -> Vec<Seen> {
    let role = harness.connection.role();
    let mut stream = Vec::new();
    for (number, payload) in fragments.iter().enumerate() {
        let opcode = if number == 0 { OpCode::Binary } else { OpCode::Continuation };
        stream.extend(frame(role, number + 1 == fragments.len(), opcode, payload));
    }
    harness.feed(&stream)
}

#[test]
fn a_message_may_be_as_long_as_the_limit_in_one_frame_or_several() {
    let limits = Limits::default().max_message(10);
    let error = failed(ProtocolError::MessageTooLarge { limit: 10 });
    let table: [(&[&[u8]], Seen); 6] = [
        (&[&[1; 10]], Seen::Binary(vec![1; 10])),
        (&[&[1; 9], &[1; 1]], Seen::Binary(vec![1; 10])),
        (&[&[1; 10], &[], &[]], Seen::Binary(vec![1; 10])),
        (&[&[1; 11]], failed(ProtocolError::FrameTooLarge { len: 11, limit: 10 })),
        (&[&[1; 10], &[1; 1]], error.clone()),
        (&[&[1; 3], &[1; 4], &[1; 4]], error),
    ];
    for role in ROLES {
        for (fragments, seen) in &table {
            let mut harness = Harness::open(role, &limits);
            assert_eq!(feed_fragments(&mut harness, fragments), from_ref(seen));
            let refused = matches!(seen, Seen::Failed(_));
            assert_eq!(harness.state() == State::Closed, refused);
            let told = harness.sent().pop().map(|(_, payload)| payload[..2].to_vec());
            assert_eq!(told, refused.then(|| 1009_u16.to_be_bytes().to_vec()));
        }
    }
}

#[test]
fn a_frame_may_be_as_long_as_its_limit() {
    let limits = Limits::default().max_frame(4);
    for role in ROLES {
        let mut harness = Harness::open(role, &limits);
        let seen = feed_fragments(&mut harness, &[b"abcd", b"efgh"]);
        assert_eq!(seen, [Seen::Binary(b"abcdefgh".to_vec())]);
        let seen = feed_fragments(&mut harness, &[b"abcd", b"efghi"]);
        assert_eq!(seen, [failed(ProtocolError::FrameTooLarge { len: 5, limit: 4 })]);
    }
    // A higher limit of frames does not raise that of messages.
    let mut harness = Harness::open(Role::Client, &Limits::default().max_message(4).max_frame(9));
    let seen = feed_fragments(&mut harness, &[b"abcde"]);
    assert_eq!(seen, [failed(ProtocolError::MessageTooLarge { limit: 4 })]);
}

#[test]
fn a_message_may_come_in_as_many_fragments_as_the_limit() {
    let error = failed(ProtocolError::TooManyFragments { limit: 3 });
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default().max_fragments(3));
        for _ in 0..2 {
            let seen = feed_fragments(&mut harness, &[b"a", b"b", b"c"]);
            assert_eq!(seen, [Seen::Binary(b"abc".to_vec())]);
        }
        let seen = feed_fragments(&mut harness, &[b"a", b"b", b"c", b"d"]);
        assert_eq!(seen, from_ref(&error));

        let mut harness = Harness::open(role, &Limits::default().max_fragments(0));
        let whole = feed_fragments(&mut harness, &[b"not a fragment"]);
        assert_eq!(whole, [Seen::Binary(b"not a fragment".to_vec())]);
        let seen = feed_fragments(&mut harness, &[b"a", b"b"]);
        assert_eq!(seen, [failed(ProtocolError::TooManyFragments { limit: 0 })]);
    }
}

#[test]
fn a_frame_too_long_is_refused_by_its_header_alone() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        let seen = harness.feed(&header(role, true, OpCode::Binary, 1 << 62));
        let limit = Limits::default().message();
        assert_eq!(seen, [failed(ProtocolError::FrameTooLarge { len: 1 << 62, limit })]);
        assert_eq!(harness.connection.buffered_bytes(), 0);
    }
}

#[test]
fn storage_follows_what_arrives_not_what_is_declared() {
    let limits = Limits::default().max_message(usize::MAX);
    for role in ROLES {
        let mut harness = Harness::open(role, &limits);
        assert_eq!(harness.feed(&header(role, true, OpCode::Binary, 1 << 62)), []);
        assert!(format!("{:?}", harness.connection).contains("Buffer(0 of 0 bytes)"));
        assert_eq!(harness.feed(b"one"), []);
        assert!(format!("{:?}", harness.connection).contains("Buffer(3 of 4096 bytes)"));
        // Too little has arrived for direct receiving.
        assert!(harness.connection.payload_buffer(&mut harness.pool).is_none());
        assert_eq!(harness.feed(&[b'*'; 4093]), []);
        let spare = harness.connection.payload_buffer(&mut harness.pool).map(|spare| spare.len());
        assert_eq!(spare, Some(16 * 1024));
    }
}

#[test]
fn a_million_fragments_of_one_byte_cost_no_more_than_their_bytes() {
    const COUNT: usize = 1_000_000;
    let limits = Limits::default().max_message(COUNT).max_fragments(COUNT);
    let mut harness = Harness::open(Role::Client, &limits);
    let mut stream = frame(Role::Client, false, OpCode::Text, b"a");
    stream.extend(frame(Role::Client, false, OpCode::Continuation, b"a").repeat(COUNT - 2));
    assert_eq!(harness.feed(&stream), []);
    let mut last = frame(Role::Client, true, OpCode::Continuation, b"a");
    let received = harness.with(|connection, workspace| {
        let Handled { event, .. } = connection.handle_input(&mut last, workspace).unwrap();
        match event {
            Some(Event::Message(Incoming::Assembled(OpCode::Text, buffer))) => buffer,
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(received.as_slice().len(), COUNT);
    assert!(received.into_storage().0.capacity() <= 2 * COUNT + 4096);
}

#[test]
fn control_frames_and_empty_fragments_have_a_rate() {
    let limits = Limits::default().control_rate(10, 5).max_fragments(100);
    let flood = failed(ProtocolError::ControlFlood);
    for role in ROLES {
        let ping = frame(role, true, OpCode::Ping, b"");
        let pong = frame(role, true, OpCode::Pong, b"pong");
        let begun = frame(role, false, OpCode::Text, b"begun");
        let empty = frame(role, false, OpCode::Continuation, b"");
        for cheap in [&ping, &pong, &empty] {
            let mut harness = Harness::open(role, &limits);
            assert_eq!(harness.feed(&begun), []);
            harness.feed(&cheap.repeat(5));
            assert_eq!(harness.state(), State::Open);
            // After a tenth of a second one more may come, and only one.
            harness.now += Duration::from_millis(100);
            harness.feed(cheap);
            assert_eq!(harness.state(), State::Open);
            harness.out.clear();
            assert_eq!(harness.feed(cheap), from_ref(&flood));
            let told = harness.sent().pop().map(|(_, payload)| payload[..2].to_vec());
            assert_eq!(told, Some(1008_u16.to_be_bytes().to_vec()));
        }

        let mut harness = Harness::open(role, &limits);
        let message = frame(role, true, OpCode::Binary, b"");
        assert_eq!(harness.feed(&message.repeat(100)).len(), 100);
        assert_eq!(harness.state(), State::Open);
    }
}

#[test]
fn pongs_that_answer_our_pings_do_not_count() {
    let limits = Limits::default().control_rate(10, 5);
    let flood = failed(ProtocolError::ControlFlood);
    let ping = |harness: &mut Harness, count| {
        for _ in 0..count {
            assert!(harness.with(|connection, workspace| connection.ping(b"?", workspace)));
        }
    };
    for role in ROLES {
        let pong = frame(role, true, OpCode::Pong, b"?");
        let mut harness = Harness::open(role, &limits);
        ping(&mut harness, 300);
        assert_eq!(harness.feed(&pong.repeat(300)).len(), 300);
        // Other frames still count.
        assert_eq!(harness.feed(&pong.repeat(5)).len(), 5);
        assert_eq!(harness.feed(&pong), from_ref(&flood));

        // One pong may answer several pings, and the others come later.
        let mut harness = Harness::open(role, &limits);
        ping(&mut harness, 3);
        assert_eq!(harness.feed(&pong).len(), 1);
        harness.now += Duration::from_secs(3600);
        assert_eq!(harness.feed(&pong.repeat(7)).len(), 7);
        assert_eq!(harness.feed(&pong), from_ref(&flood));

        // Pongs to the keep-alive pings do not count, either.
        let mut harness = Harness::open(role, &limits);
        assert_eq!(harness.pass(Duration::from_secs(25)), Ok(()));
        assert_eq!(harness.feed(&pong.repeat(6)).len(), 6);
        assert_eq!(harness.feed(&pong), from_ref(&flood));

        // The peer's pings count even after ours.
        let mut harness = Harness::open(role, &limits);
        ping(&mut harness, 300);
        let unasked = frame(role, true, OpCode::Ping, b"");
        assert_eq!(harness.feed(&unasked.repeat(6)).last(), Some(&flood));
    }
}

#[test]
fn room_is_made_for_about_as_much_again_as_has_arrived() {
    for role in ROLES {
        let mut harness = Harness::open(role, &Limits::default());
        let long = frame(role, true, OpCode::Binary, &[1; 1 << 20]);
        let mut from = 0;
        for to in [20, 21, 1_000, 20_000, 100_000, 500_000] {
            harness.receive_direct(&long[from..to]);
            from = to;
            let held = harness.connection.buffered_bytes();
            assert!(held >= to - 20 && held <= 5 * to + 4_096, "{held} bytes for {to}");
        }
        harness.receive_direct(&long[from..]);
        assert_eq!((harness.seen.len(), harness.connection.buffered_bytes()), (1, 0));
    }
}
