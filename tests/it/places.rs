//! Which connections make room for a new one, over real sockets: those kept alive, in order.

use std::net::SocketAddr;

use eventwire::proto::http::HttpResponse;
use eventwire::{Config, Connection, Message, Routes, ServerConfig, on_message};

use crate::util::{Peer, Server, request};

/// Much more than the system holds for a peer that does not read.
const LONG: usize = 30_000_000;

const IDLE: usize = 16;

fn echo(conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    conn.send(message);
}

fn serve(config: Config) -> Server {
    Server::start(config, move |event_loop| {
        let routes = Routes::new()
            .page("/", HttpResponse::html("home"))
            .page("/long", HttpResponse::html(vec![b'x'; LONG]))
            .websocket("/echo", ServerConfig::default(), on_message(echo));
        let config = ServerConfig::default();
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

fn ask(peer: &mut Peer, path: &str) {
    peer.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
}

/// A peer that was answered and is kept alive.
fn idle(address: SocketAddr) -> Peer {
    let mut peer = Peer::open(address);
    expect_home(&mut peer);
    peer
}

fn expect_home(peer: &mut Peer) {
    ask(peer, "/");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(4), b"home");
}

/// A peer that has begun to receive a page, and has not received it all.
fn download(address: SocketAddr) -> Peer {
    let mut peer = Peer::open(address);
    ask(&mut peer, "/long");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    peer
}

fn is_whole(download: &mut Peer) -> bool {
    download.bytes(LONG).iter().all(|byte| *byte == b'x')
}

#[test]
fn transfers_and_idle_connections_do_not_count_as_pending_handshakes() {
    let config = Config::default().max_pending_handshakes(IDLE).max_kept_alive(IDLE);
    let server = serve(config);
    let mut transfer = download(server.address());
    let mut idle: Vec<_> = (1..IDLE).map(|_| idle(server.address())).collect();
    let mut newcomer = Peer::open(server.address());
    newcomer.write(&request("/echo", ""));
    assert!(newcomer.head().starts_with("HTTP/1.1 101 "));
    newcomer.send("hello");
    newcomer.expect("hello");
    idle.iter_mut().for_each(expect_home);
    assert!(is_whole(&mut transfer));
    expect_home(&mut transfer);
    assert_eq!(server.handle.stats().connections as usize, IDLE + 1);
}

#[test]
fn where_all_places_are_taken_a_kept_connection_ends_in_order_for_a_newcomer() {
    let server = serve(Config::default().max_connections(3));
    let mut transfer = download(server.address());
    let (mut first, mut second) = (idle(server.address()), idle(server.address()));
    let mut newcomer = Peer::open(server.address());
    newcomer.write(&request("/echo", ""));
    first.expect_end();
    // What crosses the end on its way is answered by no reset.
    ask(&mut first, "/");
    first.expect_end();
    drop(first);
    assert!(newcomer.head().starts_with("HTTP/1.1 101 "));
    newcomer.send("hello");
    newcomer.expect("hello");
    expect_home(&mut second);
    assert!(is_whole(&mut transfer));
}
