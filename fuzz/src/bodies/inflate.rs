//! Compressed messages mean the same however they are split, and never more than the limit.
//!
//! Input: the role and whether messages refer to those before, a seed of the split, then messages:
//! some compressed as they should be, others whatever the input says.

use std::mem;
use std::sync::LazyLock;

use eventwire::proto::{DeflateConfig, FrameHeader, Message, OpCode, Role, apply_mask};

use super::endpoint::{Agreed, Endpoint, Seen, limits};
use super::frames::receive_split;
use super::input::Input;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (setting, seed) = (input.byte(), input.byte());
    let (role, peer) = match setting % 2 {
        0 => (Role::Server, Role::Client),
        _ => (Role::Client, Role::Server),
    };
    static AGREED: LazyLock<[Agreed; 2]> = LazyLock::new(|| {
        let config = DeflateConfig::default().min_size(0);
        [false, true].map(|contexts| Agreed::new(config.context_takeover(contexts, contexts)))
    });
    // Both seldom: a compressor begins each message that goes by itself with more work than all the
    // rest is, and where messages refer to those before it is made for each connection.
    let contexts = setting & 0xC2 == 0xC2;
    let mut may_compress = setting & 0xC0 == 0x40;
    let agreed = &AGREED[usize::from(contexts)];
    // The last of them is for heads, which are always the same here.
    let limits = limits((setting >> 2) % 5);
    let mut sender = Endpoint::compressed(peer, limits, agreed);
    let (mut sent, mut is_right) = (Vec::new(), true);
    while !input.is_empty() {
        let command = input.byte() % 8;
        match command {
            0 | 1 | 4 | 5 => {
                // Where messages refer to those before, the sender has to see all of them.
                let compress = contexts || command == 0 && mem::take(&mut may_compress);
                let times = usize::from(input.byte()) + 1;
                let message = input.chunk().repeat(if compress { times } else { times % 4 });
                is_right &= message.len() <= limits.message().min(limits.frame());
                if compress {
                    sender.send(Message::Binary(&message));
                } else {
                    let payload = stored(&message);
                    write(&mut sender.out, role, (true, true, OpCode::Binary), &payload);
                    is_right &= payload.len() <= limits.frame();
                }
                sent.push(Seen::Message(OpCode::Binary, message));
            }
            2 | 6 => {
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
    let mut whole = Endpoint::compressed(role, limits, agreed);
    whole.receive(stream);
    if is_right {
        assert_eq!(whole.seen, sent);
    }
    let mut split = Endpoint::compressed(role, limits, agreed);
    receive_split(&mut split, stream, seed);
    assert_eq!(split.observed(), whole.observed());
}

/// A message in blocks that are not compressed (RFC 7692 §7.2.3.3).
fn stored(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(message.len() + 6);
    for block in message.chunks(usize::from(u16::MAX)) {
        let len = block.len() as u16;
        payload.push(0);
        payload.extend_from_slice(&len.to_le_bytes());
        payload.extend_from_slice(&(!len).to_le_bytes());
        payload.extend_from_slice(block);
    }
    payload.push(0);
    payload
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
