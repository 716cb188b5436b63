//! Listeners: their addresses, and their connections.

use std::net::{SocketAddr, TcpStream};

use eventwire::{Config, Connection, Error, EventLoop, Message, ServerConfig, on_message};

use crate::util::{Peer, Recorder, Server, drive};

#[test]
fn port_zero_takes_a_free_port_and_an_address_in_use_is_an_error() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ignore = on_message(|_: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {});
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
    let ignore = on_message(|_: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {});
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
                on_message(move |conn: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {
                    conn.send(name);
                });
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

#[test]
fn every_address_of_a_name_is_listened_on_at_one_port() {
    let (recorder, _log) = Recorder::new();
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ips = ["127.0.0.1", "127.0.0.2"].map(|ip| SocketAddr::new(ip.parse().unwrap(), 0));
    let listener = event_loop.listen(&ips[..], ServerConfig::default(), recorder).unwrap();
    let addresses = event_loop.local_addrs(listener);
    let port = addresses[0].port();
    assert_ne!(port, 0);
    assert_eq!(addresses, ips.map(|address| SocketAddr::new(address.ip(), port)));
    assert_eq!(event_loop.local_addr(listener), Some(addresses[0]));
    drive(&mut event_loop, &mut (), || {
        for address in &addresses {
            let mut peer = Peer::connect(*address);
            peer.send("hello");
            peer.expect("hello");
        }
    });
    assert!(event_loop.close_listener(listener));
    assert_eq!(event_loop.local_addrs(listener), []);
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address}");
    }
}

#[test]
fn localhost_is_both_families_where_the_machine_has_them() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ignore = on_message(|_: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {});
    let ips: [SocketAddr; 2] = ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let has = |ip: &SocketAddr| std::net::TcpListener::bind(ip).is_ok();
    let expected: Vec<_> = ips.iter().filter(|ip| has(ip)).map(SocketAddr::ip).collect();
    let listener = event_loop.listen(&ips[..], ServerConfig::default(), ignore).unwrap();
    let addresses = event_loop.local_addrs(listener);
    assert_eq!(addresses.iter().map(SocketAddr::ip).collect::<Vec<_>>(), expected);
    assert!(addresses.iter().all(|address| address.port() == addresses[0].port()));
    // The same by name, whatever the system says that it stands for.
    let named = event_loop.listen("localhost:0", ServerConfig::default(), ignore).unwrap();
    assert!(event_loop.local_addrs(named).iter().all(|address| address.ip().is_loopback()));
}

#[test]
fn one_address_in_use_fails_the_whole_listen() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    let ignore = on_message(|_: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {});
    let taken = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
    let free = SocketAddr::new("127.0.0.1".parse().unwrap(), taken.0.port());
    let error = event_loop.listen(&[free, taken.0][..], ServerConfig::default(), ignore);
    assert!(error.unwrap_err().to_string().contains(&taken.0.to_string()));
    assert!(TcpStream::connect(free).is_err());
}
