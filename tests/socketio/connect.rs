//! Joining namespaces.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, Packet, Target};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, BOTH:
        the_main_namespace_greets,
        the_payload_of_connect_is_in_the_greeting,
        another_namespace_greets,
        the_payload_for_another_namespace_is_in_its_greeting,
        an_empty_payload_is_passed_on,
        a_payload_of_any_values_is_passed_on,
        the_quiet_namespace_emits_nothing,
        a_refused_client_learns_why,
        a_refused_client_may_try_again,
        a_wrong_token_is_refused,
        the_right_token_is_accepted,
        an_unknown_namespace_is_refused,
        a_refusal_leaves_other_namespaces,
        all_namespaces_are_joined_over_one_connection,
        ids_differ_for_each_namespace_and_from_the_session,
        ids_differ_between_clients,
        the_answer_has_the_id_alone,
        namespaces_are_kept_apart,
        a_namespace_is_left_and_joined_in_one_segment,
        several_namespaces_are_joined_in_one_segment,
        a_namespace_can_be_joined_alone,
        information_about_the_request_is_given,
        each_namespace_has_its_own_payload,
        an_event_before_connect_closes_the_session,
        an_acknowledgement_before_connect_closes_the_session,
        a_disconnect_before_connect_closes_the_session,
        an_attachment_before_connect_closes_the_session,
        a_refusal_from_the_client_closes_the_session,
        a_connect_without_an_object_closes_the_session;
    Protocol, BOTH:
        a_session_without_connect_is_closed_in_time,
        a_session_that_was_only_refused_is_closed_in_time,
        a_session_that_joined_once_is_kept_open;
];

/// Of the profile.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
const SLACK: Duration = Duration::from_millis(100);

/// Joins with this packet. Returns the payloads of the answer and of the greeting.
fn greeting(target: &Target, connect: &str, header: &str) -> (Value, Value) {
    let mut client = Client::open(target);
    client.send(connect);
    let answer = client.event();
    assert_eq!(answer.header, connect.split('{').next().expect("a header"));
    let greeting = client.event();
    assert_eq!(greeting.header, header);
    (answer.data, greeting.data)
}

fn the_main_namespace_greets(target: &Target) {
    let (answer, greeting) = greeting(target, "40", "42");
    assert!(answer["sid"].is_string(), "{answer}");
    assert_eq!(greeting, json!(["auth", {}]));
}

