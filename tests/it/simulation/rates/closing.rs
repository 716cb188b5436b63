//! Open connections beyond a rate that are closed.

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    Config, Connection, Disconnect, LimitKind, LimitScope, OnExcess, Rate, RateLimits,
    StreamConfig, StreamHandler,
};

use super::{arrived, ask, count, dial, messages, server};
use crate::shared::frame;
use crate::simulation::rig::{Notes, Rig};

/// Four messages at once after the request for the WebSocket, and closing.
fn strict() -> RateLimits {
    RateLimits::new().messages(Rate::per_second(10).burst(5)).on_excess(OnExcess::Close)
}

#[test]
fn the_message_that_exceeds_the_rate_closes_and_is_not_handed_over() {
    for extra in [1, 2, 500] {
        let (mut rig, notes) = server(strict());
        let (peer, _) = ask(&mut rig);
        rig.sim().peer_send(peer, &messages(0..4 + extra));
        rig.run(2);
        let (texts, code) = arrived(&mut rig, peer);
        assert_eq!((texts.len(), code), (4, Some(1008)));
        assert_eq!(*notes.borrow(), ["0", "1", "2", "3", "too many messages for the address"]);
        rig.send(peer, OpCode::Close, &1008_u16.to_be_bytes());
        rig.sim().peer_close(peer);
        rig.run(2);
        assert_eq!(rig.event_loop.connections(), 0);
        assert_eq!(rig.event_loop.stats().closed_by_limit, 1);
    }
}

#[test]
fn who_keeps_to_the_rate_is_not_closed_whatever_pings_come_between() {
    let (mut rig, notes) = server(strict());
    let (peer, _) = ask(&mut rig);
    rig.sim().peer_send(peer, &messages(0..4));
    rig.send(peer, OpCode::Ping, b"alive?");
    // The beginning of the next message is not the message.
    let next = frame(OpCode::Text, b"next");
    rig.sim().peer_send(peer, &next[..7]);
    rig.run(98);
    assert_eq!(count(&mut rig, peer), 4);
    rig.run(5);
    rig.sim().peer_send(peer, &next[7..]);
    for _ in 0..20 {
        rig.run(101);
        rig.send(peer, OpCode::Text, b"in time");
    }
    rig.run(1);
    assert_eq!(count(&mut rig, peer), 21);
    assert_eq!(notes.borrow().len(), 25);
}

#[test]
fn fragments_and_large_messages_that_exceed_the_rate_close_when_they_are_complete() {
    for large in [false, true] {
        let (mut rig, notes) = server(strict());
        let (peer, _) = ask(&mut rig);
        rig.sim().peer_send(peer, &messages(0..4));
        rig.run(1);
        let payload = vec![b'x'; if large { 600_000 } else { 3 }];
        let fragment = |fin, opcode, text: &[u8]| {
            crate::shared::frames::encode(fin, opcode, Some([7; 4]), text)
        };
        rig.sim().peer_send(peer, &fragment(false, OpCode::Text, b"a"));
        rig.run(10);
        assert_eq!(count(&mut rig, peer), 4);
        rig.sim().peer_send(peer, &fragment(true, OpCode::Continuation, &payload));
        rig.run(if large { 40 } else { 2 });
        assert_eq!(arrived(&mut rig, peer), (Vec::new(), Some(1008)), "large: {large}");
        assert_eq!(notes.borrow().len(), 5);
    }
}

#[test]
fn bytes_that_exceed_the_rate_close() {
    let request = crate::shared::request(0).len() as u64;
    let bytes = Rate::per_minute(1).burst(request + 200);
    for (len, closes) in [(194, false), (195, true), (4_000, true), (600_000, true)] {
        let (mut rig, notes) = server(RateLimits::new().bytes(bytes).on_excess(OnExcess::Close));
        let (peer, _) = ask(&mut rig);
        // A frame's header has six bytes, or eight.
        rig.send(peer, OpCode::Text, &vec![b'x'; len - if len > 125 { 2 } else { 0 }]);
        rig.run(20);
        let (texts, code) = arrived(&mut rig, peer);
        let expected = if closes { (0, Some(1008)) } else { (1, None) };
        assert_eq!((texts.len(), code), expected, "{len}");
        let closed = "too many bytes for the address";
        assert_eq!(notes.borrow().last().is_some_and(|note| note == closed), closes, "{len}");
    }
}

