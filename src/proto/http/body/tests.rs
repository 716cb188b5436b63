use proptest::prelude::*;

use super::*;
use crate::proto::http::ResponseHead;

/// Reads `input` in pieces of the given lengths, and the rest whole. Returns the data, how many
/// bytes were consumed, and whether the body is whole.
fn read_in(
    length: BodyLength,
    input: &[u8],
    pieces: &[usize],
) -> Result<(Vec<u8>, usize, bool), HttpError> {
    let limits = HeadLimits { bytes: 64, line: 32, headers: 3 };
    let mut reader = BodyReader::new(length, limits);
    let (mut data, mut consumed, mut rest) = (Vec::new(), 0, input);
    for &len in pieces.iter().chain([&usize::MAX]) {
        let (mut piece, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        while !piece.is_empty() && !reader.is_done() {
            let part = reader.read(piece)?;
            data.extend_from_slice(&piece[part.data]);
            consumed += part.consumed;
            piece = &piece[part.consumed..];
        }
    }
    Ok((data, consumed, reader.is_done()))
}

fn read(length: BodyLength, input: &[u8]) -> Result<(Vec<u8>, usize, bool), HttpError> {
    read_in(length, input, &[])
}

fn length_of(head: &str) -> Result<BodyLength, HttpError> {
    let head = format!("HTTP/1.1 {head}\r\n\r\n");
    ResponseHead::parse(head.as_bytes(), &HeadLimits::default())?.body_length()
}

#[test]
fn the_length_is_what_the_head_declares() {
    for (head, length) in [
        ("403 \r\nContent-Length: 0", BodyLength::Known(0)),
        ("403 \r\nContent-Length: 00012", BodyLength::Known(12)),
        ("403 \r\nContent-Length: 18446744073709551615", BodyLength::Known(u64::MAX)),
        ("403 \r\nTransfer-Encoding: Chunked", BodyLength::Chunked),
        ("403 \r\nTransfer-Encoding: , chunked ,", BodyLength::Chunked),
        ("403 ", BodyLength::UntilClose),
        ("204 \r\nContent-Length: 5", BodyLength::Known(0)),
        ("304 \r\nTransfer-Encoding: chunked", BodyLength::Known(0)),
        ("199 \r\nContent-Length: 5", BodyLength::Known(0)),
    ] {
        assert_eq!(length_of(head), Ok(length), "{head}");
    }
}

#[test]
fn a_length_that_is_not_certain_is_refused() {
    use HttpError as E;
    let malformed = E::MalformedHeader("Content-Length");
    for (head, error) in [
        ("Content-Length: 1\r\nContent-Length: 1", E::RepeatedHeader("Content-Length")),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", E::ConflictingLengths),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", E::ConflictingLengths),
        ("Content-Length:", malformed),
        ("Content-Length: +1", malformed),
        ("Content-Length: -1", malformed),
        ("Content-Length: 1, 1", malformed),
        ("Content-Length: 0x1", malformed),
        ("Content-Length: 18446744073709551616", malformed),
        ("Transfer-Encoding:", E::UnsupportedTransferCoding),
        ("Transfer-Encoding: gzip", E::UnsupportedTransferCoding),
        ("Transfer-Encoding: gzip, chunked", E::UnsupportedTransferCoding),
        ("Transfer-Encoding: chunked, gzip", E::UnsupportedTransferCoding),
        ("Transfer-Encoding: chunked, chunked", E::UnsupportedTransferCoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", E::UnsupportedTransferCoding),
        ("Transfer-Encoding: \"chunked\"", E::UnsupportedTransferCoding),
    ] {
        assert_eq!(length_of(&format!("403 \r\n{head}")), Err(error), "{head}");
    }
    let old = b"HTTP/1.0 403 \r\nTransfer-Encoding: chunked\r\n\r\n";
    let head = ResponseHead::parse(old, &HeadLimits::default()).expect("a head");
    assert_eq!(head.body_length(), Err(E::UnsupportedTransferCoding));
}

#[test]
fn a_known_length_is_exact() {
    assert_eq!(read(BodyLength::Known(0), b"x"), Ok((vec![], 0, true)));
    assert_eq!(read(BodyLength::Known(3), b"abcd"), Ok((b"abc".to_vec(), 3, true)));
    assert_eq!(read(BodyLength::Known(u64::MAX), b"ab"), Ok((b"ab".to_vec(), 2, false)));
}

#[test]
fn chunks_are_read_with_extensions_and_trailers() {
    for (input, data) in [
        (&b"0\r\n\r\n"[..], &b""[..]),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"00a\r\n0123456789\r\n1\r\nx\r\n0000\r\n\r\n", b"0123456789x"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"1;a=\"b c\";d\r\n\r\r\n0 \t;x\r\nA: b\r\nC:\r\n\r\n", b"\r"),
    ] {
        let whole = Ok((data.to_vec(), input.len(), true));
        assert_eq!(read(BodyLength::Chunked, input), whole, "{}", input.escape_ascii());
        let followed = [input, b"GET"].concat();
        assert_eq!(read(BodyLength::Chunked, &followed), whole);
        for cut in 0..input.len() {
            let (_, consumed, is_done) = read(BodyLength::Chunked, &input[..cut]).expect("a part");
            assert_eq!((consumed, is_done), (cut, false));
        }
    }
}

