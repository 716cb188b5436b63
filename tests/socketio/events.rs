//! Events in both directions.

use serde_json::{Value, json};

use super::client::{Client, Target};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, BOTH:
        arguments_of_all_kinds_come_back,
        an_event_without_arguments_comes_back,
        text_of_all_kinds_comes_back,
        control_characters_and_separators_come_back,
        numbers_come_back,
        nested_values_come_back,
        empty_values_come_back,
        objects_keep_any_keys,
        space_between_values_is_accepted,
        names_of_events_may_be_escaped,
        unknown_events_are_ignored,
        a_number_may_be_the_name_of_an_event,
        names_of_properties_are_unknown_events,
        what_looks_like_a_placeholder_is_only_an_object,
        events_are_handled_in_their_order,
        answers_have_the_order_of_the_events,
        every_namespace_handles_events,
        a_flood_is_in_order_and_then_acknowledged,
        a_flood_of_nothing_is_acknowledged,
        a_later_event_comes_by_itself,
        later_events_come_in_the_order_of_their_times,
        a_volatile_event_comes_when_the_transport_is_free,
        lists_are_of_one_socket,
        a_list_is_emptied_when_it_is_read,
        an_event_goes_to_its_sender_alone,
        many_arguments_come_back;
    Load, EITHER:
        a_volatile_event_is_dropped_when_no_get_waits;
];

/// Sends arguments and expects them back.
#[track_caller]
fn expect_back(target: &Target, arguments: &[Value]) {
    let mut client = Client::connect(target);
    let event = |name: &str| [&[json!(name)], arguments].concat();
    client.emit(&json!(event("message")));
    client.expect("42", json!(event("message-back")));
}

fn arguments_of_all_kinds_come_back(target: &Target) {
    expect_back(target, &[json!(1), json!("2"), json!({"3": [true, null]}), json!([4.5])]);
}

fn an_event_without_arguments_comes_back(target: &Target) {
    expect_back(target, &[]);
}

fn text_of_all_kinds_comes_back(target: &Target) {
    for text in ["", " ", "caf\u{e9}", "\u{20ac}", "\u{1f600}", "\u{feff}", "\"\\/", "a\nb\tc\r"] {
        expect_back(target, &[json!(text)]);
    }
}

fn control_characters_and_separators_come_back(target: &Target) {
    expect_back(target, &[json!("\u{0}\u{1}\u{1e}\u{1f}\u{7f}\u{80}\u{2028}\u{2029}")]);
}

fn numbers_come_back(target: &Target) {
    let numbers =
        [json!(0), json!(-1), json!(1.5), json!(-0.001), json!(9_007_199_254_740_991_i64)];
    expect_back(target, &numbers);
    expect_back(target, &[json!(4_294_967_296_i64), json!(-2_147_483_649_i64)]);
}

fn nested_values_come_back(target: &Target) {
    let mut value = json!("inside");
    for level in 0..40 {
        value = if level % 2 == 0 { json!([value, level]) } else { json!({"a": value}) };
    }
    expect_back(target, &[value]);
}

fn empty_values_come_back(target: &Target) {
    expect_back(target, &[json!([]), json!({}), json!(""), Value::Null, json!([[], [{}]])]);
}

fn objects_keep_any_keys(target: &Target) {
    let object = json!({"": 1, "a b": 2, "caf\u{e9}": 3, "\u{1e}": 4, "constructor": 5, "num": 6});
    expect_back(target, &[object]);
}

fn space_between_values_is_accepted(target: &Target) {
    let mut client = Client::connect(target);
    client.send("42[ \"message\" ,\n1 , { \"a\"\t:\r 2 } ]");
    client.expect("42", json!(["message-back", 1, {"a": 2}]));
}

