//! Leaving namespaces and ending sessions.

use eventwire::proto::OpCode;
use serde_json::{Value, json};

use super::client::{Client, Packet, Session, Target, Transport, await_end, frame};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, BOTH:
        a_namespace_is_left,
        leaving_one_namespace_leaves_the_others,
        leaving_the_last_namespace_keeps_the_connection,
        a_namespace_that_was_left_can_be_joined_again,
        the_server_ends_a_socket,
        the_server_ends_one_socket_of_several,
        a_socket_that_was_ended_can_join_again,
        the_server_ends_the_connection,
        the_server_ends_all_sockets_of_a_connection,
        events_before_the_end_are_delivered,
        a_close_packet_ends_all_sockets,
        a_cut_connection_ends_all_sockets,
        a_malformed_packet_ends_all_sockets,
        each_end_is_noticed_once,
        reasons_are_text,
        the_last_hundred_ends_are_kept_in_their_order;
    Load, EITHER:
        a_close_frame_ends_the_socket,
        a_reset_ends_the_socket;
];

fn a_namespace_is_left(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    client.send("41");
    assert_eq!(await_end(&mut Client::connect(target), &sid), 1);
}

fn leaving_one_namespace_leaves_the_others(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    client.join("/custom");
    client.join("/quiet");
    client.send("41/custom,");
    client.expect_echo();
    client.expect_echo_in("/quiet");
    client.send("41");
    client.expect_echo_in("/quiet");
    await_end(&mut Client::connect(target), &sid);
}

fn leaving_the_last_namespace_keeps_the_connection(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    client.send("41");
    await_end(&mut Client::connect(target), &sid);
    client.join("/custom");
    client.expect_echo_in("/custom");
}

fn a_namespace_that_was_left_can_be_joined_again(target: &Target) {
    let (mut client, first) = Client::connect_to(target, "/");
    client.send("41");
    await_end(&mut Client::connect(target), &first);
    let second = client.join("/");
    assert_ne!(first, second);
    client.expect_echo();
}

fn the_server_ends_a_socket(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    client.emit(&json!(["disconnect-me", false]));
    client.expect("41", Value::Null);
    await_end(&mut Client::connect(target), &sid);
    // The connection stays.
    client.join("/quiet");
    client.expect_nothing_in("/quiet");
}

fn the_server_ends_one_socket_of_several(target: &Target) {
    let mut client = Client::connect(target);
    client.join("/custom");
    client.emit_in("/custom", &json!(["disconnect-me", false]));
    client.expect("41/custom,", Value::Null);
    client.expect_nothing();
}

fn a_socket_that_was_ended_can_join_again(target: &Target) {
    let (mut client, first) = Client::connect_to(target, "/");
    client.emit(&json!(["disconnect-me", false]));
    client.expect("41", Value::Null);
    let second = client.join("/");
    assert_ne!(first, second);
    client.expect_echo();
}

fn the_server_ends_the_connection(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    client.emit(&json!(["disconnect-me", true]));
    client.expect("41", Value::Null);
    assert_eq!(client.next(), None);
    await_end(&mut Client::connect(target), &sid);
}

fn the_server_ends_all_sockets_of_a_connection(target: &Target) {
    let (mut client, first) = Client::connect_to(target, "/");
    let second = client.join("/quiet");
    client.emit_in("/quiet", &json!(["disconnect-me", true]));
    let mut headers = [client.event().header, client.event().header];
    headers.sort();
    assert_eq!(headers, ["41", "41/quiet,"]);
    assert_eq!(client.next(), None);
    let mut observer = Client::connect(target);
    for sid in [first, second] {
        assert_eq!(await_end(&mut observer, &sid), 1);
    }
}

fn events_before_the_end_are_delivered(target: &Target) {
    for close in [false, true] {
        let mut client = Client::connect(target);
        client.emit(&json!(["flood", 100]));
        client.emit(&json!(["disconnect-me", close]));
        for number in 0..100 {
            client.expect("42", json!(["flood-event", number]));
        }
        client.expect("41", Value::Null);
    }
}

/// Ends a connection with two sockets, and expects that both ends are noticed.
fn expect_ends(target: &Target, end: impl Fn(Client)) {
    let (mut client, first) = Client::connect_to(target, "/");
    let second = client.join("/quiet");
    end(client);
    let mut observer = Client::connect(target);
    for sid in [first, second] {
        assert_eq!(await_end(&mut observer, &sid), 1);
    }
}

fn a_close_packet_ends_all_sockets(target: &Target) {
    expect_ends(target, |mut client| {
        client.send_raw(&[Packet::text("1")]);
        client.expect_closed();
    });
}

fn a_cut_connection_ends_all_sockets(target: &Target) {
    expect_ends(target, Client::cut);
}

fn a_malformed_packet_ends_all_sockets(target: &Target) {
    expect_ends(target, |mut client| {
        client.send_malformed(&[Packet::text("42[")]);
        client.expect_closed();
    });
}

fn each_end_is_noticed_once(target: &Target) {
    let mut observer = Client::connect(target);
    let (mut client, sid) = Client::connect_to(target, "/");
    client.send("41");
    await_end(&mut observer, &sid);
    client.cut();
    // Another end afterwards.
    let (other, later) = Client::connect_to(target, "/");
    other.cut();
    await_end(&mut observer, &later);
    assert_eq!(await_end(&mut observer, &sid), 1);
}

fn reasons_are_text(target: &Target) {
    let (client, sid) = Client::connect_to(target, "/");
    client.cut();
    let mut observer = Client::connect(target);
    await_end(&mut observer, &sid);
    let ends = observer.call(&json!(["disconnects"]));
    for end in ends[0].as_array().expect("a list") {
        assert!(end["sid"].is_string() && end["reason"].is_string(), "{end}");
    }
}

fn the_last_hundred_ends_are_kept_in_their_order(target: &Target) {
    let mut observer = Client::connect(target);
    let mut client = Client::open(target);
    let mut expected = Vec::new();
    for _ in 0..120 {
        expected.push(client.join("/quiet"));
        client.emit_in("/quiet", &json!(["disconnect-me", false]));
        client.expect("41/quiet,", Value::Null);
    }
    await_end(&mut observer, &expected[119]);
    let ends = observer.call(&json!(["disconnects"]));
    let ends: Vec<&str> =
        ends[0].as_array().expect("a list").iter().filter_map(|end| end["sid"].as_str()).collect();
    assert_eq!(ends, &expected[20..]);
}

fn a_close_frame_ends_the_socket(target: &Target) {
    let target = target.with(Transport::WebSocket);
    expect_ends(&target, |mut client| {
        let Session::WebSocket(socket) = &mut client.session else { panic!("no WebSocket") };
        socket.write(&frame(true, OpCode::Close, &1000_u16.to_be_bytes()));
        client.expect_closed();
    });
}

fn a_reset_ends_the_socket(target: &Target) {
    let target = target.with(Transport::WebSocket);
    expect_ends(&target, |client| {
        let Session::WebSocket(socket) = client.session else { panic!("no WebSocket") };
        socket.reset();
    });
}
