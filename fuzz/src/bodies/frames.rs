//! A stream of frames means the same however it is split.
//!
//! Input: a choice of limits, a seed of splits, then the stream.

use eventwire::proto::{CloseFrame, Limits, OpCode, PeerError, Role};

use super::input::{Input, pieces};
use super::peer::{Frame, Observed, Peer, Seen, limits};

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
    let observe = |feed: &dyn Fn(&mut Peer)| observe(role, &limits, feed);

    let whole = observe(&|peer| peer.receive(stream));
    // Longer ones would take the time of many that are as good.
    if stream.len() <= 2048 {
        let bytewise = observe(&|peer| stream.chunks(1).for_each(|byte| peer.receive(byte)));
        assert_eq!(bytewise, whole);
    }
    let random = observe(&|peer| pieces(stream, seed).for_each(|piece| peer.receive(piece)));
    assert_eq!(random, whole);
    let direct = observe(&|peer| pieces(stream, seed).for_each(|piece| peer.receive_direct(piece)));
    assert_eq!(direct, whole);
}

fn observe(role: Role, limits: &Limits, feed: &dyn Fn(&mut Peer)) -> Observed {
    let mut peer = Peer::open(role, limits);
    feed(&mut peer);
    let answers: Vec<_> = peer.seen.iter().filter_map(answer).collect();
    assert_eq!(peer.frames(), answers);
    peer.observed()
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
