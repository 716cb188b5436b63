//! Listeners: where they listen, and whom they serve.

use std::net::{SocketAddr, TcpStream};

use eventwire::{Config, ConnectionId, Context, Error, EventLoop, Message, ServerConfig};

use crate::util::{Peer, Recorder, Server, drive};

#[test]
fn port_zero_takes_a_free_port_and_an_address_in_use_is_an_error() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ignore = |_: ConnectionId, _: Message<'_>, _: &mut Context<'_>, _: &mut ()| {};
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), ignore).unwrap();
    let address = event_loop.local_addr(listener).unwrap();
    assert_ne!(address.port(), 0);
    let error = event_loop.listen(address, ServerConfig::default(), ignore).unwrap_err();
    let Error::Io { action, source } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(action, &format!("listen on {address:?}"));
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_name_that_cannot_be_listened_on_is_an_error() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ignore = |_: ConnectionId, _: Message<'_>, _: &mut Context<'_>, _: &mut ()| {};
    for address in ["127.0.0.1", "127.0.0.1:port", "192.0.2.1:0"] {
        assert!(event_loop.listen(address, ServerConfig::default(), ignore).is_err(), "{address}");
    }
    let config = ServerConfig::default().subprotocols(["not a token"]);
    assert!(matches!(event_loop.listen("127.0.0.1:0", config, ignore), Err(Error::Header(_))));
}

#[test]
fn each_listener_has_its_own_handler() {
    let server = Server::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        ["one", "two"].map(|name| {
            let handler =
                move |conn: ConnectionId, _: Message<'_>, cx: &mut Context<'_>, _: &mut ()| {
                    cx.send(conn, name);
                };
            let listener =
                event_loop.listen("127.0.0.1:0", ServerConfig::default(), handler).unwrap();
            event_loop.local_addr(listener).unwrap()
        })
    });
    let mut peers = server.ready.map(Peer::connect);
    for (peer, name) in peers.iter_mut().zip(["one", "two"]) {
        peer.send("who?");
        peer.expect(name);
    }
}

#[test]
fn a_closed_listener_keeps_its_connections_and_takes_no_more() {
    let (recorder, _log) = Recorder::new();
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let listen = |event_loop: &mut EventLoop<()>| {
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), recorder.clone()).unwrap()
    };
    let (closed, open) = (listen(&mut event_loop), listen(&mut event_loop));
    let address = event_loop.local_addr(closed).unwrap();
    let mut peer = drive(&mut event_loop, &mut (), || Peer::connect(address));
    assert!(event_loop.close_listener(closed));
    assert!(!event_loop.close_listener(closed));
    assert_eq!(event_loop.local_addr(closed), None);
    let other: SocketAddr = event_loop.local_addr(open).unwrap();
    drive(&mut event_loop, &mut (), || {
        assert!(TcpStream::connect(address).is_err());
        peer.send("still there?");
        peer.expect("still there?");
        Peer::connect(other);
    });
}
