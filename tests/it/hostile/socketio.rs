//! Sessions of Socket.IO and their transports: too many of them, and requests that do not fit.

use eventwire::CloseCode;

use super::rig::{KIB, Rig};
use super::socketio_peer::{
    NOISE, OUTBOX, PAYLOAD, Polling, QUEUED, SESSIONS, UNCONFIRMED, ask, echo, end, join, joined,
    open, response, send, socket, start, text, upgrade,
};
use crate::util::Peer;

/// What a session with its handshake holds at most here.
const HELD: u64 = 4 * KIB;

/// Closes sessions in order. Returns how many there still were.
fn close(peer: &mut Peer, queries: &[String]) -> usize {
    let is_open = |query: &&String| {
        send(peer, "POST", query, "1");
        response(peer).0 == 200
    };
    queries.iter().filter(is_open).count()
}

#[test]
fn sessions_that_nobody_comes_back_to_end_when_there_are_too_many() {
    let (mut rig, guest) = start("socketio");
    let mut peer = Peer::open(rig.socket_io());
    let queries: Vec<_> = (0..5000).map(|_| open(&mut peer)).collect();
    assert_eq!(rig.stat("sessions"), UNCONFIRMED as u64 + 1);
    assert_eq!(close(&mut peer, &queries), UNCONFIRMED);
    drop(peer);
    rig.assert_held_at_most((UNCONFIRMED as u64 + 2) * HELD + NOISE);
    end(rig, guest, NOISE);
}

#[test]
fn sessions_that_somebody_came_back_to_end_no_others() {
    let (rig, guest) = start("socketio");
    let mut peer = Peer::open(rig.socket_io());
    let first = open(&mut peer);
    for _ in 0..2 * UNCONFIRMED {
        let query = open(&mut peer);
        assert_eq!(close(&mut peer, &[query]), 1);
    }
    assert_eq!(close(&mut peer, &[first]), 1);
    drop(peer);
    end(rig, guest, NOISE);
}

#[test]
fn further_sessions_are_refused_when_there_are_too_many() {
    let (mut rig, mut guest) = start("socketio");
    let mut peer = Peer::open(rig.socket_io());
    let mut queries = Vec::new();
    for _ in 1..SESSIONS {
        let query = open(&mut peer);
        send(&mut peer, "POST", &query, "40");
        assert_eq!(response(&mut peer).0, 200);
        queries.push(query);
    }
    assert_eq!(rig.stat("sessions"), SESSIONS as u64);
    send(&mut peer, "GET", "", "");
    assert_eq!(response(&mut peer).0, 503);
    socket(rig.socket_io(), "").expect_close(CloseCode::TRY_AGAIN_LATER);
    echo(&mut guest);
    assert_eq!(close(&mut peer, &queries), SESSIONS - 1);
    drop(peer);
    rig.assert_held_at_most(SESSIONS as u64 * HELD + NOISE);
    end(rig, guest, NOISE);
}

#[test]
fn sessions_without_a_namespace_or_without_pongs_end() {
    let mut rig = Rig::start("socketio, impatient");
    let mut silent = socket(rig.socket_io(), "");
    assert!(text(&mut silent).starts_with("0{"));
    let mut polling = Peer::open(rig.socket_io());
    let query = open(&mut polling);
    send(&mut polling, "GET", &query, "");
    assert_eq!(response(&mut polling), (200, "2".to_owned()));
    send(&mut polling, "GET", &query, "");
    assert_eq!(response(&mut polling), (200, "1".to_owned()));
    // Pongs do not replace a namespace, and come only once for each ping.
    let mut eager = socket(rig.socket_io(), "");
    for _ in 0..1000 {
        eager.send("3");
    }
    rig.until(|rig| rig.stat("sessions") == 0);
    assert_eq!(rig.stat("violations"), 0);
    drop((silent, polling, eager));
    rig.end(NOISE);
}

