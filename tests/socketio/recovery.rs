//! Going on after a connection was lost. The cases run one by one, since offsets of broadcasts are
//! of a whole namespace.

use serde_json::{Value, json};

use super::client::{Client, Message, Target, Transport, address, await_end, binary, placeholder};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Client, BOTH:
        connect_is_answered_with_a_secret,
        secrets_differ,
        events_end_with_their_offset,
        offsets_differ,
        questions_have_no_offset,
        acknowledgements_have_no_offset,
        the_same_socket_goes_on,
        missed_events_come_once_and_in_order,
        many_missed_events_come,
        events_that_were_received_do_not_come_again,
        events_with_binary_are_recovered,
        rooms_are_recovered,
        missed_events_of_rooms_come,
        events_of_rooms_that_were_left_do_not_come,
        events_that_were_sent_while_away_come,
        what_the_sender_excludes_does_not_come,
        an_event_to_itself_that_was_due_while_away_comes,
        nothing_missed_is_recovered_too,
        the_greeting_comes_once,
        live_events_follow_the_missed_ones,
        volatile_events_are_not_kept,
        a_recovered_socket_recovers_again,
        another_namespace_is_recovered,
        two_namespaces_are_recovered,
        a_namespace_with_a_token_is_recovered,
        an_unknown_secret_is_a_new_session,
        an_unknown_offset_is_a_new_session,
        a_secret_of_another_namespace_is_a_new_session,
        other_values_are_a_new_session,
        leaving_the_namespace_ends_recovery,
        a_disconnect_by_the_server_ends_recovery,
        without_an_offset_the_truth_is_told,
        a_secret_is_of_one_live_connection,
        a_secret_of_a_live_connection_takes_nothing,
        other_sockets_get_nothing_twice;
    Client, EITHER:
        a_session_goes_on_over_the_other_transport,
        a_storm_of_recoveries_misses_nothing;
];

/// A socket, and what its client has to know to go on.
struct Tracked {
    client: Client,
    namespace: &'static str,
    sid: String,
    pid: String,
    offset: Option<String>,
}

impl Tracked {
    fn connect(target: &Target, namespace: &'static str) -> Self {
        let mut client = Client::open(target);
        let auth = json!({"token": "let-me-in"});
        let answer = client.join_with(namespace, &auth);
        let mut tracked = Self::new(client, namespace, &answer);
        if matches!(namespace, "/" | "/custom") {
            assert_eq!(tracked.event(), json!(["auth", auth]));
        }
        tracked
    }

    fn new(client: Client, namespace: &'static str, answer: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let (sid, pid) = (text(&answer["sid"]), text(&answer["pid"]));
        Self { client, namespace, sid, pid, offset: None }
    }

    fn call(&mut self, event: &Value) -> Value {
        self.client.call_in(self.namespace, event)
    }

    fn emit(&mut self, event: &Value) {
        self.client.emit_in(self.namespace, event);
    }

    /// The next event without its offset, which is noted.
    #[track_caller]
    fn event(&mut self) -> Value {
        let message = self.client.event();
        let expected = ["42", "45"].map(|kind| address(kind, self.namespace));
        assert!(expected.contains(&message.header), "{message:?}");
        self.note(message)
    }

    #[track_caller]
    fn note(&mut self, message: Message) -> Value {
        let Value::Array(mut values) = message.data else { panic!("{message:?}") };
        let offset = values.pop();
        self.offset = offset.as_ref().and_then(Value::as_str).map(str::to_owned);
        assert!(self.offset.is_some(), "no offset: {offset:?} after {values:?}");
        json!(values)
    }

    #[track_caller]
    fn expect(&mut self, event: Value) {
        assert_eq!(self.event(), event);
    }

    #[track_caller]
    fn expect_nothing(&mut self) {
        self.client.expect_nothing_in(self.namespace);
    }

    /// Loses the connection, and waits until the server has noticed it.
    fn lose(self, observer: &mut Client) -> Lost {
        self.client.cut();
        await_end(observer, &self.sid);
        Lost { namespace: self.namespace, sid: self.sid, pid: self.pid, offset: self.offset }
    }
}

/// A socket whose connection was lost.
#[derive(Clone)]
struct Lost {
    namespace: &'static str,
    sid: String,
    pid: String,
    offset: Option<String>,
}

impl Lost {
    fn auth(&self) -> Value {
        let mut auth = json!({"token": "let-me-in", "pid": self.pid});
        if let Some(offset) = &self.offset {
            auth["offset"] = json!(offset);
        }
        auth
    }

