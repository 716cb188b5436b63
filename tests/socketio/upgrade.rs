//! Upgrades from polling to a WebSocket.

use std::collections::VecDeque;

use serde_json::json;

use super::client::{
    Client, HttpConnection, Packet, Polling, Session, Target, Transport, WebSocket, decode_payload,
    frame, opening,
};
use super::{Case, cases};
use eventwire::proto::OpCode;

pub(super) const CASES: &[Case] = cases![
    Load, EITHER:
        an_upgraded_session_goes_on_over_the_web_socket,
        the_waiting_get_is_answered_with_noop,
        every_get_during_the_upgrade_is_answered_with_noop,
        what_was_not_fetched_comes_over_the_web_socket,
        attachments_not_fetched_come_over_the_web_socket,
        events_before_and_after_keep_their_order,
        what_follows_the_upgrade_packet_at_once_is_handled,
        the_probe_may_come_with_the_request,
        requests_after_the_upgrade_are_refused,
        a_second_web_socket_after_the_upgrade_is_closed,
        a_second_web_socket_during_the_upgrade_is_closed,
        a_web_socket_for_a_session_that_began_as_one_is_closed,
        a_web_socket_that_ends_before_the_probe_leaves_the_session,
        a_web_socket_that_ends_after_the_probe_leaves_the_session,
        a_wrong_first_packet_closes_only_the_web_socket,
        a_wrong_packet_after_the_probe_closes_only_the_web_socket,
        a_session_can_upgrade_after_a_failed_attempt,
        polling_goes_on_while_the_web_socket_is_probed,
        a_session_that_ends_during_the_upgrade_closes_the_web_socket,
        a_flood_across_the_upgrade_arrives_once_and_in_order,
        both_ways_across_the_upgrade_nothing_is_lost,
        the_transport_is_known_to_the_application,
        the_end_of_an_upgraded_web_socket_ends_the_session,
        many_sessions_upgrade_at_once;
];

const BACK: &str = "42/quiet,[\"message-back\",1]";
const EVENT: &str = "42/quiet,[\"message\",1]";

/// A session that has joined `/quiet`.
fn joined(target: &Target) -> Polling {
    let mut polling = Polling::open(target);
    polling.send(&[Packet::text("40/quiet,")]);
    let Some(Packet::Text(answer)) = polling.next() else { panic!("no answer") };
    assert!(answer.starts_with("40/quiet,{"), "{answer}");
    polling
}

fn probe(target: &Target, polling: &Polling) -> WebSocket {
    let mut socket = WebSocket::for_session(target, &polling.sid);
    socket.send_text("2probe");
    socket.expect_text("3probe");
    socket
}

fn upgraded(target: &Target) -> (Polling, WebSocket) {
    let polling = joined(target);
    let mut socket = probe(target, &polling);
    socket.send_text("5");
    (polling, socket)
}

fn expect_echo(socket: &mut WebSocket) {
    socket.send_text(EVENT);
    socket.expect_text(BACK);
}

fn expect_polling(polling: &mut Polling) {
    polling.send(&[Packet::text(EVENT)]);
    assert_eq!(polling.next(), Some(Packet::text(BACK)));
}

fn an_upgraded_session_goes_on_over_the_web_socket(target: &Target) {
    let (_, mut socket) = upgraded(target);
    expect_echo(&mut socket);
}

fn the_waiting_get_is_answered_with_noop(target: &Target) {
    let polling = joined(target);
    let mut waiting = polling.begin_get();
    let mut socket = WebSocket::for_session(target, &polling.sid);
    socket.send_text("2probe");
    let response = waiting.response();
    assert_eq!((response.status, response.text()), (200, "6"));
    socket.expect_text("3probe");
    socket.send_text("5");
    expect_echo(&mut socket);
}

fn every_get_during_the_upgrade_is_answered_with_noop(target: &Target) {
    let polling = joined(target);
    let mut socket = probe(target, &polling);
    for _ in 0..3 {
        let response = polling.get();
        assert_eq!((response.status, response.text()), (200, "6"));
    }
    socket.send_text("5");
    expect_echo(&mut socket);
}

fn what_was_not_fetched_comes_over_the_web_socket(target: &Target) {
    let polling = joined(target);
    assert_eq!(polling.post("42/quiet,[\"flood\",30]").text(), "ok");
    let mut socket = probe(target, &polling);
    socket.send_text("5");
    for number in 0..30 {
        socket.expect_text(&format!("42/quiet,[\"flood-event\",{number}]"));
    }
    expect_echo(&mut socket);
}

