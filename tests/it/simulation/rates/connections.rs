//! How many connections an address may have and open.

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    AddressLimits, CloseCode, Config, Connection, Rate, RateLimits, ServerConfig, StreamConfig,
    StreamHandler, TrustedProxies,
};

use super::{
    ask, assert_denied, behind, conns, count, dial, head, is_open, messages, server, server_with,
};
use crate::shared::request;
use crate::simulation::rig::Rig;

#[test]
fn beyond_the_limit_new_connections_get_429_until_one_ends() {
    let (mut rig, _) = server(RateLimits::new().connections(2));
    let [first, second] = [(); 2].map(|()| {
        let (peer, head) = ask(&mut rig);
        assert!(is_open(&head), "{head}");
        peer
    });
    let (refused, head) = ask(&mut rig);
    assert_denied(&head, None);
    assert!(head.contains("Connection: close\r\n"));
    rig.sim().peer_close(refused);
    rig.run(1);
    assert!(rig.sim().peer_is_closed(refused));
    assert_eq!(rig.event_loop.connections(), 2);
    let (refused, head) = ask(&mut rig);
    assert_denied(&head, None);
    rig.sim().peer_reset(first);
    rig.run(1);
    let (third, head) = ask(&mut rig);
    assert!(is_open(&head), "{head}");
    for peer in [second, third] {
        rig.sim().peer_send(peer, &messages(0..3));
        rig.run(1);
        assert_eq!(count(&mut rig, peer), 3);
    }
    rig.sim().peer_close(refused);
    rig.run(1);
    let stats = rig.event_loop.stats();
    assert_eq!((stats.refused_by_limit, stats.limited_addresses, stats.connections), (2, 1, 2));
    let metrics = stats.to_prometheus();
    assert!(metrics.contains("\neventwire_refused_by_limit_total 2\n"), "{metrics}");
    assert!(metrics.contains("\neventwire_limited_addresses 1\n"));
}

#[test]
fn beyond_the_rate_new_connections_learn_when_to_come_back() {
    let (mut rig, _) = server(RateLimits::new().new_connections(Rate::per_minute(6).burst(2)));
    assert!(is_open(&ask(&mut rig).1) && is_open(&ask(&mut rig).1));
    assert_denied(&ask(&mut rig).1, Some("10"));
    rig.run(7_500);
    assert_denied(&ask(&mut rig).1, Some("3"));
    rig.run(2_600);
    assert!(is_open(&ask(&mut rig).1));
    assert_denied(&ask(&mut rig).1, Some("10"));
}

#[test]
fn a_limit_of_zero_allows_no_connection() {
    for limits in [
        RateLimits::new().connections(0),
        RateLimits::new().new_connections(Rate::per_second(0)),
        RateLimits::new().messages(Rate::per_second(0)),
        RateLimits::new().bytes(Rate::per_second(0)),
    ] {
        let (mut rig, notes) = server(limits);
        assert_denied(&ask(&mut rig).1, None);
        let peer = dial(&mut rig, &[request(0), messages(0..3)].concat());
        assert_denied(&head(&mut rig, peer), None);
        assert_eq!(*notes.borrow(), [""; 0]);
    }
}

#[test]
fn connections_that_say_nothing_count_and_few_of_those_beyond_the_limit_are_kept() {
    let (mut rig, _) = server(RateLimits::new().connections(3));
    let peers: Vec<_> = (0..60).map(|_| dial(&mut rig, b"")).collect();
    // Sixteen wait for their response.
    assert_eq!(rig.event_loop.connections(), 3 + 16);
    let closed =
        |rig: &mut Rig| peers.iter().filter(|peer| rig.sim().peer_is_closed(**peer)).count();
    assert_eq!(closed(&mut rig), 60 - 19);
    rig.sim().peer_send(peers[3], &request(0));
    rig.run(1);
    assert_denied(&head(&mut rig, peers[3]), None);
    rig.sim().peer_send(peers[2], &request(0));
    rig.run(1);
    assert!(is_open(&head(&mut rig, peers[2])));
    // The others miss the deadline of the handshake, and leave nothing behind.
    rig.run(20_000);
    assert_eq!(rig.event_loop.connections(), 1);
    let [_, _, head] = [(); 3].map(|()| ask(&mut rig).1);
    assert_denied(&head, None);
}

