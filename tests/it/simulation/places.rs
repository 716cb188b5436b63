//! Which connections make room for a new one: those kept alive without a request, and never one
//! that is being answered.

use std::time::Duration;

use eventwire::proto::http::HttpResponse;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{Config, Connection, Message, Routes, ServerConfig, on_message};

use super::rig::Rig;
use super::visitor::page;
use crate::shared::request;

/// Longer than what is on its way at any time.
const LONG: usize = 100_000;

const SHORT: &str = "<!doctype html><title>Home</title>";

/// As long as a request may hold a place that others wait for, and a little more.
const FAIR_MILLIS: u64 = 1_100;

struct Site {
    rig: Rig,
}

impl Site {
    fn new(config: Config) -> Self {
        let reactor = SimReactor::new(0, SimConfig::calm().window(4096));
        let echo = on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
            conn.send(message);
        });
        let routes = Routes::new()
            .page("/", HttpResponse::html(SHORT))
            .page("/long", HttpResponse::html(page(LONG)))
            .websocket("/echo", ServerConfig::default(), echo);
        let rig = Rig::with_setup(reactor, config, |event_loop| {
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
            (listener.expect("a port"), ())
        });
        Self { rig }
    }

    fn sim(&mut self) -> &mut SimReactor {
        self.rig.sim()
    }

    fn run(&mut self, millis: u64) {
        self.rig.run(millis);
    }

    fn visitor(&mut self) -> PeerId {
        let address = self.rig.address;
        self.sim().peer_connect(address)
    }

    fn ask(&mut self, visitor: PeerId, path: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: sim\r\n\r\n");
        self.sim().peer_send(visitor, head.as_bytes());
    }

    /// A visitor that was answered and is kept alive.
    fn idle(&mut self) -> PeerId {
        let visitor = self.visitor();
        assert!(self.is_answered(visitor));
        visitor
    }

    fn is_answered(&mut self, visitor: PeerId) -> bool {
        self.ask(visitor, "/");
        self.run(5);
        let answer = self.sim().peer_received(visitor);
        answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(SHORT.as_bytes())
    }

    /// Whether a visitor asks for a WebSocket and gets it within that time.
    fn is_upgraded(&mut self, visitor: PeerId, millis: u64) -> bool {
        self.sim().peer_send(visitor, &request("echo"));
        self.run(millis);
        self.sim().peer_received(visitor).starts_with(b"HTTP/1.1 101 ")
    }

    /// Those whose stream the server has ended answer that with their own end.
    fn leave(&mut self, visitors: &[PeerId]) -> Vec<usize> {
        let closed = |(at, visitor): (usize, &PeerId)| {
            assert!(!self.sim().peer_was_reset(*visitor), "visitor {at}");
            let is_closed = self.sim().peer_is_closed(*visitor);
            if is_closed {
                self.sim().peer_close(*visitor);
            }
            is_closed.then_some(at)
        };
        let gone: Vec<_> = visitors.iter().enumerate().filter_map(closed).collect();
        self.run(5);
        gone
    }
}

#[test]
fn a_download_under_way_outlasts_newcomers_however_many_are_idle() {
    let mut site = Site::new(Config::default().max_pending_handshakes(4).max_kept_alive(4));
    let download = site.visitor();
    site.sim().peer_stop_reading(download);
    site.ask(download, "/long");
    site.run(5);
    let idle: Vec<_> = (0..4).map(|_| site.idle()).collect();
    site.run(FAIR_MILLIS);
    // Handshakes have all their places, however many connections are idle.
    for _ in 0..4 {
        site.visitor();
    }
    site.run(5);
    assert_eq!(site.rig.event_loop.connections(), 9);
    site.run(FAIR_MILLIS);
    let newcomer = site.visitor();
    assert!(site.is_upgraded(newcomer, 5));
    assert_eq!(site.leave(&idle), [0; 0]);

    site.sim().peer_resume(download);
    site.run(2_000);
    let came = site.sim().peer_received(download);
    assert!(came.ends_with(&page(LONG)), "{} bytes", came.len());
    assert!(!site.sim().peer_is_closed(download));
}

