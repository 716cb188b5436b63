//! Connections to servers with several addresses, of which some do not answer (RFC 8305).

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use eventwire::reactor::sim::{Choices, Fault, SimConfig};
use eventwire::{ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId};

use super::rig::{Call, Calls, Notes, Rig};

/// Addresses without a listener.
fn nobody(count: u16) -> Vec<SocketAddr> {
    (1..=count).map(|port| ([127, 0, 0, 9], port).into()).collect()
}

/// A loop with a server, and what became of a connection of its own.
struct Client {
    rig: Rig,
    server: SocketAddr,
    notes: Notes<String>,
    conn: Option<ConnectionId>,
    /// Descriptors that were there before.
    descriptors: usize,
}

impl Client {
    fn new(sim: SimConfig, config: Config) -> Self {
        Self::seeded(0, sim, config)
    }

    fn seeded(seed: u64, sim: SimConfig, config: Config) -> Self {
        let mut rig = Rig::with_choices(Choices::from_seed(seed), sim, config, |_, _| {});
        let (server, descriptors) = (rig.address, rig.sim().open_descriptors());
        rig.sim().keep_trace_lines();
        Self { rig, server, notes: Notes::default(), conn: None, descriptors }
    }

    fn calm() -> Self {
        Self::new(SimConfig::calm(), Config::default())
    }

    fn silence(&mut self, addresses: &[SocketAddr]) {
        addresses.iter().for_each(|address| self.rig.sim().silence(*address));
    }

    fn connect_to(&mut self, addresses: &[SocketAddr]) {
        let config = addresses
            .iter()
            .fold(ClientConfig::default(), |config, address| config.address(*address));
        self.connect("ws://sim/", config);
    }

    fn connect(&mut self, url: &str, config: ClientConfig) {
        let notes = Rc::clone(&self.notes);
        let note = Calls(move |conn: &mut Connection<'_>, call: Call<'_>| {
            let note = match call {
                Call::Open => format!("open {:?}", conn.peer_addr()),
                Call::ConnectError(error) => error.to_string(),
                _ => return,
            };
            notes.borrow_mut().push(note);
        });
        self.conn = Some(self.rig.event_loop.connect(url, config, note).expect("a connection"));
    }

    /// The connection opened, to the server.
    #[track_caller]
    fn assert_open(&self) {
        assert_eq!(*self.notes.borrow(), [format!("open {:?}", Some(self.server))]);
    }

    #[track_caller]
    fn assert_nothing_yet(&self) {
        assert_eq!(*self.notes.borrow(), [""; 0]);
    }

    /// Streams that are open, of connections and of attempts.
    fn streams(&mut self) -> usize {
        self.rig.sim().open_descriptors() - self.descriptors
    }