fn the_payload_of_connect_is_in_the_greeting(target: &Target) {
    let (answer, greeting) = greeting(target, r#"40{"token":"123"}"#, "42");
    assert!(answer["sid"].is_string(), "{answer}");
    assert_eq!(greeting, json!(["auth", {"token": "123"}]));
}

fn another_namespace_greets(target: &Target) {
    let (answer, greeting) = greeting(target, "40/custom,", "42/custom,");
    assert!(answer["sid"].is_string(), "{answer}");
    assert_eq!(greeting, json!(["auth", {}]));
}

fn the_payload_for_another_namespace_is_in_its_greeting(target: &Target) {
    let (_, greeting) = greeting(target, r#"40/custom,{"token":"abc"}"#, "42/custom,");
    assert_eq!(greeting, json!(["auth", {"token": "abc"}]));
}

fn an_empty_payload_is_passed_on(target: &Target) {
    assert_eq!(greeting(target, "40{}", "42").1, json!(["auth", {}]));
}

fn a_payload_of_any_values_is_passed_on(target: &Target) {
    let auth = json!({"a": [1, null, true, {"b": "\u{1f600}\u{1e}\"\\"}], "": 0.5, "c": {}});
    let (_, greeting) = greeting(target, &format!("40{auth}"), "42");
    assert_eq!(greeting, json!(["auth", auth]));
}

fn the_quiet_namespace_emits_nothing(target: &Target) {
    let mut client = Client::open(target);
    let answer = client.join_with("/quiet", &json!({"token": 1}));
    assert!(answer["sid"].is_string(), "{answer}");
    client.expect_nothing_in("/quiet");
}

fn refusal() -> Value {
    json!({"message": "Not authorized", "data": {"code": "E401", "details": ["no token", 1]}})
}

fn a_refused_client_learns_why(target: &Target) {
    let mut client = Client::open(target);
    client.send("40/refuse,");
    client.expect("44/refuse,", refusal());
}

fn a_refused_client_may_try_again(target: &Target) {
    let mut client = Client::open(target);
    for _ in 0..3 {
        client.send("40/refuse,");
        client.expect("44/refuse,", refusal());
    }
    client.join("/refuse");
    client.expect_nothing_in("/refuse");
}

fn a_wrong_token_is_refused(target: &Target) {
    let mut client = Client::open(target);
    for token in [json!("let-me-in "), json!(["let-me-in"]), json!(true), Value::Null] {
        client.send(&format!("40/refuse,{}", json!({"token": token})));
        client.expect("44/refuse,", refusal());
    }
}

fn the_right_token_is_accepted(target: &Target) {
    let mut client = Client::open(target);
    client.join("/refuse");
    client.expect_nothing_in("/refuse");
}

fn an_unknown_namespace_is_refused(target: &Target) {
    let mut client = Client::open(target);
    for namespace in ["/unknown", "/Custom", "/custom/", "/custom/a", "/constructor", "/%2F"] {
        client.send(&format!("40{namespace},"));
        let answer = client.event();
        assert_eq!(answer.header, format!("44{namespace},"));
        assert!(answer.data["message"].is_string(), "{answer:?}");
    }
}

fn a_refusal_leaves_other_namespaces(target: &Target) {
    let mut client = Client::connect(target);
    for namespace in ["/unknown", "/refuse"] {
        client.send(&format!("40{namespace},"));
        assert_eq!(client.event().header, format!("44{namespace},"));
        client.expect_echo();
    }
}

const ALL: [&str; 4] = ["/", "/custom", "/quiet", "/refuse"];

fn all_namespaces_are_joined_over_one_connection(target: &Target) {
    let mut client = Client::open(target);
    for namespace in ALL {
        client.join(namespace);
    }
    for namespace in ALL {
        client.expect_echo_in(namespace);
    }
}

fn ids_differ_for_each_namespace_and_from_the_session(target: &Target) {
    let mut client = Client::open(target);
    let mut ids = ALL.map(|namespace| client.join(namespace)).to_vec();
    ids.push(client.session_id.clone());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), ALL.len() + 1);
}

fn ids_differ_between_clients(target: &Target) {
    let mut ids: Vec<_> = (0..30).map(|_| Client::connect_to(target, "/quiet").1).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 30);
}

fn the_answer_has_the_id_alone(target: &Target) {
    let mut client = Client::open(target);
    for namespace in ["/", "/quiet"] {
        let mut answer = client.join_with(namespace, &json!({}));
        assert!(answer["sid"].take().is_string());
        assert_eq!(answer, json!({"sid": null}));
    }
}

fn namespaces_are_kept_apart(target: &Target) {
    let mut client = Client::open(target);
    for namespace in ["/", "/custom"] {
        client.join(namespace);
    }
    client.emit_in("/custom", &json!(["message", 1]));
    client.expect("42/custom,", json!(["message-back", 1]));
    client.emit(&json!(["message", 2]));
    client.expect("42", json!(["message-back", 2]));
}

