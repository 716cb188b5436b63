//! HTTP long-polling.

use serde_json::{Value, json};

use super::client::{
    Client, HttpConnection, Packet, Polling, Request, Session, Target, Transport, decode_payload,
};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, EITHER:
        a_post_is_answered_with_ok,
        several_packets_come_in_one_post,
        more_than_sixteen_packets_come_in_one_post,
        a_get_brings_at_most_sixteen_packets,
        a_waiting_get_is_answered_with_the_next_packet,
        what_no_get_waits_for_is_kept_in_order,
        a_get_has_the_type_of_plain_text,
        binary_is_encoded_with_base64,
        a_post_of_bytes_is_refused,
        the_type_of_a_post_may_be_absent,
        a_post_may_come_in_chunks,
        a_post_may_expect_to_continue,
        characters_may_be_split_between_segments,
        a_second_get_is_refused_and_closes_the_session,
        a_second_post_is_refused_and_closes_the_session,
        a_cancelled_get_closes_the_session,
        an_unknown_type_of_packet_closes_the_session,
        an_empty_payload_closes_the_session,
        a_close_packet_closes_the_session_and_ends_the_get,
        what_follows_a_close_packet_is_ignored,
        other_methods_are_refused,
        another_transport_without_upgrade_is_refused,
        large_events_pass_both_ways,
        sessions_are_kept_apart,
        a_flood_arrives_whole_and_in_order,
        a_closed_session_is_unknown,
        events_of_a_slow_reader_are_kept,
];

/// A client in the namespace that emits nothing.
fn quiet(target: &Target) -> (Polling, Client) {
    let (client, _) = Client::connect_to(&target.with(Transport::Polling), "/quiet");
    let Session::Polling(polling) = &client.session else { panic!("not over polling") };
    // Another view of the same session.
    (polling.another(), client)
}

#[track_caller]
fn expect_gone(polling: &Polling) {
    let response = polling.get();
    // The end may be said once.
    if response.status == 200 {
        let last = decode_payload(response.text()).pop();
        let is_end = [Packet::text("1"), Packet::text("6")].contains(&last.expect("a packet"));
        assert!(is_end, "{}", response.text());
        assert_eq!(polling.get().status, 400);
    } else {
        assert_eq!(response.status, 400, "{}", response.text());
    }
    assert_eq!(polling.post("3").status, 400);
}

fn a_post_is_answered_with_ok(target: &Target) {
    let polling = Polling::open(target);
    let response = polling.post("40");
    assert_eq!((response.status, response.text()), (200, "ok"));
}

fn several_packets_come_in_one_post(target: &Target) {
    let (polling, mut client) = quiet(target);
    let body = ["1", "2", "3"].map(|value| format!("42/quiet,[\"collect\",{value}]")).join("\x1e");
    assert_eq!(polling.post(&body).text(), "ok");
    assert_eq!(client.call_in("/quiet", &json!(["collected"])), json!([[1, 2, 3]]));
}

fn more_than_sixteen_packets_come_in_one_post(target: &Target) {
    let (polling, mut client) = quiet(target);
    let numbers: Vec<u32> = (0..500).collect();
    let events = numbers.iter().map(|number| format!("42/quiet,[\"collect\",{number}]"));
    let body = events.collect::<Vec<_>>().join("\x1e");
    assert_eq!(polling.post(&body).text(), "ok");
    assert_eq!(client.call_in("/quiet", &json!(["collected"])), json!([numbers]));
}

fn a_get_brings_at_most_sixteen_packets(target: &Target) {
    let (polling, _client) = quiet(target);
    assert_eq!(polling.post("42/quiet,[\"flood\",100]").text(), "ok");
    let mut count = 0;
    while count < 100 {
        let arrived = decode_payload(polling.get().text()).len();
        assert!(arrived <= 16, "{arrived}");
        count += arrived;
    }
}

fn a_waiting_get_is_answered_with_the_next_packet(target: &Target) {
    let (polling, _client) = quiet(target);
    let mut waiting = polling.begin_get();
    assert_eq!(polling.post("42/quiet,[\"message\",1]").text(), "ok");
    assert_eq!(waiting.response().text(), "42/quiet,[\"message-back\",1]");
}

fn what_no_get_waits_for_is_kept_in_order(target: &Target) {
    let (polling, mut client) = quiet(target);
    for number in 0..40 {
        assert_eq!(polling.post(&format!("42/quiet,[\"message\",{number}]")).text(), "ok");
    }
    for number in 0..40 {
        client.expect("42/quiet,", json!(["message-back", number]));
    }
}

