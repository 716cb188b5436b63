//! What is too long, too deep or too much.

use eventwire::proto::{FrameHeader, OpCode};
use serde_json::json;

use super::client::{
    Client, HttpConnection, Packet, Polling, Request, Session, Target, Transport, frame,
};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, EITHER:
        a_post_of_the_longest_payload_is_accepted,
        a_longer_post_is_refused,
        chunks_of_the_longest_payload_are_accepted,
        more_chunks_are_refused,
        endless_chunks_are_refused,
        the_longest_message_of_a_web_socket_is_accepted,
        a_longer_message_closes_the_web_socket,
        fragments_of_the_longest_message_are_accepted,
        more_fragments_close_the_web_socket,
        the_longest_attachment_is_accepted,
        a_longer_attachment_closes_the_web_socket,
        a_frame_that_is_announced_as_too_long_closes_the_web_socket,
        answers_may_be_longer_than_the_longest_payload,
        a_head_without_end_is_refused,
        thousands_of_packets_come_in_one_post;
    Protocol, EITHER:
        a_smaller_limit_holds_for_a_post,
        a_smaller_limit_holds_for_a_web_socket;
    Load, BOTH:
        deep_json_harms_nobody,
        wide_json_is_accepted,
        ten_attachments_are_accepted,
        an_absurd_count_of_attachments_closes_the_session,
        a_long_name_of_a_namespace_harms_nobody,
        many_unknown_namespaces_harm_nobody;
];

/// Of the profiles.
const BYTES_MAX: usize = 3_000_000;
const BYTES_MAX_PROTOCOL: usize = 1_000_000;

const BEGIN: &str = "42/quiet,7[\"message-with-ack\",\"";
const END: &str = "\"]";

/// An event of this length, and its acknowledgement.
fn event_of(length: usize) -> (String, String) {
    let text = "x".repeat(length - BEGIN.len() - END.len());
    (format!("{BEGIN}{text}{END}"), format!("43/quiet,7[\"{text}\"]"))
}

fn joined(target: &Target) -> Polling {
    let mut polling = Polling::open(target);
    polling.send(&[Packet::text("40/quiet,")]);
    assert!(polling.next().is_some());
    polling
}

fn expect_next(polling: &mut Polling, expected: String) {
    assert!(polling.next() == Some(Packet::Text(expected)), "another packet");
}

/// Whether a body was taken, sent with its length.
fn post(target: &Target, polling: &Polling, body: &str) -> bool {
    let request = Request { method: "POST", headers: "", body: Some(body.as_bytes()) };
    let mut connection = HttpConnection::open(target.address);
    connection.try_write(&request.encode(&polling.path()));
    is_taken(&mut connection)
}

fn is_taken(connection: &mut HttpConnection) -> bool {
    // The response may be lost when the server closes the connection.
    let status = connection.try_response().map_or(400, |response| response.status);
    assert!(matches!(status, 200 | 400 | 413), "{status}");
    status == 200
}

/// Whether a body was taken, sent in chunks.
fn post_chunks(target: &Target, polling: &Polling, body: &str) -> bool {
    let headers = "Transfer-Encoding: chunked\r\n";
    let head = Request { method: "POST", headers, body: None }.encode(&polling.path());
    let mut connection = HttpConnection::open(target.address);
    let mut is_open = connection.try_write(&head);
    for chunk in body.as_bytes().chunks(100_000) {
        let size = format!("{:x}\r\n", chunk.len());
        is_open &= connection.try_write(&[size.as_bytes(), chunk, b"\r\n"].concat());
    }
    if is_open {
        connection.try_write(b"0\r\n\r\n");
    }
    is_taken(&mut connection)
}

fn a_post_of_the_longest_payload_is_accepted(target: &Target) {
    let (event, answer) = event_of(BYTES_MAX);
    let mut polling = joined(target);
    assert!(post(target, &polling, &event));
    expect_next(&mut polling, answer);
}

fn a_longer_post_is_refused(target: &Target) {
    let (event, _) = event_of(BYTES_MAX + 1);
    assert!(!post(target, &joined(target), &event));
    target.expect_alive();
}

fn chunks_of_the_longest_payload_are_accepted(target: &Target) {
    let (event, answer) = event_of(BYTES_MAX);
    let mut polling = joined(target);
    assert!(post_chunks(target, &polling, &event));
    expect_next(&mut polling, answer);
}