#[test]
fn plain_requests_take_places_too() {
    let (mut rig, _) = server(RateLimits::new().connections(1));
    let page = b"GET /page HTTP/1.1\r\nHost: sim\r\n\r\n";
    let kept_alive = dial(&mut rig, page);
    assert!(head(&mut rig, kept_alive).starts_with("HTTP/1.1 200 "));
    let other = dial(&mut rig, page);
    let denied = head(&mut rig, other);
    assert_denied(&denied, None);
    assert!(denied.ends_with("\r\n\r\ntoo many connections"), "{denied}");
    rig.sim().peer_send(kept_alive, &request(0));
    rig.run(1);
    assert!(is_open(&head(&mut rig, kept_alive)));
}

#[test]
fn a_connection_that_the_application_closes_counts_until_it_is_gone() {
    let (mut rig, _) = server(RateLimits::new().connections(1));
    let (peer, head) = ask(&mut rig);
    assert!(is_open(&head));
    let conn = conns(&mut rig)[0];
    assert!(rig.act(move |cx| cx.connection(conn).close(CloseCode::NORMAL, "")));
    rig.run(1);
    assert_denied(&ask(&mut rig).1, None);
    rig.send(peer, OpCode::Close, &1000_u16.to_be_bytes());
    rig.sim().peer_close(peer);
    rig.run(2);
    assert!(is_open(&ask(&mut rig).1));
}

/// A raw stream that sends everything back.
struct Echo;

impl StreamHandler<()> for Echo {
    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], _: &mut ()) -> usize {
        conn.send(data);
        data.len()
    }
}

fn streams(limits: impl Into<AddressLimits>, config: StreamConfig) -> Rig {
    let reactor = SimReactor::new(0, SimConfig::calm());
    Rig::with_setup(reactor, Config::default().address_limits(limits), |event_loop| {
        (event_loop.listen_stream("127.0.0.1:0", config, Echo).expect("a port"), ())
    })
}

#[test]
fn raw_streams_beyond_the_limit_are_closed_at_once() {
    let mut rig = streams(RateLimits::new().connections(1), StreamConfig::default());
    let (first, second) = (dial(&mut rig, b"one"), dial(&mut rig, b"two"));
    rig.run(1);
    assert_eq!(rig.sim().peer_received(first), b"one");
    assert!(rig.sim().peer_is_closed(second));
    assert_eq!(rig.sim().peer_received(second), b"");
    rig.sim().peer_close(first);
    rig.run(10);
    assert_eq!(rig.event_loop.connections(), 0);
    let third = dial(&mut rig, b"three");
    rig.run(1);
    assert_eq!(rig.sim().peer_received(third), b"three");
    assert_eq!(rig.event_loop.stats().refused_by_limit, 1);
}

#[test]
fn streams_and_websockets_of_all_listeners_count_together_but_for_those_that_are_exempt() {
    let config = Config::default().address_limits(RateLimits::new().connections(2));
    let (mut rig, _) = server_with(config, ServerConfig::default());
    let stream = rig.event_loop.listen_stream("127.0.0.1:0", StreamConfig::default(), Echo);
    let exempt = StreamConfig::default().exempt_from_address_limits();
    let exempt = rig.event_loop.listen_stream("127.0.0.1:0", exempt, Echo);
    let [stream, exempt] = [stream, exempt]
        .map(|listener| rig.event_loop.local_addr(listener.expect("a port")).expect("an address"));
    assert!(is_open(&ask(&mut rig).1));
    let peer = rig.sim().peer_connect(stream);
    rig.run(2);
    assert!(!rig.sim().peer_is_closed(peer));
    assert_denied(&ask(&mut rig).1, None);
    let beyond = rig.sim().peer_connect(stream);
    let others = [(); 5].map(|()| rig.sim().peer_connect(exempt));
    rig.run(2);
    assert!(rig.sim().peer_is_closed(beyond));
    assert!(others.iter().all(|peer| !rig.sim().peer_is_closed(*peer)));
}

#[test]
fn exempt_networks_have_no_limits() {
    let limits = AddressLimits::new(RateLimits::new().connections(0));
    let (mut rig, _) = server(limits.clone().exempt(["127.0.0.0/8".parse().expect("a network")]));
    assert!(is_open(&ask(&mut rig).1) && is_open(&ask(&mut rig).1));
    let (mut rig, _) = server(limits.exempt(["10.0.0.0/8".parse().expect("a network")]));
    assert_denied(&ask(&mut rig).1, None);
}