#[test]
fn what_is_no_chunk_is_refused() {
    use HttpError as E;
    for (input, error) in [
        (&b"\r\n"[..], E::InvalidChunk),
        (b" 1\r\n", E::InvalidChunk),
        (b"-1\r\n", E::InvalidChunk),
        (b"0x1\r\n", E::InvalidChunk),
        (b"g", E::InvalidChunk),
        (b";a\r\n", E::InvalidChunk),
        (b"1\n", E::InvalidChunk),
        (b"1\rx", E::InvalidChunk),
        (b"1 \r\n", E::InvalidChunk),
        (b"1 2\r\n", E::InvalidChunk),
        (b"1;a\nb", E::InvalidChunk),
        (b"1;a\0", E::InvalidChunk),
        (b"1\r\nab", E::InvalidChunk),
        (b"1\r\na\n", E::InvalidChunk),
        (b"1\r\na\r1", E::InvalidChunk),
        (b"00000000000000000", E::InvalidChunk),
        (b"0\r\n a: b\r\n", E::LineFolding),
        (b"0\r\na: b\n", E::InvalidLineEnding),
        (b"0\r\na: b\r\n\tc\r\n", E::LineFolding),
        (b"0\r\na: b\rc", E::InvalidLineEnding),
        (b"0\r\na\n", E::InvalidLineEnding),
        (b"0\r\n\rx", E::InvalidLineEnding),
        (b"0\r\na: b\r\n\n", E::InvalidLineEnding),
        (b"0\r\nGET /x HTTP/1.1\r\n", E::InvalidHeaderLine),
        (b"0\r\na\r\n", E::InvalidHeaderLine),
        (b"0\r\na:\r\nb\r\n", E::InvalidHeaderLine),
        (b"0\r\n: b\r\n", E::InvalidHeaderLine),
        (b"0\r\na : b\r\n", E::InvalidHeaderLine),
        (b"0\r\na\xffb: c\r\n", E::InvalidHeaderLine),
        (b"0\r\na\0: c\r\n", E::InvalidByte(0)),
        (b"0\r\na: b\r\na:\r\na:\r\na", E::TooManyHeaders { limit: 3 }),
    ] {
        let read = read(BodyLength::Chunked, input);
        assert_eq!(read, Err(error), "{}", input.escape_ascii());
    }
    let long = format!("0\r\n{}", "x".repeat(33));
    let error = E::HeaderLineTooLong { limit: 32 };
    assert_eq!(read(BodyLength::Chunked, long.as_bytes()), Err(error));
}

#[test]
fn extensions_are_bounded_over_the_whole_body() {
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(1023));
    let most = chunk.repeat(4);
    assert_eq!(read(BodyLength::Chunked, most.as_bytes()), Ok((vec![b'x'; 4], most.len(), false)));
    let error = HttpError::ChunkExtensionsTooLong { limit: 4096 };
    assert_eq!(read(BodyLength::Chunked, format!("{most}1;").as_bytes()), Err(error));
}

#[test]
fn only_a_body_without_a_length_ends_with_the_stream() {
    for (length, input, outcome) in [
        (BodyLength::UntilClose, &b"abc"[..], Ok(())),
        (BodyLength::UntilClose, b"", Ok(())),
        (BodyLength::Known(3), b"abc", Ok(())),
        (BodyLength::Known(4), b"abc", Err(HttpError::BodyCutShort)),
        (BodyLength::Chunked, b"0\r\n\r\n", Ok(())),
        (BodyLength::Chunked, b"0\r\n\r", Err(HttpError::BodyCutShort)),
        (BodyLength::Chunked, b"", Err(HttpError::BodyCutShort)),
    ] {
        let mut reader = BodyReader::new(length, HeadLimits::default());
        let mut at = 0;
        while at < input.len() {
            at += reader.read(&input[at..]).expect("a part").consumed;
        }
        assert_eq!(reader.end_of_stream(), outcome, "{length:?} {}", input.escape_ascii());
        assert_eq!(reader.is_done(), outcome.is_ok());
    }
}

proptest! {
    /// Whatever is written in chunks is read from them.
    #[test]
    fn chunks_come_back_as_they_were_written(
        chunks in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 1..40), "(;[a-z]{1,3}(=[a-z]{1,3})?){0,2}"),
            0..8,
        ),
        pieces in prop::collection::vec(0_usize..9, 0..40),
    ) {
        let (mut input, mut data) = (Vec::new(), Vec::new());
        for (chunk, extension) in &chunks {
            input.extend(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            input.extend(chunk);
            input.extend(b"\r\n");
            data.extend(chunk);
        }
        input.extend(b"0\r\nA: b\r\n\r\n");
        let read = read_in(BodyLength::Chunked, &input, &pieces);
        prop_assert_eq!(read, Ok((data, input.len(), true)));
    }

    /// However the input is split, it has the same outcome, and never more data than input.
    #[test]
    fn any_split_gives_the_same_answer(
        parts in prop::collection::vec(
            prop_oneof![
                Just(&b"1\r\nx\r\n"[..]),
                Just(&b"0\r\n"[..]),
                Just(&b"\r\n"[..]),
                Just(&b"2;e\r\n"[..]),
                Just(&b"\n"[..]),
                Just(&b"a"[..]),
                Just(&b"A: b\r\n"[..]),
            ],
            0..12,
        ),
        pieces in prop::collection::vec(0_usize..7, 0..40),
    ) {
        let input = parts.concat();
        for length in [BodyLength::Chunked, BodyLength::Known(9), BodyLength::UntilClose] {
            let whole = read(length, &input);
            prop_assert_eq!(&read_in(length, &input, &pieces), &whole);
            if let Ok((data, consumed, is_done)) = whole {
                prop_assert!(data.len() <= consumed && consumed <= input.len());
                prop_assert!(is_done || consumed == input.len());
            }
        }
    }
}