fn attachments_not_fetched_come_over_the_web_socket(target: &Target) {
    let polling = joined(target);
    let event = "451-/quiet,[\"message\",{\"_placeholder\":true,\"num\":0}]\x1ebAQID";
    assert_eq!(polling.post(event).text(), "ok");
    let mut socket = probe(target, &polling);
    socket.send_text("5");
    let Some(Packet::Text(text)) = socket.next() else { panic!("no event") };
    assert!(text.starts_with("451-/quiet,[\"message-back\","), "{text}");
    assert_eq!(socket.next(), Some(Packet::Binary(vec![1, 2, 3])));
}

fn events_before_and_after_keep_their_order(target: &Target) {
    let polling = joined(target);
    for number in 0..10 {
        assert_eq!(polling.post(&format!("42/quiet,[\"collect\",{number}]")).text(), "ok");
    }
    let mut socket = probe(target, &polling);
    socket.send_text("5");
    for number in 10..20 {
        socket.send_text(&format!("42/quiet,[\"collect\",{number}]"));
    }
    socket.send_text("42/quiet,1[\"collected\"]");
    let numbers: Vec<u32> = (0..20).collect();
    socket.expect_text(&format!("43/quiet,1{}", json!([numbers])));
}

fn what_follows_the_upgrade_packet_at_once_is_handled(target: &Target) {
    let polling = joined(target);
    let mut socket = probe(target, &polling);
    socket.send(&[Packet::text("5"), Packet::text(EVENT)]);
    socket.expect_text(BACK);
}

fn the_probe_may_come_with_the_request(target: &Target) {
    let polling = joined(target);
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    let mut connection = HttpConnection::open(target.address);
    connection.write(&[opening(&path, ""), frame(true, OpCode::Text, b"2probe")].concat());
    let mut socket = WebSocket::over(connection).expect("a WebSocket");
    socket.expect_text("3probe");
    socket.send_text("5");
    expect_echo(&mut socket);
}

fn requests_after_the_upgrade_are_refused(target: &Target) {
    let (polling, mut socket) = upgraded(target);
    expect_echo(&mut socket);
    assert_eq!(polling.get().status, 400);
    assert_eq!(polling.post(EVENT).status, 400);
    expect_echo(&mut socket);
}

/// The WebSocket is refused, or closed before it gets anything.
#[track_caller]
fn expect_refused(target: &Target, sid: &str) {
    match WebSocket::dial(target, &format!("EIO=4&transport=websocket&sid={sid}")) {
        Ok(mut socket) => {
            socket.try_write(&frame(true, OpCode::Text, b"2probe"));
            assert_eq!(socket.next(), None);
        }
        Err(Some(refusal)) => assert_eq!(refusal.status, 400),
        Err(None) => {}
    }
}

fn a_second_web_socket_after_the_upgrade_is_closed(target: &Target) {
    let (polling, mut socket) = upgraded(target);
    expect_echo(&mut socket);
    expect_refused(target, &polling.sid);
    expect_echo(&mut socket);
}

fn a_second_web_socket_during_the_upgrade_is_closed(target: &Target) {
    let polling = joined(target);
    let mut socket = probe(target, &polling);
    expect_refused(target, &polling.sid);
    socket.send_text("5");
    expect_echo(&mut socket);
}

fn a_web_socket_for_a_session_that_began_as_one_is_closed(target: &Target) {
    let mut client = Client::connect(&target.with(Transport::WebSocket));
    expect_refused(target, &client.session_id);
    client.expect_echo();
}

fn a_web_socket_that_ends_before_the_probe_leaves_the_session(target: &Target) {
    let mut polling = joined(target);
    drop(WebSocket::for_session(target, &polling.sid));
    expect_polling(&mut polling);
}

fn a_web_socket_that_ends_after_the_probe_leaves_the_session(target: &Target) {
    let mut polling = joined(target);
    drop(probe(target, &polling));
    expect_polling(&mut polling);
    expect_polling(&mut polling);
}

fn a_wrong_first_packet_closes_only_the_web_socket(target: &Target) {
    for text in ["2", "2nope", EVENT, "6", "abc"] {
        let mut polling = joined(target);
        let mut socket = WebSocket::for_session(target, &polling.sid);
        socket.send_text(text);
        assert_eq!(socket.next(), None, "{text}");
        expect_polling(&mut polling);
    }
}

fn a_wrong_packet_after_the_probe_closes_only_the_web_socket(target: &Target) {
    for text in [EVENT, "7", "6"] {
        let mut polling = joined(target);
        let mut socket = probe(target, &polling);
        socket.send_text(text);
        socket.expect_closed();
        expect_polling(&mut polling);
    }
}

