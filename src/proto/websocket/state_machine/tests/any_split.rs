//! However a stream is split, a connection yields what the reference yields.

use proptest::prelude::*;
use proptest::sample::Index;

use super::reference::{Outcome, outcome};
use super::*;

/// Limits, with the burst of control frames that they allow.
fn limits() -> impl Strategy<Value = (Limits, u32)> {
    let roomy = Limits::default();
    let tiny = roomy.clone().max_message(40).max_frame(24).max_fragments(3);
    let frames = roomy.clone().max_frame(20_000);
    let messages = roomy.clone().max_message(66_000).max_frame(usize::MAX);
    let nothing = roomy.clone().max_message(0).max_fragments(0);
    let burst = prop_oneof![4 => Just(1_000), 1 => 0_u32..6];
    (prop::sample::select(vec![roomy.clone(), roomy, tiny, frames, messages, nothing]), burst)
        .prop_map(|(limits, burst)| (limits.control_rate(1, burst), burst))
}

/// A message or control frame of a stream.
#[derive(Clone, Debug)]
enum Item {
    Message { opcode: OpCode, payload: Vec<u8>, cuts: Vec<Index>, between: Vec<(usize, Control)> },
    Control(Control),
}

#[derive(Clone, Debug)]
struct Control {
    opcode: OpCode,
    payload: Vec<u8>,
}

