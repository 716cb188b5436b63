//! Clients behind HTTP proxies, which open tunnels by `CONNECT`.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use eventwire::{BodyEnd, ClientConfig, Config, ConnectError, HttpProxy, ServerConfig};

use crate::util::{Outcome, PATIENCE, Peer, Recorder, Server, dial};

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("listen on a free port")
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// A configuration with the proxy behind `listener`.
fn through(listener: &TcpListener) -> ClientConfig {
    let proxy = HttpProxy::new(&format!("http://{}", address_of(listener))).expect("a proxy");
    ClientConfig::default().connect_timeout(PATIENCE).proxy(proxy)
}

#[test]
fn a_tunnel_leads_to_the_server_whose_name_only_the_proxy_looks_up() {
    let listener = listener();
    let (client, outcomes) = dial("ws://nowhere.invalid/path", through(&listener));
    let (mut peer, request) = Peer::accept_request(&listener);
    let expected = "CONNECT nowhere.invalid:80 HTTP/1.1\r\nHost: nowhere.invalid:80\r\n\r\n";
    assert_eq!(request, expected);
    assert!(peer.is_silent(), "nothing is sent ahead of the tunnel");
    peer.write(b"HTTP/1.0 200 Connection established\r\nContent-Length: 3\r\n\r\n");
    let request = peer.head();
    assert!(request.starts_with("GET /path HTTP/1.1\r\nHost: nowhere.invalid\r\n"), "{request}");
    peer.answer(&request, "");
    outcomes.open(client.ready);
    peer.expect("hello");
}

#[test]
fn credentials_are_sent_to_the_proxy_and_not_to_the_server() {
    let listener = listener();
    let proxy = HttpProxy::new(&format!("http://{}", address_of(&listener))).expect("a proxy");
    let proxy = proxy.credentials("Aladdin", "open sesame").expect("credentials");
    let config = ClientConfig::default().proxy(proxy).header("Authorization", "Bearer a");
    let (client, outcomes) = dial("ws://[::1]:81/", config);
    let (mut peer, request) = Peer::accept_request(&listener);
    assert!(request.starts_with("CONNECT [::1]:81 HTTP/1.1\r\n"), "{request}");
    let basic = "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
    assert!(request.contains(basic) && !request.contains("Bearer"), "{request}");
    peer.write(b"HTTP/1.1 200 OK\r\n\r\n");
    let request = peer.head();
    assert!(!request.contains("Proxy-") && request.contains("Bearer"), "{request}");
    peer.answer(&request, "");
    outcomes.open(client.ready);
}

#[test]
fn a_proxy_that_refuses_is_reported_with_its_response() {
    for (answer, status, body) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\
             \r\nContent-Length: 4\r\n\r\nwho?",
            407,
            "who?",
        ),
        ("HTTP/1.1 502 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 502, "a"),
        ("HTTP/1.1 302 \r\nLocation: ws://a/\r\nContent-Length: 0\r\n\r\n", 302, ""),
        ("HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n", 101, ""),
    ] {
        let listener = listener();
        let (_client, outcomes) = dial(URL, secure(through(&listener).redirects(5)));
        let (mut peer, _) = Peer::accept_request(&listener);
        peer.write(answer.as_bytes());
        let refused = outcomes.proxy_refused();
        assert_eq!((refused.status(), refused.body()), (status, body.as_bytes()));
        assert_eq!(refused.body_end(), BodyEnd::Complete);
        peer.expect_end();
    }
}

/// A URL with TLS where there is any.
const URL: &str = if cfg!(feature = "tls") { "wss://a.invalid/" } else { "ws://a.invalid/" };

#[cfg(feature = "tls")]
fn secure(config: ClientConfig) -> ClientConfig {
    config.tls(crate::util::Identity::ONE.client())
}

#[cfg(not(feature = "tls"))]
fn secure(config: ClientConfig) -> ClientConfig {
    config
}

#[test]
fn a_proxy_that_never_answers_is_given_up_at_the_deadline_of_the_handshake() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 \r\n\r\n"] {
        let listener = listener();
        let time = Duration::from_millis(200);
        let begun = Instant::now();
        let (_client, outcomes) = dial("ws://a.invalid/", through(&listener).connect_timeout(time));
        let (mut peer, _) = Peer::accept_request(&listener);
        peer.write(answer);
        assert_eq!(outcomes.next(), Outcome::Failed(ConnectError::TimedOut.to_string()));
        assert!(begun.elapsed() >= time);
    }
}

