//! Output that waits.

use eventwire::reactor::sim::SimConfig;
use eventwire::{CloseCode, Config, SendStatus};

use super::super::rig::{Call, Rig};
use super::{Noting, OUTBOUND};
use crate::shared::Arrived;

#[test]
fn the_fullest_outbox_goes_first_and_the_others_stay() {
    const CAP: usize = 1_000_000;
    let config = Config::default().max_outbound(CAP);
    let mut noting = Noting::new(config);
    let peers: Vec<_> = (0..4).map(|_| noting.deaf()).collect();
    for (place, (_, conn)) in peers.iter().enumerate() {
        for _ in 0..[10, 60, 20, 10][place] {
            assert_ne!(noting.send(*conn, 10_000), SendStatus::Dropped);
        }
    }
    let before = noting.held();
    assert!(noting.ended(OUTBOUND).is_empty() && before < CAP, "{before}");
    // The third passes the limit, but the second holds more.
    let third = peers[2].1;
    while noting.ends.borrow().is_empty() {
        assert_eq!(noting.send(third, 10_000), SendStatus::Queued);
        assert!(noting.held() <= CAP);
    }
    assert_eq!(noting.ended(OUTBOUND), [peers[1].1]);
    noting.rig.sim().peer_resume(peers[1].0);
    noting.rig.run(100);
    // Now it is the third, whose own call it is.
    while noting.send(third, 10_000) == SendStatus::Queued {
        assert!(noting.held() <= CAP);
    }
    noting.rig.run(1);
    assert_eq!(noting.ended(OUTBOUND), [peers[1].1, third]);
    for (place, (peer, _)) in peers.into_iter().enumerate() {
        noting.rig.sim().peer_resume(peer);
        noting.rig.run(100);
        let received = noting.rig.received(peer);
        let closed = matches!(received.last(), Some(Arrived::Close(Some(1013))));
        assert_eq!(closed, [1, 2].contains(&place), "{place}");
    }
    assert_eq!(noting.held(), 0);
}

#[test]
fn a_connection_in_the_middle_of_a_long_frame_is_cut() {
    let config = Config::default().max_outbound(1_000_000).outbox(64 * 1024, 4 << 20);
    let mut noting = Noting::new(config);
    let (first, conn) = noting.deaf();
    assert_eq!(noting.send(conn, 900_000), SendStatus::Queued);
    let (_, small) = noting.deaf();
    let status = noting.send(small, 300_000);
    assert_eq!(status, SendStatus::Queued);
    noting.rig.run(1);
    assert_eq!(noting.ended(OUTBOUND), [conn]);
    assert_eq!(noting.rig.event_loop.connections(), 1);
    assert!(noting.held() < 310_000);
    noting.rig.sim().peer_resume(first);
    noting.rig.run(1);
    assert!(noting.rig.sim().peer_is_closed(first));
}

#[test]
fn a_message_longer_than_the_cap_costs_its_own_connection_alone() {
    let mut noting = Noting::new(Config::default().max_outbound(100_000));
    let ((_, small), (_, long)) = (noting.deaf(), noting.deaf());
    assert_eq!(noting.send(small, 90_000), SendStatus::Queued);
    assert_eq!(noting.send(long, 200_000), SendStatus::Dropped);
    noting.rig.run(1);
    assert_eq!(noting.ended(OUTBOUND), [long]);
    assert_eq!(noting.send(small, 100), SendStatus::Queued);
}

#[test]
fn a_connection_that_is_ending_is_cut_before_any_other() {
    const CAP: usize = 1_000_000;
    let mut noting = Noting::new(Config::default().max_outbound(CAP));
    // They hold less than all others, and their close frames wait behind it.
    let ending: Vec<_> = (0..10).map(|_| noting.deaf()).collect();
    for (_, conn) in ending.clone() {
        noting.send(conn, 100_000);
        noting.rig.act(move |cx| cx.connection(conn).close(CloseCode::NORMAL, ""));
    }
    noting.rig.run(1);
    let (_, large) = noting.deaf();
    assert_eq!(noting.send(large, 500_000), SendStatus::Queued);
    let (_, last) = noting.deaf();
    for _ in 0..12 {
        assert_ne!(noting.send(last, 30_000), SendStatus::Dropped);
        assert!(noting.held() <= CAP);
    }
    noting.rig.run(1);
    assert!(noting.rig.event_loop.connections() < 12, "nobody was cut");
    let open =
        noting.rig.act(move |cx| cx.connection(large).is_open() && cx.connection(last).is_open());
    assert!(open, "one that is not ending was closed");
}

#[test]
fn peers_that_read_stay_when_those_that_do_not_hold_all_memory() {
    const CAP: usize = 2_000_000;
    let mut noting = Noting::new(Config::default().max_outbound(CAP));
    let reading = noting.rig.peer();
    let reader = *noting.ids.borrow().last().expect("it is open");
    // Each stays below the soft limit, from which on progress is demanded.
    let deaf: Vec<_> = (0..60).map(|_| noting.deaf().1).collect();
    let mut taken = 0;
    for conn in deaf.iter().cycle().take(400) {
        noting.send(*conn, 20_000);
        assert_ne!(noting.send(reader, 10_000), SendStatus::Dropped);
        assert!(noting.held() <= CAP, "{}", noting.held());
        noting.rig.run(5);
        taken += noting.rig.sim().peer_received(reading).len();
    }
    noting.rig.run(1_000);
    taken += noting.rig.sim().peer_received(reading).len();
    assert_eq!(taken, 400 * 10_004);
    let ends = noting.ends.borrow();
    assert!(!ends.is_empty() && ends.iter().all(|(conn, _)| *conn != reader));
}

