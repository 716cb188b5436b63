//! Packets that close the session.

use serde_json::{Value, json};

use super::client::{Client, Packet, Target, placeholder};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, BOTH:
        unknown_types_of_packets,
        unknown_types_within_messages,
        an_empty_message,
        an_event_without_a_payload,
        an_event_with_an_object,
        an_event_with_text,
        an_event_with_a_value,
        an_event_without_a_name,
        an_event_with_an_object_for_a_name,
        an_event_with_a_list_for_a_name,
        an_event_with_null_for_a_name,
        an_event_with_a_boolean_for_a_name,
        an_event_with_json_that_ends_too_soon,
        an_event_with_json_that_goes_on,
        an_event_with_wrong_json,
        an_id_that_is_no_number,
        an_id_that_is_negative,
        an_id_with_a_fraction,
        an_acknowledgement_with_an_object,
        an_acknowledgement_with_wrong_json,
        text_where_an_attachment_is_due,
        an_event_where_a_second_attachment_is_due,
        an_attachment_that_nobody_announced,
        an_attachment_too_many,
        a_count_of_attachments_that_is_missing,
        a_count_of_attachments_without_its_dash,
        a_count_of_attachments_that_is_no_number,
        a_count_of_attachments_that_is_negative,
        a_count_of_attachments_with_a_fraction,
        a_count_of_attachments_that_is_absurd,
        a_placeholder_beyond_the_attachments,
        a_placeholder_with_a_negative_number,
        a_placeholder_with_text_for_a_number,
        a_placeholder_with_a_fraction,
        a_placeholder_without_a_number,
        a_placeholder_in_an_acknowledgement_beyond_the_attachments,
        one_malformed_packet_among_good_ones,
        only_the_session_of_the_malformed_packet_is_closed;
];

#[track_caller]
fn expect_closing(target: &Target, packets: &[Packet]) {
    let mut client = Client::connect(target);
    client.send_malformed(packets);
    client.expect_closed();
}

#[track_caller]
fn expect_closing_by(target: &Target, texts: &[&str]) {
    for text in texts {
        expect_closing(target, &[Packet::text(text)]);
    }
    target.expect_alive();
}

fn unknown_types_of_packets(target: &Target) {
    expect_closing_by(target, &["7", "8[1]", "a", "-", "\u{1f600}", "/"]);
}

fn unknown_types_within_messages(target: &Target) {
    expect_closing_by(target, &["47", "48[\"message\",1]", "49", "4abc", "4-1", "4\u{20ac}"]);
}

fn an_empty_message(target: &Target) {
    expect_closing_by(target, &["4"]);
}

fn an_event_without_a_payload(target: &Target) {
    expect_closing_by(target, &["42"]);
}

fn an_event_with_an_object(target: &Target) {
    expect_closing_by(target, &["42{}", "42{\"message\":1}"]);
}

fn an_event_with_text(target: &Target) {
    expect_closing_by(target, &["42\"message\"", "42\"\""]);
}

fn an_event_with_a_value(target: &Target) {
    expect_closing_by(target, &["42null", "42true", "42false"]);
}

fn an_event_without_a_name(target: &Target) {
    expect_closing_by(target, &["42[]", "427[]"]);
}

fn an_event_with_an_object_for_a_name(target: &Target) {
    expect_closing_by(target, &["42[{}]", "42[{\"message\":1},1]"]);
}

fn an_event_with_a_list_for_a_name(target: &Target) {
    expect_closing_by(target, &["42[[]]", "42[[\"message\"],1]"]);
}

fn an_event_with_null_for_a_name(target: &Target) {
    expect_closing_by(target, &["42[null]", "42[null,1]"]);
}

fn an_event_with_a_boolean_for_a_name(target: &Target) {
    expect_closing_by(target, &["42[true]", "42[false,1]"]);
}

fn an_event_with_json_that_ends_too_soon(target: &Target) {
    expect_closing_by(target, &["42[", "42[\"message\"", "42[\"message\",", "42[\"mess"]);
}

fn an_event_with_json_that_goes_on(target: &Target) {
    expect_closing_by(target, &["42[\"message\",1]]", "42[\"message\",1]x", "42[\"message\"] []"]);
}

fn an_event_with_wrong_json(target: &Target) {
    expect_closing_by(
        target,
        &[
            "42['message']",
            "42[\"message\",01]",
            "42[\"message\",1,]",
            "42[\"message\",NaN]",
            "42[\"message\",{a:1}]",
            "42[\"message\",\"\\x\"]",
            "42[\"message\",\"a\nb\"]",
            "42[\"message\",undefined]",
        ],
    );
}

fn an_id_that_is_no_number(target: &Target) {
    expect_closing_by(target, &["42abc[\"message-with-ack\",1]", "421x[\"message-with-ack\",1]"]);
}