impl Item {
    fn write(&self, role: Role, stream: &mut Vec<u8>) {
        let (opcode, payload, cuts, between) = match self {
            Self::Message { opcode, payload, cuts, between } => (opcode, payload, cuts, between),
            Self::Control(control) => return control.write(role, stream),
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(payload.len());
        let mut start = 0;
        for (number, &end) in cuts.iter().enumerate() {
            let opcode = if number == 0 { *opcode } else { OpCode::Continuation };
            let fin = number + 1 == cuts.len();
            stream.extend(frame(role, fin, opcode, &payload[start..end]));
            start = end;
            for (_, control) in between.iter().filter(|(after, _)| *after == number && !fin) {
                control.write(role, stream);
            }
        }
    }
}

impl Control {
    fn write(&self, role: Role, stream: &mut Vec<u8>) {
        stream.extend(frame(role, true, self.opcode, &self.payload));
    }
}

fn control() -> impl Strategy<Value = Control> {
    let opcode = prop::sample::select(vec![OpCode::Ping, OpCode::Pong]);
    (opcode, prop::collection::vec(any::<u8>(), 0..=125))
        .prop_map(|(opcode, payload)| Control { opcode, payload })
}

fn close() -> impl Strategy<Value = Control> {
    let code = prop_oneof![Just(1000_u16), 999_u16..1016, any::<u16>()];
    let payload = prop_oneof![
        Just(Vec::new()),
        (code, "[a-zé€]{0,30}").prop_map(|(code, reason)| [
            &code.to_be_bytes()[..],
            reason.as_bytes()
        ]
        .concat()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    payload.prop_map(|payload| Control { opcode: OpCode::Close, payload })
}

fn payload() -> impl Strategy<Value = (OpCode, Vec<u8>)> {
    let short = prop::collection::vec(any::<u8>(), 0..40);
    let edge = prop::sample::select(vec![125, 126, 127, 16_383, 16_384, 20_000, 65_535, 65_536]);
    let filled = (edge, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    let long_text = prop::sample::select(vec![42, 5_461, 7_000]).prop_map(|len| "€".repeat(len));
    prop_oneof![
        6 => "[a-zé€😀]{0,20}".prop_map(|text| (OpCode::Text, text.into_bytes())),
        4 => short.prop_map(|bytes| (OpCode::Binary, bytes)),
        1 => long_text.prop_map(|text| (OpCode::Text, text.into_bytes())),
        1 => filled.prop_map(|bytes| (OpCode::Binary, bytes)),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let cuts = prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(any::<Index>(), 0..6)];
    let between = prop::collection::vec((0_usize..5, control()), 0..3);
    let message = (payload(), cuts, between).prop_map(|((opcode, payload), cuts, between)| {
        Item::Message { opcode, payload, cuts, between }
    });
    prop_oneof![
        10 => message,
        3 => control().prop_map(Item::Control),
        1 => close().prop_map(Item::Control),
    ]
}

/// Damage done to a stream.
#[derive(Clone, Debug)]
pub(super) enum Mutation {
    Flip(u8),
    Put(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Truncate,
}

impl Mutation {
    pub(super) fn apply(&self, at: usize, stream: &mut Vec<u8>) {
        match self {
            Self::Flip(bit) => stream[at] ^= 1 << bit,
            Self::Put(byte) => stream[at] = *byte,
            Self::Insert(bytes) => {
                stream.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(count) => {
                stream.drain(at..stream.len().min(at + count));
            }
            Self::Truncate => stream.truncate(at),
        }
    }
}

pub(super) fn mutation() -> impl Strategy<Value = (Mutation, Index)> {
    let mutation = prop_oneof![
        3 => (0_u8..8).prop_map(Mutation::Flip),
        2 => any::<u8>().prop_map(Mutation::Put),
        2 => prop::collection::vec(any::<u8>(), 1..12).prop_map(Mutation::Insert),
        1 => (1_usize..12).prop_map(Mutation::Remove),
        2 => Just(Mutation::Truncate),
    ];
    (mutation, any::<Index>())
}

/// A stream for a connection in `role`, damaged or not.
fn stream(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![Just(Vec::new()), prop::collection::vec(mutation(), 1..4)];
    (prop::collection::vec(item(), 0..8), damage).prop_map(move |(items, damage)| {
        let mut stream = Vec::new();
        items.iter().for_each(|item| item.write(role, &mut stream));
        for (mutation, at) in damage {
            if !stream.is_empty() {
                mutation.apply(at.index(stream.len()), &mut stream);
            }
        }
        stream
    })
}

fn role_and_stream() -> impl Strategy<Value = (Role, Vec<u8>)> {
    prop::sample::select(ROLES.to_vec())
        .prop_flat_map(|role| stream(role).prop_map(move |stream| (role, stream)))
}

/// What the owner of a connection sees. It must be the same for every split.
#[derive(Debug, PartialEq)]
pub(super) struct Observed {
    pub(super) seen: Vec<Seen>,
    out: Vec<u8>,
    state: State,
    time_left: Option<Duration>,
}

pub(super) fn observe(mut harness: Harness, feed: impl FnOnce(&mut Harness)) -> Observed {
    feed(&mut harness);
    Observed {
        state: harness.state(),
        time_left: harness.time_left(),
        seen: harness.seen,
        out: harness.out,
    }
}

/// The stream, cut at `cuts`.
pub(super) fn pieces<'a>(stream: &'a [u8], cuts: &[Index]) -> impl Iterator<Item = &'a [u8]> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(move |end| &stream[std::mem::replace(&mut start, end)..end])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_split_of_a_stream_gives_what_the_stream_means(
        (role, stream) in role_and_stream(),
        (limits, burst) in limits(),
        close_after in prop::option::weighted(0.3, 1_usize..4),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let open = || {
            let mut harness = Harness::open(role, &limits);
            harness.close_after = close_after;
            harness
        };
        let whole = observe(open(), |harness| harness.receive(&stream));
        let expected = outcome(&stream, role, &limits, burst as usize, close_after);
        let receiver = if role == Role::Server { Role::Client } else { Role::Server };
        let sent = reference::frames(&whole.out, receiver);
        prop_assert_eq!(
            Outcome { seen: whole.seen.clone(), sent, state: whole.state },
            expected
        );

        let bytewise = observe(open(), |harness| {
            stream.chunks(1).for_each(|byte| harness.receive(byte));
        });
        prop_assert_eq!(&bytewise, &whole);

        let random = observe(open(), |harness| {
            pieces(&stream, &cuts).for_each(|piece| harness.receive(piece));
        });
        prop_assert_eq!(&random, &whole);
        let direct = observe(open(), |harness| {
            pieces(&stream, &cuts).for_each(|piece| harness.receive_direct(piece));
        });
        prop_assert_eq!(&direct, &whole);
    }
}