fn a_get_has_the_type_of_plain_text(target: &Target) {
    let polling = Polling::open(target);
    assert_eq!(polling.post("40/quiet,").text(), "ok");
    let response = polling.get();
    let kind = response.header("Content-Type").expect("a type").to_lowercase();
    assert_eq!(kind, "text/plain; charset=utf-8");
}

fn binary_is_encoded_with_base64(target: &Target) {
    let (polling, _client) = quiet(target);
    let event = r#"451-/quiet,["message",{"_placeholder":true,"num":0}]"#;
    assert_eq!(polling.post(&format!("{event}\x1ebAQIDBA==")).text(), "ok");
    let mut arrived = String::new();
    while !arrived.contains("bAQID") {
        arrived = format!("{arrived}\x1e{}", polling.get().text());
    }
    let expected = r#"451-/quiet,["message-back",{"_placeholder":true,"num":0}]"#;
    let [first, second] = [&arrived[1..], expected].map(|text| text.split('\x1e').next());
    let [first, second] = [first, second].map(|text| json_of(text.expect("a packet")));
    assert_eq!(first, second);
    assert!(arrived.ends_with("\x1ebAQIDBA=="), "{arrived}");
}

fn json_of(packet: &str) -> Value {
    let at = packet.find('[').expect("an array");
    serde_json::from_str(&packet[at..]).expect("JSON")
}

fn a_post_of_bytes_is_refused(target: &Target) {
    let (polling, _client) = quiet(target);
    let headers = "Content-Type: application/octet-stream\r\n";
    let request = Request { method: "POST", headers, body: Some(b"42/quiet,[\"message\",1]") };
    assert_eq!(target.request(&polling.path(), request).status, 400);
}

fn the_type_of_a_post_may_be_absent(target: &Target) {
    let (polling, mut client) = quiet(target);
    for headers in ["", "Content-Type: text/plain\r\n"] {
        let body = Some(&b"42/quiet,[\"message\",1]"[..]);
        let request = Request { method: "POST", headers, body };
        assert_eq!(target.request(&polling.path(), request).text(), "ok");
        client.expect("42/quiet,", json!(["message-back", 1]));
    }
}

fn a_post_may_come_in_chunks(target: &Target) {
    let (polling, mut client) = quiet(target);
    let headers = "Transfer-Encoding: chunked\r\n";
    let head = Request { method: "POST", headers, body: None }.encode(&polling.path());
    let mut connection = HttpConnection::open(target.address);
    connection.write(&head);
    for piece in ["42/qu", "iet,[\"mess", "age\",\"caf\u{e9}\"]"] {
        connection.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
    }
    connection.write(b"0\r\n\r\n");
    assert_eq!(connection.response().text(), "ok");
    client.expect("42/quiet,", json!(["message-back", "caf\u{e9}"]));
}

fn a_post_may_expect_to_continue(target: &Target) {
    let (polling, mut client) = quiet(target);
    let body = b"42/quiet,[\"message\",1]";
    let headers = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    let head = Request { method: "POST", headers: &headers, body: None }.encode(&polling.path());
    let mut connection = HttpConnection::open(target.address);
    connection.write(&head);
    connection.write(body);
    assert_eq!(connection.response().text(), "ok");
    client.expect("42/quiet,", json!(["message-back", 1]));
}

fn characters_may_be_split_between_segments(target: &Target) {
    let (polling, mut client) = quiet(target);
    let body = "42/quiet,[\"message\",\"\u{20ac}\u{1f600}\"]";
    let request = Request { method: "POST", headers: "", body: Some(body.as_bytes()) };
    let mut connection = HttpConnection::open(target.address);
    for byte in request.encode(&polling.path()) {
        connection.write(&[byte]);
    }
    assert_eq!(connection.response().text(), "ok");
    client.expect("42/quiet,", json!(["message-back", "\u{20ac}\u{1f600}"]));
}

fn a_second_get_is_refused_and_closes_the_session(target: &Target) {
    let (polling, _client) = quiet(target);
    let mut first = polling.begin_get();
    let mut second = polling.begin_get();
    // The order of two connections is the system's.
    let statuses = [&mut first, &mut second].map(|connection| connection.try_response());
    let statuses = statuses.map(|response| response.map(|response| response.status));
    assert!(statuses.contains(&Some(400)), "{statuses:?}");
    assert_eq!(polling.get().status, 400);
}