    /// Connects again. Whether it goes on is for the case to say.
    fn come_back(&self, target: &Target) -> Tracked {
        let mut client = Client::open(target);
        let answer = client.join_with(self.namespace, &self.auth());
        let mut tracked = Tracked::new(client, self.namespace, &answer);
        tracked.offset.clone_from(&self.offset);
        tracked
    }

    #[track_caller]
    fn recover(&self, target: &Target) -> Tracked {
        let mut tracked = self.come_back(target);
        assert_eq!((&tracked.sid, &tracked.pid), (&self.sid, &self.pid), "not recovered");
        assert!(is_recovered(&mut tracked));
        tracked
    }

    /// Connects again and is another socket, without anything old.
    #[track_caller]
    fn begin_anew(&self, target: &Target) -> Tracked {
        let mut tracked = self.come_back(target);
        assert_ne!(tracked.sid, self.sid);
        assert_ne!(tracked.pid, self.pid);
        assert!(!is_recovered(&mut tracked));
        if matches!(self.namespace, "/" | "/custom") {
            let greeting = tracked.event();
            assert_eq!(greeting[0], "auth");
        }
        tracked.expect_nothing();
        assert_eq!(tracked.call(&json!(["rooms"])), json!([[]]));
        tracked
    }
}

fn is_recovered(tracked: &mut Tracked) -> bool {
    let info = tracked.call(&json!(["request-info"]));
    assert_eq!(info[0]["sid"], tracked.sid);
    info[0]["recovered"].as_bool().expect("a boolean")
}

/// Notices ends, and sends what others miss.
fn observer(target: &Target) -> Client {
    let mut client = Client::open(target);
    client.join("/");
    client
}

fn connect_is_answered_with_a_secret(target: &Target) {
    let mut client = Client::open(target);
    let answer = client.join_with("/quiet", &json!({}));
    let names: Vec<_> = answer.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["pid", "sid"]);
    let [sid, pid] = ["sid", "pid"].map(|name| answer[name].as_str().expect("text"));
    assert!(pid.len() >= 16, "{pid}");
    assert!(pid != sid && pid != client.session_id);
}

fn secrets_differ(target: &Target) {
    let mut client = Client::open(target);
    let mut pids = Vec::new();
    for namespace in ["/", "/custom", "/quiet"] {
        let answer = client.join_with(namespace, &json!({}));
        pids.push(answer["pid"].as_str().expect("text").to_owned());
    }
    pids.extend((0..20).map(|_| Tracked::connect(target, "/quiet").pid));
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 23);
}

fn events_end_with_their_offset(target: &Target) {
    let mut tracked = Tracked::connect(target, "/");
    tracked.emit(&json!(["message", 1, "2"]));
    tracked.expect(json!(["message-back", 1, "2"]));
    tracked.emit(&json!(["all"]));
    tracked.expect(json!(["all-event"]));
    tracked.emit(&json!(["emit-later", 1, [3]]));
    tracked.expect(json!(["later-event", [3]]));
}

fn offsets_differ(target: &Target) {
    let mut tracked = Tracked::connect(target, "/quiet");
    tracked.emit(&json!(["flood", 100]));
    let mut offsets = Vec::new();
    for number in 0..100 {
        tracked.expect(json!(["flood-event", number]));
        offsets.push(tracked.offset.clone());
    }
    offsets.sort();
    offsets.dedup();
    assert_eq!(offsets.len(), 100);
}

fn questions_have_no_offset(target: &Target) {
    let mut tracked = Tracked::connect(target, "/quiet");
    tracked.client.send("42/quiet,1[\"ask\",10000,7]");
    let question = tracked.client.event();
    assert_eq!(question.data, json!(["question", 7]));
    let id = question.header.strip_prefix("42/quiet,").expect("the namespace");
    tracked.client.send(&format!("43/quiet,{id}[8]"));
    tracked.client.expect("43/quiet,1", json!(["answer", 8]));
}

fn acknowledgements_have_no_offset(target: &Target) {
    let mut tracked = Tracked::connect(target, "/quiet");
    assert_eq!(tracked.call(&json!(["message-with-ack", 1])), json!([1]));
}

fn the_same_socket_goes_on(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    assert!(!is_recovered(&mut tracked));
    let lost = tracked.lose(&mut observer);
    let mut tracked = lost.recover(target);
    tracked.emit(&json!(["message", 1]));
    tracked.expect(json!(["message-back", 1]));
    // Its own room is still its own.
    observer.emit(&json!(["to-room", tracked.sid, 2]));
    let sid = tracked.sid.clone();
    tracked.expect(json!(["room-event", sid, 2]));
}

