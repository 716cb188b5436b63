//! Raw streams over TLS, accepted and made.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use eventwire::{
    CloseCode, Config, ConnectError, Connection, Disconnect, EventLoop, StreamConfig,
    StreamHandler, TlsClient, TrustedProxies,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{Acting, Seen, connect, echo_lines, lines, streaming};
use crate::util::{Identity, drive, drive_until};

/// Sends a line as soon as it is open, and closes when all are back.
struct Client(usize);

impl StreamHandler<Seen> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.opened += 1;
        let line = [&vec![b'x'; self.0][..], b"\n"].concat();
        conn.send(line);
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], seen: &mut Seen) -> usize {
        let used = lines(data);
        if used > 0 {
            assert_eq!(used, self.0 + 1);
            seen.drained += 1;
            conn.close(CloseCode::NORMAL, "");
        }
        used
    }

    fn on_close(&mut self, _: &mut Connection<'_>, disconnect: &Disconnect, seen: &mut Seen) {
        seen.closed.push(format!("{disconnect:?}"));
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, seen: &mut Seen) {
        seen.failed.push(error.to_string());
    }
}

fn secure() -> StreamConfig {
    StreamConfig::default().tls_server(Identity::ONE.server())
}

fn trusting(identity: &Identity) -> StreamConfig {
    StreamConfig::default().tls_client(identity.client())
}

#[test]
fn both_ends_speak_tls_and_the_first_one_to_send_is_the_client_or_the_server() {
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    let listener = event_loop.listen_stream("127.0.0.1:0", secure(), Acting(echo_lines));
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    for len in [0, 1, 5_000, 20_000, 60_000] {
        let mut seen = Seen::default();
        let host = format!("localhost:{}", address.port());
        let config = trusting(&Identity::ONE);
        event_loop.connect_stream(host, config, Client(len)).expect("begin to connect");
        drive_until(&mut event_loop, &mut seen, |_, seen| {
            assert!(seen.failed.is_empty(), "{:?}", seen.failed);
            seen.closed.len() == 2
        });
        assert_eq!((seen.opened, seen.drained), (2, 1), "{len}");
        assert!(seen.closed.iter().any(|reason| reason.starts_with("ClosedByApplication")));
        assert!(seen.closed.iter().any(|reason| reason == "EndOfStream { unused: 0 }"));
    }
    drive_until(&mut event_loop, &mut Seen::default(), |event_loop, _| {
        event_loop.connections() == 0
    });
}

#[test]
fn another_implementation_gets_a_greeting_before_it_has_sent_anything() {
    struct Greeting;
    impl StreamHandler<Seen> for Greeting {
        fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
            seen.opened += 1;
            conn.send("220 ready\r\n");
        }

        fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], _: &mut Seen) -> usize {
            conn.send(data);
            data.len()
        }

        fn on_close(&mut self, _: &mut Connection<'_>, disconnect: &Disconnect, seen: &mut Seen) {
            seen.closed.push(format!("{disconnect:?}"));
        }
    }
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("make a loop");
    let listener = event_loop.listen_stream("127.0.0.1:0", secure(), Greeting);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let name = ServerName::try_from("localhost").expect("a name");
        let config: Arc<_> = Identity::ONE.others_client(&[]);
        let session = ClientConnection::new(config, name).expect("a session");
        let mut stream = StreamOwned::new(session, connect(address));
        let mut greeting = [0; 11];
        stream.read_exact(&mut greeting).expect("read");
        assert_eq!(&greeting, b"220 ready\r\n");
        let mut answer = [0; 4];
        stream.write_all(b"NOOP").expect("write");
        stream.read_exact(&mut answer).expect("read");
        assert_eq!(&answer, b"NOOP");
        stream.conn.send_close_notify();
        stream.flush().expect("write");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    });
    assert_eq!((seen.opened, seen.closed), (1, vec!["EndOfStream { unused: 0 }".to_owned()]));
}

#[test]
fn a_certificate_that_is_not_trusted_is_a_connect_error() {
    let (mut event_loop, address) = streaming(Config::default(), secure(), echo_lines);
    let mut seen = Seen::default();
    let host = format!("localhost:{}", address.port());
    let config = trusting(&Identity::OTHER);
    event_loop.connect_stream(host, config, Client(1)).expect("begin to connect");
    drive_until(&mut event_loop, &mut seen, |event_loop, seen| {
        !seen.failed.is_empty() && event_loop.connections() == 0
    });
    assert_eq!((seen.opened, seen.failed.len()), (0, 1));
    assert_eq!(event_loop.stats().not_opened, 2);
    let _: TlsClient = Identity::ONE.client();
}

#[test]
fn a_peer_that_never_ends_the_handshake_has_the_connect_timeout() {
    let config = secure().connect_timeout(Duration::from_millis(50));
    let (mut event_loop, address) = streaming(Config::default(), config, echo_lines);
    let mut seen = Seen::default();
    let stream: TcpStream = drive(&mut event_loop, &mut seen, || {
        let mut stream = connect(address);
        let ended = stream.read(&mut [0]);
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        stream
    });
    drive_until(&mut event_loop, &mut seen, |event_loop, _| event_loop.connections() == 0);
    assert_eq!((seen.opened, event_loop.stats().not_opened), (0, 1));
    drop(stream);
}

#[test]
fn the_header_of_a_proxy_comes_before_tls() {
    let networks = ["127.0.0.1".parse().expect("a network")];
    let config = secure().proxies(TrustedProxies::proxy_protocol(networks));
    let (mut event_loop, address) = streaming(Config::default(), config, |conn, data, _| {
        conn.send(format!("{:?}\n", conn.peer_addr()));
        data.len()
    });
    let mut seen = Seen::default();
    drive(&mut event_loop, &mut seen, || {
        let mut socket = connect(address);
        socket.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\n").expect("write");
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Identity::ONE.others_client(&[]), name);
        let mut stream = StreamOwned::new(session.expect("a session"), socket);
        stream.write_all(b"who").expect("write");
        let mut answer = [0; 21];
        stream.read_exact(&mut answer).expect("read");
        assert_eq!(&answer, b"Some(192.0.2.7:5000)\n");
    });
}
