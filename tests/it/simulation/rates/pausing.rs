//! Open connections beyond a rate that are paused.

use eventwire::proto::OpCode;
use eventwire::{CloseCode, Config, Rate, RateLimits, ServerConfig};

use super::{arrived, ask, conns, count, dial, is_open, messages, server, server_with};
use crate::shared::{Arrived, Random, frame, request};

/// Ten messages a second and four at once, after the request for the WebSocket.
fn ten_a_second() -> RateLimits {
    RateLimits::new().messages(Rate::per_second(10).burst(5))
}

#[test]
fn messages_beyond_the_rate_wait_and_none_is_lost() {
    let (mut rig, notes) = server(ten_a_second());
    let (peer, head) = ask(&mut rig);
    assert!(is_open(&head));
    rig.sim().peer_send(peer, &messages(0..20));
    rig.run(2);
    assert_eq!(count(&mut rig, peer), 4);
    let mut in_all = 4;
    for _ in 0..15 {
        rig.run(100);
        let more = count(&mut rig, peer);
        assert!(more <= 2, "{more} in a tenth of a second");
        in_all += more;
        assert!(in_all < 20 || rig.sim().elapsed().as_millis() >= 1_590);
    }
    rig.run(200);
    in_all += count(&mut rig, peer);
    assert_eq!(in_all, 20);
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(*notes.borrow(), expected);
    let stats = rig.event_loop.stats();
    assert!(stats.paused_by_limit > 0);
    assert_eq!((stats.closed_by_limit, stats.refused_by_limit), (0, 0));
}

#[test]
fn what_arrives_behind_the_request_is_limited_too() {
    let (mut rig, _) = server(ten_a_second());
    let peer = dial(&mut rig, &[request(0), messages(0..400)].concat());
    rig.run(1);
    let received = rig.sim().peer_received(peer);
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    assert_eq!(received[end..].len(), 4 * 3, "four frames of one byte");
}

#[test]
fn fragments_are_one_message_and_pings_none() {
    let (mut rig, notes) = server(ten_a_second());
    let (peer, _) = ask(&mut rig);
    let fragment =
        |fin, opcode, text: &[u8]| crate::shared::frames::encode(fin, opcode, Some([7; 4]), text);
    let mut bytes = Vec::new();
    for _ in 0..4 {
        bytes.extend(fragment(false, OpCode::Text, b"a"));
        bytes.extend(frame(OpCode::Ping, b""));
        bytes.extend(fragment(false, OpCode::Continuation, b"b"));
        bytes.extend(fragment(true, OpCode::Continuation, b"c"));
    }
    rig.sim().peer_send(peer, &bytes);
    rig.run(20);
    assert_eq!(*notes.borrow(), ["abc"; 4]);
    rig.sim().peer_send(peer, &bytes);
    rig.run(2_000);
    assert_eq!(*notes.borrow(), ["abc"; 8]);
}

#[test]
fn connections_of_an_address_share_the_rate_fairly() {
    let (mut rig, _) = server(RateLimits::new().messages(Rate::per_second(100)));
    let peers: Vec<_> = (0..10).map(|_| ask(&mut rig).0).collect();
    for peer in &peers {
        rig.sim().peer_send(*peer, &messages(0..1_000));
    }
    rig.run(10);
    let first: usize = peers.iter().map(|peer| count(&mut rig, *peer)).sum();
    // What was left of the first second's, and what has come in since.
    assert!((90..=92).contains(&first), "{first}");
    rig.run(10_000);
    let counts: Vec<_> = peers.iter().map(|peer| count(&mut rig, *peer)).collect();
    let in_all: usize = counts.iter().sum();
    assert!((990..=1_005).contains(&in_all), "{in_all} in ten seconds");
    assert!(counts.iter().all(|count| (50..=200).contains(count)), "{counts:?}");
}

#[test]
fn bytes_beyond_the_rate_wait_and_none_is_lost() {
    let bytes = Rate::per_second(10_000).burst(4_000);
    let (mut rig, _) = server(RateLimits::new().bytes(bytes));
    let (peer, _) = ask(&mut rig);
    // Longer than the burst.
    let message = frame(OpCode::Text, &[b'x'; 20_000]);
    rig.sim().peer_send(peer, &message);
    rig.sim().peer_send(peer, &messages(0..10));
    for _ in 0..15 {
        rig.run(100);
        assert_eq!(count(&mut rig, peer), 0);
    }
    rig.run(700);
    let (texts, code) = arrived(&mut rig, peer);
    assert_eq!((texts.len(), code), (11, None));
    assert_eq!(texts[0].len(), 20_000);
}

