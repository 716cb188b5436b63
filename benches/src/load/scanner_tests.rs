use super::super::format::header;
use super::super::stamp::pattern;
use super::*;
use crate::target::Wire;

const SIZE: usize = 300;
const STAMP: Stamp = Stamp { sender: 3, sequence: 9 };

/// How many messages arrived from `bytes`, given in pieces of at most `piece` bytes, and the bytes
/// of the replies.
fn scan(wire: Wire, size: usize, bytes: &[u8], piece: usize) -> Result<(usize, Vec<u8>), String> {
    let format = Format::new(wire, size, 1);
    let (mut scanner, mut arrivals, mut replies) = (Scanner::default(), 0, Vec::new());
    for piece in bytes.chunks(piece) {
        let count = |stamp| {
            assert!(stamp == STAMP || size == 0);
            arrivals += 1;
            Ok(())
        };
        let scanned = scanner.scan(&format, piece, &mut replies, count);
        scanned.map_err(|fault| fault.to_string())?;
    }
    Ok((arrivals, replies))
}

/// Every way to cut the stream gives the same.
fn scan_in_pieces(bytes: &[u8]) -> Result<(usize, Vec<u8>), String> {
    let whole = scan(Wire::WebSocket, SIZE, bytes, bytes.len());
    for piece in 1..bytes.len() {
        assert_eq!(scan(Wire::WebSocket, SIZE, bytes, piece), whole, "in pieces of {piece}");
    }
    whole
}

fn payload() -> Vec<u8> {
    let mut payload = pattern(SIZE);
    payload[..Stamp::LEN].copy_from_slice(&STAMP.to_bits().to_le_bytes());
    payload
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(0, payload.len(), None);
    frame[0] = first;
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn messages_and_pings_arrive_however_the_stream_is_cut() {
    let payload = payload();
    let bytes = [
        frame(0x82, &payload),
        frame(0x02, &payload[..5]),
        frame(0x89, b"hi"),
        frame(0x00, &[]),
        frame(0x8a, b"unasked"),
        frame(0x80, &payload[5..]),
        frame(0x82, &payload),
    ];
    assert_eq!(scan_in_pieces(&bytes.concat()), Ok((3, control_frame(PONG, b"hi"))));
}

#[test]
fn wrong_messages_are_faults() {
    let (mut wrong, mut long) = (payload(), payload());
    wrong[200] ^= 1;
    long.push(0);
    for (bytes, reason) in [
        (frame(0x82, &wrong), "a message came back wrong: byte 200 is 0x"),
        (frame(0x82, &wrong[..100]), "a message of 300 bytes came back with 100 or more"),
        (frame(0x82, &[]), "a message of 300 bytes came back with 0 or more"),
        (frame(0x88, b"\x03\xe9by"), "the server closed the connection with code 1001 (\"by\")"),
        (frame(0x88, &[]), "the server closed the connection without a code"),
    ] {
        let fault = scan_in_pieces(&bytes).unwrap_err();
        assert!(fault.starts_with(reason), "{fault}");
    }
    let fault = scan(Wire::WebSocket, SIZE, &frame(0x82, &long), 4096).unwrap_err();
    assert_eq!(fault, "a message of 300 bytes came back with 301 or more");
}

#[test]
fn frames_that_rfc_6455_forbids_are_faults() {
    let forbidden: [&[u8]; 8] = [
        &[0xc2, 0],           // a reserved bit
        &[0x82, 0x80],        // masked
        &[0x81, 0],           // text
        &[0x80, 0],           // a continuation of nothing
        &[0x02, 0, 0x82, 0],  // a message inside a fragmented one
        &[0x09, 0],           // a fragmented ping
        &[0x89, 126, 0, 126], // a long ping
        &[0x83, 0],           // a reserved opcode
    ];
    for bytes in forbidden {
        let fault = scan_in_pieces(bytes).unwrap_err();
        assert!(fault.starts_with("the server sent "), "{bytes:x?}: {fault}");
    }
}

#[test]
fn raw_and_empty_messages_follow_each_other() {
    let bytes = payload().repeat(3);
    for piece in [1, 7, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE] {
        assert_eq!(scan(Wire::Tcp, SIZE, &bytes, piece), Ok((3, Vec::new())));
    }
    for piece in 1..=4 {
        assert_eq!(scan(Wire::WebSocket, 0, &[0x82, 0, 0x82, 0], piece), Ok((2, Vec::new())));
    }
}
