use proptest::prelude::*;

use super::*;
use crate::net::outbox::OutboxPool;
use crate::net::outbox::end_of_begun;
use crate::proto::Message;
use crate::slots::{Key, Slots};
use crate::topics::Position;

/// Takes up to `count` bytes, as a stream would.
fn drain(outbox: &mut Outbox, storage: &mut FrameStorage, count: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let Offer { slices: used, bytes } = outbox.slices(&mut slices, storage);
    for slice in &slices[..used] {
        taken.extend_from_slice(slice);
    }
    assert_eq!(taken.len(), bytes);
    taken.truncate(count);
    outbox.consume(taken.len(), storage, Time::BEGINNING);
    taken
}

fn filled(storage: &mut FrameStorage) -> (Outbox, Vec<u8>) {
    let mut outbox = Outbox::default();
    outbox.push_frame(&Message::Binary(b"one").into(), Envelope::Frame(None), storage);
    outbox.push_shared(&Bytes::from_static(b"shared"), 0..6, storage);
    outbox.push_frame(&Message::Text("two").into(), Envelope::Frame(None), storage);
    outbox.push_bytes(b"three", storage);
    outbox.push_assembled(b"....four..".to_vec(), 4..8, storage);
    (outbox, b"\x82\x03oneshared\x81\x03twothreefour".to_vec())
}

#[test]
fn bytes_leave_in_order_however_the_socket_takes_them() {
    for step in 1..40 {
        let mut storage = FrameStorage::default();
        let (mut outbox, expected) = filled(&mut storage);
        assert_eq!(outbox.bytes(), expected.len());
        let mut sent = Vec::new();
        while !outbox.is_empty() {
            sent.extend(drain(&mut outbox, &mut storage, step));
            assert_eq!(outbox.bytes(), expected.len() - sent.len());
        }
        assert_eq!(sent, expected);
    }
}

#[test]
fn only_the_latest_pong_waits_and_goes_behind_what_was_begun() {
    for step in 1..40 {
        let mut storage = FrameStorage::default();
        let (mut outbox, _) = filled(&mut storage);
        let mut sent = drain(&mut outbox, &mut storage, 2);
        outbox.replace_pong(b"<old>", Framing::Unmasked, &mut storage);
        outbox.replace_pong(b"<pong>", Framing::Unmasked, &mut storage);
        while !outbox.is_empty() {
            sent.extend(drain(&mut outbox, &mut storage, step));
        }
        assert_eq!(&sent[5..11], b"<pong>");
        sent.drain(5..11);
        assert_eq!(sent, filled(&mut storage).1, "{step}");
    }
}

#[test]
fn a_pong_alone_leaves_in_pieces() {
    let mut storage = FrameStorage::default();
    let mut outbox = Outbox::default();
    outbox.replace_pong(b"<pong>", Framing::Unmasked, &mut storage);
    let mut sent = drain(&mut outbox, &mut storage, 4);
    outbox.replace_pong(b"<next>", Framing::Unmasked, &mut storage);
    while !outbox.is_empty() {
        sent.extend(drain(&mut outbox, &mut storage, 4));
    }
    assert_eq!(sent, b"<pong><next>");
}

#[test]
fn a_pong_waits_for_the_end_of_one_frame_however_much_is_sent_at_once() {
    const LEN: usize = 1000;
    let frame = [&[0x82, 126, (LEN >> 8) as u8, LEN as u8][..], &[7; LEN]].concat();
    let shared = Bytes::from(frame.repeat(1000));
    for sent in [0, 1, LEN, frame.len(), frame.len() * 500, frame.len() * 500 + 10] {
        let (mut outbox, mut storage) = (Outbox::default(), FrameStorage::default());
        outbox.push_shared(&shared, 0..shared.len(), &mut storage);
        outbox.push_shared(&shared, 0..shared.len(), &mut storage);
        drain(&mut outbox, &mut storage, sent);
        for pong in [b"<1>", b"<2>"] {
            outbox.replace_pong(pong, Framing::Unmasked, &mut storage);
        }
        assert_eq!(outbox.bytes(), 2 * shared.len() - sent + 3);
        assert_eq!(storage.queued(), outbox.bytes());
        let rest = drain(&mut outbox, &mut storage, usize::MAX);
        let begun = sent.next_multiple_of(frame.len()) - sent;
        assert_eq!(&rest[begun..begun + 3], b"<2>", "{sent}");
        assert_eq!(rest.len(), 2 * shared.len() - sent + 3);
    }
}

#[test]
fn truncation_keeps_what_was_begun() {
    let mut storage = FrameStorage::default();
    let (mut outbox, _) = filled(&mut storage);
    drain(&mut outbox, &mut storage, 3);
    outbox.replace_pong(b"<pong>", Framing::Unmasked, &mut storage);
    outbox.truncate(Framing::Unmasked, &mut storage);
    assert_eq!(outbox.bytes(), 2);
    outbox.push_bytes(b"<close>", &mut storage);
    assert_eq!(drain(&mut outbox, &mut storage, 20), b"ne<close>");
    assert!(outbox.is_empty());
}

