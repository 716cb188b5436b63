//! Opening a session.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::{Client, HttpConnection, Polling, Request, Target, WebSocket, decode_payload};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Protocol, EITHER:
        polling_opens_a_session,
        a_web_socket_opens_a_session;
    Client, EITHER:
        the_open_packet_has_the_settings_of_the_profile;
    Load, EITHER:
        ids_of_sessions_differ_and_cannot_be_guessed,
        polling_needs_the_version_of_the_protocol,
        another_version_over_polling_is_refused,
        polling_needs_the_name_of_a_transport,
        an_unknown_transport_is_refused,
        only_get_opens_a_session,
        an_unknown_session_is_refused,
        names_of_properties_are_no_sessions,
        the_web_socket_transport_needs_an_upgrade,
        a_web_socket_without_a_version_is_closed,
        a_web_socket_with_another_version_is_closed,
        a_web_socket_without_a_transport_is_closed,
        a_web_socket_with_an_unknown_transport_is_closed,
        a_web_socket_with_the_transport_polling_is_closed,
        a_web_socket_for_an_unknown_session_is_closed,
        parameters_have_any_order_and_unknown_ones_are_ignored,
        parameters_are_decoded,
        other_paths_are_not_served,
        connections_serve_several_requests,
        requests_may_come_byte_by_byte,
        no_cookie_is_set,
        compression_is_not_negotiated,
        hundreds_of_sessions_are_open_at_once;
];

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn polling_opens_a_session(target: &Target) {
    let response = target.get("/socket.io/?EIO=4&transport=polling");
    assert_eq!(response.status, 200);
    let kind = response.header("Content-Type").expect("a type").to_lowercase();
    assert_eq!(kind, "text/plain; charset=utf-8");
    let json = response.text().strip_prefix('0').expect("an open packet");
    let mut open: Value = serde_json::from_str(json).expect("JSON");
    assert!(is_text(&open["sid"].take()));
    let expected = json!({
        "sid": null, "upgrades": ["websocket"],
        "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000,
    });
    assert_eq!(open, expected);
}

fn a_web_socket_opens_a_session(target: &Target) {
    let (_, mut open) = WebSocket::open(target);
    assert!(is_text(&open["sid"].take()));
    let expected = json!({
        "sid": null, "upgrades": [],
        "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000,
    });
    assert_eq!(open, expected);
}

fn the_open_packet_has_the_settings_of_the_profile(target: &Target) {
    let open = Polling::open(target).open;
    assert_eq!(open["pingInterval"], 25_000);
    assert_eq!(open["pingTimeout"], 20_000);
    assert_eq!(open["maxPayload"], 3_000_000);
}

fn ids_of_sessions_differ_and_cannot_be_guessed(target: &Target) {
    let ids: BTreeSet<String> = (0..100).map(|_| Polling::open(target).sid).collect();
    assert_eq!(ids.len(), 100);
    let shortest = ids.iter().map(String::len).min();
    assert!(shortest >= Some(16), "{shortest:?}");
    // A counter alone leaves most places as they are.
    let first = ids.first().expect("an id").as_bytes();
    let last = ids.last().expect("an id").as_bytes();
    let different = first.iter().zip(last).filter(|(a, b)| a != b).count();
    assert!(different >= 8, "{different}");
}

#[track_caller]
fn expect_refused(target: &Target, path: &str) {
    let response = target.get(path);
    assert_eq!(response.status, 400, "{path}: {}", response.text());
}

fn polling_needs_the_version_of_the_protocol(target: &Target) {
    expect_refused(target, "/socket.io/?transport=polling");
}

fn another_version_over_polling_is_refused(target: &Target) {
    for version in ["3", "abc", "", "5", "04x"] {
        expect_refused(target, &format!("/socket.io/?EIO={version}&transport=polling"));
    }
}

fn polling_needs_the_name_of_a_transport(target: &Target) {
    for query in ["", "?", "?EIO=4", "?EIO=4&transport="] {
        expect_refused(target, &format!("/socket.io/{query}"));
    }
}

fn an_unknown_transport_is_refused(target: &Target) {
    for transport in ["abc", "webtransport", "flashsocket", "Polling", "constructor"] {
        expect_refused(target, &format!("/socket.io/?EIO=4&transport={transport}"));
    }
}

fn only_get_opens_a_session(target: &Target) {
    for method in ["POST", "PUT", "DELETE"] {
        let request = Request { method, headers: "", body: Some(b"40") };
        let response = target.request("/socket.io/?EIO=4&transport=polling", request);
        assert_eq!(response.status, 400, "{method}: {}", response.text());
    }
}

fn an_unknown_session_is_refused(target: &Target) {
    let path = "/socket.io/?EIO=4&transport=polling&sid=abc";
    expect_refused(target, path);
    let request = Request { method: "POST", headers: "", body: Some(b"40") };
    assert_eq!(target.request(path, request).status, 400);
}

