//! Limits of addresses and tags, in virtual time.

mod closing;
mod connections;
mod pausing;
mod requests;
mod tags;

use std::rc::Rc;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{
    AddressLimits, Config, Connection, ConnectionId, HttpResponse, Network, RateLimits, Routes,
    ServerConfig, TrustedProxies,
};

use super::rig::{Call, Calls, Notes, Rig, text};
use crate::shared::{Arrived, frame, request};

/// A server that echoes at `/0` and has a page, with notes of its messages and ends.
fn server(limits: impl Into<AddressLimits>) -> (Rig, Notes<String>) {
    server_with(Config::default().address_limits(limits), ServerConfig::default())
}

fn server_with(config: Config, server: ServerConfig) -> (Rig, Notes<String>) {
    let (notes, reactor) = (Notes::default(), SimReactor::new(0, SimConfig::calm()));
    let seen = Rc::clone(&notes);
    let rig = Rig::with_setup(reactor, config, |event_loop| {
        let routes = Routes::new()
            .websocket("/0", ServerConfig::default(), Calls(echo(seen)))
            .get("/page", |_, _, _: &mut ()| HttpResponse::text("page"));
        (event_loop.listen("127.0.0.1:0", server, routes).expect("a port"), ())
    });
    (rig, notes)
}

fn echo(notes: Notes<String>) -> impl FnMut(&mut Connection<'_>, Call<'_>) {
    move |conn, call| {
        if let Some(text) = text(&call) {
            notes.borrow_mut().push(text.to_owned());
            conn.send(text);
        }
        if matches!(call, Call::Open) {
            assert_eq!(conn.tag("open"), Ok(true));
        }
        if let Call::Close(why) = call {
            notes.borrow_mut().push(why.to_string());
        }
    }
}

/// A server whose trusted proxies are everywhere.
fn behind(limits: RateLimits, proxies: fn([Network; 1]) -> TrustedProxies) -> (Rig, Notes<String>) {
    let anywhere = ["0.0.0.0/0".parse().expect("a network")];
    let server = ServerConfig::default().proxies(proxies(anywhere));
    server_with(Config::default().address_limits(limits), server)
}

fn dial(rig: &mut Rig, bytes: &[u8]) -> PeerId {
    let address = rig.address;
    let peer = rig.sim().peer_connect(address);
    rig.sim().peer_send(peer, bytes);
    rig.run(1);
    peer
}

/// Connects and asks for a WebSocket; the head of the response.
fn ask(rig: &mut Rig) -> (PeerId, String) {
    let peer = dial(rig, &request(0));
    (peer, head(rig, peer))
}

fn head(rig: &mut Rig, peer: PeerId) -> String {
    String::from_utf8(rig.sim().peer_received(peer)).expect("text")
}

fn is_open(head: &str) -> bool {
    head.starts_with("HTTP/1.1 101 ")
}

#[track_caller]
fn assert_denied(head: &str, retry_after: Option<&str>) {
    assert!(head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{head}");
    let header = head.lines().find_map(|line| line.strip_prefix("Retry-After: "));
    assert_eq!(header, retry_after, "{head}");
}

/// Numbered messages in one piece.
fn messages(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|number| frame(OpCode::Text, number.to_string().as_bytes())).collect()
}

/// The texts that arrived at a peer, and the code that it was closed with.
fn arrived(rig: &mut Rig, peer: PeerId) -> (Vec<String>, Option<u16>) {
    let (mut texts, mut code) = (Vec::new(), None);
    for frame in rig.received(peer) {
        match frame {
            Arrived::Message(_, text) => texts.push(String::from_utf8_lossy(&text).into_owned()),
            Arrived::Close(sent) => code = sent,
            Arrived::Ping(_) | Arrived::Pong => {}
        }
    }
    (texts, code)
}

/// How many texts have arrived, if the peer was not closed.
#[track_caller]
fn count(rig: &mut Rig, peer: PeerId) -> usize {
    let (texts, code) = arrived(rig, peer);
    assert_eq!(code, None);
    texts.len()
}

/// The open connections, the latest last.
fn conns(rig: &mut Rig) -> Vec<ConnectionId> {
    let mut conns = rig.act(|cx| cx.tagged("open").collect::<Vec<_>>());
    conns.sort_unstable();
    conns
}