fn missed_events_come_once_and_in_order(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    for number in 0..10 {
        observer.emit(&json!(["broadcast", number]));
    }
    observer.expect_echo();
    let mut tracked = lost.recover(target);
    for number in 0..10 {
        tracked.expect(json!(["broadcast-event", number]));
    }
    tracked.expect_nothing();
}

fn many_missed_events_come(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    let text = "x".repeat(1_000);
    for number in 0..500 {
        observer.emit(&json!(["broadcast", number, text]));
    }
    observer.expect_echo();
    let mut tracked = lost.recover(target);
    for number in 0..500 {
        tracked.expect(json!(["broadcast-event", number, text]));
    }
    tracked.expect_nothing();
}

fn events_that_were_received_do_not_come_again(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    for number in 0..5 {
        observer.emit(&json!(["broadcast", number]));
        tracked.expect(json!(["broadcast-event", number]));
    }
    let lost = tracked.lose(&mut observer);
    observer.emit(&json!(["broadcast", 5]));
    observer.expect_echo();
    let mut tracked = lost.recover(target);
    tracked.expect(json!(["broadcast-event", 5]));
    tracked.expect_nothing();
}

fn events_with_binary_are_recovered(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    let event = json!(["broadcast", {"a": placeholder(0)}, placeholder(1)]);
    observer.send_binary(&format!("452-{event}"), &[b"x", b"y"]);
    observer.emit(&json!(["broadcast", "last"]));
    observer.expect_echo();
    let mut tracked = lost.recover(target);
    tracked.expect(json!(["broadcast-event", {"a": binary(b"x")}, binary(b"y")]));
    tracked.expect(json!(["broadcast-event", "last"]));
}

fn rooms_are_recovered(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    for room in ["b", "a", "c"] {
        tracked.call(&json!(["join", room]));
    }
    tracked.call(&json!(["leave", "c"]));
    let mut tracked = tracked.lose(&mut observer).recover(target);
    assert_eq!(tracked.call(&json!(["rooms"])), json!([["a", "b"]]));
    observer.emit(&json!(["to-room", "a", 1]));
    tracked.expect(json!(["room-event", "a", 1]));
}

fn missed_events_of_rooms_come(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    tracked.call(&json!(["join", "a"]));
    tracked.call(&json!(["join", "b"]));
    let lost = tracked.lose(&mut observer);
    observer.emit(&json!(["to-room", "a", 1]));
    observer.emit(&json!(["to-room", "z", 2]));
    observer.emit(&json!(["to-rooms", ["a", "b", "z"], 3]));
    observer.emit(&json!(["to-room", lost.sid, 4]));
    observer.expect_echo();
    let mut tracked = lost.recover(target);
    tracked.expect(json!(["room-event", "a", 1]));
    tracked.expect(json!(["rooms-event", 3]));
    tracked.expect(json!(["room-event", lost.sid, 4]));
    tracked.expect_nothing();
}

fn events_of_rooms_that_were_left_do_not_come(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    tracked.call(&json!(["join", "a"]));
    tracked.call(&json!(["leave", "a"]));
    let lost = tracked.lose(&mut observer);
    observer.emit(&json!(["to-room", "a", 1]));
    observer.expect_echo();
    lost.recover(target).expect_nothing();
}

fn events_that_were_sent_while_away_come(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    observer.emit(&json!(["all", 1]));
    let mut tracked = lost.recover(target);
    tracked.expect(json!(["all-event", 1]));
    tracked.expect_nothing();
}

fn what_the_sender_excludes_does_not_come(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    // Its own broadcast comes after the offset that it has.
    tracked.emit(&json!(["broadcast", 1]));
    tracked.expect_nothing();
    let lost = tracked.lose(&mut observer);
    observer.emit(&json!(["message", 1]));
    observer.expect_echo();
    lost.recover(target).expect_nothing();
}

fn an_event_to_itself_that_was_due_while_away_comes(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    assert_eq!(tracked.call(&json!(["emit-later", 500, "late"])), json!(["ok"]));
    let lost = tracked.lose(&mut observer);
    // The observer's own timer ends later.
    observer.call(&json!(["emit-later", 700, 0]));
    while observer.event().data[0] != "later-event" {}
    let mut tracked = lost.recover(target);
    tracked.expect(json!(["later-event", "late"]));
    tracked.expect_nothing();
}

fn nothing_missed_is_recovered_too(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    lost.recover(target).expect_nothing();
}

