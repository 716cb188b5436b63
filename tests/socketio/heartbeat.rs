//! Pings of the server, and what becomes of clients that do not answer.

use std::time::{Duration, Instant};

use eventwire::proto::OpCode;
use serde_json::json;

use super::client::{
    Client, DEADLINE, Packet, Polling, Session, Target, Transport, WebSocket, frame,
};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Protocol, BOTH:
        answered_pings_keep_a_session_open,
        pings_begin_after_the_interval,
        a_session_without_pongs_is_closed,
        events_are_no_pongs,
        a_pong_that_nobody_asked_for_is_accepted,
        events_pass_between_pings;
    Protocol, EITHER:
        a_session_that_does_not_poll_is_closed,
        pings_go_on_after_an_upgrade,
        an_upgraded_session_without_pongs_is_closed;
    Load, BOTH:
        nothing_pings_before_its_time;
];

/// Of the profile.
const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(200);
/// Timers may be early by their rounding, and what they send needs no time.
const SLACK: Duration = Duration::from_millis(50);

/// The next packet, pings included.
fn next_unanswered(session: &mut Session) -> Option<Packet> {
    match session {
        Session::Polling(polling) => {
            let response = polling.get();
            (response.status == 200 && response.text() != "1")
                .then(|| Packet::text(response.text()))
        }
        Session::WebSocket(socket) => socket.next_unanswered(),
    }
}

/// Sends a packet; `false` if the session is closed.
fn try_send(session: &mut Session, text: &str) -> bool {
    match session {
        Session::Polling(polling) => polling.post(text).status == 200,
        Session::WebSocket(socket) => socket.try_write(&frame(true, OpCode::Text, text.as_bytes())),
    }
}

fn answered_pings_keep_a_session_open(target: &Target) {
    let mut client = Client::connect_to(target, "/quiet").0;
    let start = Instant::now();
    for _ in 0..6 {
        assert_eq!(next_unanswered(&mut client.session), Some(Packet::text("2")));
        assert!(try_send(&mut client.session, "3"));
    }
    assert!(start.elapsed() >= 6 * (INTERVAL - SLACK), "{:?}", start.elapsed());
    client.expect_echo_in("/quiet");
}

fn pings_begin_after_the_interval(target: &Target) {
    let start = Instant::now();
    let mut client = Client::open(target);
    assert_eq!(next_unanswered(&mut client.session), Some(Packet::text("2")));
    let elapsed = start.elapsed();
    assert!(elapsed >= INTERVAL - SLACK, "{elapsed:?}");
    assert!(elapsed < 10 * INTERVAL, "{elapsed:?}");
}

fn a_session_without_pongs_is_closed(target: &Target) {
    let start = Instant::now();
    let mut client = Client::open(target);
    assert_eq!(next_unanswered(&mut client.session), Some(Packet::text("2")));
    assert_eq!(next_unanswered(&mut client.session), None);
    let elapsed = start.elapsed();
    assert!(elapsed >= INTERVAL + TIMEOUT - SLACK, "{elapsed:?}");
    assert!(elapsed < 10 * (INTERVAL + TIMEOUT), "{elapsed:?}");
}

fn events_are_no_pongs(target: &Target) {
    let mut client = Client::connect_to(target, "/quiet").0;
    let session = &mut client.session;
    let start = Instant::now();
    while try_send(session, "42/quiet,[\"message\",1]") && next_unanswered(session).is_some() {
        assert!(start.elapsed() < DEADLINE, "events are taken for pongs");
    }
}

fn a_pong_that_nobody_asked_for_is_accepted(target: &Target) {
    let mut client = Client::connect_to(target, "/quiet").0;
    client.send_raw(&[Packet::text("3")]);
    client.expect_echo_in("/quiet");
}

fn events_pass_between_pings(target: &Target) {
    let mut client = Client::connect(target);
    let start = Instant::now();
    while start.elapsed() < 4 * INTERVAL {
        client.expect_echo();
    }
}

fn a_session_that_does_not_poll_is_closed(target: &Target) {
    let polling = Polling::open(target);
    let mut clock = Client::connect_to(&target.with(Transport::WebSocket), "/quiet").0;
    // Another session's pings say the time.
    for _ in 0..5 {
        assert_eq!(next_unanswered(&mut clock.session), Some(Packet::text("2")));
        assert!(try_send(&mut clock.session, "3"));
    }
    // The end may be said once.
    let response = polling.get();
    assert!(response.status == 400 || response.text().ends_with('1'), "{}", response.text());
    assert_eq!(polling.get().status, 400);
}

/// A session that began with polling, and its WebSocket.
fn upgraded(target: &Target) -> (Polling, WebSocket) {
    let polling = Polling::open(target);
    polling.post("40/quiet,");
    let mut socket = WebSocket::for_session(target, &polling.sid);
    socket.send_text("2probe");
    socket.expect_text("3probe");
    socket.send_text("5");
    (polling, socket)
}

fn pings_go_on_after_an_upgrade(target: &Target) {
    let (_polling, mut socket) = upgraded(target);
    let mut pings = 0;
    while pings < 4 {
        let Some(Packet::Text(text)) = socket.next_unanswered() else { panic!("no ping") };
        if text == "2" {
            socket.send_text("3");
            pings += 1;
        }
    }
    socket.send_text("42/quiet,[\"message\",1]");
    socket.expect_text("42/quiet,[\"message-back\",1]");
}

fn an_upgraded_session_without_pongs_is_closed(target: &Target) {
    let (polling, mut socket) = upgraded(target);
    while socket.next_unanswered().is_some() {}
    assert_eq!(polling.get().status, 400);
}

fn nothing_pings_before_its_time(target: &Target) {
    let mut client = Client::connect(target);
    client.emit(&json!(["emit-later", 700, 1]));
    client.expect("42", json!(["later-event", 1]));
}
