use super::*;

fn reader(head: &str) -> RefusedReader {
    let head = format!("HTTP/1.1 {head}\r\n\r\n");
    let head = ResponseHead::parse(head.as_bytes(), &HeadLimits::default()).expect("a head");
    RefusedReader::new(&head, HeadLimits::default())
}

fn refused(head: &str, body: &[u8]) -> Refused {
    let mut reader = reader(head);
    reader.read(body);
    *reader.finish()
}

#[test]
fn it_has_the_status_the_headers_and_the_body() {
    let refused = refused("401 No\r\nA: b\r\na: \u{e9}\r\nB: \r\nContent-Length: 5", b"log inHTTP");
    assert_eq!((refused.status(), refused.header("A")), (401, Some("b")));
    assert_eq!((refused.header("b"), refused.header("c")), (Some(""), None));
    let names: Vec<_> = refused.headers().map(|(name, _)| name).collect();
    assert_eq!(names, ["A", "a", "B", "Content-Length"]);
    assert_eq!((refused.body(), refused.body_end()), (&b"log i"[..], BodyEnd::Complete));
    assert_eq!(format!("{refused:?}").matches("5 bytes").count(), 1);
}

#[test]
fn a_body_ends_where_its_head_says() {
    const CHUNKED: &str = "503 \r\nTransfer-Encoding: chunked";
    const BOTH: &str = "503 \r\nTransfer-Encoding: chunked\r\nContent-Length: 1";
    for (head, body, kept, end) in [
        ("503 ", "abc", "abc", BodyEnd::CutShort),
        ("503 \r\nContent-Length: 4", "abc", "abc", BodyEnd::CutShort),
        ("503 \r\nContent-Length: 0", "abc", "", BodyEnd::Complete),
        ("204 ", "abc", "", BodyEnd::Complete),
        ("304 \r\nContent-Length: 3", "abc", "", BodyEnd::Complete),
        (CHUNKED, "1\r\na\r\n2\r\nbc\r\n0\r\n\r\nrest", "abc", BodyEnd::Complete),
        (CHUNKED, "1\r\na\r\nbody", "a", BodyEnd::Malformed(HttpError::InvalidChunk)),
        (BOTH, "1\r\na\r\n", "", BodyEnd::Malformed(HttpError::ConflictingLengths)),
    ] {
        let refused = refused(head, body.as_bytes());
        assert_eq!((refused.body(), refused.body_end()), (kept.as_bytes(), end), "{head} {body}");
    }
}

#[test]
fn the_end_of_the_stream_ends_a_body_without_a_length() {
    for (head, end) in [
        ("500 ", BodyEnd::Complete),
        ("500 \r\nContent-Length: 9", BodyEnd::CutShort),
        ("500 \r\nTransfer-Encoding: chunked", BodyEnd::CutShort),
        ("500 \r\nContent-Length: x", BodyEnd::Malformed(HttpError::MalformedHeader(LENGTH))),
    ] {
        let mut reader = reader(head);
        reader.end_of_stream();
        assert_eq!(reader.finish().body_end(), end, "{head}");
    }
}

const LENGTH: &str = "Content-Length";

#[test]
fn no_more_than_the_limit_is_kept() {
    let most = Refused::BODY_BYTES_MAX;
    for (len, kept, end) in [
        (most - 1, most - 1, BodyEnd::CutShort),
        (most, most, BodyEnd::CutShort),
        (most + 1, most, BodyEnd::Truncated),
        (2 * most, most, BodyEnd::Truncated),
    ] {
        for piece in [1, 1000, len] {
            let mut reader = reader("500 ");
            vec![b'x'; len].chunks(piece).for_each(|piece| {
                reader.read(piece);
                assert!(reader.buffered_bytes() <= most);
            });
            assert_eq!(reader.is_done(), end == BodyEnd::Truncated);
            let refused = reader.finish();
            assert_eq!((refused.body().len(), refused.body_end()), (kept, end));
        }
    }
    let whole = refused(&format!("500 \r\nContent-Length: {most}"), &vec![b'x'; most]);
    assert_eq!((whole.body().len(), whole.body_end()), (most, BodyEnd::Complete));
    let more = refused(&format!("500 \r\nContent-Length: {}", most + 1), &vec![b'x'; most + 1]);
    assert_eq!((more.body().len(), more.body_end()), (most, BodyEnd::Truncated));
}

#[test]
fn a_redirect_has_its_status_and_a_location() {
    for status in [301, 302, 303, 307, 308] {
        assert!(reader(&format!("{status} \r\nlocation: /")).is_redirect());
        assert!(!reader(&format!("{status} ")).is_redirect());
    }
    for status in [200, 300, 304, 305, 306, 309, 401] {
        assert!(!reader(&format!("{status} \r\nLocation: /")).is_redirect(), "{status}");
    }
}
