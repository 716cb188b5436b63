//! WebSockets.

use eventwire::proto::OpCode;
use serde_json::json;

use super::client::{
    Client, HttpConnection, Packet, Session, Target, Transport, WebSocket, binary, frame, opening,
};
use super::{Case, cases};
use crate::frames::encode;

pub(super) const CASES: &[Case] = cases![
    Load, EITHER:
        each_packet_has_a_frame_of_its_own,
        several_frames_come_in_one_segment,
        frames_may_come_byte_by_byte,
        fragments_are_put_together,
        fragments_of_attachments_are_put_together,
        control_frames_may_come_between_fragments,
        a_ping_frame_is_answered,
        a_close_frame_is_answered,
        a_close_packet_closes_the_web_socket,
        an_unknown_type_of_packet_closes_the_web_socket,
        an_empty_message_closes_the_web_socket,
        frames_without_a_mask_close_the_web_socket,
        frames_with_reserved_bits_close_the_web_socket,
        unknown_opcodes_close_the_web_socket,
        text_that_is_not_utf8_closes_the_web_socket,
        a_fragment_of_nothing_closes_the_web_socket,
        large_events_pass_both_ways,
        a_flood_arrives_whole_and_in_order,
        what_follows_the_request_at_once_is_read,
        a_cut_within_a_frame_ends_only_that_session,
        many_events_are_pipelined,
];

/// A client in the namespace that emits nothing.
fn quiet(target: &Target) -> Client {
    Client::connect_to(&target.with(Transport::WebSocket), "/quiet").0
}

fn socket(client: &mut Client) -> &mut WebSocket {
    match &mut client.session {
        Session::WebSocket(socket) => socket,
        Session::Polling(_) => panic!("not over a WebSocket"),
    }
}

fn each_packet_has_a_frame_of_its_own(target: &Target) {
    let mut client = quiet(target);
    let socket = socket(&mut client);
    socket.send_text("42/quiet,[\"flood\",3]");
    for number in 0..3 {
        let expected = format!("42/quiet,[\"flood-event\",{number}]");
        assert_eq!(socket.next_frame(), Some((OpCode::Text, expected.into_bytes())));
    }
}

fn several_frames_come_in_one_segment(target: &Target) {
    let mut client = quiet(target);
    let numbers: Vec<u32> = (0..100).collect();
    let packets = numbers.iter().map(|number| format!("42/quiet,[\"collect\",{number}]"));
    client.send_all(&packets.map(Packet::Text).collect::<Vec<_>>());
    assert_eq!(client.call_in("/quiet", &json!(["collected"])), json!([numbers]));
}

fn frames_may_come_byte_by_byte(target: &Target) {
    let mut client = quiet(target);
    for byte in frame(true, OpCode::Text, "42/quiet,[\"message\",\"caf\u{e9}\"]".as_bytes()) {
        socket(&mut client).write(&[byte]);
    }
    client.expect("42/quiet,", json!(["message-back", "caf\u{e9}"]));
}

/// A message in fragments of one byte each.
fn fragments(opcode: OpCode, payload: &[u8]) -> Vec<Vec<u8>> {
    let last = payload.len() - 1;
    let fragment = |(at, byte)| {
        frame(at == last, if at == 0 { opcode } else { OpCode::Continuation }, &[byte])
    };
    payload.iter().copied().enumerate().map(fragment).collect()
}

fn fragments_are_put_together(target: &Target) {
    let mut client = quiet(target);
    let text = "42/quiet,[\"message\",\"\u{20ac}\"]";
    socket(&mut client).write(&fragments(OpCode::Text, text.as_bytes()).concat());
    client.expect("42/quiet,", json!(["message-back", "\u{20ac}"]));
}

fn fragments_of_attachments_are_put_together(target: &Target) {
    let mut client = quiet(target);
    client.send("451-/quiet,[\"message\",{\"_placeholder\":true,\"num\":0}]");
    socket(&mut client).write(&fragments(OpCode::Binary, b"\x00\xFFabc").concat());
    client.expect("45/quiet,", json!(["message-back", binary(b"\x00\xFFabc")]));
}

fn control_frames_may_come_between_fragments(target: &Target) {
    let mut client = quiet(target);
    let ping = frame(true, OpCode::Ping, b"");
    let pieces = fragments(OpCode::Text, b"42/quiet,[\"message\",1]");
    socket(&mut client).write(&pieces.join(&ping[..]));
    client.expect("42/quiet,", json!(["message-back", 1]));
}

