//! Requests and frames as raw bytes.

use std::fmt::Display;

use eventwire::proto::{FrameHeader, OpCode, Role, apply_mask};

/// A client's opening request for `/path`. Its key is the one of RFC 6455 §1.3.
pub(crate) fn request(path: impl Display) -> Vec<u8> {
    format!(
        "GET /{path} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// A whole frame as a client sends it.
pub(crate) fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    encode(true, opcode, Some([0x11, 0x5A, 0x33, 0xC4]), payload)
}

/// A frame with this mask key, or without one.
pub(crate) fn encode(fin: bool, opcode: OpCode, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { fin, compressed: false, opcode, mask, len: payload.len() as u64 };
    let mut head = [0; FrameHeader::MAX_LEN];
    let len = header.encode(&mut head);
    let mut bytes = [&head[..len], payload].concat();
    apply_mask(&mut bytes[len..], mask.unwrap_or_default(), 0);
    bytes
}

/// A frame of the engine's, as it arrived at a scripted peer.
#[derive(Debug, PartialEq)]
pub(crate) enum Arrived {
    /// Whether it is text, and its payload.
    Message(bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// The code, if there is one.
    Close(Option<u16>),
}

/// Takes the next whole frame from the front of `bytes`, as `receiver` reads it.
///
/// The engine sends every message in one frame, and every frame is valid.
pub(crate) fn take_frame(bytes: &mut Vec<u8>, receiver: Role) -> Option<Arrived> {
    let (header, start) = FrameHeader::parse(bytes, receiver).expect("a valid header")?;
    let end = start + header.len as usize;
    if bytes.len() < end {
        return None;
    }
    assert!(header.fin, "the engine sends no fragments");
    let mut payload = bytes[start..end].to_vec();
    bytes.drain(..end);
    apply_mask(&mut payload, header.mask.unwrap_or_default(), 0);
    Some(match header.opcode {
        OpCode::Text => Arrived::Message(true, payload),
        OpCode::Binary => Arrived::Message(false, payload),
        OpCode::Ping => Arrived::Ping(payload),
        OpCode::Pong => Arrived::Pong,
        OpCode::Close => {
            Arrived::Close(payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]])))
        }
        OpCode::Continuation => panic!("the engine sends no fragments"),
    })
}