#[test]
fn polls_that_wait_or_are_reset_hold_nothing_else_up() {
    const POLLS: usize = 200;
    let (mut rig, mut guest) = start("socketio");
    let mut waiting: Vec<_> = (0..POLLS).map(|_| Polling::joined(rig.socket_io())).collect();
    for polling in &mut waiting {
        send(&mut polling.peer, "GET", &polling.query, "");
    }
    rig.progress(5);
    echo(&mut guest);
    assert_eq!(rig.stat("sessions"), POLLS as u64 + 1);
    for polling in waiting {
        polling.peer.reset();
    }
    // A session ends with the connection of its poll.
    rig.until(|rig| rig.stat("sessions") == 1);
    rig.assert_held_at_most(POLLS as u64 * 4 * HELD + NOISE);
    end(rig, guest, NOISE);
}

#[test]
fn a_second_poll_at_a_time_ends_its_session() {
    let (mut rig, guest) = start("socketio");
    let mut polling = Polling::joined(rig.socket_io());
    send(&mut polling.peer, "GET", &polling.query, "");
    rig.until(|rig| rig.stat("sessions") == 2);
    // The first one may come to the server later.
    let mut second = Peer::open(rig.socket_io());
    send(&mut second, "GET", &polling.query, "");
    let answers = [response(&mut polling.peer), response(&mut second)];
    let mut statuses = answers.map(|(status, _)| status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    rig.until(|rig| rig.stat("sessions") == 1);
    drop((polling, second));
    end(rig, guest, NOISE);
}

#[test]
fn bodies_without_end_and_bodies_of_tiny_packets_cost_what_they_are_long() {
    let (rig, guest) = start("socketio");
    let mut polling = Polling::joined(rig.socket_io());
    let pongs = vec!["3"; PAYLOAD / 2].join("\x1e");
    for _ in 0..100 {
        assert_eq!(polling.post(&pongs), 200);
    }
    polling.echo();
    rig.progress(2);
    let mut long = Polling::joined(rig.socket_io());
    assert_eq!(long.post(&"3".repeat(PAYLOAD + 1)), 413);
    // What is announced is not set aside.
    let mut announced = Polling::joined(rig.socket_io());
    let head = format!("POST /socket.io/?EIO=4&transport=polling{}", announced.query);
    announced.peer.write(
        format!("{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {PAYLOAD}\r\n\r\n4")
            .as_bytes(),
    );
    rig.progress(2);
    for polling in [&mut polling, &mut long] {
        let mut peer = Peer::open(rig.socket_io());
        assert_eq!(close(&mut peer, std::slice::from_ref(&polling.query)), 1);
    }
    // A second request while the first one has not ended costs the session.
    assert_eq!(close(&mut Peer::open(rig.socket_io()), std::slice::from_ref(&announced.query)), 0);
    drop((polling, long, announced));
    rig.assert_held_at_most(8 * PAYLOAD as u64 + NOISE);
    end(rig, guest, NOISE);
}

#[test]
fn ids_that_are_unknown_or_of_another_transport_are_refused() {
    let (mut rig, mut guest) = start("socketio");
    let mut peer = Peer::open(rig.socket_io());
    let unknown = ["&sid=", "&sid=x", "&sid=AAAQIDBAUGBwgJCgsMDQ4PEA", "&sid=%00%ff"];
    for query in
        unknown.map(str::to_owned).into_iter().chain([format!("&sid={}", "x".repeat(2000))])
    {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            send(&mut peer, method, &query, "");
            assert_eq!(response(&mut peer).0, 400);
        }
        assert!(ask(rig.socket_io(), &query).1.starts_with("HTTP/1.1 400 "));
    }
    // A session over a WebSocket takes neither requests nor another WebSocket.
    let mut first = socket(rig.socket_io(), "");
    let id = text(&mut first).split('"').nth(3).expect("an id").to_owned();
    let query = format!("&sid={id}");
    for method in ["GET", "POST"] {
        send(&mut peer, method, &query, "40");
        assert_eq!(response(&mut peer).0, 400);
    }
    socket(rig.socket_io(), &query).expect_close(CloseCode::NORMAL);
    first.send("40");
    assert!(text(&mut first).starts_with("40{"));
    echo(&mut first);
    echo(&mut guest);
    drop((peer, first));
    rig.until(|rig| rig.stat("sessions") == 1);
    end(rig, guest, NOISE);
}

