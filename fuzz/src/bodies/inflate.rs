//! Compressed messages mean the same however they are split, and never more than the limit.
//!
//! Input: the role and whether messages refer to those before, a seed of the split, then messages:
//! some compressed as they should be, others whatever the input says.

use eventwire::proto::{DeflateConfig, FrameHeader, Message, OpCode, Role, apply_mask};

use super::frames::receive_split;
use super::input::Input;
use super::peer::{Peer, Seen, limits};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (setting, seed) = (input.byte(), input.byte());
    let (role, peer) = match setting % 2 {
        0 => (Role::Server, Role::Client),
        _ => (Role::Client, Role::Server),
    };
    let contexts = setting & 2 != 0;
    let config = DeflateConfig::default().min_size(0).context_takeover(contexts, contexts);
    let limits = limits(setting >> 2);
    let mut sender = Peer::compressed(peer, limits, config);
    let (mut sent, mut is_right) = (Vec::new(), true);
    while !input.is_empty() {
        match input.byte() % 4 {
            0 | 1 => {
                let message = input.chunk().repeat(usize::from(input.byte()) + 1);
                sender.send(Message::Binary(&message));
                is_right &= message.len() <= limits.message().min(limits.frame());
                sent.push(Seen::Message(OpCode::Binary, message));
            }
            2 => {
                let (cut, payload) = (input.byte(), input.chunk());
                let opcode = if cut & 1 == 0 { OpCode::Text } else { OpCode::Binary };
                let (one, other) = payload.split_at(payload.len().min(usize::from(cut >> 1)));
                write(&mut sender.out, role, (other.is_empty(), true, opcode), one);
                if !other.is_empty() {
                    write(&mut sender.out, role, (true, false, OpCode::Continuation), other);
                }
                is_right = false;
            }
            _ => {
                sender.out.extend_from_slice(input.chunk());
                is_right = false;
            }
        }
    }
    let stream = &sender.out[..];
    let mut whole = Peer::compressed(role, limits, config);
    whole.receive(stream);
    if is_right {
        assert_eq!(whole.seen, sent);
    }
    let mut split = Peer::compressed(role, limits, config);
    receive_split(&mut split, stream, seed);
    assert_eq!(split.observed(), whole.observed());
}

/// Writes a frame for an end in `role`: whether it is its message's last, whether it says that
/// the message is compressed, and its opcode.
fn write(
    out: &mut Vec<u8>,
    role: Role,
    (fin, compressed, opcode): (bool, bool, OpCode),
    payload: &[u8],
) {
    let mask = (role == Role::Server).then_some([7, 1, 2, 3]);
    let header = FrameHeader { fin, compressed, opcode, mask, len: payload.len() as u64 };
    let mut bytes = [0; FrameHeader::MAX_LEN];
    let len = header.encode(&mut bytes);
    out.extend_from_slice(&bytes[..len]);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        apply_mask(&mut out[start..], key, 0);
    }
}