    /// The addresses that were tried, in their order.
    fn tried(&mut self) -> Vec<String> {
        let lines = self.rig.sim().trace_lines().iter();
        let tried = lines.filter_map(|line| Some(line.split_once(" connect ")?.1));
        tried.map(|tried| tried.split(' ').next().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
fn the_next_address_is_tried_while_a_silent_one_goes_on() {
    let mut client = Client::calm();
    let silent = nobody(3);
    client.silence(&silent);
    client.connect_to(&[&silent[..], &[client.server]].concat());
    for attempts in 1..=3 {
        assert_eq!(client.tried().len(), attempts);
        assert_eq!(client.streams(), attempts);
        client.rig.run(249);
        assert_eq!(client.tried().len(), attempts, "too early");
        client.assert_nothing_yet();
        client.rig.run(1);
    }
    client.rig.run(1);
    client.assert_open();
    // The client's end and the server's: what lost is closed.
    assert_eq!(client.streams(), 2);
    client.rig.run(200_000);
    assert_eq!(client.notes.borrow().len(), 1);
    assert_eq!(client.tried().len(), 4);
}

#[test]
fn the_next_address_is_tried_at_once_when_one_fails() {
    let mut client = Client::calm();
    let refusing = nobody(5);
    client.connect_to(&[&refusing[..], &[client.server]].concat());
    client.rig.run(1);
    client.assert_open();
    assert_eq!(client.streams(), 2);
}

#[test]
fn a_failure_beside_a_silent_address_counts_the_time_anew() {
    let mut client = Client::calm();
    let silent = nobody(3);
    client.silence(&silent);
    let refusing = ([127, 0, 0, 8], 1).into();
    client.connect_to(&[silent[0], refusing, silent[1], silent[2], client.server]);
    client.rig.run(251);
    assert_eq!(client.tried().len(), 3);
    client.rig.run(248);
    assert_eq!(client.tried().len(), 3);
    client.rig.run(3);
    assert_eq!(client.tried().len(), 4);
    client.rig.run(251);
    client.assert_open();
}

#[test]
fn the_first_to_succeed_is_kept_whichever_began_first() {
    for seed in 0..50 {
        let slow = SimConfig::calm().chance(Fault::ConnectSlow, 900_000);
        let mut client = Client::seeded(seed, slow, Config::default());
        let server = client.server;
        client.connect_to(&[server; 30]);
        let mut millis = 0;
        while client.notes.borrow().is_empty() {
            client.rig.run(1);
            millis += 1;
            assert!(millis <= 10_000, "not in time");
        }
        client.rig.sim().set_config(SimConfig::calm());
        client.rig.run(30_000);
        client.assert_open();
        assert_eq!(client.streams(), 2, "seed {seed}");
    }
}

#[test]
fn a_connection_fails_once_all_addresses_have_and_not_before() {
    let mut client = Client::calm();
    let mut addresses = nobody(4);
    client.silence(&addresses[1..2]);
    addresses.push(([127, 0, 0, 8], 1).into());
    client.connect_to(&addresses);
    client.rig.run(2_000);
    assert_eq!(client.tried().len(), 5);
    assert_eq!(client.streams(), 1);
    client.assert_nothing_yet();
    client.rig.run(9_000);
    assert_eq!(*client.notes.borrow(), ["connecting took too long"]);
    assert_eq!((client.streams(), client.rig.event_loop.connections()), (0, 0));

    let mut client = Client::calm();
    client.connect_to(&nobody(4));
    client.rig.run(1);
    assert_eq!(client.notes.borrow().len(), 1);
    assert!(client.notes.borrow()[0].contains("refused"));
    assert_eq!((client.streams(), client.rig.event_loop.connections()), (0, 0));
}

#[test]
fn attempts_end_with_their_connection() {
    for end in ["timeout", "close", "stop"] {
        let mut client = Client::calm();
        let silent = nobody(100);
        client.silence(&silent);
        client.connect_to(&silent);
        client.rig.run(1_100);
        assert_eq!(client.streams(), 5);
        match end {
            "timeout" => assert!(client.rig.run(9_000) > 0),
            "close" => {
                let conn = client.conn.expect("a connection");
                assert!(client.rig.act(move |cx| cx.connection(conn).close(CloseCode::NORMAL, "")));
            }
            _ => {
                client.rig.event_loop.handle().stop();
                client.rig.event_loop.run(&mut ()).expect("an end");
                client.descriptors = 0;
            }
        }
        assert_eq!(client.streams(), 0, "{end}");
        assert_eq!(client.notes.borrow().len(), 1, "{end}");
        if end != "stop" {
            let tried = client.tried().len();
            client.rig.run(1_000);
            assert_eq!(client.tried().len(), tried, "{end}");
        }
    }
}

#[test]
fn attempts_beside_the_first_count_as_connections() {
    let mut client = Client::new(SimConfig::calm(), Config::default().max_connections(3));
    let silent = nobody(20);
    client.silence(&silent);
    client.connect_to(&silent);
    client.rig.run(3_000);
    assert_eq!(client.tried().len(), 3);
    let ignore = Calls(|_: &mut Connection<'_>, _: Call<'_>| {});
    let refused = client.rig.event_loop.connect("ws://sim/", ClientConfig::default(), ignore);
    assert!(refused.is_err());
    client.rig.run(8_000);
    assert_eq!(*client.notes.borrow(), ["connecting took too long"]);
    client.notes.borrow_mut().clear();
    let server = client.server;
    client.connect_to(&[server]);
    client.rig.run(1);
    client.assert_open();
}

#[test]
fn families_take_turns_among_the_addresses_of_a_name() {
    let mut client = Client::calm();
    let ips = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"];
    let ips = ips.map(|ip| ip.parse::<IpAddr>().expect("an address"));
    client.rig.sim().name("many.example", ips);
    let at: Vec<_> = ips.iter().map(|ip| SocketAddr::new(*ip, 80)).collect();
    client.silence(&at);
    client.connect("ws://many.example/", ClientConfig::default());
    client.rig.run(1_500);
    let expected = [0, 3, 1, 4, 2].map(|index: usize| at[index].to_string());
    assert_eq!(client.tried(), expected);
}

#[test]
fn without_a_family_the_other_is_tried_at_once() {
    let mut client = Client::new(SimConfig::calm().ipv6(false), Config::default());
    let port = client.server.port();
    let ips: [IpAddr; 2] = ["::1".parse().expect("an address"), client.server.ip()];
    client.rig.sim().name("here.example", ips);
    client.connect(&format!("ws://here.example:{port}/"), ClientConfig::default());
    client.rig.run(1);
    client.assert_open();
}

#[test]
fn addresses_for_a_connection_that_is_gone_are_dropped() {
    let mut client = Client::calm();
    client.rig.sim().name("here.example", [client.server.ip()]);
    client.connect("ws://here.example/", ClientConfig::default());
    let conn = client.conn.expect("a connection");
    assert!(client.rig.act(move |cx| cx.connection(conn).close(CloseCode::NORMAL, "")));
    client.rig.run(100);
    assert_eq!(client.notes.borrow().len(), 1);
    assert_eq!(client.tried(), [""; 0]);
}

/// A client that follows redirects, of which one has arrived that no turn has handled.
fn redirected() -> (Client, SocketAddr) {
    let mut client = Client::calm();
    let servers = client.rig.sim().peer_listen(([127, 0, 0, 1], 9).into()).expect("a port");
    client.connect("ws://sim/", ClientConfig::default().address(servers).redirects(3));
    client.rig.run(5);
    let server = client.rig.sim().peer_accept(servers).expect("a connection");
    client.rig.sim().peer_send(server, b"HTTP/1.1 302 \r\nLocation: /other\r\n\r\n");
    client.rig.sim().stand_still(Duration::from_millis(5));
    (client, servers)
}

#[test]
fn a_redirected_connection_keeps_its_id_and_leaves_the_former_stream() {
    let (mut client, servers) = redirected();
    client.rig.run(5);
    client.assert_nothing_yet();
    assert_eq!((client.tried().len(), client.streams()), (2, 1), "the former one is closed");
    let server = client.rig.sim().peer_accept(servers).expect("another connection");
    let request = client.rig.sim().peer_received(server);
    assert!(request.starts_with(b"GET /other HTTP/1.1\r\n"));
}

#[test]
fn a_connection_that_is_closed_or_shut_down_is_redirected_no_more() {
    for shuts_down in [false, true] {
        let (mut client, _) = redirected();
        let conn = client.conn.expect("a connection");
        if shuts_down {
            client.rig.event_loop.handle().shutdown(Duration::from_secs(1));
            client.rig.event_loop.run(&mut ()).expect("an end");
        } else {
            assert!(client.rig.act(move |cx| cx.connection(conn).close(CloseCode::NORMAL, "")));
            client.rig.run(100);
        }
        assert_eq!(*client.notes.borrow(), [ConnectError::Cancelled.to_string()]);
        assert_eq!(client.tried().len(), 1);
        assert_eq!(client.rig.event_loop.connections(), 0);
    }
}