#[test]
fn the_longest_idle_of_too_many_kept_connections_is_closed_in_order() {
    let mut site = Site::new(Config::default().max_kept_alive(2));
    let mut visitors = vec![site.idle(), site.idle()];
    // The first asks again, and is not the longest idle any more.
    assert!(site.is_answered(visitors[0]));
    visitors.push(site.idle());
    assert_eq!(site.leave(&visitors), [1]);
    assert_eq!(site.rig.event_loop.connections(), 2);
    // An open WebSocket does not count as kept alive.
    assert!(site.is_upgraded(visitors[0], 5));
    visitors = vec![visitors[0], visitors[2], site.idle()];
    assert_eq!(site.leave(&visitors), [0; 0]);
    visitors.push(site.idle());
    assert_eq!(site.leave(&visitors), [1]);
}

#[test]
fn a_request_that_crosses_the_end_is_ignored_without_a_reset() {
    let mut site = Site::new(Config::default().max_kept_alive(1));
    let first = site.idle();
    let second = site.visitor();
    site.ask(second, "/");
    while !site.sim().peer_is_closed(first) {
        site.rig.event_loop.turn(Some(Duration::from_millis(1)), &mut ()).expect("a poll");
    }
    site.ask(first, "/");
    site.run(5);
    assert_eq!(site.sim().peer_received(first), [0; 0]);
    assert_eq!(site.leave(&[first, second]), [0]);
    assert_eq!(site.rig.event_loop.connections(), 1);
}

#[test]
fn where_all_places_are_taken_the_longest_idle_makes_room() {
    let mut site = Site::new(Config::default().max_connections(5));
    let download = site.visitor();
    site.sim().peer_stop_reading(download);
    site.ask(download, "/long");
    site.run(5);
    let open = site.visitor();
    assert!(site.is_upgraded(open, 5));
    let idle = [site.idle(), site.idle(), site.idle()];
    let newcomer = site.visitor();
    assert!(!site.is_upgraded(newcomer, 5));
    assert_eq!(site.leave(&idle), [0]);
    assert!(site.sim().peer_received(newcomer).starts_with(b"HTTP/1.1 101 "));
    // A connection has a second to end.
    let newcomer = site.visitor();
    assert!(!site.is_upgraded(newcomer, 900));
    assert!(site.sim().peer_is_closed(idle[1]));
    site.run(200);
    assert!(site.sim().peer_received(newcomer).starts_with(b"HTTP/1.1 101 "));
    assert!(!site.sim().peer_is_closed(idle[2]));
    assert_eq!(site.rig.event_loop.connections(), 5);

    site.sim().peer_resume(download);
    site.run(2_000);
    assert!(site.sim().peer_received(download).ends_with(&page(LONG)));
}

#[test]
fn where_descriptors_run_out_idle_connections_make_room() {
    let mut site = Site::new(Config::default());
    let idle = [site.idle(), site.idle(), site.idle()];
    // The listener's, and theirs.
    let few = SimConfig::calm().window(4096).descriptors(4);
    site.sim().set_config(few);
    let newcomer = site.visitor();
    assert!(!site.is_upgraded(newcomer, 5));
    assert_eq!(site.leave(&idle), [0]);
    site.run(15);
    assert!(site.sim().peer_received(newcomer).starts_with(b"HTTP/1.1 101 "));
    assert_eq!(site.leave(&idle[1..]), [0; 0]);
}

#[test]
fn without_newcomers_no_idle_connection_is_closed() {
    let mut site = Site::new(Config::default().max_connections(2));
    let idle = [site.idle(), site.idle()];
    site.run(5_000);
    assert_eq!(site.leave(&idle), [0; 0]);
}

#[test]
fn queued_requests_are_answered_before_a_connection_counts_as_idle() {
    let mut site = Site::new(Config::default().max_kept_alive(0).outbox(1000, 1 << 20));
    let visitor = site.visitor();
    for _ in 0..5 {
        site.ask(visitor, "/long");
    }
    site.run(5_000);
    let came = site.sim().peer_received(visitor);
    let answers = came.windows(9).filter(|bytes| *bytes == b"HTTP/1.1 ").count();
    assert_eq!(answers, 5);
    assert!(came.ends_with(&page(LONG)));
    assert_eq!(site.leave(&[visitor]), [0]);
}