fn the_greeting_comes_once(target: &Target) {
    let mut observer = observer(target);
    for namespace in ["/", "/custom"] {
        let tracked = Tracked::connect(target, namespace);
        tracked.client.cut();
        let (sid, pid, offset) = (tracked.sid, tracked.pid, tracked.offset);
        await_end(&mut observer, &sid);
        Lost { namespace, sid, pid, offset }.recover(target).expect_nothing();
    }
}

fn live_events_follow_the_missed_ones(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    for number in 0..50 {
        observer.emit(&json!(["broadcast", number]));
    }
    let mut tracked = lost.come_back(target);
    for number in 50..100 {
        observer.emit(&json!(["broadcast", number]));
    }
    for number in 0..100 {
        tracked.expect(json!(["broadcast-event", number]));
    }
    assert!(is_recovered(&mut tracked));
    tracked.expect_nothing();
}

fn volatile_events_are_not_kept(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    tracked.call(&json!(["volatile-later", 300, 1]));
    let lost = tracked.lose(&mut observer);
    observer.call(&json!(["emit-later", 600, 0]));
    while observer.event().data[0] != "later-event" {}
    lost.recover(target).expect_nothing();
}

fn a_recovered_socket_recovers_again(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    tracked.call(&json!(["join", "a"]));
    for round in 0..5 {
        let lost = tracked.lose(&mut observer);
        observer.emit(&json!(["broadcast", round]));
        observer.emit(&json!(["to-room", "a", round]));
        observer.expect_echo();
        tracked = lost.recover(target);
        tracked.expect(json!(["broadcast-event", round]));
        tracked.expect(json!(["room-event", "a", round]));
        tracked.expect_nothing();
    }
}

fn another_namespace_is_recovered(target: &Target) {
    let mut observer = observer(target);
    let mut other = Tracked::connect(target, "/quiet");
    let mut tracked = Tracked::connect(target, "/quiet");
    tracked.emit(&json!(["message", 1]));
    tracked.expect(json!(["message-back", 1]));
    let lost = tracked.lose(&mut observer);
    other.emit(&json!(["broadcast", 2]));
    other.expect_nothing();
    let mut tracked = lost.recover(target);
    tracked.expect(json!(["broadcast-event", 2]));
    tracked.expect_nothing();
}

fn two_namespaces_are_recovered(target: &Target) {
    let mut observer = observer(target);
    let first = Tracked::connect(target, "/");
    let mut client = first.client;
    let answer = client.join_with("/quiet", &json!({}));
    let mut second = Tracked::new(client, "/quiet", &answer);
    second.emit(&json!(["message", 1]));
    second.expect(json!(["message-back", 1]));
    let first = Lost { namespace: "/", sid: first.sid, pid: first.pid, offset: first.offset };
    let second = second.lose(&mut observer);
    await_end(&mut observer, &first.sid);
    observer.emit(&json!(["broadcast", 2]));
    observer.expect_echo();
    let mut recovered = first.recover(target);
    recovered.expect(json!(["broadcast-event", 2]));
    let answer = recovered.client.join_with("/quiet", &second.auth());
    assert_eq!(answer, json!({"sid": second.sid, "pid": second.pid}));
    let info = recovered.client.call_in("/quiet", &json!(["request-info"]));
    assert_eq!(info[0]["recovered"], true);
    recovered.expect_nothing();
}

fn a_namespace_with_a_token_is_recovered(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/refuse");
    tracked.emit(&json!(["message", 1]));
    tracked.expect(json!(["message-back", 1]));
    tracked.lose(&mut observer).recover(target).expect_nothing();
}

fn an_unknown_secret_is_a_new_session(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    observer.emit(&json!(["broadcast", 1]));
    observer.expect_echo();
    let pid = "AAAAAAAAAAAAAAAAAAAA".to_owned();
    Lost { pid, ..lost.clone() }.begin_anew(target);
    lost.recover(target).expect(json!(["broadcast-event", 1]));
}

fn an_unknown_offset_is_a_new_session(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    tracked.call(&json!(["join", "a"]));
    let lost = tracked.lose(&mut observer);
    observer.emit(&json!(["broadcast", 1]));
    observer.expect_echo();
    let offset = Some("AAAAAAA".to_owned());
    Lost { offset, ..lost }.begin_anew(target);
}

fn a_secret_of_another_namespace_is_a_new_session(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    Lost { namespace: "/quiet", ..lost }.begin_anew(target);
}

fn other_values_are_a_new_session(target: &Target) {
    for auth in [
        json!({"pid": 5, "offset": []}),
        json!({"pid": null, "offset": null}),
        json!({"pid": {}, "offset": "a"}),
        json!({"pid": "", "offset": ""}),
        json!({"pid": "__proto__", "offset": "constructor"}),
        json!({"offset": "a"}),
    ] {
        let mut client = Client::open(target);
        let answer = client.join_with("/quiet", &auth);
        assert!(answer["sid"].is_string() && answer["pid"].is_string(), "{answer}");
        let info = client.call_in("/quiet", &json!(["request-info"]));
        assert_eq!(info[0]["recovered"], false);
    }
}

