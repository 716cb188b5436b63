//! Rooms and broadcasts. The cases run one by one, since all clients of a namespace get broadcasts.

use serde_json::json;

use super::client::{Client, Target, await_end};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, BOTH:
        a_socket_is_in_no_room_but_its_own,
        rooms_are_joined_and_left,
        rooms_are_sorted,
        joining_twice_is_joining_once,
        leaving_a_room_of_others_is_acknowledged,
        names_of_rooms_are_any_text,
        members_get_events_of_their_room,
        the_sender_need_not_be_a_member,
        the_sender_gets_nothing_of_its_own,
        who_left_gets_nothing,
        an_empty_room_is_no_error,
        a_socket_in_several_rooms_gets_an_event_once,
        no_rooms_at_all_are_everybody_else,
        the_own_room_of_a_socket_reaches_it_alone,
        broadcasts_reach_all_but_the_sender,
        events_for_all_reach_the_sender_too,
        rooms_are_of_one_namespace,
        broadcasts_stay_in_their_namespace,
        two_namespaces_of_one_connection_are_two_members,
        who_left_the_namespace_gets_nothing,
        who_is_gone_is_no_member,
        a_new_socket_begins_without_rooms,
        events_of_one_sender_keep_their_order,
        events_for_a_client_that_does_not_fetch_are_kept,
        events_to_all_members_have_one_order;
    Load, EITHER:
        both_transports_are_members,
        a_room_has_many_members;
];

fn clients<const COUNT: usize>(target: &Target) -> [Client; COUNT] {
    [(); COUNT].map(|()| Client::connect(target))
}

fn a_socket_is_in_no_room_but_its_own(target: &Target) {
    assert_eq!(Client::connect(target).call(&json!(["rooms"])), json!([[]]));
}

fn rooms_are_joined_and_left(target: &Target) {
    let mut client = Client::connect(target);
    for room in ["a", "b", "c"] {
        assert_eq!(client.call(&json!(["join", room])), json!([room]));
    }
    assert_eq!(client.call(&json!(["leave", "b"])), json!(["b"]));
    assert_eq!(client.call(&json!(["rooms"])), json!([["a", "c"]]));
}

fn rooms_are_sorted(target: &Target) {
    let mut client = Client::connect(target);
    for room in ["b", "a10", "", "a", "B", "a2"] {
        client.call(&json!(["join", room]));
    }
    assert_eq!(client.call(&json!(["rooms"])), json!([["", "B", "a", "a10", "a2", "b"]]));
}

fn joining_twice_is_joining_once(target: &Target) {
    let [mut client, mut other] = clients(target);
    client.call(&json!(["join", "a"]));
    client.call(&json!(["join", "a"]));
    assert_eq!(client.call(&json!(["rooms"])), json!([["a"]]));
    other.emit(&json!(["to-room", "a", 1]));
    other.expect_nothing();
    client.expect("42", json!(["room-event", "a", 1]));
    client.call(&json!(["leave", "a"]));
    client.expect_nothing();
    assert_eq!(client.call(&json!(["rooms"])), json!([[]]));
}

fn leaving_a_room_of_others_is_acknowledged(target: &Target) {
    let [mut client, mut other] = clients(target);
    client.call(&json!(["join", "a"]));
    assert_eq!(other.call(&json!(["leave", "a"])), json!(["a"]));
    assert_eq!(client.call(&json!(["rooms"])), json!([["a"]]));
}

fn names_of_rooms_are_any_text(target: &Target) {
    let [mut client, mut other] = clients(target);
    for room in ["", "caf\u{e9} \u{1f600}", "/custom,", "__proto__", "a\u{1e}b", &"x".repeat(5_000)]
    {
        assert_eq!(client.call(&json!(["join", room])), json!([room]));
        other.emit(&json!(["to-room", room, 1]));
        other.expect_nothing();
        client.expect("42", json!(["room-event", room, 1]));
        client.call(&json!(["leave", room]));
    }
}

fn members_get_events_of_their_room(target: &Target) {
    let [mut a, mut b, mut c, mut sender] = clients(target);
    a.call(&json!(["join", "x"]));
    b.call(&json!(["join", "x"]));
    c.call(&json!(["join", "y"]));
    sender.call(&json!(["join", "x"]));
    sender.emit(&json!(["to-room", "x", 1, {"two": [3]}]));
    sender.expect_nothing();
    for member in [&mut a, &mut b] {
        member.expect("42", json!(["room-event", "x", 1, {"two": [3]}]));
        member.expect_nothing();
    }
    c.expect_nothing();
}