fn names_of_properties_are_no_sessions(target: &Target) {
    for sid in ["constructor", "__proto__", "toString", "%00", "%ff", "a%26b"] {
        expect_refused(target, &format!("/socket.io/?EIO=4&transport=polling&sid={sid}"));
    }
}

fn the_web_socket_transport_needs_an_upgrade(target: &Target) {
    expect_refused(target, "/socket.io/?EIO=4&transport=websocket");
}

/// The WebSocket is refused, or closed before it gets anything.
#[track_caller]
fn expect_closed(target: &Target, query: &str) {
    match WebSocket::dial(target, query) {
        Ok(mut socket) => assert!(socket.ends_at_once()),
        Err(Some(refusal)) => assert_eq!(refusal.status, 400),
        Err(None) => {}
    }
}

fn a_web_socket_without_a_version_is_closed(target: &Target) {
    expect_closed(target, "transport=websocket");
}

fn a_web_socket_with_another_version_is_closed(target: &Target) {
    for version in ["3", "abc", ""] {
        expect_closed(target, &format!("EIO={version}&transport=websocket"));
    }
}

fn a_web_socket_without_a_transport_is_closed(target: &Target) {
    expect_closed(target, "EIO=4");
}

fn a_web_socket_with_an_unknown_transport_is_closed(target: &Target) {
    expect_closed(target, "EIO=4&transport=abc");
}

fn a_web_socket_with_the_transport_polling_is_closed(target: &Target) {
    expect_closed(target, "EIO=4&transport=polling");
}

fn a_web_socket_for_an_unknown_session_is_closed(target: &Target) {
    expect_closed(target, "EIO=4&transport=websocket&sid=abc");
}

fn parameters_have_any_order_and_unknown_ones_are_ignored(target: &Target) {
    let response = target.get("/socket.io/?t=NcX2&transport=polling&a=b&EIO=4&flag");
    assert_eq!(response.status, 200, "{}", response.text());
    let query = "flag&transport=websocket&t=1&EIO=4";
    let mut socket = WebSocket::dial(target, query).expect("a WebSocket");
    assert!(socket.next().is_some());
}

fn parameters_are_decoded(target: &Target) {
    let mut client = Client::open_with(target, "&na%6De=caf%C3%A9+%26%20co&empty=", "");
    client.join("/");
    let info = &client.call(&json!(["request-info"]))[0];
    assert_eq!(info["query"]["name"], "caf\u{e9} & co");
    assert_eq!(info["query"]["empty"], "");
    let response = target.get("/socket.io/?EIO=%34&transport=%70olling");
    assert_eq!(response.status, 200, "{}", response.text());
}

fn other_paths_are_not_served(target: &Target) {
    for path in ["/", "/engine.io/", "/socket.iox/", "/a/socket.io/"] {
        let response = target.get(&format!("{path}?EIO=4&transport=polling"));
        assert!(response.status >= 400, "{path}: {}", response.text());
    }
}

fn connections_serve_several_requests(target: &Target) {
    let mut connection = HttpConnection::open(target.address);
    let path = "/socket.io/?EIO=4&transport=polling";
    let ids: BTreeSet<_> =
        (0..5).map(|_| connection.exchange(path, Request::GET).text().to_owned()).collect();
    assert_eq!(ids.len(), 5);
    let polling = Polling::open(target);
    let request = Request { method: "POST", headers: "", body: Some(b"40/quiet,") };
    assert_eq!(connection.exchange(&polling.path(), request).text(), "ok");
    let packets = decode_payload(connection.exchange(&polling.path(), Request::GET).text());
    assert_eq!(packets.len(), 1);
}

fn requests_may_come_byte_by_byte(target: &Target) {
    let mut connection = HttpConnection::open(target.address);
    for byte in Request::GET.encode("/socket.io/?EIO=4&transport=polling") {
        connection.write(&[byte]);
    }
    assert_eq!(connection.response().status, 200);
    let polling = Polling::open(target);
    let request = Request { method: "POST", headers: "", body: Some(b"40/quiet,") };
    for byte in request.encode(&polling.path()) {
        connection.write(&[byte]);
    }
    assert_eq!(connection.response().text(), "ok");
}

fn no_cookie_is_set(target: &Target) {
    let response = target.get("/socket.io/?EIO=4&transport=polling");
    assert_eq!(response.header("Set-Cookie"), None);
}

fn compression_is_not_negotiated(target: &Target) {
    // The client itself looks for an extension in the answer.
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let (_, open) = WebSocket::open_with(target, "", offer);
    assert!(is_text(&open["sid"]));
}

fn hundreds_of_sessions_are_open_at_once(target: &Target) {
    let mut clients: Vec<_> = (0..200).map(|_| Client::connect_to(target, "/quiet").0).collect();
    for client in &mut clients {
        client.expect_echo_in("/quiet");
    }
}
