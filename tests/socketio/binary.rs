//! Attachments.

use serde_json::{Value, json};

use super::client::{Client, Packet, Target, address, binary, placeholder};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, BOTH:
        an_attachment_comes_back,
        several_attachments_come_back,
        attachments_are_nested_anywhere,
        an_empty_attachment_comes_back,
        every_byte_comes_back,
        attachments_of_each_length_come_back,
        a_large_attachment_comes_back,
        ten_large_attachments_come_back,
        placeholders_count_by_their_number,
        a_placeholder_may_come_twice,
        fields_of_a_placeholder_have_any_order,
        an_event_with_binary_is_acknowledged_with_binary,
        binary_passes_in_every_namespace,
        events_with_and_without_binary_keep_their_order,
        binary_is_collected,
        binary_is_part_of_a_question,
        binary_is_broadcast,
        binary_goes_to_rooms,
        attachments_stay_with_their_event_while_others_send,
        attachments_may_come_one_by_one,
        attachments_of_two_clients_are_kept_apart,
        a_pong_may_come_before_an_attachment;
];

/// Sends an event whose placeholders stand for these attachments.
fn send(client: &mut Client, namespace: &str, event: &Value, attachments: &[&[u8]]) {
    let kind = format!("45{}-", attachments.len());
    client.send_binary(&format!("{}{event}", address(&kind, namespace)), attachments);
}

#[track_caller]
fn expect_back(target: &Target, attachments: &[&[u8]]) {
    let mut client = Client::connect(target);
    let placeholders = (0..attachments.len()).map(placeholder);
    let event: Vec<Value> = [json!("message")].into_iter().chain(placeholders).collect();
    send(&mut client, "/", &json!(event), attachments);
    let binaries = attachments.iter().map(|bytes| binary(bytes));
    let back: Vec<Value> = [json!("message-back")].into_iter().chain(binaries).collect();
    let event = client.event();
    assert_eq!(event.header, "45");
    // Such bytes would be a long message.
    assert!(event.data == json!(back), "other bytes came back");
}

fn an_attachment_comes_back(target: &Target) {
    expect_back(target, &[&[1, 2, 3, 4]]);
}

fn several_attachments_come_back(target: &Target) {
    expect_back(target, &[b"one", b"two", b"three"]);
}

fn attachments_are_nested_anywhere(target: &Target) {
    let mut client = Client::connect(target);
    let event = json!(["message", {"a": [1, placeholder(0)], "b": {"c": placeholder(1)}}, null,
        [[placeholder(2)]]]);
    send(&mut client, "/", &event, &[b"x", b"y", b"z"]);
    let back = json!(["message-back", {"a": [1, binary(b"x")], "b": {"c": binary(b"y")}}, null,
        [[binary(b"z")]]]);
    client.expect("45", back);
}

fn an_empty_attachment_comes_back(target: &Target) {
    expect_back(target, &[b""]);
    expect_back(target, &[b"", b"x", b""]);
}

fn every_byte_comes_back(target: &Target) {
    let bytes: Vec<u8> = (0..=255).collect();
    expect_back(target, &[&bytes]);
}

fn attachments_of_each_length_come_back(target: &Target) {
    let bytes: Vec<u8> = (0..=255).rev().collect();
    for length in [1, 2, 3, 4, 5, 125, 126, 127, 128] {
        expect_back(target, &[&bytes[..length]]);
    }
}

fn a_large_attachment_comes_back(target: &Target) {
    let bytes: Vec<u8> = (0..1_000_000).map(|at| (at % 251) as u8).collect();
    expect_back(target, &[&bytes]);
}

fn ten_large_attachments_come_back(target: &Target) {
    let bytes: Vec<Vec<u8>> = (0..10).map(|byte| vec![byte; 100_000]).collect();
    expect_back(target, &bytes.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>());
}

fn placeholders_count_by_their_number(target: &Target) {
    let mut client = Client::connect(target);
    let event = json!(["message", placeholder(2), placeholder(0), placeholder(1)]);
    send(&mut client, "/", &event, &[b"a", b"b", b"c"]);
    client.expect("45", json!(["message-back", binary(b"c"), binary(b"a"), binary(b"b")]));
}

fn a_placeholder_may_come_twice(target: &Target) {
    let mut client = Client::connect(target);
    send(&mut client, "/", &json!(["message", placeholder(0), placeholder(0)]), &[b"a"]);
    client.expect("45", json!(["message-back", binary(b"a"), binary(b"a")]));
}

fn fields_of_a_placeholder_have_any_order(target: &Target) {
    let mut client = Client::connect(target);
    let event = r#"["message", {"num" : 0, "_placeholder" : true}]"#;
    client.send_binary(&format!("451-{event}"), &[b"a"]);
    client.expect("45", json!(["message-back", binary(b"a")]));
}

fn an_event_with_binary_is_acknowledged_with_binary(target: &Target) {
    let mut client = Client::connect(target);
    let event = json!(["message-with-ack", placeholder(0), "x", placeholder(1)]);
    client.send_binary(&format!("452-789{event}"), &[b"\x01\x02", b"\x03"]);
    client.expect("46789", json!([binary(b"\x01\x02"), "x", binary(b"\x03")]));
}