fn the_sender_need_not_be_a_member(target: &Target) {
    let [mut member, mut sender] = clients(target);
    member.call(&json!(["join", "x"]));
    sender.emit(&json!(["to-room", "x"]));
    member.expect("42", json!(["room-event", "x"]));
    sender.expect_nothing();
}

fn the_sender_gets_nothing_of_its_own(target: &Target) {
    let mut client = Client::connect(target);
    client.call(&json!(["join", "x"]));
    client.emit(&json!(["to-room", "x", 1]));
    client.emit(&json!(["to-rooms", ["x", "y"], 1]));
    client.emit(&json!(["broadcast", 1]));
    client.expect_nothing();
}

fn who_left_gets_nothing(target: &Target) {
    let [mut member, mut sender] = clients(target);
    for _ in 0..3 {
        member.call(&json!(["join", "x"]));
        member.call(&json!(["leave", "x"]));
    }
    sender.emit(&json!(["to-room", "x", 1]));
    sender.expect_nothing();
    member.expect_nothing();
}

fn an_empty_room_is_no_error(target: &Target) {
    let mut client = Client::connect(target);
    client.emit(&json!(["to-room", "nobody", 1]));
    client.emit(&json!(["to-rooms", ["nobody", "none"], 1]));
    client.expect_nothing();
}

fn a_socket_in_several_rooms_gets_an_event_once(target: &Target) {
    let [mut both, mut one, mut none, mut sender] = clients(target);
    both.call(&json!(["join", "x"]));
    both.call(&json!(["join", "y"]));
    one.call(&json!(["join", "y"]));
    none.call(&json!(["join", "z"]));
    sender.emit(&json!(["to-rooms", ["x", "y", "x"], 1]));
    sender.expect_nothing();
    for member in [&mut both, &mut one] {
        member.expect("42", json!(["rooms-event", 1]));
        member.expect_nothing();
    }
    none.expect_nothing();
}

fn no_rooms_at_all_are_everybody_else(target: &Target) {
    let [mut other, mut sender] = clients(target);
    sender.emit(&json!(["to-rooms", [], 1]));
    sender.expect_nothing();
    other.expect("42", json!(["rooms-event", 1]));
}

fn the_own_room_of_a_socket_reaches_it_alone(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    let [mut other, mut sender] = clients(target);
    sender.emit(&json!(["to-room", sid, 1]));
    sender.expect_nothing();
    client.expect("42", json!(["room-event", sid, 1]));
    client.expect_nothing();
    other.expect_nothing();
}

fn broadcasts_reach_all_but_the_sender(target: &Target) {
    let [mut sender, mut a, mut b] = clients(target);
    sender.emit(&json!(["broadcast", 1, "two"]));
    sender.expect_nothing();
    for other in [&mut a, &mut b] {
        other.expect("42", json!(["broadcast-event", 1, "two"]));
        other.expect_nothing();
    }
}

fn events_for_all_reach_the_sender_too(target: &Target) {
    let mut clients: [Client; 3] = clients(target);
    clients[0].emit(&json!(["all", 1, "two"]));
    for client in &mut clients {
        client.expect("42", json!(["all-event", 1, "two"]));
        client.expect_nothing();
    }
}

fn rooms_are_of_one_namespace(target: &Target) {
    let mut other = Client::connect_to(target, "/quiet").0;
    let mut client = Client::connect(target);
    other.call_in("/quiet", &json!(["join", "x"]));
    client.emit(&json!(["to-room", "x", 1]));
    client.emit(&json!(["to-rooms", ["x"], 1]));
    client.expect_nothing();
    other.expect_nothing_in("/quiet");
}

fn broadcasts_stay_in_their_namespace(target: &Target) {
    let mut others = ["/custom", "/quiet", "/refuse"]
        .map(|namespace| (Client::connect_to(target, namespace).0, namespace));
    let mut client = Client::connect(target);
    client.emit(&json!(["broadcast", 1]));
    client.emit(&json!(["all", 2]));
    client.expect("42", json!(["all-event", 2]));
    for (other, namespace) in &mut others {
        other.expect_nothing_in(namespace);
    }
    others[0].0.emit_in("/custom", &json!(["all", 3]));
    others[0].0.expect("42/custom,", json!(["all-event", 3]));
    client.expect_nothing();
}