fn more_chunks_are_refused(target: &Target) {
    let (event, _) = event_of(BYTES_MAX + 1);
    assert!(!post_chunks(target, &joined(target), &event));
    target.expect_alive();
}

fn endless_chunks_are_refused(target: &Target) {
    let polling = joined(target);
    let headers = "Transfer-Encoding: chunked\r\n";
    let head = Request { method: "POST", headers, body: None }.encode(&polling.path());
    let mut connection = HttpConnection::open(target.address);
    connection.write(&head);
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000));
    let sent = (0..1_000).take_while(|_| connection.try_write(chunk.as_bytes())).count();
    assert!(sent < 1_000, "a hundred megabytes were taken");
    target.expect_alive();
}

fn on_web_socket(target: &Target) -> Client {
    Client::connect_to(&target.with(Transport::WebSocket), "/quiet").0
}

/// Sends bytes over the client's WebSocket.
fn write(client: &mut Client, bytes: &[u8]) {
    let Session::WebSocket(socket) = &mut client.session else { panic!("not a WebSocket") };
    // A server that has seen enough closes the connection.
    socket.try_write(bytes);
}

#[track_caller]
fn expect_answer(client: &mut Client, length: usize) {
    let answer = client.event();
    assert_eq!(answer.header, "43/quiet,7");
    let text = answer.data[0].as_str().expect("text");
    assert_eq!(text.len(), length - BEGIN.len() - END.len());
}

fn the_longest_message_of_a_web_socket_is_accepted(target: &Target) {
    let mut client = on_web_socket(target);
    client.send_all(&[Packet::Text(event_of(BYTES_MAX).0)]);
    expect_answer(&mut client, BYTES_MAX);
}

fn a_longer_message_closes_the_web_socket(target: &Target) {
    let mut client = on_web_socket(target);
    write(&mut client, &frame(true, OpCode::Text, event_of(BYTES_MAX + 1).0.as_bytes()));
    client.expect_closed();
    target.expect_alive();
}

/// A message in fragments.
fn fragments(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pieces = payload.chunks(100_000).enumerate().peekable();
    while let Some((at, piece)) = pieces.next() {
        let opcode = if at == 0 { opcode } else { OpCode::Continuation };
        bytes.extend(frame(pieces.peek().is_none(), opcode, piece));
    }
    bytes
}

fn fragments_of_the_longest_message_are_accepted(target: &Target) {
    let mut client = on_web_socket(target);
    write(&mut client, &fragments(OpCode::Text, event_of(BYTES_MAX).0.as_bytes()));
    expect_answer(&mut client, BYTES_MAX);
}

fn more_fragments_close_the_web_socket(target: &Target) {
    let mut client = on_web_socket(target);
    write(&mut client, &fragments(OpCode::Text, event_of(BYTES_MAX + 1).0.as_bytes()));
    client.expect_closed();
    target.expect_alive();
}

const WITH_ATTACHMENT: &str =
    "451-/quiet,7[\"message-with-ack\",{\"_placeholder\":true,\"num\":0}]";

fn the_longest_attachment_is_accepted(target: &Target) {
    let mut client = on_web_socket(target);
    let bytes = vec![7; BYTES_MAX];
    client.send_binary(WITH_ATTACHMENT, &[&bytes]);
    let answer = client.event();
    assert_eq!(answer.header, "46/quiet,7");
    assert!(answer.data == json!([super::client::binary(&bytes)]), "other bytes");
}

fn a_longer_attachment_closes_the_web_socket(target: &Target) {
    let mut client = on_web_socket(target);
    client.send(WITH_ATTACHMENT);
    write(&mut client, &frame(true, OpCode::Binary, &vec![7; BYTES_MAX + 1]));
    client.expect_closed();
}

fn a_frame_that_is_announced_as_too_long_closes_the_web_socket(target: &Target) {
    for len in [BYTES_MAX as u64 + 1, 1 << 40, u64::MAX >> 1] {
        let mut client = on_web_socket(target);
        let header = FrameHeader {
            fin: true,
            compressed: false,
            opcode: OpCode::Text,
            mask: Some([0; 4]),
            len,
        };
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let end = header.encode(&mut bytes);
        write(&mut client, &bytes[..end]);
        client.expect_closed();
    }
}