fn names_of_events_may_be_escaped(target: &Target) {
    let mut client = Client::connect(target);
    client.send(r#"42["\u006des\u0073age",1]"#);
    client.expect("42", json!(["message-back", 1]));
}

fn unknown_events_are_ignored(target: &Target) {
    let mut client = Client::connect(target);
    client.emit(&json!(["unknown", 1]));
    client.emit(&json!([""]));
    client.send("427[\"unknown\",1]");
    client.expect_nothing();
}

fn a_number_may_be_the_name_of_an_event(target: &Target) {
    let mut client = Client::connect(target);
    client.emit(&json!([1, "a"]));
    client.emit(&json!([-1.5]));
    client.expect_nothing();
}

fn names_of_properties_are_unknown_events(target: &Target) {
    let mut client = Client::connect(target);
    for name in ["constructor", "__proto__", "toString", "hasOwnProperty", "error", "message-back"]
    {
        client.emit(&json!([name, 1]));
    }
    client.expect_nothing();
}

fn what_looks_like_a_placeholder_is_only_an_object(target: &Target) {
    expect_back(target, &[json!({"_placeholder": true, "num": 0})]);
    expect_back(target, &[json!({"_placeholder": false, "num": "x"})]);
}

fn events_are_handled_in_their_order(target: &Target) {
    let mut client = Client::connect(target);
    for number in 0..200 {
        client.emit(&json!(["collect", number]));
    }
    let expected: Vec<u32> = (0..200).collect();
    assert_eq!(client.call(&json!(["collected"])), json!([expected]));
}

fn answers_have_the_order_of_the_events(target: &Target) {
    let mut client = Client::connect(target);
    for number in 0..50 {
        client.emit(&json!(["message", number]));
        client.send(&format!("42{number}[\"message-with-ack\"]"));
    }
    for number in 0..50 {
        client.expect("42", json!(["message-back", number]));
        client.expect(&format!("43{number}"), json!([]));
    }
}

fn every_namespace_handles_events(target: &Target) {
    for namespace in ["/", "/custom", "/quiet", "/refuse"] {
        let mut client = Client::connect_to(target, namespace).0;
        client.emit_in(namespace, &json!(["message", namespace]));
        let header = super::client::address("42", namespace);
        client.expect(&header, json!(["message-back", namespace]));
        assert_eq!(client.call_in(namespace, &json!(["join", "a"])), json!(["a"]));
        assert_eq!(client.call_in(namespace, &json!(["rooms"])), json!([["a"]]));
    }
}

fn a_flood_is_in_order_and_then_acknowledged(target: &Target) {
    let mut client = Client::connect(target);
    client.send("420[\"flood\",300]");
    for number in 0..300 {
        client.expect("42", json!(["flood-event", number]));
    }
    client.expect("430", json!([300]));
}

fn a_flood_of_nothing_is_acknowledged(target: &Target) {
    let mut client = Client::connect(target);
    assert_eq!(client.call(&json!(["flood", 0])), json!([0]));
    client.expect_nothing();
}

fn a_later_event_comes_by_itself(target: &Target) {
    let mut client = Client::connect(target);
    assert_eq!(client.call(&json!(["emit-later", 100, {"a": 1}])), json!(["ok"]));
    client.expect("42", json!(["later-event", {"a": 1}]));
}

fn later_events_come_in_the_order_of_their_times(target: &Target) {
    let mut client = Client::connect(target);
    for milliseconds in [600, 50, 300] {
        client.call(&json!(["emit-later", milliseconds, milliseconds]));
    }
    for milliseconds in [50, 300, 600] {
        client.expect("42", json!(["later-event", milliseconds]));
    }
}

fn a_volatile_event_comes_when_the_transport_is_free(target: &Target) {
    let mut client = Client::connect(target);
    assert_eq!(client.call(&json!(["volatile-later", 300, 7])), json!(["ok"]));
    client.expect("42", json!(["volatile-event", 7]));
}

fn a_volatile_event_is_dropped_when_no_get_waits(target: &Target) {
    let polling = super::client::Polling::open(target);
    polling.post("40/quiet,");
    assert!(polling.get().text().starts_with("40/quiet,"));
    let body = "42/quiet,1[\"volatile-later\",20,1]\x1e42/quiet,2[\"emit-later\",20,2]";
    assert_eq!(polling.post(body).text(), "ok");
    assert_eq!(arrived(&polling, "later-event"), ["43/quiet,1", "43/quiet,2", "later-event"]);
}

/// What a session fetches up to an event, after it has waited for another session's later event.
fn arrived(polling: &super::client::Polling, last: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Other requests pass the time.
    let body = "42/quiet,[\"unknown\"]";
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(300) {
        assert_eq!(polling.post(body).text(), "ok");
    }
    while found.last().is_none_or(|name| name != last) {
        let response = polling.get();
        for packet in response.text().split('\x1e') {
            let (header, payload) = packet.split_once('[').expect("an event");
            let name = payload.split('"').nth(1).unwrap_or_default();
            let is_answer = header.starts_with("43");
            found.push(if is_answer { header } else { name }.to_owned());
        }
    }
    found
}

fn lists_are_of_one_socket(target: &Target) {
    let mut client = Client::open(target);
    for namespace in ["/", "/quiet"] {
        client.join(namespace);
        client.emit_in(namespace, &json!(["collect", namespace]));
    }
    let mut other = Client::connect(target);
    assert_eq!(other.call(&json!(["collected"])), json!([[]]));
    assert_eq!(client.call_in("/", &json!(["collected"])), json!([["/"]]));
    assert_eq!(client.call_in("/quiet", &json!(["collected"])), json!([["/quiet"]]));
}

fn a_list_is_emptied_when_it_is_read(target: &Target) {
    let mut client = Client::connect(target);
    for round in 0..3 {
        client.emit(&json!(["collect", [round, {"a": null}]]));
        assert_eq!(client.call(&json!(["collected"])), json!([[[round, {"a": null}]]]));
    }
}

fn an_event_goes_to_its_sender_alone(target: &Target) {
    let mut others: Vec<_> = (0..3).map(|_| Client::connect(target)).collect();
    let mut client = Client::connect(target);
    client.emit(&json!(["message", 1]));
    client.expect("42", json!(["message-back", 1]));
    for other in &mut others {
        other.expect_nothing();
    }
}

fn many_arguments_come_back(target: &Target) {
    let arguments: Vec<Value> = (0..1_000).map(Value::from).collect();
    expect_back(target, &arguments);
}