#[test]
fn a_proxy_that_speaks_something_else_or_hangs_up_is_an_error() {
    for answer in [&b"SSH-2.0-OpenSSH_9.9\r\n\r\n"[..], b"", b"HTTP/1.1 200 OK\r\n"] {
        let listener = listener();
        let (_client, outcomes) = dial("ws://a.invalid/", through(&listener));
        let (mut peer, _) = Peer::accept_request(&listener);
        peer.write(answer);
        drop(peer);
        let outcome = outcomes.next();
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.contains("handshake failed") || error.contains("reset"), "{error}");
    }
}

#[test]
fn a_refusal_through_the_tunnel_is_the_servers() {
    let listener = listener();
    let (_client, outcomes) = dial("ws://a.invalid/", through(&listener));
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(b"HTTP/1.1 200 OK\r\n\r\n");
    peer.head();
    peer.write(b"HTTP/1.1 403 \r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(outcomes.refused().status(), 403);
}

#[test]
fn an_address_that_is_configured_is_the_proxys() {
    let listener = listener();
    let config = ClientConfig::default()
        .proxy(HttpProxy::new("http://proxy.invalid:3128").expect("a proxy"))
        .address(address_of(&listener));
    let (client, outcomes) = dial("ws://a.invalid/", config);
    let (mut peer, request) = Peer::accept_request(&listener);
    assert!(request.starts_with("CONNECT a.invalid:80 "), "{request}");
    peer.write(b"HTTP/1.1 200 OK\r\n\r\n");
    let request = peer.head();
    peer.answer(&request, "");
    outcomes.open(client.ready);
}

/// Accepts one client, opens the tunnel that it asks for to `target`, and carries bytes both ways.
fn proxy(listener: TcpListener, target: SocketAddr) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (mut peer, request) = Peer::accept_request(&listener);
        assert!(request.starts_with("CONNECT localhost:"), "{request}");
        let onward = TcpStream::connect(target).expect("connect");
        peer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n");
        let inward = peer.stream();
        let (mut from, mut to) = (onward.try_clone().expect("clone"), inward.try_clone());
        let back = thread::spawn(move || {
            let _ = io::copy(&mut from, to.as_mut().expect("clone"));
        });
        let _ = io::copy(&mut &inward, &mut &onward);
        let _ = onward.shutdown(std::net::Shutdown::Write);
        back.join().expect("it does not panic");
    })
}

#[test]
fn a_tunnel_carries_a_whole_connection() {
    let (recorder, served) = Recorder::new();
    let server = Server::listen(Config::default(), ServerConfig::default(), recorder);
    let listener = listener();
    let config = through(&listener);
    let proxy = proxy(listener, server.address());
    let url = format!("ws://localhost:{}/", server.address().port());
    let (client, outcomes) = dial(url, config);
    outcomes.open(client.ready);
    served.open();
    assert_eq!(served.next(), crate::util::Call::Message(b"hello".to_vec()));
    drop(client);
    assert_eq!(served.close(), "ClosedByPeer(Some(1001), \"\")");
    proxy.join().expect("it does not panic");
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use crate::util::{Call, Identity};

    #[test]
    fn tls_begins_inside_of_the_tunnel_with_the_name_of_the_server() {
        let (recorder, served) = Recorder::new();
        let config = ServerConfig::default().tls(Identity::ONE.server());
        let server = Server::listen(Config::default(), config, recorder);
        let listener = listener();
        let config = secure(through(&listener));
        let proxy = proxy(listener, server.address());
        let (client, outcomes) =
            dial(format!("wss://localhost:{}/", server.address().port()), config);
        outcomes.open(client.ready);
        served.open();
        assert_eq!(served.next(), Call::Message(b"hello".to_vec()));
        drop(client);
        served.close();
        proxy.join().expect("it does not panic");
    }

    #[test]
    fn a_server_with_another_certificate_is_refused_through_the_tunnel_too() {
        let config = ServerConfig::default().tls(Identity::OTHER.server());
        let (recorder, _served) = Recorder::new();
        let server = Server::listen(Config::default(), config, recorder);
        let listener = listener();
        let config = secure(through(&listener));
        let proxy = proxy(listener, server.address());
        let (client, outcomes) =
            dial(format!("wss://localhost:{}/", server.address().port()), config);
        let outcome = outcomes.next();
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.contains("certificate"), "{error}");
        drop(client);
        proxy.join().expect("it does not panic");
    }
}