// Proxies.

/// A request for a WebSocket that a proxy forwards for `client`.
fn forwarded(client: &str) -> Vec<u8> {
    let request = String::from_utf8(request(0)).expect("text");
    request.replace("\r\n\r\n", &format!("\r\nX-Forwarded-For: {client}\r\n\r\n")).into_bytes()
}

#[test]
fn a_proxys_clients_count_each_by_its_own_address() {
    let (mut rig, _) = behind(RateLimits::new().connections(1), TrustedProxies::x_forwarded_for);
    let mut open = |client: &str| {
        let peer = dial(&mut rig, &forwarded(client));
        is_open(&head(&mut rig, peer))
    };
    // All of 0.0.0.0/0 is trusted, so that clients have addresses of IPv6.
    for (client, expected) in [
        ("2001:db8:0:1::1", true),
        ("2001:db8:0:2::1", true),
        ("2001:db8:0:1::1", false),
        ("2001:db8:0:1:8000::9", false),
        ("2001:db8:0:3::1", true),
    ] {
        assert_eq!(open(client), expected, "{client}");
    }
    // A proxy that names nobody does not count.
    assert!(is_open(&ask(&mut rig).1) && is_open(&ask(&mut rig).1));
    assert_eq!(rig.event_loop.stats().limited_addresses, 3);
}

#[test]
fn requests_on_one_connection_of_a_proxy_count_for_their_clients() {
    let limits = RateLimits::new().messages(Rate::per_minute(2));
    let (mut rig, _) = behind(limits, TrustedProxies::forwarded);
    let proxy = dial(&mut rig, b"");
    let mut get = |client: &str| {
        let page =
            format!("GET /page HTTP/1.1\r\nHost: a\r\nForwarded: for=\"[{client}]\"\r\n\r\n");
        rig.sim().peer_send(proxy, page.as_bytes());
        rig.run(1);
        head(&mut rig, proxy)[9..12].to_owned()
    };
    let statuses = ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1::3", "2001:db8:0:2::1"];
    assert_eq!(statuses.map(&mut get), ["200", "200", "429", "200"]);
}

#[test]
fn the_proxy_protocol_names_who_counts() {
    let announced = |client: &str, rest: &[u8]| {
        [format!("PROXY TCP6 {client} 2001:db8::ffff 5 80\r\n").as_bytes(), rest].concat()
    };
    let (mut rig, _) = behind(RateLimits::new().connections(1), TrustedProxies::proxy_protocol);
    for (client, expected) in
        [("2001:db8:0:1::1", true), ("2001:db8:0:1::2", false), ("2001:db8:0:2::1", true)]
    {
        let peer = dial(&mut rig, &announced(client, &request(0)));
        assert_eq!(is_open(&head(&mut rig, peer)), expected, "{client}");
    }
    for _ in 0..3 {
        let peer = dial(&mut rig, &[b"PROXY UNKNOWN\r\n", &request(0)[..]].concat());
        assert!(is_open(&head(&mut rig, peer)));
    }
    // Raw streams.
    let anywhere: [eventwire::Network; 1] = ["0.0.0.0/0".parse().expect("a network")];
    let config = StreamConfig::default().proxies(TrustedProxies::proxy_protocol(anywhere));
    let mut rig = streams(RateLimits::new().connections(1), config);
    let peers = ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1"]
        .map(|client| dial(&mut rig, &announced(client, b"hello")));
    rig.run(5);
    let received = peers.map(|peer| rig.sim().peer_received(peer));
    assert_eq!(received, [&b"hello"[..], b"", b"hello"]);
    assert!(rig.sim().peer_is_closed(peers[1]));
    assert_eq!(rig.event_loop.connections(), 2);
}

#[test]
fn what_a_handler_refuses_gives_its_place_back() {
    let config = Config::default().address_limits(RateLimits::new().connections(1));
    let (mut rig, _) = server_with(config, ServerConfig::default());
    for _ in 0..5 {
        // Nothing is there.
        let peer = dial(&mut rig, b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(head(&mut rig, peer).starts_with("HTTP/1.1 404 "));
        rig.sim().peer_close(peer);
        rig.run(1);
    }
    assert!(is_open(&ask(&mut rig).1));
}
