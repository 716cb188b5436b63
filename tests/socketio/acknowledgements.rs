//! Acknowledgements in both directions.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, Target, address, binary};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, BOTH:
        an_event_is_acknowledged_with_its_id,
        an_acknowledgement_may_be_empty,
        ids_may_be_large,
        an_id_may_be_used_again,
        an_acknowledgement_has_the_namespace,
        each_event_gets_its_own_acknowledgement,
        without_an_id_nothing_is_acknowledged,
        values_of_all_kinds_are_acknowledged,
        events_without_an_acknowledgement_get_none,
        the_server_gets_an_answer,
        the_server_gets_an_empty_answer,
        the_server_gets_many_values,
        the_server_gets_binary,
        the_server_asks_in_each_namespace,
        the_server_waits_for_an_answer_for_a_time,
        a_late_answer_is_ignored,
        an_answer_to_nothing_is_ignored,
        a_second_answer_is_ignored,
        an_answer_with_another_id_is_ignored,
        an_answer_in_another_namespace_is_ignored,
        questions_are_answered_in_any_order,
        the_question_has_all_arguments,
        nobody_else_can_answer;
];

fn an_event_is_acknowledged_with_its_id(target: &Target) {
    let mut client = Client::connect(target);
    client.send("42456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]");
    client.expect("43456", json!([1, "2", {"3": [false]}]));
}

fn an_acknowledgement_may_be_empty(target: &Target) {
    let mut client = Client::connect(target);
    client.send("420[\"message-with-ack\"]");
    client.expect("430", json!([]));
}

fn ids_may_be_large(target: &Target) {
    let mut client = Client::connect(target);
    for id in ["0", "2147483648", "4294967296", "9007199254740991"] {
        client.send(&format!("42{id}[\"message-with-ack\",1]"));
        client.expect(&format!("43{id}"), json!([1]));
    }
}

fn an_id_may_be_used_again(target: &Target) {
    let mut client = Client::connect(target);
    for number in 0..3 {
        client.send(&format!("427[\"message-with-ack\",{number}]"));
    }
    for number in 0..3 {
        client.expect("437", json!([number]));
    }
}

fn an_acknowledgement_has_the_namespace(target: &Target) {
    let mut client = Client::connect_to(target, "/quiet").0;
    client.send("42/quiet,5[\"message-with-ack\",1]");
    client.expect("43/quiet,5", json!([1]));
}

fn each_event_gets_its_own_acknowledgement(target: &Target) {
    let mut client = Client::connect(target);
    for id in (0..100).rev() {
        client.send(&format!("42{id}[\"message-with-ack\",{id}]"));
    }
    for id in (0..100).rev() {
        client.expect(&format!("43{id}"), json!([id]));
    }
}

fn without_an_id_nothing_is_acknowledged(target: &Target) {
    let mut client = Client::connect(target);
    client.emit(&json!(["message-with-ack", 1]));
    client.emit(&json!(["join", "a"]));
    client.emit(&json!(["rooms"]));
    client.emit(&json!(["flood", 0]));
    client.expect_nothing();
}

fn values_of_all_kinds_are_acknowledged(target: &Target) {
    let mut client = Client::connect(target);
    let values = json!([null, true, 0.5, "\u{1e}\u{1f600}", [], {}, {"a": [1, {"b": []}]}]);
    let mut event = vec![json!("message-with-ack")];
    event.extend(values.as_array().expect("a list").iter().cloned());
    assert_eq!(client.call(&json!(event)), values);
}

fn events_without_an_acknowledgement_get_none(target: &Target) {
    let mut client = Client::connect(target);
    client.send("421[\"message\",1]");
    client.expect("42", json!(["message-back", 1]));
    client.send("422[\"collect\",1]");
    client.send("423[\"no-such-event\"]");
    client.expect_nothing();
}

/// Has the server ask, and returns the id of its question.
#[track_caller]
fn ask(client: &mut Client, namespace: &str, milliseconds: u32, arguments: &[Value]) -> String {
    let question = [&[json!("ask"), json!(milliseconds)], arguments].concat();
    client.send(&format!("{}1{}", address("42", namespace), json!(question)));
    expect_question(client, namespace, arguments)
}

#[track_caller]
fn expect_question(client: &mut Client, namespace: &str, arguments: &[Value]) -> String {
    let question = client.event();
    assert_eq!(question.data, json!([&[json!("question")], arguments].concat()));
    let id = question.header.strip_prefix(&address("42", namespace)).expect("the namespace");
    assert!(id.parse::<u64>().is_ok(), "{question:?}");
    id.to_owned()
}

const LONG: u32 = 10_000;

fn the_server_gets_an_answer(target: &Target) {
    let mut client = Client::connect(target);
    let id = ask(&mut client, "/", LONG, &[json!("why?")]);
    client.send(&format!("43{id}[\"because\"]"));
    client.expect("431", json!(["answer", "because"]));
}