fn a_namespace_is_left_and_joined_in_one_segment(target: &Target) {
    let (mut client, first) = Client::connect_to(target, "/quiet");
    let mut ids = vec![first];
    for _ in 0..5 {
        client.send_all(&[Packet::text("41/quiet,"), Packet::text("40/quiet,")]);
        let answer = client.event();
        assert_eq!(answer.header, "40/quiet,");
        ids.push(answer.data["sid"].as_str().expect("an id").to_owned());
        client.expect_echo_in("/quiet");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

fn several_namespaces_are_joined_in_one_segment(target: &Target) {
    let mut client = Client::open(target);
    client.send_all(&["40", "40/quiet,", "40/custom,"].map(Packet::text));
    let mut headers: Vec<_> = (0..5).map(|_| client.event().header).collect();
    headers.sort();
    assert_eq!(headers, ["40", "40/custom,", "40/quiet,", "42", "42/custom,"]);
}

fn a_namespace_can_be_joined_alone(target: &Target) {
    let mut client = Client::connect_to(target, "/quiet").0;
    client.emit_in("/quiet", &json!(["message", 1]));
    client.expect("42/quiet,", json!(["message-back", 1]));
}

fn information_about_the_request_is_given(target: &Target) {
    let headers = "X-Custom-Header: some Value\r\nUser-Agent: a client\r\n";
    let mut client = Client::open_with(target, "&a=1&b=%20x%26", headers);
    let sid = client.join_with("/custom", &json!({"token": [1]}))["sid"].take();
    assert_eq!(client.event().header, "42/custom,");
    let info = &client.call_in("/custom", &json!(["request-info"]))[0];
    assert_eq!(info["sid"], sid);
    assert_eq!(info["headers"]["x-custom-header"], "some Value");
    assert_eq!(info["headers"]["user-agent"], "a client");
    assert_eq!(info["query"]["a"], "1");
    assert_eq!(info["query"]["b"], " x&");
    assert_eq!(info["query"]["EIO"], "4");
    let address = info["address"].as_str().expect("an address");
    assert!(address.contains("127.0.0.1"), "{address}");
    assert_eq!(info["auth"], json!({"token": [1]}));
    assert_eq!(info["recovered"], false);
    let transport = format!("{:?}", target.transport).to_lowercase();
    assert_eq!(info["transport"], transport);
}

fn each_namespace_has_its_own_payload(target: &Target) {
    let mut client = Client::open(target);
    for (number, namespace) in ["/quiet", "/custom"].into_iter().enumerate() {
        client.join_with(namespace, &json!({"number": number}));
    }
    for (number, namespace) in ["/quiet", "/custom"].into_iter().enumerate() {
        let info = client.call_in(namespace, &json!(["request-info"]));
        assert_eq!(info[0]["auth"], json!({"number": number}));
    }
}

#[track_caller]
fn expect_closing(target: &Target, packets: &[Packet]) {
    let mut client = Client::open(target);
    client.send_malformed(packets);
    client.expect_closed();
    target.expect_alive();
}

fn an_event_before_connect_closes_the_session(target: &Target) {
    expect_closing(target, &[Packet::text("42[\"message\",1]")]);
    expect_closing(target, &[Packet::text("42/custom,[\"message\",1]")]);
}

fn an_acknowledgement_before_connect_closes_the_session(target: &Target) {
    expect_closing(target, &[Packet::text("431[]")]);
}

fn a_disconnect_before_connect_closes_the_session(target: &Target) {
    expect_closing(target, &[Packet::text("41")]);
}

fn an_attachment_before_connect_closes_the_session(target: &Target) {
    expect_closing(target, &[Packet::Binary(vec![1, 2, 3])]);
}

fn a_refusal_from_the_client_closes_the_session(target: &Target) {
    expect_closing(target, &[Packet::text("44{\"message\":\"no\"}")]);
}

fn a_connect_without_an_object_closes_the_session(target: &Target) {
    for payload in ["[]", "[1]", "\"text\"", "{", "{]", "abc", "null", "1.5"] {
        expect_closing(target, &[Packet::Text(format!("40{payload}"))]);
    }
}

#[track_caller]
fn expect_closing_in_time(mut client: Client) {
    let start = Instant::now();
    client.expect_closed();
    let elapsed = start.elapsed();
    assert!(elapsed >= CONNECT_TIMEOUT - SLACK, "{elapsed:?}");
    assert!(elapsed < 5 * CONNECT_TIMEOUT, "{elapsed:?}");
}

fn a_session_without_connect_is_closed_in_time(target: &Target) {
    expect_closing_in_time(Client::open(target));
}

fn a_session_that_was_only_refused_is_closed_in_time(target: &Target) {
    let mut client = Client::open(target);
    client.send("40/refuse,");
    client.expect("44/refuse,", refusal());
    expect_closing_in_time(client);
}

fn a_session_that_joined_once_is_kept_open(target: &Target) {
    let mut client = Client::connect_to(target, "/quiet").0;
    client.emit_in("/quiet", &json!(["emit-later", 2_000, 1]));
    client.expect("42/quiet,", json!(["later-event", 1]));
}
