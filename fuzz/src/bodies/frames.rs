//! A stream of frames means the same however it is split.
//!
//! Input: a choice of limits, a seed of the split (its last two bits say which kind), then the
//! stream.

use eventwire::proto::{CloseFrame, OpCode, PeerError, Role};

use super::endpoint::{Endpoint, Frame, Seen, limits};
use super::input::{Input, pieces};

pub(crate) fn server(data: &[u8]) {
    run(Role::Server, data);
}

pub(crate) fn client(data: &[u8]) {
    run(Role::Client, data);
}

fn run(role: Role, data: &[u8]) {
    let mut input = Input::new(data);
    let (limits, seed) = (limits(input.byte()), input.byte());
    let stream = input.rest();

    let mut whole = Endpoint::open(role, limits);
    whole.receive(stream);
    let answers: Vec<_> = whole.seen.iter().filter_map(answer).collect();
    assert_eq!(whole.frames(), answers);

    let mut split = Endpoint::open(role, limits);
    receive_split(&mut split, stream, seed);
    assert_eq!(split.observed(), whole.observed());
}

/// Receives the stream in one way of splitting for each input: all of them would take the time of
/// many inputs.
pub(crate) fn receive_split(peer: &mut Endpoint, stream: &[u8], seed: u8) {
    match seed % 4 {
        0 => stream.chunks(1).for_each(|byte| peer.receive(byte)),
        1 => pieces(stream, seed).for_each(|piece| peer.receive(piece)),
        2 => pieces(stream, seed).for_each(|piece| peer.receive_direct(piece)),
        _ => peer.receive_direct(stream),
    }
}

/// The frame that what was seen is answered with.
fn answer(seen: &Seen) -> Option<Frame> {
    let (opcode, payload) = match seen {
        Seen::Ping(payload) => (OpCode::Pong, payload.clone()),
        Seen::Close(payload) => (OpCode::Close, payload.iter().take(2).copied().collect()),
        Seen::Failed(PeerError::Protocol(error)) => {
            let (code, mut payload) = (error.close_code(), [0; 125]);
            let len = CloseFrame { code, reason: &error.to_string() }.encode(&mut payload);
            (OpCode::Close, payload[..len].to_vec())
        }
        _ => return None,
    };
    Some(Frame { opcode, payload })
}