fn a_session_can_upgrade_after_a_failed_attempt(target: &Target) {
    let mut polling = joined(target);
    let mut failed = probe(target, &polling);
    failed.send_text("6");
    failed.expect_closed();
    expect_polling(&mut polling);
    let mut socket = probe(target, &polling);
    socket.send_text("5");
    expect_echo(&mut socket);
}

fn polling_goes_on_while_the_web_socket_is_probed(target: &Target) {
    let mut polling = joined(target);
    let mut socket = probe(target, &polling);
    expect_polling(&mut polling);
    expect_polling(&mut polling);
    socket.send_text("5");
    expect_echo(&mut socket);
}

fn a_session_that_ends_during_the_upgrade_closes_the_web_socket(target: &Target) {
    let polling = joined(target);
    let mut socket = probe(target, &polling);
    assert_eq!(polling.post("1").text(), "ok");
    socket.expect_closed();
    assert_eq!(polling.get().status, 400);
}

/// Fetches packets until the GET is answered with noop, as stock clients do when they pause.
fn fetch_until_noop(polling: &Polling, waiting: HttpConnection) -> VecDeque<Packet> {
    let (mut packets, mut waiting) = (VecDeque::new(), Some(waiting));
    loop {
        let mut connection = waiting.take().unwrap_or_else(|| polling.begin_get());
        let arrived = decode_payload(connection.response().text());
        let is_last = arrived.contains(&Packet::text("6"));
        packets.extend(arrived.into_iter().filter(|packet| *packet != Packet::text("6")));
        if is_last {
            return packets;
        }
    }
}

fn a_flood_across_the_upgrade_arrives_once_and_in_order(target: &Target) {
    let polling = joined(target);
    let waiting = polling.begin_get();
    let mut socket = WebSocket::for_session(target, &polling.sid);
    assert_eq!(polling.post("42/quiet,[\"flood\",500]").text(), "ok");
    socket.send_text("2probe");
    let mut packets = fetch_until_noop(&polling, waiting);
    socket.expect_text("3probe");
    socket.send_text("5");
    for number in 0..500 {
        let packet = packets.pop_front().or_else(|| socket.next());
        let expected = format!("42/quiet,[\"flood-event\",{number}]");
        assert_eq!(packet, Some(Packet::Text(expected)));
    }
    expect_echo(&mut socket);
}

fn both_ways_across_the_upgrade_nothing_is_lost(target: &Target) {
    let polling = joined(target);
    for number in 0..5 {
        polling.post(&format!("42/quiet,[\"message\",{number}]"));
    }
    let mut socket = probe(target, &polling);
    let mut packets = fetch_until_noop(&polling, polling.begin_get());
    socket.send_text("5");
    for number in 5..50 {
        socket.send_text(&format!("42/quiet,[\"message\",{number}]"));
    }
    for number in 0..50 {
        let packet = packets.pop_front().or_else(|| socket.next());
        let expected = format!("42/quiet,[\"message-back\",{number}]");
        assert_eq!(packet, Some(Packet::Text(expected)));
    }
}

fn the_transport_is_known_to_the_application(target: &Target) {
    let (mut client, _) = Client::connect_to(&target.with(Transport::Polling), "/quiet");
    let info = client.call_in("/quiet", &json!(["request-info"]));
    assert_eq!(info[0]["transport"], "polling");
    let Session::Polling(polling) = &client.session else { panic!("not over polling") };
    let mut socket = probe(target, polling);
    socket.send_text("5");
    client.session = Session::WebSocket(socket);
    let info = client.call_in("/quiet", &json!(["request-info"]));
    assert_eq!(info[0]["transport"], "websocket");
}

fn the_end_of_an_upgraded_web_socket_ends_the_session(target: &Target) {
    let (polling, mut socket) = upgraded(target);
    expect_echo(&mut socket);
    socket.write(&frame(true, OpCode::Close, &1000_u16.to_be_bytes()));
    socket.expect_closed();
    assert_eq!(polling.get().status, 400);
}

fn many_sessions_upgrade_at_once(target: &Target) {
    let sessions: Vec<Polling> = (0..50).map(|_| joined(target)).collect();
    let probing = sessions.iter().map(|polling| WebSocket::for_session(target, &polling.sid));
    let mut sockets: Vec<WebSocket> = probing.collect();
    sockets.iter_mut().for_each(|socket| socket.send_text("2probe"));
    for socket in &mut sockets {
        socket.expect_text("3probe");
        socket.send_text("5");
    }
    sockets.iter_mut().for_each(expect_echo);
}
