//! Redirects that a client follows, and those that it does not.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use eventwire::proto::handshake::UrlError;
use eventwire::{ClientConfig, ConnectError, HttpProxy, RedirectError};

use crate::util::{Outcome, PATIENCE, Peer, dial};

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("listen on a free port")
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

fn following(max: u8) -> ClientConfig {
    ClientConfig::default().redirects(max).connect_timeout(PATIENCE)
}

/// Redirects the next client, with this status, and does not end the body. Returns its request.
fn redirect(listener: &TcpListener, status: u16, location: &str) -> String {
    let (mut peer, request) = Peer::accept_request(listener);
    peer.write(format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\n\r\n").as_bytes());
    // The client ends the connection without waiting for the body.
    while peer.try_write(b"moved") {}
    request
}

#[test]
fn redirects_are_followed_to_other_paths_and_servers() {
    for status in [301, 302, 303, 307, 308] {
        let (first, second) = (listener(), listener());
        let config = following(2).subprotocols(["chat"]).origin("http://a.example");
        let (client, outcomes) = dial(format!("ws://{}/a/b?c", address_of(&first)), config);
        let request = redirect(&first, status, "../d?e#f");
        assert!(request.starts_with("GET /a/b?c HTTP/1.1\r\n"), "{request}");
        let location = format!("http://{}/g", address_of(&second));
        let request = redirect(&first, status, &location);
        assert!(request.starts_with("GET /d?e HTTP/1.1\r\n"), "{request}");
        let (mut peer, request) = Peer::accept_request(&second);
        let host = format!("GET /g HTTP/1.1\r\nHost: {}\r\n", address_of(&second));
        assert!(request.starts_with(&host), "{request}");
        assert!(request.contains("Sec-WebSocket-Protocol: chat\r\n"), "{request}");
        assert!(request.contains("Origin: http://a.example\r\n"), "{request}");
        peer.answer(&request, "");
        outcomes.open(client.ready);
        peer.expect("hello");
    }
}

#[test]
fn without_being_asked_for_a_redirect_is_a_refusal() {
    let listener = listener();
    let (_client, outcomes) = dial(format!("ws://{}/", address_of(&listener)), following(0));
    let (mut peer, _) = Peer::accept_request(&listener);
    peer.write(b"HTTP/1.1 302 \r\nLocation: /other\r\nContent-Length: 5\r\n\r\nthere");
    let refused = outcomes.refused();
    assert_eq!((refused.status(), refused.header("Location")), (302, Some("/other")));
    assert_eq!(refused.body(), b"there");
}

#[test]
fn a_status_that_is_no_redirect_is_a_refusal_whatever_its_headers() {
    for head in [
        "HTTP/1.1 302 Found\r\n",
        "HTTP/1.1 300 Multiple Choices\r\nLocation: /a\r\n",
        "HTTP/1.1 201 Created\r\nLocation: /a\r\n",
    ] {
        let listener = listener();
        let (_client, outcomes) = dial(format!("ws://{}/", address_of(&listener)), following(5));
        let (mut peer, _) = Peer::accept_request(&listener);
        peer.write(format!("{head}Content-Length: 2\r\n\r\nno").as_bytes());
        assert_eq!(outcomes.refused().body(), b"no", "{head}");
    }
}

#[test]
fn a_loop_of_redirects_ends_at_the_limit() {
    let listener = listener();
    let (_client, outcomes) = dial(format!("ws://{}/", address_of(&listener)), following(3));
    for _ in 0..4 {
        redirect(&listener, 307, "/");
    }
    assert_eq!(outcomes.next(), Outcome::Redirect(RedirectError::TooMany { limit: 3 }));
}

#[test]
fn locations_that_name_nothing_to_connect_to_are_errors() {
    use RedirectError::InvalidLocation;
    for (location, error) in [
        ("ftp://a/", InvalidLocation(UrlError::Scheme)),
        ("http://a:b/", InvalidLocation(UrlError::Authority)),
        ("http://user@a/", InvalidLocation(UrlError::UserInfo)),
        ("/a b", InvalidLocation(UrlError::Target)),
        ("/\u{e9}", InvalidLocation(UrlError::Target)),
        ("wss://a/", InvalidLocation(UrlError::TlsNotConfigured)),
        ("/a\r\nLocation: /b", RedirectError::RepeatedLocation),
    ] {
        let listener = listener();
        let (_client, outcomes) = dial(format!("ws://{}/", address_of(&listener)), following(5));
        redirect(&listener, 302, location);
        assert_eq!(outcomes.next(), Outcome::Redirect(error), "{location}");
    }
}

#[test]
fn credentials_are_sent_only_to_the_first_origin() {
    let (first, second) = (listener(), listener());
    let config = following(3)
        .header("Authorization", "Bearer secret")
        .header("cookie", "secret=1")
        .header("Proxy-Authorization", "secret")
        .header("X-Open", "to all");
    let (client, outcomes) = dial(format!("ws://{}/", address_of(&first)), config);
    let is_trusted = |request: &str| {
        assert!(request.contains("X-Open: to all\r\n"), "{request}");
        let secrets = request.matches("secret").count();
        assert!(secrets == 0 || secrets == 3, "{request}");
        secrets == 3
    };
    assert!(is_trusted(&redirect(&first, 302, "/same")));
    let location = format!("//{}/", address_of(&second));
    assert!(is_trusted(&redirect(&first, 302, &location)));
    let location = format!("ws://{}/", address_of(&first));
    assert!(!is_trusted(&redirect(&second, 302, &location)));
    let (mut peer, request) = Peer::accept_request(&first);
    assert!(is_trusted(&request));
    peer.answer(&request, "");
    outcomes.open(client.ready);
}

#[test]
fn configured_addresses_are_those_of_the_first_origin() {
    let (first, second) = (listener(), listener());
    let config = following(2).address(address_of(&first));
    let (client, outcomes) = dial("ws://nowhere.invalid/a", config);
    redirect(&first, 302, "/b");
    redirect(&first, 302, &format!("ws://{}/c", address_of(&second)));
    let (mut peer, request) = Peer::accept_request(&second);
    peer.answer(&request, "");
    outcomes.open(client.ready);
}

#[test]
fn all_redirects_have_one_deadline() {
    let listener = listener();
    let time = Duration::from_millis(500);
    let begun = Instant::now();
    let config = following(u8::MAX).connect_timeout(time);
    let (client, outcomes) = dial(format!("ws://{}/", address_of(&listener)), config);
    redirect(&listener, 302, "/");
    let (_silent, _) = Peer::accept_request(&listener);
    assert_eq!(outcomes.next(), Outcome::Failed(ConnectError::TimedOut.to_string()));
    assert!(begun.elapsed() >= time && begun.elapsed() < PATIENCE);
    drop(client);
}

#[test]
fn redirects_are_followed_through_a_proxy() {
    let proxy = listener();
    let config = following(1)
        .proxy(HttpProxy::new(&format!("http://{}", address_of(&proxy))).expect("a proxy"));
    let (client, outcomes) = dial("ws://a.invalid/", config);
    for (host, answer) in [
        ("a.invalid:80", "HTTP/1.1 302 \r\nLocation: //b.invalid:81/c\r\n\r\n"),
        ("b.invalid:81", ""),
    ] {
        let (mut peer, request) = Peer::accept_request(&proxy);
        assert!(request.starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")), "{request}");
        peer.write(b"HTTP/1.1 200 OK\r\n\r\n");
        let request = peer.head();
        match answer {
            "" => peer.answer(&request, ""),
            answer => peer.write(answer.as_bytes()),
        }
        if answer.is_empty() {
            outcomes.open(client.ready);
            peer.expect("hello");
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    use eventwire::{RedirectError, ServerConfig};

    use super::{address_of, dial, following, listener, redirect};
    use crate::util::{Identity, Outcome, Recorder, Server};

    #[test]
    fn a_redirect_from_ws_to_wss_is_followed_and_never_the_other_way() {
        let (recorder, served) = Recorder::new();
        let config = ServerConfig::default().tls(Identity::ONE.server());
        let secure = Server::listen(eventwire::Config::default(), config, recorder);
        let listener = listener();
        let config = following(5).tls(Identity::ONE.client());
        let (client, outcomes) = dial(format!("ws://{}/", address_of(&listener)), config.clone());
        let location = format!("https://localhost:{}/", secure.address().port());
        redirect(&listener, 301, &location);
        outcomes.open(client.ready);
        served.open();

        let config_of_server = ServerConfig::default().tls(Identity::ONE.server());
        let secure: Server = Server::start::<()>(eventwire::Config::default(), |event_loop| {
            let down = eventwire::HttpResponse::new(302).header("Location", "ws://localhost/");
            let routes = eventwire::Routes::new().page("/", down.expect("a header"));
            let listener = event_loop.listen("127.0.0.1:0", config_of_server, routes);
            event_loop.local_addr(listener.expect("listen")).expect("an address")
        });
        let url = format!("wss://localhost:{}/", secure.address().port());
        let (_client, outcomes) = dial(url, config);
        assert_eq!(outcomes.next(), Outcome::Redirect(RedirectError::Insecure));
    }
}