fn a_ping_frame_is_answered(target: &Target) {
    let mut client = quiet(target);
    let socket = socket(&mut client);
    socket.write(&frame(true, OpCode::Ping, b"hello"));
    assert_eq!(socket.next_frame(), Some((OpCode::Pong, b"hello".to_vec())));
}

fn a_close_frame_is_answered(target: &Target) {
    let mut client = quiet(target);
    let socket = socket(&mut client);
    socket.write(&frame(true, OpCode::Close, &1000_u16.to_be_bytes()));
    let answer = socket.next_frame().expect("a close frame");
    assert_eq!(answer.0, OpCode::Close);
    assert_eq!(socket.next_frame(), None);
}

fn a_close_packet_closes_the_web_socket(target: &Target) {
    let mut client = quiet(target);
    client.send_all(&[Packet::text("1")]);
    client.expect_closed();
}

#[track_caller]
fn expect_closing(target: &Target, bytes: &[u8]) {
    let mut client = quiet(target);
    socket(&mut client).write(bytes);
    client.expect_closed();
}

fn an_unknown_type_of_packet_closes_the_web_socket(target: &Target) {
    for text in ["abc", "7", "9[1]", " 4"] {
        expect_closing(target, &frame(true, OpCode::Text, text.as_bytes()));
    }
}

fn an_empty_message_closes_the_web_socket(target: &Target) {
    expect_closing(target, &frame(true, OpCode::Text, b""));
}

fn frames_without_a_mask_close_the_web_socket(target: &Target) {
    expect_closing(target, &encode(true, OpCode::Text, None, b"42/quiet,[\"message\",1]"));
}

fn frames_with_reserved_bits_close_the_web_socket(target: &Target) {
    for bit in [0x10, 0x20, 0x40] {
        let mut bytes = frame(true, OpCode::Text, b"42/quiet,[\"message\",1]");
        bytes[0] |= bit;
        expect_closing(target, &bytes);
    }
}

fn unknown_opcodes_close_the_web_socket(target: &Target) {
    for opcode in [0x3, 0x7, 0xB, 0xF] {
        let mut bytes = frame(true, OpCode::Text, b"");
        bytes[0] = bytes[0] & 0xF0 | opcode;
        expect_closing(target, &bytes);
    }
}

fn text_that_is_not_utf8_closes_the_web_socket(target: &Target) {
    expect_closing(target, &frame(true, OpCode::Text, b"42/quiet,[\"message\",\"\xFF\xFE\"]"));
}

fn a_fragment_of_nothing_closes_the_web_socket(target: &Target) {
    expect_closing(target, &frame(true, OpCode::Continuation, b"42/quiet,[\"message\",1]"));
}

fn large_events_pass_both_ways(target: &Target) {
    let mut client = quiet(target);
    let text = "caf\u{e9} ".repeat(100_000);
    assert_eq!(client.call_in("/quiet", &json!(["message-with-ack", text])), json!([text]));
}

fn a_flood_arrives_whole_and_in_order(target: &Target) {
    let mut client = quiet(target);
    client.emit_in("/quiet", &json!(["flood", 10_000]));
    for number in 0..10_000 {
        client.expect("42/quiet,", json!(["flood-event", number]));
    }
}

fn what_follows_the_request_at_once_is_read(target: &Target) {
    let request = opening("/socket.io/?EIO=4&transport=websocket", "");
    let frame = frame(true, OpCode::Text, b"40/quiet,");
    let mut connection = HttpConnection::open(target.address);
    connection.write(&[request, frame].concat());
    let mut socket = WebSocket::over(connection).expect("a WebSocket");
    for kind in ["0{", "40/quiet,{"] {
        let Some(Packet::Text(text)) = socket.next() else { panic!("no {kind}") };
        assert!(text.starts_with(kind), "{text}");
    }
}

fn a_cut_within_a_frame_ends_only_that_session(target: &Target) {
    let mut other = quiet(target);
    let mut client = quiet(target);
    let bytes = frame(true, OpCode::Text, b"42/quiet,[\"message\",1]");
    socket(&mut client).write(&bytes[..bytes.len() - 3]);
    drop(client);
    other.expect_echo_in("/quiet");
}

fn many_events_are_pipelined(target: &Target) {
    let mut client = quiet(target);
    let packets = (0..2_000).map(|number| format!("42/quiet,[\"message\",{number}]"));
    client.send_all(&packets.map(Packet::Text).collect::<Vec<_>>());
    for number in 0..2_000 {
        client.expect("42/quiet,", json!(["message-back", number]));
    }
}