fn binary_passes_in_every_namespace(target: &Target) {
    let mut client = Client::open(target);
    for namespace in ["/", "/custom", "/quiet", "/refuse"] {
        client.join(namespace);
        send(&mut client, namespace, &json!(["message", placeholder(0)]), &[b"a"]);
        client.expect(&address("45", namespace), json!(["message-back", binary(b"a")]));
    }
}

fn events_with_and_without_binary_keep_their_order(target: &Target) {
    let mut client = Client::connect(target);
    for number in 0..20 {
        client.emit(&json!(["message", number]));
        send(&mut client, "/", &json!(["message", placeholder(0)]), &[&[number]]);
    }
    for number in 0..20 {
        client.expect("42", json!(["message-back", number]));
        client.expect("45", json!(["message-back", binary(&[number])]));
    }
}

fn binary_is_collected(target: &Target) {
    let mut client = Client::connect(target);
    client.emit(&json!(["collect", 1]));
    send(&mut client, "/", &json!(["collect", {"a": placeholder(0)}]), &[b"a"]);
    client.emit(&json!(["collect", 2]));
    assert_eq!(client.call(&json!(["collected"])), json!([[1, {"a": binary(b"a")}, 2]]));
}

fn binary_is_part_of_a_question(target: &Target) {
    let mut client = Client::connect(target);
    let event = json!(["ask", 10_000, placeholder(0)]);
    client.send_binary(&format!("451-1{event}"), &[b"why?"]);
    let question = client.event();
    assert_eq!(question.data, json!(["question", binary(b"why?")]));
    let id = question.header.strip_prefix("45").expect("binary").to_owned();
    client.send_binary(&format!("461-{id}{}", json!([placeholder(0)])), &[b"so"]);
    client.expect("461", json!(["answer", binary(b"so")]));
}

fn binary_is_broadcast(target: &Target) {
    let mut client = Client::connect(target);
    let mut others: Vec<_> = (0..3).map(|_| Client::connect(target)).collect();
    send(&mut client, "/", &json!(["broadcast", placeholder(0), 1]), &[b"a"]);
    send(&mut client, "/", &json!(["all", placeholder(1), placeholder(0)]), &[b"b", b"c"]);
    client.expect("45", json!(["all-event", binary(b"c"), binary(b"b")]));
    for other in &mut others {
        other.expect("45", json!(["broadcast-event", binary(b"a"), 1]));
        other.expect("45", json!(["all-event", binary(b"c"), binary(b"b")]));
    }
}

fn binary_goes_to_rooms(target: &Target) {
    let mut client = Client::connect(target);
    let mut member = Client::connect(target);
    member.call(&json!(["join", "a"]));
    send(&mut client, "/", &json!(["to-room", "a", placeholder(0)]), &[b"a"]);
    send(&mut client, "/", &json!(["to-rooms", ["a", "b"], placeholder(0)]), &[b"b"]);
    member.expect("45", json!(["room-event", "a", binary(b"a")]));
    member.expect("45", json!(["rooms-event", binary(b"b")]));
}

fn attachments_stay_with_their_event_while_others_send(target: &Target) {
    let mut receiver = Client::connect(target);
    let mut senders: Vec<_> = (0..4).map(|_| Client::connect(target)).collect();
    for number in 0..20_u8 {
        for (at, sender) in senders.iter_mut().enumerate() {
            receiver.emit(&json!(["message", number]));
            let event = json!(["broadcast", at, placeholder(0), placeholder(1)]);
            send(sender, "/", &event, &[&[at as u8], &[number]]);
        }
    }
    // The client itself checks that nothing comes between an event and its attachments.
    let mut next = vec![0_u8; senders.len()];
    let mut own = 0;
    while own < 80 || next.iter().any(|next| *next < 20) {
        let event = receiver.event();
        if event.header == "42" {
            own += 1;
            continue;
        }
        let at = event.data[1].as_u64().expect("a number") as usize;
        let expected = json!(["broadcast-event", at, binary(&[at as u8]), binary(&[next[at]])]);
        assert_eq!(event.data, expected);
        next[at] += 1;
    }
}

fn attachments_may_come_one_by_one(target: &Target) {
    let mut client = Client::connect(target);
    client.send(&format!("452-{}", json!(["message", placeholder(0), placeholder(1)])));
    client.send_all(&[Packet::Binary(b"a".to_vec())]);
    client.send_all(&[Packet::Binary(b"b".to_vec())]);
    client.expect("45", json!(["message-back", binary(b"a"), binary(b"b")]));
}

fn attachments_of_two_clients_are_kept_apart(target: &Target) {
    let mut clients = [Client::connect(target), Client::connect(target)];
    for client in &mut clients {
        client.send(&format!("451-{}", json!(["message", placeholder(0)])));
    }
    for (byte, client) in clients.iter_mut().enumerate().rev() {
        client.send_all(&[Packet::Binary(vec![byte as u8])]);
    }
    for (byte, client) in clients.iter_mut().enumerate() {
        client.expect("45", json!(["message-back", binary(&[byte as u8])]));
    }
}

fn a_pong_may_come_before_an_attachment(target: &Target) {
    let mut client = Client::connect(target);
    let event = Packet::Text(format!("451-{}", json!(["message", placeholder(0)])));
    client.send_raw(&[event, Packet::text("3"), Packet::Binary(b"a".to_vec())]);
    client.expect("45", json!(["message-back", binary(b"a")]));
}