fn leaving_the_namespace_ends_recovery(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(target, "/");
    tracked.call(&json!(["join", "a"]));
    tracked.client.send("41");
    let lost = tracked.lose(&mut observer);
    observer.emit(&json!(["broadcast", 1]));
    observer.expect_echo();
    lost.begin_anew(target);
}

fn a_disconnect_by_the_server_ends_recovery(target: &Target) {
    let mut observer = observer(target);
    for close in [false, true] {
        let mut tracked = Tracked::connect(target, "/");
        tracked.emit(&json!(["disconnect-me", close]));
        tracked.client.expect("41", Value::Null);
        await_end(&mut observer, &tracked.sid);
        let Tracked { namespace, sid, pid, offset, .. } = tracked;
        Lost { namespace, sid, pid, offset }.begin_anew(target);
    }
}

fn without_an_offset_the_truth_is_told(target: &Target) {
    let mut observer = observer(target);
    let mut other = Tracked::connect(target, "/quiet");
    let tracked = Tracked::connect(target, "/quiet");
    let lost = tracked.lose(&mut observer);
    assert_eq!(lost.offset, None);
    other.emit(&json!(["broadcast", 1]));
    other.expect_nothing();
    let mut tracked = lost.come_back(target);
    let is_recovered = is_recovered(&mut tracked);
    assert_eq!(tracked.sid == lost.sid, is_recovered);
    assert_eq!(tracked.pid == lost.pid, is_recovered);
    if is_recovered {
        tracked.expect(json!(["broadcast-event", 1]));
    }
    tracked.expect_nothing();
}

fn a_secret_is_of_one_live_connection(target: &Target) {
    let mut observer = observer(target);
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    let mut tracked = lost.recover(target);
    let mut second = lost.come_back(target);
    // Either the second one is another socket, or the first one is closed.
    if second.sid == tracked.sid {
        tracked.client.expect_closed();
    } else {
        assert!(!is_recovered(&mut second));
        tracked.client.expect_echo();
    }
}

fn a_secret_of_a_live_connection_takes_nothing(target: &Target) {
    let mut tracked = Tracked::connect(target, "/");
    let lost = Lost {
        namespace: "/",
        sid: tracked.sid.clone(),
        pid: tracked.pid.clone(),
        offset: tracked.offset.clone(),
    };
    let second = lost.come_back(target);
    if second.sid == tracked.sid {
        tracked.client.expect_closed();
    } else {
        tracked.client.expect_echo();
    }
}

fn other_sockets_get_nothing_twice(target: &Target) {
    let mut observer = observer(target);
    let mut other = Tracked::connect(target, "/");
    let lost = Tracked::connect(target, "/").lose(&mut observer);
    observer.emit(&json!(["broadcast", 1]));
    observer.expect_echo();
    lost.recover(target).expect(json!(["broadcast-event", 1]));
    other.expect(json!(["broadcast-event", 1]));
    other.expect_nothing();
}

fn a_session_goes_on_over_the_other_transport(target: &Target) {
    let mut observer = observer(target);
    let mut tracked = Tracked::connect(&target.with(Transport::Polling), "/");
    for (round, transport) in [Transport::WebSocket, Transport::Polling].into_iter().enumerate() {
        let lost = tracked.lose(&mut observer);
        observer.emit(&json!(["broadcast", round]));
        observer.expect_echo();
        tracked = lost.recover(&target.with(transport));
        tracked.expect(json!(["broadcast-event", round]));
        tracked.expect_nothing();
    }
}

fn a_storm_of_recoveries_misses_nothing(target: &Target) {
    let mut observer = observer(target);
    let sockets: Vec<_> = (0..50).map(|_| Tracked::connect(target, "/")).collect();
    let lost: Vec<_> = sockets.into_iter().map(|socket| socket.lose(&mut observer)).collect();
    for number in 0..20 {
        observer.emit(&json!(["broadcast", number]));
    }
    observer.expect_echo();
    let mut sockets: Vec<_> = lost.iter().map(|lost| lost.come_back(target)).collect();
    for (socket, lost) in sockets.iter_mut().zip(&lost) {
        assert_eq!(socket.sid, lost.sid);
        for number in 0..20 {
            socket.expect(json!(["broadcast-event", number]));
        }
        socket.expect_nothing();
    }
}
