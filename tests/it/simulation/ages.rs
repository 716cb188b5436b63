//! The maximum age of connections, in virtual time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    CloseCode, Config, Connection, Disconnect, MaxAge, ServerConfig, StreamConfig, StreamHandler,
};

use super::rig::{Call, Calls, Notes, Rig};
use crate::shared::Arrived;

const MINUTE: Duration = Duration::from_secs(60);

/// Notes how old each connection was when it was closed, and the code.
fn noting() -> (impl FnMut(&mut Connection<'_>, Call<'_>) + 'static, Notes<(Duration, u16)>) {
    let (notes, mut opened) = (Notes::<(Duration, u16)>::default(), BTreeMap::new());
    let written = Rc::clone(&notes);
    let handler = move |conn: &mut Connection<'_>, call: Call<'_>| match call {
        Call::Open => drop(opened.insert(conn.id(), conn.now())),
        Call::Close(Disconnect::ClosedByApplication { code }) => {
            written.borrow_mut().push((conn.now() - opened[&conn.id()], code.get()));
        }
        _ => {}
    };
    (handler, notes)
}

fn rig(age: Option<MaxAge>) -> (Rig, Notes<(Duration, u16)>) {
    let (handler, notes) = noting();
    let limits = eventwire::Limits::default().ping_interval(None);
    let mut server = ServerConfig::default().limits(limits);
    if let Some(age) = age {
        server = server.max_age(age);
    }
    let reactor = SimReactor::new(0, SimConfig::calm());
    let rig = Rig::with_setup(reactor, Config::default(), |event_loop| {
        (event_loop.listen("127.0.0.1:0", server, Calls(handler)).expect("a port"), ())
    });
    (rig, notes)
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

#[test]
fn connections_that_opened_together_end_spread_over_the_jitter() {
    let (mut rig, notes) = rig(Some(MaxAge::new(60 * MINUTE).jitter(10 * MINUTE)));
    let peers: Vec<_> = (0..100).map(|_| rig.peer()).collect();
    rig.run(millis(49 * MINUTE));
    assert_eq!(rig.event_loop.connections(), 100);
    for _ in 0..12 {
        rig.run(millis(MINUTE));
        for peer in &peers {
            // Each answers the close frame.
            if let Some(Arrived::Close(code)) = rig.received(*peer).first() {
                assert_eq!(*code, Some(1012));
                rig.send(*peer, OpCode::Close, &1012_u16.to_be_bytes());
            }
        }
    }
    assert_eq!((rig.event_loop.connections(), notes.borrow().len()), (0, 100));
    let mut by_minute = BTreeMap::new();
    for (age, code) in notes.borrow().iter() {
        // `on_close` comes after the peer's answer, up to a minute later.
        assert!((50 * MINUTE..62 * MINUTE).contains(age), "{age:?}");
        assert_eq!(*code, 1012);
        *by_minute.entry(age.as_secs() / 60).or_insert(0) += 1;
    }
    assert!(by_minute.values().all(|count| *count < 30), "{by_minute:?}");
    let stats = rig.event_loop.stats();
    assert_eq!((stats.max_age_reached, stats.closed_by_application), (100, 100));
}

#[test]
fn without_jitter_the_age_is_exact_and_not_a_moment_earlier() {
    let exact = MaxAge::new(MINUTE).jitter(Duration::ZERO).code(CloseCode::POLICY, "again");
    let (mut rig, notes) = rig(Some(exact));
    let peer = rig.peer();
    let before = rig.event_loop.stats().turns;
    rig.run(millis(MINUTE) - 2);
    assert_eq!(rig.received(peer), []);
    // The loop sleeps meanwhile.
    assert!(rig.event_loop.stats().turns - before < 10);
    rig.run(5);
    assert_eq!(rig.received(peer), [Arrived::Close(Some(1008))]);
    rig.send(peer, OpCode::Close, &1008_u16.to_be_bytes());
    assert_eq!(notes.borrow()[0].1, 1008);
}

#[test]
fn no_age_is_none_and_an_endless_one_never_comes() {
    for age in [None, Some(MaxAge::new(Duration::MAX).jitter(Duration::ZERO))] {
        let (mut rig, notes) = rig(age);
        let peer = rig.peer();
        rig.run(millis(24 * 60 * MINUTE));
        rig.send(peer, OpCode::Ping, b"");
        assert_eq!((rig.event_loop.connections(), notes.borrow().len()), (1, 0));
    }
}

#[test]
fn an_age_of_zero_closes_what_has_just_opened() {
    let (mut rig, notes) = rig(Some(Duration::ZERO.into()));
    let peer = rig.peer();
    rig.send(peer, OpCode::Close, &1012_u16.to_be_bytes());
    rig.run(1);
    assert_eq!((rig.event_loop.connections(), notes.borrow().len()), (0, 1));
}

#[test]
fn a_later_connection_in_the_same_slot_has_an_age_of_its_own() {
    let (mut rig, notes) = rig(Some(MaxAge::new(MINUTE).jitter(Duration::ZERO)));
    let former = rig.peer();
    rig.run(millis(MINUTE / 2));
    rig.sim().peer_close(former);
    rig.run(1);
    assert_eq!(rig.event_loop.connections(), 0);
    let later = rig.peer();
    rig.run(millis(MINUTE * 3 / 4));
    assert_eq!((rig.received(later), notes.borrow().len()), (vec![], 0));
    rig.run(millis(MINUTE / 2));
    assert_eq!(rig.received(later), [Arrived::Close(Some(1012))]);
    assert_eq!(rig.event_loop.stats().max_age_reached, 1);
}

/// Sends a line when it opens, and notes why it ended.
struct Line(Rc<RefCell<Vec<String>>>);

impl StreamHandler<()> for Line {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        conn.send("hello");
    }

    fn on_data(&mut self, _: &mut Connection<'_>, data: &[u8], (): &mut ()) -> usize {
        data.len()
    }

    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, (): &mut ()) {
        self.0.borrow_mut().push(reason.to_string());
    }
}

#[test]
fn raw_streams_have_an_age_too() {
    let (mut rig, _) = rig(None);
    let config = StreamConfig::default().idle_timeout(None).max_age(MINUTE);
    let notes = Rc::default();
    let line = Line(Rc::clone(&notes));
    let listener = rig.event_loop.listen_stream("127.0.0.1:0", config, line).expect("a port");
    let address = rig.event_loop.local_addr(listener).expect("it listens");
    let peer = rig.sim().peer_connect(address);
    rig.run(millis(MINUTE / 2));
    assert!(!rig.sim().peer_is_closed(peer));
    rig.run(millis(MINUTE));
    assert!(rig.sim().peer_is_closed(peer));
    assert_eq!(rig.sim().peer_received(peer), b"hello");
    assert_eq!(rig.event_loop.stats().max_age_reached, 1);
    let code = "closed by the application: 1012";
    assert!(notes.borrow().iter().all(|reason: &String| reason.starts_with(code)));
}
