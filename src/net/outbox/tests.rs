use super::*;
use crate::proto::Message;

/// Takes up to `count` bytes, as a socket would.
fn drain(outbox: &mut Outbox, pool: &mut OutboxPool, count: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let (used, bytes) = outbox.slices(&mut slices);
    for slice in &slices[..used] {
        taken.extend_from_slice(slice);
    }
    assert_eq!(taken.len(), bytes);
    taken.truncate(count);
    outbox.consume(taken.len(), pool, Time::BEGINNING);
    taken
}

fn filled(pool: &mut OutboxPool) -> (Outbox, Vec<u8>) {
    let mut outbox = Outbox::default();
    outbox.push_frame(&Message::Binary(b"one").into(), None, pool);
    outbox.push_shared(Bytes::from_static(b"shared"), pool);
    outbox.push_frame(&Message::Text("two").into(), None, pool);
    outbox.push_bytes(b"three", pool);
    outbox.push_assembled(b"....four..".to_vec(), 4..8, pool);
    (outbox, b"\x82\x03oneshared\x81\x03twothreefour".to_vec())
}

#[test]
fn bytes_leave_in_order_however_the_socket_takes_them() {
    for step in 1..40 {
        let mut pool = OutboxPool::default();
        let (mut outbox, expected) = filled(&mut pool);
        assert_eq!(outbox.bytes(), expected.len());
        let mut sent = Vec::new();
        while !outbox.is_empty() {
            sent.extend(drain(&mut outbox, &mut pool, step));
            assert_eq!(outbox.bytes(), expected.len() - sent.len());
        }
        assert_eq!(sent, expected);
    }
}

#[test]
fn only_the_latest_pong_waits_and_goes_behind_what_was_begun() {
    for step in 1..40 {
        let mut pool = OutboxPool::default();
        let (mut outbox, _) = filled(&mut pool);
        let mut sent = drain(&mut outbox, &mut pool, 2);
        outbox.replace_pong(b"<old>", Role::Client, &mut pool);
        outbox.replace_pong(b"<pong>", Role::Client, &mut pool);
        while !outbox.is_empty() {
            sent.extend(drain(&mut outbox, &mut pool, step));
        }
        assert_eq!(&sent[5..11], b"<pong>");
        sent.drain(5..11);
        assert_eq!(sent, filled(&mut pool).1, "{step}");
    }
}

#[test]
fn a_pong_alone_leaves_in_pieces() {
    let mut pool = OutboxPool::default();
    let mut outbox = Outbox::default();
    outbox.replace_pong(b"<pong>", Role::Client, &mut pool);
    let mut sent = drain(&mut outbox, &mut pool, 4);
    outbox.replace_pong(b"<next>", Role::Client, &mut pool);
    while !outbox.is_empty() {
        sent.extend(drain(&mut outbox, &mut pool, 4));
    }
    assert_eq!(sent, b"<pong><next>");
}

#[test]
fn a_pong_waits_for_the_end_of_one_frame_however_much_is_sent_at_once() {
    const LEN: usize = 1000;
    let frame = [&[0x82, 126, (LEN >> 8) as u8, LEN as u8][..], &[7; LEN]].concat();
    let shared = Bytes::from(frame.repeat(1000));
    for sent in [0, 1, LEN, frame.len(), frame.len() * 500, frame.len() * 500 + 10] {
        let (mut outbox, mut pool) = (Outbox::default(), OutboxPool::default());
        outbox.push_shared(shared.clone(), &mut pool);
        outbox.push_shared(shared.clone(), &mut pool);
        drain(&mut outbox, &mut pool, sent);
        for pong in [b"<1>", b"<2>"] {
            outbox.replace_pong(pong, Role::Client, &mut pool);
        }
        assert_eq!(outbox.bytes(), 2 * shared.len() - sent + 3);
        assert_eq!(pool.queued(), outbox.bytes());
        let rest = drain(&mut outbox, &mut pool, usize::MAX);
        let begun = sent.next_multiple_of(frame.len()) - sent;
        assert_eq!(&rest[begun..begun + 3], b"<2>", "{sent}");
        assert_eq!(rest.len(), 2 * shared.len() - sent + 3);
    }
}

#[test]
fn truncation_keeps_what_was_begun() {
    let mut pool = OutboxPool::default();
    let (mut outbox, _) = filled(&mut pool);
    drain(&mut outbox, &mut pool, 3);
    outbox.replace_pong(b"<pong>", Role::Client, &mut pool);
    outbox.truncate(Role::Client, &mut pool);
    assert_eq!(outbox.bytes(), 2);
    outbox.push_bytes(b"<close>", &mut pool);
    assert_eq!(drain(&mut outbox, &mut pool, 20), b"ne<close>");
    assert!(outbox.is_empty());
}
#[test]
fn truncation_forgets_every_frame_that_was_not_begun() {
    let frames = [&b"\x82\x03one"[..], b"\x81\x00", b"\x82\x05three"].concat();
    let shared = Bytes::from(frames.clone());
    // How much was sent, and how much of that before the rest was queued.
    for sent in 0..=frames.len() {
        for before in 0..=sent {
            for copied in [true, false] {
                let mut pool = OutboxPool::default();
                let mut outbox = Outbox::default();
                let begun = end_of_begun(&frames, 0, before, Role::Client) - before;
                outbox.resume_frame(begun);
                if copied {
                    outbox.push_bytes(&frames[before..], &mut pool);
                } else {
                    outbox.push_shared(shared.slice(before..), &mut pool);
                }
                outbox.push_shared(shared.clone(), &mut pool);
                drain(&mut outbox, &mut pool, sent - before);
                outbox.truncate(Role::Client, &mut pool);
                let end = [0, 5, 7, 14].into_iter().find(|end| *end >= sent).unwrap();
                assert_eq!(outbox.bytes(), end - sent, "{sent}, {before}, {copied}");
                assert_eq!(pool.queued(), outbox.bytes());
                assert_eq!(drain(&mut outbox, &mut pool, 20), frames[sent..end]);
            }
        }
    }
}

#[test]
fn truncation_keeps_what_is_no_frame() {
    let mut pool = OutboxPool::default();
    let mut outbox = Outbox::default();
    outbox.push_bytes(b"HTTP/1.1 101 Switching Protocols", &mut pool);
    drain(&mut outbox, &mut pool, 5);
    outbox.truncate(Role::Client, &mut pool);
    assert_eq!(drain(&mut outbox, &mut pool, 100), b"1.1 101 Switching Protocols");
}