fn the_server_gets_an_empty_answer(target: &Target) {
    let mut client = Client::connect(target);
    let id = ask(&mut client, "/", LONG, &[]);
    client.send(&format!("43{id}[]"));
    client.expect("431", json!(["answer"]));
}

fn the_server_gets_many_values(target: &Target) {
    let mut client = Client::connect(target);
    let id = ask(&mut client, "/", LONG, &[]);
    client.send(&format!("43{id}[null,[1,{{\"a\":\"\\u001e\"}}],\"b\",false]"));
    client.expect("431", json!(["answer", null, [1, {"a": "\u{1e}"}], "b", false]));
}

fn the_server_gets_binary(target: &Target) {
    let mut client = Client::connect(target);
    let id = ask(&mut client, "/", LONG, &[]);
    let answer = json!([{"a": super::client::placeholder(0)}, 2]);
    client.send_binary(&format!("461-{id}{answer}"), &[b"\x00\xFF"]);
    client.expect("461", json!(["answer", {"a": binary(b"\x00\xFF")}, 2]));
}

fn the_server_asks_in_each_namespace(target: &Target) {
    let mut client = Client::open(target);
    for namespace in ["/", "/custom", "/quiet", "/refuse"] {
        client.join(namespace);
        let id = ask(&mut client, namespace, LONG, &[json!(1)]);
        client.send(&format!("{}{id}[\"yes\"]", address("43", namespace)));
        client.expect(&format!("{}1", address("43", namespace)), json!(["answer", "yes"]));
    }
}

fn the_server_waits_for_an_answer_for_a_time(target: &Target) {
    let mut client = Client::connect(target);
    let start = Instant::now();
    ask(&mut client, "/", 200, &[]);
    client.expect("431", json!(["timeout"]));
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(180), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

fn a_late_answer_is_ignored(target: &Target) {
    let mut client = Client::connect(target);
    let id = ask(&mut client, "/", 50, &[]);
    client.expect("431", json!(["timeout"]));
    client.send(&format!("43{id}[\"late\"]"));
    client.expect_nothing();
}

fn an_answer_to_nothing_is_ignored(target: &Target) {
    let mut client = Client::connect(target);
    for id in ["0", "7", "9007199254740991"] {
        client.send(&format!("43{id}[\"hello\"]"));
    }
    client.expect_nothing();
}

fn a_second_answer_is_ignored(target: &Target) {
    let mut client = Client::connect(target);
    let id = ask(&mut client, "/", LONG, &[]);
    for answer in 1..=3 {
        client.send(&format!("43{id}[{answer}]"));
    }
    client.expect("431", json!(["answer", 1]));
    client.expect_nothing();
}

fn an_answer_with_another_id_is_ignored(target: &Target) {
    let mut client = Client::connect(target);
    let id = ask(&mut client, "/", LONG, &[]);
    let other = id.parse::<u64>().expect("a number") + 1;
    client.send(&format!("43{other}[\"wrong\"]"));
    client.send(&format!("43{id}[\"right\"]"));
    client.expect("431", json!(["answer", "right"]));
}

fn an_answer_in_another_namespace_is_ignored(target: &Target) {
    let mut client = Client::connect(target);
    client.join("/quiet");
    let id = ask(&mut client, "/", LONG, &[]);
    client.send(&format!("43/quiet,{id}[\"wrong\"]"));
    client.send(&format!("43{id}[\"right\"]"));
    client.expect("431", json!(["answer", "right"]));
}

fn questions_are_answered_in_any_order(target: &Target) {
    let mut client = Client::connect(target);
    let mut ids = Vec::new();
    for number in 0..10 {
        client.send(&format!("42{number}[\"ask\",{LONG},{number}]"));
        ids.push(expect_question(&mut client, "/", &[json!(number)]));
    }
    for (number, id) in ids.iter().enumerate().rev() {
        client.send(&format!("43{id}[{number}]"));
        client.expect(&format!("43{number}"), json!(["answer", number]));
    }
}

fn the_question_has_all_arguments(target: &Target) {
    let mut client = Client::connect(target);
    let arguments = [json!(1), json!({"a": [null]}), json!("text"), json!([])];
    let id = ask(&mut client, "/", LONG, &arguments);
    client.send(&format!("43{id}[1]"));
    client.expect("431", json!(["answer", 1]));
}

fn nobody_else_can_answer(target: &Target) {
    let mut client = Client::connect(target);
    let mut other = Client::connect(target);
    let id = ask(&mut client, "/", LONG, &[]);
    other.send(&format!("43{id}[\"wrong\"]"));
    other.expect_nothing();
    client.send(&format!("43{id}[\"right\"]"));
    client.expect("431", json!(["answer", "right"]));
}