fn two_namespaces_of_one_connection_are_two_members(target: &Target) {
    let mut client = Client::connect(target);
    client.join("/quiet");
    client.call(&json!(["join", "x"]));
    client.call_in("/quiet", &json!(["join", "y"]));
    assert_eq!(client.call(&json!(["rooms"])), json!([["x"]]));
    assert_eq!(client.call_in("/quiet", &json!(["rooms"])), json!([["y"]]));
    let mut sender = Client::connect_to(target, "/quiet").0;
    sender.emit_in("/quiet", &json!(["to-rooms", ["x", "y"], 1]));
    client.expect("42/quiet,", json!(["rooms-event", 1]));
    client.expect_nothing();
}

fn who_left_the_namespace_gets_nothing(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    let mut sender = Client::connect(target);
    client.join("/quiet");
    client.call(&json!(["join", "x"]));
    client.send("41");
    await_end(&mut sender, &sid);
    sender.emit(&json!(["to-room", "x", 1]));
    sender.emit(&json!(["broadcast", 1]));
    sender.expect_nothing();
    client.expect_nothing_in("/quiet");
}

fn who_is_gone_is_no_member(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    let mut sender = Client::connect(target);
    client.call(&json!(["join", "x"]));
    client.cut();
    await_end(&mut sender, &sid);
    sender.emit(&json!(["to-room", "x", 1]));
    sender.emit(&json!(["to-room", sid, 1]));
    sender.expect_nothing();
}

fn a_new_socket_begins_without_rooms(target: &Target) {
    let (mut client, sid) = Client::connect_to(target, "/");
    let mut sender = Client::connect(target);
    client.call(&json!(["join", "x"]));
    client.send("41");
    await_end(&mut sender, &sid);
    client.join("/");
    assert_eq!(client.call(&json!(["rooms"])), json!([[]]));
    sender.emit(&json!(["to-room", "x", 1]));
    sender.expect_nothing();
    client.expect_nothing();
}

fn events_of_one_sender_keep_their_order(target: &Target) {
    let [mut member, mut sender] = clients(target);
    member.call(&json!(["join", "x"]));
    for number in 0..50 {
        sender.emit(&json!(["to-room", "x", number]));
        sender.emit(&json!(["broadcast", number]));
        sender.emit(&json!(["to-rooms", ["x", "y"], number]));
    }
    for number in 0..50 {
        member.expect("42", json!(["room-event", "x", number]));
        member.expect("42", json!(["broadcast-event", number]));
        member.expect("42", json!(["rooms-event", number]));
    }
}

fn events_for_a_client_that_does_not_fetch_are_kept(target: &Target) {
    let [mut member, mut sender] = clients(target);
    member.call(&json!(["join", "x"]));
    for number in 0..100 {
        sender.emit(&json!(["to-room", "x", number]));
    }
    sender.expect_nothing();
    for number in 0..100 {
        member.expect("42", json!(["room-event", "x", number]));
    }
}

fn events_to_all_members_have_one_order(target: &Target) {
    let mut clients: [Client; 4] = clients(target);
    for number in 0..20 {
        for (at, client) in clients.iter_mut().enumerate() {
            client.emit(&json!(["all", at, number]));
        }
    }
    let mut orders = clients.iter_mut().map(|client| {
        let events = (0..80).map(|_| client.event().data);
        events.collect::<Vec<_>>()
    });
    let first = orders.next().expect("an order");
    assert!(orders.all(|order| order == first), "another order");
}

fn both_transports_are_members(target: &Target) {
    use super::client::Transport::{Polling, WebSocket};
    let mut members = [Polling, WebSocket].map(|way| Client::connect(&target.with(way)));
    for member in &mut members {
        member.call(&json!(["join", "x"]));
    }
    let mut sender = Client::connect(target);
    for number in 0..100 {
        sender.emit(&json!(["to-room", "x", number]));
    }
    for member in &mut members {
        for number in 0..100 {
            member.expect("42", json!(["room-event", "x", number]));
        }
    }
}

fn a_room_has_many_members(target: &Target) {
    let mut members: Vec<_> = (0..100).map(|_| Client::connect(target)).collect();
    for member in &mut members {
        member.call(&json!(["join", "x"]));
    }
    let mut sender = Client::connect(target);
    sender.emit(&json!(["to-room", "x", 1]));
    sender.expect_nothing();
    for member in &mut members {
        member.expect("42", json!(["room-event", "x", 1]));
    }
}
