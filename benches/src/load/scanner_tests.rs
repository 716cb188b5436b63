use super::*;

const SIZE: usize = 300;
const STAMP: Stamp = Stamp { sender: 3, sequence: 9 };

/// What arrived from `bytes`, given in pieces of at most `piece` bytes.
fn scan(bytes: &[u8], piece: usize) -> Result<Vec<String>, Fault> {
    let expectation = Expectation::new(Wire::WebSocket, SIZE);
    let mut scanner = Scanner::default();
    let mut arrivals = Vec::new();
    for piece in bytes.chunks(piece) {
        expectation.scan(&mut scanner, piece, |arrival| {
            arrivals.push(format!("{arrival:?}"));
            Ok(())
        })?;
    }
    Ok(arrivals)
}

fn payload() -> Vec<u8> {
    let mut payload = pattern(SIZE);
    payload[..Stamp::LEN].copy_from_slice(&STAMP.to_bits().to_le_bytes());
    payload
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = binary_header(payload.len(), None);
    frame[0] = first;
    frame.extend_from_slice(payload);
    frame
}

/// Every way to cut the stream gives the same.
fn scan_in_pieces(bytes: &[u8]) -> Result<Vec<String>, Fault> {
    let whole = scan(bytes, bytes.len());
    for piece in 1..bytes.len() {
        assert_eq!(scan(bytes, piece), whole, "in pieces of {piece}");
    }
    whole
}

#[test]
fn messages_and_pings_arrive_however_the_stream_is_cut() {
    let message = format!("{:?}", Arrival::Message(STAMP));
    let ping = format!("{:?}", Arrival::Ping(b"hi"));
    let payload = payload();
    let mut bytes = frame(0x82, &payload);
    bytes.extend(frame(0x02, &payload[..5]));
    bytes.extend(frame(0x89, b"hi"));
    bytes.extend(frame(0x00, &[]));
    bytes.extend(frame(0x8a, b"unasked"));
    bytes.extend(frame(0x80, &payload[5..]));
    bytes.extend(frame(0x82, &payload));
    assert_eq!(scan_in_pieces(&bytes), Ok(vec![message.clone(), ping, message.clone(), message]));
}

#[test]
fn a_wrong_byte_is_found_where_it_is() {
    let mut payload = payload();
    payload[200] ^= 1;
    let fault = scan_in_pieces(&frame(0x82, &payload)).unwrap_err();
    let expected = payload[200] ^ 1;
    assert_eq!(fault, Fault::WrongByte { at: 200, expected, received: payload[200] });
}

#[test]
fn wrong_lengths_are_faults() {
    let mut payload = payload();
    payload.push(0);
    let long = scan(&frame(0x82, &payload), 4096).unwrap_err();
    assert_eq!(long, Fault::WrongLength { expected: SIZE, received: SIZE + 1 });
    let short = scan_in_pieces(&frame(0x82, &payload[..100])).unwrap_err();
    assert_eq!(short, Fault::WrongLength { expected: SIZE, received: 100 });
    let empty = scan_in_pieces(&frame(0x82, &[])).unwrap_err();
    assert_eq!(empty, Fault::WrongLength { expected: SIZE, received: 0 });
}

#[test]
fn a_close_frame_is_told_with_its_code() {
    let close = |code, reason: &str| Fault::CloseFrame { code, reason: reason.to_owned() };
    let bytes = frame(0x88, &[0x03, 0xe9, b'b', b'y', b'e']);
    assert_eq!(scan_in_pieces(&bytes), Err(close(Some(1001), "bye")));
    assert_eq!(scan_in_pieces(&frame(0x88, &[])), Err(close(None, "")));
}

#[test]
fn frames_that_rfc_6455_forbids_are_faults() {
    let forbidden = [
        vec![0xc2, 0],           // a reserved bit
        vec![0x82, 0x80],        // masked
        vec![0x81, 0],           // text
        vec![0x80, 0],           // a continuation of nothing
        vec![0x02, 0, 0x82, 0],  // a message inside a fragmented one
        vec![0x09, 0],           // a fragmented ping
        vec![0x89, 126, 0, 126], // a long ping
        vec![0x83, 0],           // a reserved opcode
    ];
    for bytes in forbidden {
        let fault = scan_in_pieces(&bytes).unwrap_err();
        assert!(matches!(fault, Fault::Protocol(_)), "{bytes:x?}: {fault:?}");
    }
}

#[test]
fn raw_messages_follow_each_other_without_frames() {
    let expectation = Expectation::new(Wire::Tcp, SIZE);
    let bytes = payload().repeat(3);
    for piece in [1, 7, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE] {
        let mut scanner = Scanner::default();
        let mut arrivals = 0;
        for piece in bytes.chunks(piece) {
            let count = |arrival: Arrival<'_>| {
                assert_eq!(arrival, Arrival::Message(STAMP));
                arrivals += 1;
                Ok(())
            };
            expectation.scan(&mut scanner, piece, count).unwrap();
        }
        assert_eq!(arrivals, 3);
    }
}

#[test]
fn empty_messages_are_messages_too() {
    let expectation = Expectation::new(Wire::WebSocket, 0);
    let mut scanner = Scanner::default();
    let mut arrivals = 0;
    for piece in [&[0x82, 0, 0x82][..], &[0]] {
        let count = |_: Arrival<'_>| {
            arrivals += 1;
            Ok(())
        };
        expectation.scan(&mut scanner, piece, count).unwrap();
    }
    assert_eq!(arrivals, 2);
}