#[test]
fn truncation_drops_every_frame_of_which_nothing_was_sent() {
    let frames = [&b"\x82\x03one"[..], b"\x81\x00", b"\x82\x05three"].concat();
    let shared = Bytes::from(frames.clone());
    // How much was sent, and how much of that before the rest was queued.
    for sent in 0..=frames.len() {
        for before in 0..=sent {
            for copied in [true, false] {
                let mut storage = FrameStorage::default();
                let mut outbox = Outbox::default();
                let begun = end_of_begun(&frames, 0, before, Framing::Unmasked) - before;
                outbox.resume_frame(begun);
                if copied {
                    outbox.push_bytes(&frames[before..], &mut storage);
                } else {
                    outbox.push_shared(&shared, before..frames.len(), &mut storage);
                }
                outbox.push_shared(&shared, 0..frames.len(), &mut storage);
                drain(&mut outbox, &mut storage, sent - before);
                outbox.truncate(Framing::Unmasked, &mut storage);
                let end = [0, 5, 7, 14].into_iter().find(|end| *end >= sent).unwrap();
                assert_eq!(outbox.bytes(), end - sent, "{sent}, {before}, {copied}");
                assert_eq!(storage.queued(), outbox.bytes());
                assert_eq!(drain(&mut outbox, &mut storage, 20), frames[sent..end]);
            }
        }
    }
}

#[test]
fn truncation_keeps_the_rest_of_what_is_no_frame() {
    let mut storage = FrameStorage::default();
    let mut outbox = Outbox::default();
    outbox.push_bytes(b"HTTP/1.1 101 Switching Protocols", &mut storage);
    drain(&mut outbox, &mut storage, 5);
    outbox.truncate(Framing::Unmasked, &mut storage);
    assert_eq!(drain(&mut outbox, &mut storage, 100), b"1.1 101 Switching Protocols");
}

#[test]
fn the_memory_of_what_was_sent_is_given_back_and_a_begun_frame_stays_begun() {
    let long = [&[0x82, 126, 0x75, 0x30][..], &[b'l'; 30_000], b"\x82\x03end"].concat();
    for sent in [0, 1, 20_000, 29_999, 30_003, 30_004, 30_005, 30_008] {
        let (mut storage, mut outbox) = (FrameStorage::default(), Outbox::default());
        outbox.push_bytes(&long, &mut storage);
        outbox.consume(sent, &mut storage, Time::BEGINNING);
        outbox.trim(Framing::Unmasked, &mut storage);
        assert!(outbox.memory() <= 2 * outbox.bytes() + 5_000, "{} after {sent}", outbox.memory());
        outbox.truncate(Framing::Unmasked, &mut storage);
        let end = [0, 30_004, 30_009].into_iter().find(|end| *end >= sent).unwrap();
        assert_eq!(drain(&mut outbox, &mut storage, 40_000), long[sent..end], "{sent}");
    }
}

/// Something that happens to an outbox, and how much of it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Bytes(usize),
    Assembled(usize),
    Shared(usize),
    Batch(usize),
    Pong(usize),
    Consume(usize),
    Trim,
    Truncate,
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![0..300_usize, 0..90_000_usize];
    prop_oneof![
        3 => len().prop_map(Step::Bytes),
        1 => len().prop_map(Step::Assembled),
        1 => len().prop_map(Step::Shared),
        3 => len().prop_map(Step::Batch),
        1 => (2..127_usize).prop_map(Step::Pong),
        6 => len().prop_map(Step::Consume),
        1 => Just(Step::Trim),
        1 => Just(Step::Truncate),
    ]
}

fn apply(step: Step, outbox: &mut Outbox, storage: &mut FrameStorage, topic: Key) {
    match step {
        Step::Bytes(len) => outbox.push_bytes(&vec![1; len], storage),
        Step::Assembled(len) => outbox.push_assembled(vec![2; len + 20], 10..10 + len, storage),
        Step::Shared(len) => outbox.push_shared(&Bytes::from(vec![3; len]), 0..len, storage),
        Step::Batch(len) => {
            let (batch, source) = (
                Bytes::from(vec![4; len]),
                Source { topic, first: None, position: Position::new(0, 0) },
            );
            outbox.push_run(&Run::form(&batch, Some(source)), source, 0, storage);
        }
        Step::Pong(len) => outbox.replace_pong(&vec![5; len], Framing::Unmasked, storage),
        Step::Consume(len) => {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let offered = outbox.slices(&mut slices, storage).bytes;
            outbox.consume(len.min(offered), storage, Time::BEGINNING);
        }
        Step::Trim => outbox.trim(Framing::Unmasked, storage),
        Step::Truncate => outbox.truncate(Framing::Unmasked, storage),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]
    #[test]
    fn what_is_counted_is_what_is_held(
        steps in prop::collection::vec((0..3_usize, step()), 0..60),
    ) {
        let (mut pool, mut storage) = (OutboxPool::default(), FrameStorage::default());
        let topic = Slots::with_capacity(1).insert(());
        let mut outboxes: Vec<_> = (0..3).map(|_| pool.take(&mut storage)).collect();
        for (place, step) in steps {
            apply(step, &mut outboxes[place], &mut storage, topic);
            let (mut held, mut waiting) = (0, 0);
            for outbox in &outboxes {
                let chunks: usize = outbox.chunks.iter().map(Chunk::memory).sum();
                prop_assert_eq!(outbox.memory(), size_of::<Outbox>() + chunks);
                let bytes: usize = outbox.chunks.iter().map(Chunk::len).sum();
                prop_assert_eq!(outbox.bytes(), bytes);
                (held, waiting) = (held + outbox.memory(), waiting + outbox.bytes());
            }
            prop_assert_eq!((storage.own_memory(), storage.queued()), (held, waiting));
        }
        outboxes.into_iter().for_each(|outbox| pool.give(outbox, &mut storage));
        storage.shared.clear_batch_cache();
        prop_assert_eq!((storage.memory(), storage.queued()), (0, 0));
    }
}
