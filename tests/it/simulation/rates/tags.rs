//! Tags with limits.

use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{Config, ConnectionId, OnExcess, Rate, RateLimits, Tag, TagError};

use super::{arrived, conns, count, echo, messages};
use crate::simulation::rig::{Notes, Rig};

/// A server without limits of addresses, and peers that are open.
fn open<const COUNT: usize>(
    config: Config,
) -> (Rig, Notes<String>, [(PeerId, ConnectionId); COUNT]) {
    let notes = Notes::default();
    let mut rig = Rig::new(SimConfig::calm(), config, echo(notes.clone()));
    let peers = [(); COUNT].map(|()| rig.peer());
    let ids = conns(&mut rig);
    (rig, notes, std::array::from_fn(|index| (peers[index], ids[index])))
}

fn tag(
    rig: &mut Rig,
    conn: ConnectionId,
    key: &'static str,
    limits: RateLimits,
) -> Result<bool, TagError> {
    rig.act(move |cx| cx.connection(conn).tag_with(key, &limits))
}

fn ten_a_second() -> RateLimits {
    RateLimits::new().messages(Rate::per_second(10).burst(5))
}

#[test]
fn connections_of_a_tag_share_its_rate_and_others_have_none() {
    let (mut rig, _, [one, two, other]) = open(Config::default());
    for (_, conn) in [one, two] {
        assert_eq!(tag(&mut rig, conn, "user", ten_a_second()), Ok(true));
        assert_eq!(tag(&mut rig, conn, "user", ten_a_second()), Ok(false));
    }
    for (peer, _) in [one, two, other] {
        rig.sim().peer_send(peer, &messages(0..50));
    }
    rig.run(3);
    assert_eq!(count(&mut rig, one.0) + count(&mut rig, two.0), 5);
    assert_eq!(count(&mut rig, other.0), 50);
    rig.run(3_000);
    let counts = [one, two].map(|(peer, _)| count(&mut rig, peer));
    assert!((29..=31).contains(&counts.iter().sum::<usize>()), "{counts:?}");
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
}

#[test]
fn without_the_tag_or_with_more_a_connection_goes_on_at_once() {
    let (mut rig, _, [(peer, conn)]) = open(Config::default());
    let nothing = RateLimits::new().messages(Rate::per_second(0));
    assert_eq!(tag(&mut rig, conn, "user", nothing), Ok(true));
    rig.sim().peer_send(peer, &messages(0..50));
    rig.run(100_000);
    assert_eq!(count(&mut rig, peer), 0);
    assert_eq!(tag(&mut rig, conn, "user", ten_a_second()), Ok(false));
    rig.run(1);
    assert_eq!(count(&mut rig, peer), 5);
    assert!(rig.act(move |cx| cx.connection(conn).untag("user")));
    rig.run(1);
    assert_eq!(count(&mut rig, peer), 45);
    assert!(!rig.act(move |cx| cx.connection(conn).untag("user")));
    // It comes back to what it has left.
    assert_eq!(tag(&mut rig, conn, "user", ten_a_second()), Ok(true));
    rig.sim().peer_send(peer, &messages(0..50));
    rig.run(1);
    assert_eq!(count(&mut rig, peer), 0);
}

#[test]
fn a_tag_has_so_many_connections_and_new_ones() {
    let (mut rig, _, peers) = open::<4>(Config::default().max_limited_tags(2));
    let limits = RateLimits::new().connections(2);
    let ids = peers.map(|(_, conn)| conn);
    assert_eq!(tag(&mut rig, ids[0], "user", limits), Ok(true));
    assert_eq!(tag(&mut rig, ids[1], "user", limits), Ok(true));
    assert_eq!(tag(&mut rig, ids[2], "user", limits), Err(TagError::TooManyConnections));
    let conn = ids[2];
    assert!(!rig.act(move |cx| cx.connection(conn).is_tagged("user")));
    // One that had the tag keeps it.
    assert_eq!(rig.act(move |cx| cx.connection(conn).tag("user")), Ok(true));
    assert_eq!(tag(&mut rig, ids[2], "user", limits), Err(TagError::TooManyConnections));
    assert!(rig.act(move |cx| cx.connection(conn).is_tagged("user")));
    rig.sim().peer_reset(peers[0].0);
    rig.run(1);
    assert_eq!(tag(&mut rig, ids[2], "user", limits), Ok(false));
    let paced = RateLimits::new().new_connections(Rate::per_minute(12).burst(1));
    assert_eq!(tag(&mut rig, ids[1], "paced", paced), Ok(true));
    assert_eq!(tag(&mut rig, ids[2], "paced", paced), Err(TagError::TooManyNewConnections));
    assert_eq!(tag(&mut rig, ids[2], "another", paced), Err(TagError::TooManyLimitedTags));
    rig.run(5_001);
    assert_eq!(tag(&mut rig, ids[2], "paced", paced), Ok(true));
    assert_eq!(tag(&mut rig, ids[0], "paced", paced), Err(TagError::ConnectionGone));
    let stats = rig.event_loop.stats();
    assert_eq!((stats.refused_by_limit, stats.limited_tags), (4, 2));
}

#[test]
fn beyond_a_tags_rate_a_connection_is_closed_with_the_tag_as_the_reason() {
    let (mut rig, notes, [one, two]) = open(Config::default());
    for (_, conn) in [one, two] {
        let limits = ten_a_second().on_excess(OnExcess::Close);
        assert_eq!(tag(&mut rig, conn, "user", limits), Ok(true));
    }
    rig.sim().peer_send(one.0, &messages(0..3));
    rig.run(1);
    rig.sim().peer_send(two.0, &messages(0..3));
    rig.run(2);
    assert_eq!(
        (count(&mut rig, one.0), arrived(&mut rig, two.0)),
        (3, (vec!["0".into(), "1".into()], Some(1008)))
    );
    assert_eq!(notes.borrow().last().map(String::as_str), Some("too many messages for the tag"));
    assert_eq!(rig.act(|cx| cx.tagged("user").len()), 1);
}

#[test]
fn a_handler_that_tags_while_it_is_called_limits_what_comes_behind() {
    let limits = RateLimits::new().messages(Rate::per_second(10).burst(2));
    let notes = Notes::default();
    let mut inner = echo(notes.clone());
    let mut rig = Rig::new(SimConfig::calm(), Config::default(), move |conn, call| {
        if crate::simulation::rig::text(&call) == Some("1") {
            assert_eq!(conn.tag_with(Tag::Number(1), &limits), Ok(true));
        }
        inner(conn, call);
    });
    let peer = rig.peer();
    rig.sim().peer_send(peer, &messages(0..100));
    rig.run(1);
    assert_eq!(*notes.borrow(), ["0", "1", "2", "3"]);
}