fn an_id_that_is_negative(target: &Target) {
    expect_closing_by(target, &["42-1[\"message-with-ack\",1]"]);
}

fn an_id_with_a_fraction(target: &Target) {
    expect_closing_by(target, &["421.5[\"message-with-ack\",1]", "421e3[\"message-with-ack\",1]"]);
}

fn an_acknowledgement_with_an_object(target: &Target) {
    expect_closing_by(target, &["431{}", "431\"a\"", "431null"]);
}

fn an_acknowledgement_with_wrong_json(target: &Target) {
    expect_closing_by(target, &["431[", "431[1", "431[1]]"]);
}

fn event(count: &str, arguments: &[Value]) -> Packet {
    let event = [&[json!("message")], arguments].concat();
    Packet::Text(format!("45{count}{}", json!(event)))
}

fn text_where_an_attachment_is_due(target: &Target) {
    expect_closing(target, &[event("1-", &[placeholder(0)]), Packet::text("42[\"message\",1]")]);
}

fn an_event_where_a_second_attachment_is_due(target: &Target) {
    let due = event("2-", &[placeholder(0), placeholder(1)]);
    let other = event("1-", &[placeholder(0)]);
    expect_closing(target, &[due, Packet::Binary(vec![1]), other]);
}

fn an_attachment_that_nobody_announced(target: &Target) {
    expect_closing(target, &[Packet::Binary(vec![1, 2, 3])]);
}

fn an_attachment_too_many(target: &Target) {
    let event = event("1-", &[placeholder(0)]);
    expect_closing(target, &[event, Packet::Binary(vec![1]), Packet::Binary(vec![2])]);
}

fn a_count_of_attachments_that_is_missing(target: &Target) {
    for count in ["", "-"] {
        expect_closing(target, &[event(count, &[placeholder(0)]), Packet::Binary(vec![1])]);
    }
    expect_closing_by(target, &["45", "45-", "46"]);
}

fn a_count_of_attachments_without_its_dash(target: &Target) {
    expect_closing(target, &[event("1", &[placeholder(0)]), Packet::Binary(vec![1])]);
}

#[track_caller]
fn expect_closing_by_counts(target: &Target, counts: &[&str]) {
    for count in counts {
        expect_closing(target, &[event(count, &[placeholder(0)]), Packet::Binary(vec![1])]);
    }
}

fn a_count_of_attachments_that_is_no_number(target: &Target) {
    expect_closing_by_counts(target, &["x-", "one-", "1x-", "/-"]);
}

fn a_count_of_attachments_that_is_negative(target: &Target) {
    expect_closing_by_counts(target, &["-1-"]);
}

fn a_count_of_attachments_with_a_fraction(target: &Target) {
    expect_closing_by_counts(target, &["1.5-"]);
}

fn a_count_of_attachments_that_is_absurd(target: &Target) {
    expect_closing_by_counts(target, &["999999999-", "99999999999999999999-"]);
}

#[track_caller]
fn expect_closing_by_placeholder(target: &Target, placeholder: Value) {
    expect_closing(target, &[event("1-", &[placeholder]), Packet::Binary(vec![1])]);
}

fn a_placeholder_beyond_the_attachments(target: &Target) {
    expect_closing_by_placeholder(target, placeholder(1));
    expect_closing_by_placeholder(target, placeholder(u64::MAX));
}

fn a_placeholder_with_a_negative_number(target: &Target) {
    expect_closing_by_placeholder(target, placeholder(-1));
}

fn a_placeholder_with_text_for_a_number(target: &Target) {
    for num in [json!("0"), json!("splice"), Value::Null, json!([0])] {
        expect_closing_by_placeholder(target, placeholder(num));
    }
}

fn a_placeholder_with_a_fraction(target: &Target) {
    expect_closing_by_placeholder(target, placeholder(0.5));
}

fn a_placeholder_without_a_number(target: &Target) {
    expect_closing_by_placeholder(target, json!({"_placeholder": true}));
}

fn a_placeholder_in_an_acknowledgement_beyond_the_attachments(target: &Target) {
    let text = format!("461-1{}", json!([placeholder(3)]));
    expect_closing(target, &[Packet::Text(text), Packet::Binary(vec![1])]);
}

fn one_malformed_packet_among_good_ones(target: &Target) {
    let good = Packet::text("42[\"message\",1]");
    expect_closing(target, &[good.clone(), Packet::text("42["), good]);
}

fn only_the_session_of_the_malformed_packet_is_closed(target: &Target) {
    let mut others: Vec<_> = (0..5).map(|_| Client::connect(target)).collect();
    expect_closing_by(target, &["42[", "4", "7"]);
    for other in &mut others {
        other.expect_nothing();
    }
}