#[test]
fn a_storm_of_upgrades_leaves_the_session_to_its_client() {
    const SOCKETS: usize = 200;
    let (mut rig, guest) = start("socketio");
    let mut polling = Polling::joined(rig.socket_io());
    // One upgrade goes on at a time, and is abandoned at each stage.
    for stage in 0..SOCKETS {
        let mut upgrading = socket(rig.socket_io(), &polling.query);
        if stage % 4 > 0 {
            upgrading.send("2probe");
            assert_eq!(text(&mut upgrading), "3probe");
        }
        socket(rig.socket_io(), &polling.query).expect_close(CloseCode::NORMAL);
        match stage % 4 {
            2 => upgrading.send("42[\"echo\",1]"),
            3 => upgrading.send("2probe"),
            _ => {}
        }
        drop(upgrading);
        rig.until(|rig| rig.peers() == 2);
        polling.echo();
    }
    // The last one succeeds.
    let mut upgrading = socket(rig.socket_io(), &polling.query);
    upgrading.send("2probe");
    assert_eq!(text(&mut upgrading), "3probe");
    upgrading.send("5");
    echo(&mut upgrading);
    assert_eq!(polling.get().0, 400);
    drop((polling, upgrading));
    rig.assert_held_at_most(NOISE);
    end(rig, guest, NOISE);
}

#[test]
fn what_waits_for_a_client_that_does_not_read_is_bounded() {
    let (mut rig, mut guest) = start("socketio");
    let rig_sessions = |rig: &mut Rig| rig.stat("sessions");
    let flood = r#"42["flood",1000,10000]"#;
    let mut polling = Polling::joined(rig.socket_io());
    assert_eq!(polling.post(flood), 200);
    rig.until(|rig| rig.stat("sockets") == 1);
    // What had waited still leaves.
    assert!(polling.get().0 == 200);
    let mut narrow = socket_that_reads_little(&rig);
    narrow.send(flood);
    rig.until(|rig| rig.stat("sockets") == 1 && rig.stat("by_overflow") == 1);
    rig.progress(2);
    echo(&mut guest);
    assert!(rig_sessions(&mut rig) <= 2);
    rig.assert_held_at_most(2 * QUEUED as u64 + 2 * OUTBOX as u64 + NOISE);
    while rig_sessions(&mut rig) > 1 {
        polling.get();
    }
    drop((polling, narrow));
    end(rig, guest, NOISE);
}

/// A client whose system holds little.
fn socket_that_reads_little(rig: &Rig) -> Peer {
    join(upgrade(Peer::begin_narrow(rig.socket_io()), ""))
}

#[test]
fn clients_by_the_hundred_come_and_go() {
    let (mut rig, mut guest) = start("socketio");
    for _ in 0..20 {
        let sockets: Vec<_> = (0..50).map(|_| joined(rig.socket_io())).collect();
        let polling: Vec<_> = (0..50).map(|_| Polling::joined(rig.socket_io())).collect();
        for (number, mut polling) in polling.into_iter().enumerate() {
            if number % 2 == 0 {
                send(&mut polling.peer, "GET", &polling.query, "");
                polling.peer.reset();
            } else {
                assert_eq!(polling.post("1"), 200);
            }
        }
        sockets.into_iter().for_each(Peer::reset);
        rig.until(|rig| rig.stat("sessions") == 1);
        echo(&mut guest);
    }
    end(rig, guest, NOISE);
}
