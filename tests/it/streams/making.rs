//! Connecting and listening, from outside and from handlers.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use eventwire::{
    ClientConfig, CloseCode, Config, Connection, Disconnect, EndpointId, Error, EventLoop,
    ServerConfig, StreamConfig, StreamHandler, TrustedProxies, on_message,
};

use super::{Acting, Seen, connect, echo_lines, read, streaming, with};
use crate::util::{drive, drive_until};

/// Says hello, and closes once it is answered.
struct Hello;

impl StreamHandler<Seen> for Hello {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.opened += 1;
        conn.send("hello\n");
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], seen: &mut Seen) -> usize {
        seen.data.push(data.to_vec());
        conn.close(CloseCode::NORMAL, "");
        data.len()
    }

    fn on_close(&mut self, _: &mut Connection<'_>, disconnect: &Disconnect, seen: &mut Seen) {
        seen.closed.push(format!("client: {disconnect:?}"));
    }

    fn on_connect_error(
        &mut self,
        _: &mut Connection<'_>,
        error: &eventwire::ConnectError,
        seen: &mut Seen,
    ) {
        seen.failed.push(error.to_string());
    }
}

fn both_ended(_: &EventLoop<Seen>, seen: &Seen) -> bool {
    seen.closed.len() == 2
}

#[test]
fn both_ends_may_be_in_one_loop() {
    let (mut event_loop, address) = with(echo_lines);
    let mut seen = Seen::default();
    let port = address.port();
    for host in ["127.0.0.1".to_owned(), "localhost".to_owned()] {
        let address = format!("{host}:{port}");
        event_loop.connect_stream(address, StreamConfig::default(), Hello).expect("connect");
        drive_until(&mut event_loop, &mut seen, both_ended);
        assert_eq!((seen.opened, seen.data.last()), (2, Some(&b"hello\n".to_vec())));
        seen = Seen::default();
    }
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
}

#[test]
fn a_unix_socket_is_as_good() {
    let file = format!("eventwire-streams-{}.sock", std::process::id());
    let path: PathBuf = std::env::temp_dir().join(file);
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    let (config, mut seen) = (StreamConfig::default(), Seen::default());
    event_loop.listen_stream_unix(&path, config.clone(), Acting(echo_lines)).expect("listen");
    event_loop.connect_stream(path.clone(), config.clone(), Hello).expect("connect");
    drive_until(&mut event_loop, &mut seen, both_ended);
    assert_eq!(seen.data, [b"hello\n", b"hello\n"]);
    std::fs::remove_file(&path).expect("it is there");
    event_loop.connect_stream(path, config, Hello).expect("begin to connect");
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.failed.is_empty());
}

#[test]
fn a_port_that_nobody_listens_on_is_a_connect_error() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    let address: SocketAddr = free.expect("a free port");
    event_loop.connect_stream(address, StreamConfig::default(), Hello).expect("begin to connect");
    let mut seen = Seen::default();
    drive_until(&mut event_loop, &mut seen, |_, seen| !seen.failed.is_empty());
    assert!(seen.failed[0].contains("refused"), "{:?}", seen.failed);
    assert_eq!((event_loop.connections(), event_loop.stats().not_opened), (0, 1));
}

#[test]
fn what_cannot_be_connected_to_is_a_typed_error() {
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    for text in ["", "localhost", "localhost:", "localhost:70000", ":80", "::1:80"] {
        let error = event_loop.connect_stream(text, StreamConfig::default(), Hello);
        assert!(matches!(error, Err(Error::Io { .. })), "{text:?}: {error:?}");
    }
    let config = Config::default().max_connections(0);
    let mut event_loop = EventLoop::<Seen>::new(config).expect("make a loop");
    let full = event_loop.connect_stream("127.0.0.1:80", StreamConfig::default(), Hello);
    assert!(matches!(full, Err(Error::ConnectionLimit)), "{full:?}");
}

#[test]
fn handlers_connect_and_listen_with_endpoints() {
    struct Begin(EndpointId, EndpointId);
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    let config = StreamConfig::default();
    let lines = event_loop.stream_endpoint(config.clone(), Acting(echo_lines)).expect("register");
    let hello = event_loop.stream_endpoint(config, Hello).expect("register");
    event_loop.on(|cx, Begin(lines, hello): &Begin, _| {
        let listener = cx.listen(*lines, "127.0.0.1:0").expect("listen");
        let address = cx.local_addr(listener).expect("an address");
        let count = 3;
        for _ in 0..count {
            cx.connect_stream(*hello, address).expect("connect");
        }
    });
    event_loop.publisher().publish(Begin(lines, hello)).expect("room for an event");
    let mut seen = Seen::default();
    drive_until(&mut event_loop, &mut seen, |_, seen| seen.closed.len() == 6);
    assert_eq!(seen.opened, 6);
}

#[test]
fn an_endpoint_of_another_kind_is_refused() {
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    let echo = || on_message(|_, _, _: &mut Seen| {});
    let stream = event_loop.stream_endpoint(StreamConfig::default(), Hello).expect("register");
    let client = event_loop.client_endpoint(ClientConfig::default(), echo()).expect("register");
    let server = event_loop.server_endpoint(ServerConfig::default(), echo()).expect("register");
    struct Try;
    event_loop.on(move |cx, _: &Try, seen| {
        for endpoint in [client, server] {
            let refused = cx.connect_stream(endpoint, "127.0.0.1:9");
            assert!(matches!(refused, Err(Error::WrongEndpoint)), "{refused:?}");
        }
        let refused = cx.connect(stream, "ws://127.0.0.1:9");
        assert!(matches!(refused, Err(Error::WrongEndpoint)), "{refused:?}");
        assert!(cx.remove_endpoint(stream));
        let refused = cx.connect_stream(stream, "127.0.0.1:9");
        assert!(matches!(refused, Err(Error::UnknownEndpoint)), "{refused:?}");
        seen.opened += 1;
    });
    event_loop.publisher().publish(Try).expect("room for an event");
    drive_until(&mut event_loop, &mut Seen::default(), |_, seen| seen.opened == 1);
}

#[test]
fn a_proxy_announces_its_client() {
    let networks = ["127.0.0.1".parse().expect("a network")];
    let config = StreamConfig::default()
        .proxies(TrustedProxies::proxy_protocol(networks))
        .connect_timeout(Duration::from_millis(200));
    let (mut event_loop, address) = streaming(Config::default(), config, |conn, data, _| {
        conn.send(format!("{:?}\n", conn.peer_addr()));
        data.len()
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let header = "PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\n";
        for pieces in
            [[header, "hello"], ["PROXY TCP4 192.0.2.7 198.51.100.1 50", "00 80\r\nhello"]]
        {
            let mut stream = connect(address);
            for piece in pieces {
                stream.write_all(piece.as_bytes()).expect("write");
            }
            assert_eq!(read(&mut stream, 21), b"Some(192.0.2.7:5000)\n");
        }
        // No header, or only a part of one.
        for wrong in ["hello", "PROXY"] {
            let mut stream: TcpStream = connect(address);
            stream.write_all(wrong.as_bytes()).expect("write");
            let ended = std::io::Read::read(&mut stream, &mut [0]);
            assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        }
    });
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
    assert_eq!((seen.opened, event_loop.stats().not_opened), (2, 2));
}