#[test]
fn a_peer_that_reads_slowly_stays_when_others_do_not_read() {
    const CAP: usize = 1_000_000;
    let mut noting = Noting::new(Config::default().max_outbound(CAP));
    let (slow, conn) = noting.deaf();
    assert_eq!(noting.send(conn, 400_000), SendStatus::Queued);
    let deaf: Vec<_> = (0..40).map(|_| noting.deaf().1).collect();
    for other in deaf.iter().cycle().take(200) {
        // It takes a window of bytes at a time.
        noting.rig.sim().peer_resume(slow);
        noting.rig.run(1);
        noting.rig.sim().peer_stop_reading(slow);
        noting.rig.run(1);
        noting.send(*other, 30_000);
        let waiting = noting.rig.act(move |cx| cx.connection(conn).buffered_bytes());
        if waiting < 100_000 {
            assert_ne!(noting.send(conn, 200_000), SendStatus::Dropped);
        }
    }
    let ends = noting.ends.borrow();
    assert!(!ends.is_empty() && ends.iter().all(|(ended, _)| *ended != conn), "{}", ends.len());
}

#[test]
fn a_connection_that_holds_its_share_at_most_is_left_alone() {
    const CAP: usize = 1_000_000;
    let config = Config::default().max_outbound(CAP).max_connections(10).outbox(4096, CAP);
    let mut noting = Noting::new(config);
    let small: Vec<_> = (0..8).map(|_| noting.deaf().1).collect();
    for conn in &small {
        assert_eq!(noting.send(*conn, 90_000), SendStatus::Queued);
    }
    let (_, large) = noting.deaf();
    // It is the newest, and of what it asks for there is no room but its own.
    let mut taken = 0;
    while noting.send(large, 50_000) != SendStatus::Dropped {
        taken += 50_000;
        assert!(noting.held() <= CAP);
    }
    assert!(taken >= CAP / 10, "{taken}");
    noting.rig.run(1);
    assert_eq!(noting.ended(OUTBOUND), [large]);
}

#[test]
fn sent_parts_of_a_long_message_are_freed() {
    let mut noting = Noting::new(Config::default());
    let (peer, conn) = noting.deaf();
    assert_eq!(noting.send(conn, 1 << 20), SendStatus::Queued);
    assert!(noting.held() >= 1 << 20);
    loop {
        let waiting = noting.rig.act(move |cx| cx.connection(conn).buffered_bytes());
        assert!(noting.held() <= 2 * waiting + 64 * 1024, "{} for {waiting}", noting.held());
        if waiting < 64 * 1024 {
            break;
        }
        noting.rig.sim().peer_resume(peer);
        noting.rig.run(1);
        noting.rig.sim().peer_stop_reading(peer);
        noting.rig.run(1);
    }
    assert!(noting.held() < 2 * 64 * 1024 + 5_000, "{}", noting.held());
    noting.rig.sim().peer_resume(peer);
    noting.rig.run(10);
    let received = noting.rig.received(peer);
    assert!(matches!(&received[..], [Arrived::Message(_, payload)] if payload.len() == 1 << 20));
    assert_eq!(noting.held(), 0);
}

/// A loop whose connections are subscribed to one topic, of which some peers do not read.
fn subscribed(deaf: usize, window: usize) -> (Rig, Vec<eventwire::reactor::sim::PeerId>) {
    let config = Config::default().outbox(64 * 1024, 4 << 20);
    let sim = SimConfig::calm().window(window);
    let mut rig = Rig::new(sim, config, |conn, call| {
        if let Call::Open = call {
            let topic = conn.topic("all").expect("a topic");
            conn.subscribe(topic).expect("subscribe");
        }
    });
    let peers: Vec<_> = (0..deaf).map(|_| rig.peer()).collect();
    for peer in &peers {
        rig.sim().peer_stop_reading(*peer);
    }
    (rig, peers)
}

fn broadcast(rig: &mut Rig, count: usize, len: usize) {
    rig.act(move |cx| {
        let topic = cx.topic("all").expect("a topic");
        for _ in 0..count {
            cx.broadcast(topic, vec![b'x'; len]);
        }
    });
}

#[test]
fn broadcasts_that_many_wait_for_are_held_once_whatever_their_size() {
    const PEERS: usize = 100;
    // How many of which length in a turn, and how many turns.
    let loads = [(1, 1, 3_000), (10, 60, 150), (3, 2_000, 20), (1, 100_000, 3)];
    for (count, len, turns) in loads {
        let (mut rig, peers) = subscribed(PEERS, 1_000);
        for _ in 0..turns {
            broadcast(&mut rig, count, len);
        }
        rig.run(10);
        let (stats, waiting) = (rig.event_loop.stats(), rig.act(|cx| cx.buffered_total()));
        let once = waiting / PEERS;
        // The lists of what waits for each are held apart.
        let most = once + once / 2 + PEERS * 2_048 + 64 * 1024;
        let held = stats.outbound_bytes as usize;
        assert!(held <= most && waiting > PEERS * 2_000, "{held} for {waiting}, {count} of {len}");
        peers.iter().for_each(|peer| rig.sim().peer_resume(*peer));
        rig.run(5_000);
        for peer in peers {
            let received = rig.received(peer);
            let lens = received.iter().filter_map(|arrived| match arrived {
                Arrived::Message(_, payload) => Some(payload.len()),
                _ => None,
            });
            assert_eq!(lens.filter(|one| *one == len).count(), count * turns);
        }
        assert_eq!(rig.event_loop.stats().outbound_bytes, 0);
    }
}