#[test]
fn one_connection_that_exceeds_the_rate_leaves_the_others_of_its_address_open() {
    let (mut rig, _) = server(
        RateLimits::new().messages(Rate::per_second(10).burst(10)).on_excess(OnExcess::Close),
    );
    let [quiet, loud] = [(); 2].map(|()| ask(&mut rig).0);
    rig.sim().peer_send(loud, &messages(0..100));
    rig.run(2);
    assert_eq!(arrived(&mut rig, loud).1, Some(1008));
    rig.run(1_000);
    rig.send(quiet, OpCode::Text, b"still here");
    assert_eq!(arrived(&mut rig, quiet), (vec!["still here".to_owned()], None));
}

/// A raw stream that notes its bytes and its end.
struct Sink(Notes<String>);

impl StreamHandler<()> for Sink {
    fn on_data(&mut self, _: &mut Connection<'_>, data: &[u8], _: &mut ()) -> usize {
        self.0.borrow_mut().push(String::from_utf8_lossy(data).into_owned());
        // A line at a time.
        data.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1)
    }

    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, _: &mut ()) {
        let expected = matches!(
            reason,
            Disconnect::RateLimited { scope: LimitScope::Address, kind: LimitKind::Bytes }
        );
        self.0.borrow_mut().push(if expected { "closed".into() } else { reason.to_string() });
    }
}

fn sink(limits: RateLimits) -> (Rig, Notes<String>) {
    let notes = Notes::default();
    let handler = Sink(notes.clone());
    let reactor = SimReactor::new(0, SimConfig::calm());
    let config = Config::default().address_limits(limits);
    let rig = Rig::with_setup(reactor, config, |event_loop| {
        let config = StreamConfig::default();
        (event_loop.listen_stream("127.0.0.1:0", config, handler).expect("a port"), ())
    });
    (rig, notes)
}

#[test]
fn raw_streams_are_closed_or_paused_by_their_bytes_and_have_no_messages() {
    let bytes = RateLimits::new().bytes(Rate::per_second(10)).messages(Rate::per_second(1));
    let (mut rig, notes) = sink(bytes.on_excess(OnExcess::Close));
    let peer = dial(&mut rig, b"01234");
    rig.run(1);
    rig.sim().peer_send(peer, b"56789");
    rig.run(1);
    assert_eq!(notes.take().last().map(String::as_str), Some("0123456789"));
    assert!(!rig.sim().peer_is_closed(peer));
    rig.sim().peer_send(peer, b"x");
    rig.run(2);
    assert_eq!(notes.take(), ["closed"]);
    assert!(rig.sim().peer_is_closed(peer));

    let (mut rig, notes) = sink(bytes);
    let peer = dial(&mut rig, b"0123456789abcdefghijklmnop");
    rig.run(5);
    assert_eq!(notes.take().last().map(String::as_str), Some("0123456789"));
    rig.run(1_000);
    let seen = notes.take();
    let length = seen.last().map_or(0, String::len);
    assert!((19..=20).contains(&length), "{seen:?}");
    rig.run(1_000);
    assert_eq!(notes.take().last().map(String::as_str), Some("0123456789abcdefghijklmnop"));
    rig.sim().peer_close(peer);
    rig.run(5);
    assert_eq!(notes.take(), ["the peer ended the stream after 26 unused bytes"]);

    // Zero.
    let nothing = RateLimits::new().bytes(Rate::per_second(0));
    for on_excess in [OnExcess::Pause, OnExcess::Close] {
        let (mut rig, notes) = sink(nothing.on_excess(on_excess));
        dial(&mut rig, b"anything");
        rig.run(5_000);
        let expected: &[&str] = if on_excess == OnExcess::Close { &["closed"] } else { &[] };
        assert_eq!(notes.take(), expected);
    }
}