fn a_second_post_is_refused_and_closes_the_session(target: &Target) {
    let (polling, _client) = quiet(target);
    let _first = polling.begin_post("42/quiet,[\"message\",1]");
    let second = polling.begin_post("42/quiet,[\"message\",2]");
    // A request is answered when its body begins, or when it is whole.
    let mut second = second;
    second.try_write(b"]");
    let response = second.try_response();
    assert_eq!(response.map(|response| response.status), Some(400));
    expect_gone(&polling);
}

fn a_cancelled_get_closes_the_session(target: &Target) {
    let (polling, _client) = quiet(target);
    drop(polling.begin_get());
    // If the server sees this one first, it is one too many.
    assert_eq!(polling.get().status, 400);
    assert_eq!(polling.get().status, 400);
}

#[track_caller]
fn expect_closing(target: &Target, body: &str) {
    let (polling, _client) = quiet(target);
    let status = polling.post(body).status;
    assert!(matches!(status, 200 | 400), "{status}");
    expect_gone(&polling);
}

fn an_unknown_type_of_packet_closes_the_session(target: &Target) {
    for body in ["abc", "7", "9[1]", " 4", "3\x1ex"] {
        expect_closing(target, body);
    }
}

fn an_empty_payload_closes_the_session(target: &Target) {
    expect_closing(target, "");
}

fn a_close_packet_closes_the_session_and_ends_the_get(target: &Target) {
    let (polling, _client) = quiet(target);
    let mut waiting = polling.begin_get();
    assert_eq!(polling.post("1").text(), "ok");
    let response = waiting.response();
    assert_eq!((response.status, response.text()), (200, "6"));
    assert_eq!(polling.get().status, 400);
}

fn what_follows_a_close_packet_is_ignored(target: &Target) {
    let (polling, _client) = quiet(target);
    let mut other = Client::connect(target);
    other.join("/quiet");
    polling.post("1\x1e42/quiet,[\"broadcast\",1]");
    assert_eq!(polling.get().status, 400);
    // Others in this namespace broadcast nothing.
    other.expect_nothing_in("/quiet");
}

fn other_methods_are_refused(target: &Target) {
    let (polling, _client) = quiet(target);
    for method in ["PUT", "DELETE", "PATCH"] {
        let request = Request { method, headers: "", body: Some(b"42/quiet,[\"message\",1]") };
        let response = target.request(&polling.path(), request);
        assert!(response.status >= 400, "{method}: {}", response.status);
    }
}

fn another_transport_without_upgrade_is_refused(target: &Target) {
    let (polling, mut client) = quiet(target);
    let path = polling.path().replace("polling", "websocket");
    assert_eq!(target.get(&path).status, 400);
    client.expect_echo_in("/quiet");
}

fn large_events_pass_both_ways(target: &Target) {
    let (_, mut client) = quiet(target);
    let text = "caf\u{e9} ".repeat(100_000);
    assert_eq!(client.call_in("/quiet", &json!(["message-with-ack", text])), json!([text]));
}

fn sessions_are_kept_apart(target: &Target) {
    let mut clients: Vec<_> = (0..10).map(|_| quiet(target).1).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.emit_in("/quiet", &json!(["message", number]));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.expect("42/quiet,", json!(["message-back", number]));
        client.expect_nothing_in("/quiet");
    }
}

fn a_flood_arrives_whole_and_in_order(target: &Target) {
    let (_, mut client) = quiet(target);
    client.emit_in("/quiet", &json!(["flood", 2_000]));
    for number in 0..2_000 {
        client.expect("42/quiet,", json!(["flood-event", number]));
    }
}

fn a_closed_session_is_unknown(target: &Target) {
    let (polling, _client) = quiet(target);
    assert_eq!(polling.post("1").text(), "ok");
    expect_gone(&polling);
}

fn events_of_a_slow_reader_are_kept(target: &Target) {
    let (polling, mut client) = quiet(target);
    let text = "x".repeat(1_000);
    for _ in 0..100 {
        assert_eq!(polling.post(&format!("42/quiet,[\"message\",\"{text}\"]")).text(), "ok");
    }
    for _ in 0..100 {
        client.expect("42/quiet,", json!(["message-back", text]));
    }
}