fn answers_may_be_longer_than_the_longest_payload(target: &Target) {
    for transport in [Transport::Polling, Transport::WebSocket] {
        let (mut client, _) = Client::connect_to(&target.with(transport), "/quiet");
        let text = "x".repeat(BYTES_MAX - 100);
        for _ in 0..3 {
            client.emit_in("/quiet", &json!(["message", text]));
        }
        for _ in 0..3 {
            let event = client.event();
            assert_eq!(event.data[1].as_str().map(str::len), Some(text.len()));
        }
    }
}

fn a_head_without_end_is_refused(target: &Target) {
    let mut connection = HttpConnection::open(target.address);
    connection.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n");
    let line = format!("X-Long: {}\r\n", "x".repeat(10_000));
    let sent = (0..1_000).take_while(|_| connection.try_write(line.as_bytes())).count();
    assert!(sent < 1_000, "ten megabytes of headers were taken");
    target.expect_alive();
}

fn thousands_of_packets_come_in_one_post(target: &Target) {
    let polling = joined(target);
    let events = vec!["42/quiet,[\"collect\",0]"; 10_000].join("\x1e");
    assert!(post(target, &polling, &events));
    let mut client = Client::connect(target);
    client.expect_echo();
    let mut polling = polling;
    polling.send(&[Packet::text("42/quiet,7[\"collected\"]")]);
    expect_next(&mut polling, format!("43/quiet,7{}", json!([vec![0; 10_000]])));
}

fn a_smaller_limit_holds_for_a_post(target: &Target) {
    assert!(post(target, &joined(target), &event_of(BYTES_MAX_PROTOCOL).0));
    assert!(!post(target, &joined(target), &event_of(BYTES_MAX_PROTOCOL + 1).0));
}

fn a_smaller_limit_holds_for_a_web_socket(target: &Target) {
    let mut client = on_web_socket(target);
    client.send_all(&[Packet::Text(event_of(BYTES_MAX_PROTOCOL).0)]);
    expect_answer(&mut client, BYTES_MAX_PROTOCOL);
    let mut client = on_web_socket(target);
    write(&mut client, &frame(true, OpCode::Text, event_of(BYTES_MAX_PROTOCOL + 1).0.as_bytes()));
    client.expect_closed();
}

fn deep_json_harms_nobody(target: &Target) {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [1_000, 200_000] {
            let mut client = Client::connect(target);
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            // It may be accepted or close the session.
            client.send_malformed(&[Packet::Text(format!("42[\"unknown\",{deep}]"))]);
            target.expect_alive();
        }
    }
}

fn wide_json_is_accepted(target: &Target) {
    let mut client = Client::connect(target);
    let values: Vec<u32> = (0..50_000).collect();
    assert_eq!(client.call(&json!(["message-with-ack", values])), json!([values]));
}

fn ten_attachments_are_accepted(target: &Target) {
    let mut client = Client::connect(target);
    let placeholders: Vec<_> = (0..10).map(super::client::placeholder).collect();
    let bytes: Vec<[u8; 1]> = (0..10).map(|byte| [byte]).collect();
    let slices: Vec<&[u8]> = bytes.iter().map(|bytes| &bytes[..]).collect();
    client.send_binary(&format!("4510-{}", json!(["message", placeholders])), &slices);
    let expected: Vec<_> = slices.iter().map(|bytes| super::client::binary(bytes)).collect();
    client.expect("45", json!(["message-back", expected]));
}

fn an_absurd_count_of_attachments_closes_the_session(target: &Target) {
    for count in ["1000000", "4294967296", "18446744073709551617", &"9".repeat(400)] {
        let mut client = Client::connect(target);
        client.send_malformed(&[Packet::Text(format!("45{count}-[\"message\"]"))]);
        client.expect_closed();
    }
}

fn a_long_name_of_a_namespace_harms_nobody(target: &Target) {
    let mut client = Client::connect(target);
    client.send_malformed(&[Packet::Text(format!("40/{},", "x".repeat(1_000_000)))]);
    target.expect_alive();
}

fn many_unknown_namespaces_harm_nobody(target: &Target) {
    let mut client = Client::connect(target);
    let names = (0..1_000).map(|number| Packet::Text(format!("40/unknown-{number},")));
    client.send_malformed(&names.collect::<Vec<_>>());
    target.expect_alive();
}