#[test]
fn both_pauses_are_independent() {
    let (mut rig, notes) = server(ten_a_second());
    let (peer, _) = ask(&mut rig);
    rig.sim().peer_send(peer, &messages(0..10));
    rig.run(2);
    assert_eq!(count(&mut rig, peer), 4);
    // The end of one pause does not end the other.
    let conn = conns(&mut rig)[0];
    assert!(rig.act(move |cx| cx.connection(conn).pause()));
    rig.run(3_000);
    assert_eq!(count(&mut rig, peer), 0);
    assert!(rig.act(move |cx| cx.connection(conn).is_paused()));
    assert!(rig.act(move |cx| cx.connection(conn).resume()));
    rig.run(2);
    assert_eq!(count(&mut rig, peer), 5);
    // What a limit has paused stays so when the application pauses and resumes.
    assert!(!rig.act(move |cx| cx.connection(conn).is_paused()));
    assert!(rig.act(move |cx| cx.connection(conn).pause()));
    assert!(rig.act(move |cx| cx.connection(conn).resume()));
    rig.run(1);
    assert_eq!(count(&mut rig, peer), 0);
    rig.run(200);
    assert_eq!(count(&mut rig, peer), 1);
    assert_eq!(notes.borrow().len(), 10);
}

#[test]
fn a_paused_connection_can_be_closed_and_its_peers_close_is_read() {
    for limits in [ten_a_second(), ten_a_second().bytes(Rate::per_minute(1).burst(1_000))] {
        let (mut rig, notes) = server(limits);
        let (peer, _) = ask(&mut rig);
        rig.sim().peer_send(peer, &messages(0..500));
        rig.run(2);
        assert_eq!(count(&mut rig, peer), 4);
        let conn = conns(&mut rig)[0];
        assert!(rig.act(move |cx| cx.connection(conn).close(CloseCode::NORMAL, "")));
        rig.run(1);
        assert_eq!(arrived(&mut rig, peer).1, Some(1000));
        rig.send(peer, OpCode::Close, &1000_u16.to_be_bytes());
        rig.sim().peer_close(peer);
        rig.run(2);
        assert_eq!(
            notes.borrow().last().map(String::as_str),
            Some("closed by the application: 1000 (normal closure)")
        );
        assert_eq!(rig.event_loop.connections(), 0);
    }
}

#[test]
fn a_peer_that_is_not_read_from_misses_no_deadline_and_one_that_fails_ends() {
    let (mut rig, notes) = server(RateLimits::new().messages(Rate::per_minute(1).burst(2)));
    let (peer, _) = ask(&mut rig);
    rig.sim().peer_send(peer, &messages(0..2));
    rig.run(59_000);
    // It was paused for longer than a peer may be silent.
    assert_eq!(count(&mut rig, peer), 1);
    assert_eq!(rig.event_loop.connections(), 1);
    rig.run(2_000);
    assert_eq!(count(&mut rig, peer), 1);
    rig.sim().peer_send(peer, &messages(2..3));
    rig.run(10);
    rig.sim().peer_reset(peer);
    rig.run(10);
    assert_eq!(rig.event_loop.connections(), 0);
    assert_eq!(notes.borrow().len(), 3, "{notes:?}");
}

#[test]
fn whatever_is_sent_no_more_is_handed_over_than_the_rate_allows() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let (rate, burst) = (1 + random.below(200) as u64, 1 + random.below(30) as u64);
        let limits = RateLimits::new()
            .messages(Rate::per_second(rate).burst(burst))
            .bytes(Rate::per_second(50_000).burst(1 + random.below(20_000) as u64));
        // The requests would use the rate up.
        let config = Config::default().address_limits(RateLimits::new());
        let (mut rig, notes) = server_with(config, ServerConfig::default());
        let peers: Vec<_> = (0..3).map(|_| ask(&mut rig).0).collect();
        for conn in conns(&mut rig) {
            let tagged = rig.act(move |cx| cx.connection(conn).tag_with("all", &limits));
            assert_eq!(tagged, Ok(true));
        }
        let (start, mut sent) = (rig.sim().elapsed(), 0);
        for _ in 0..60 {
            let peer = peers[random.below(3)];
            let count = random.below(40);
            sent += count;
            let payload = vec![b'x'; random.below(300)];
            let mut bytes = frame(OpCode::Text, &payload).repeat(count);
            bytes.extend(frame(OpCode::Ping, b""));
            let cut = random.below(bytes.len());
            rig.sim().peer_send(peer, &bytes[..cut]);
            rig.run(random.below(50) as u64);
            rig.sim().peer_send(peer, &bytes[cut..]);
            rig.run(random.below(100) as u64);
            let time = rig.sim().elapsed() - start;
            let most = u128::from(burst) + u128::from(rate) * time.as_millis() / 1_000 + 1;
            let handled = notes.borrow().len() as u128;
            assert!(handled <= most, "seed {seed}: {handled} of {most} at {rate}, {burst}");
        }
        let patience = 2_000 * (sent as u64 / rate + 1) + 60_000;
        rig.run(patience);
        // Meanwhile some were silent for too long.
        let (ends, handled): (Vec<_>, Vec<_>) =
            notes.take().into_iter().partition(|note| note.contains("silent"));
        let stats = rig.event_loop.stats();
        assert_eq!(handled.len(), sent, "seed {seed}: {rate}, {burst}, {ends:?}, {stats:?}");
        for peer in peers {
            let frames = rig.received(peer);
            assert!(!frames.iter().any(|frame| matches!(frame, Arrived::Close(_))));
        }
    }
}
