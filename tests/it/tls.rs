//! TLS: the same connections, encrypted.

mod certificates;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use eventwire::proto::handshake::UrlError;
use eventwire::proto::http::HttpResponse;
use eventwire::proto::{Limits, OpCode};
use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, Disconnect, Error, EventLoop,
    Message, OriginPolicy, Routes, ServerConfig, TlsClient, TlsServer, TrustedProxies,
    WebSocketHandler, on_message,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind, StreamOwned};

use crate::util::{Identity, PATIENCE, Peer, Server, drive, request};

const ONE: Identity = Identity::ONE;
const OTHER: Identity = Identity::OTHER;

fn echo(conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    match message.as_text() {
        Some("close") => drop(conn.close(CloseCode::NORMAL, "")),
        Some("who") => {
            let peer = conn.peer_addr().expect("an address").to_string();
            conn.send(&*peer);
        }
        _ => drop(conn.send(message)),
    }
}

fn serve(config: Config, server: ServerConfig) -> Server {
    Server::start(config, move |event_loop| {
        let page = HttpResponse::html("a page");
        let routes =
            Routes::new().page("/page", page).websocket("/*", server.clone(), on_message(echo));
        let listener = event_loop.listen("127.0.0.1:0", server, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    })
}

fn with(identity: &Identity) -> ServerConfig {
    ServerConfig::default().tls(identity.server())
}

/// The other end, in blocking calls.
type Secure = StreamOwned<ClientConnection, TcpStream>;

fn connect(address: SocketAddr, config: &Arc<rustls::ClientConfig>) -> Secure {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("a session"), stream)
}

fn read_head(stream: &mut Secure) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).expect("text"))
}

fn upgrade(stream: &mut Secure) {
    stream.write_all(&request("/", "")).expect("write");
    let head = read_head(stream).expect("a head");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

fn exchange(stream: &mut Secure, bytes: &[u8]) {
    // An unmasked frame looks the same the other way round but for the mask of zeros.
    let len = bytes.len();
    let mut header = vec![0x82];
    match len {
        0..=125 => header.push(len as u8),
        126..=0xFFFF => header.extend([&[126][..], &(len as u16).to_be_bytes()].concat()),
        _ => header.extend([&[127][..], &(len as u64).to_be_bytes()].concat()),
    }
    let mut asked = header.clone();
    asked[1] |= 0x80;
    asked.extend([0; 4]);
    asked.extend(bytes);
    stream.write_all(&asked).expect("write");
    let mut answer = vec![0; header.len() + len];
    stream.read_exact(&mut answer).expect("read");
    assert!(answer == [&header, bytes].concat(), "another answer");
}

/// What a client in the loop saw.
#[derive(Default)]
struct Seen {
    lengths: Vec<usize>,
    failed: Option<String>,
    ended: bool,
}

const LENGTHS: [usize; 7] = [0, 1, 125, 5_000, 16_384, 70_000, 1_000_000];

/// Sends messages of all lengths, and closes when all are back.
struct Client;

impl WebSocketHandler<Seen> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Seen) {
        for len in LENGTHS {
            conn.send(&vec![7; len][..]);
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
        assert!(message.as_bytes().iter().all(|byte| *byte == 7));
        seen.lengths.push(message.len());
        if seen.lengths.len() == LENGTHS.len() {
            conn.close(CloseCode::NORMAL, "");
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, seen: &mut Seen) {
        assert!(matches!(disconnect, Disconnect::ClosedByApplication { .. }), "{disconnect}");
        seen.ended = true;
        conn.stop();
    }

    fn on_connect_error(
        &mut self,
        conn: &mut Connection<'_>,
        error: &ConnectError,
        seen: &mut Seen,
    ) {
        seen.failed = Some(error.to_string());
        conn.stop();
    }
}

/// Connects from a loop of its own.
fn client(url: &str, address: SocketAddr, tls: TlsClient) -> Seen {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let config = ClientConfig::default().address(address).tls(tls);
    event_loop.connect(url, config, Client).expect("connect");
    let mut seen = Seen::default();
    event_loop.run(&mut seen).expect("run");
    seen
}

#[test]
fn messages_of_every_length_arrive_over_tls_and_both_ends_close_in_order() {
    let server = serve(Config::default(), with(&ONE));
    let seen = client("wss://localhost/", server.address(), ONE.client());
    assert_eq!(seen.failed, None);
    assert_eq!(seen.lengths, LENGTHS);
    assert!(seen.ended);
}

#[test]
fn untrusted_and_wrong_servers_are_refused() {
    let server = serve(Config::default(), with(&ONE));
    let stranger = OTHER.client();
    let failed = client("wss://localhost/", server.address(), stranger).failed.expect("it fails");
    assert!(failed.contains("certificate"), "{failed}");
    let failed = client("wss://example.com/", server.address(), ONE.client()).failed;
    assert!(failed.expect("it fails").contains("certificate"));
    assert_eq!(server.handle.stats().opened, 0);
}

#[test]
fn another_certificate_holds_from_the_next_connection_on() {
    let (first, second) = (ONE, OTHER);
    let tls = first.server();
    let server = serve(Config::default(), ServerConfig::default().tls(tls.clone()));
    let mut before = connect(server.address(), &first.others_client(&[]));
    upgrade(&mut before);
    assert!(tls.replace(b"none", first.key).is_err());
    assert!(tls.replace(second.chain, first.key).is_err());
    tls.replace(second.chain, second.key).expect("it is right");
    upgrade(&mut connect(server.address(), &second.others_client(&[])));
    let refused = connect(server.address(), &first.others_client(&[])).write_all(b"x");
    assert!(refused.is_err());
    // Earlier connections keep their certificate.
    exchange(&mut before, b"still here");
}

#[test]
fn sessions_are_resumed_and_the_protocol_is_agreed() {
    let server = serve(Config::default(), with(&ONE));
    let config = ONE.others_client(&["h2", "http/1.1"]);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut stream = connect(server.address(), &config);
        upgrade(&mut stream);
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        exchange(&mut stream, b"hello");
        assert_eq!(stream.conn.handshake_kind(), Some(kind));
    }
    // Nothing else is spoken here.
    let mut other = connect(server.address(), &ONE.others_client(&["h2"]));
    assert!(other.write_all(&request("/", "")).and_then(|()| read_head(&mut other)).is_err());
}

#[test]
fn pages_are_served_over_tls_one_after_the_other() {
    let server = serve(Config::default(), with(&ONE));
    let mut stream = connect(server.address(), &ONE.others_client(&[]));
    for _ in 0..3 {
        stream.write_all(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
        assert!(read_head(&mut stream).expect("a head").starts_with("HTTP/1.1 200 "));
        let mut body = [0; 6];
        stream.read_exact(&mut body).expect("a body");
        assert_eq!(&body, b"a page");
    }
}

#[test]
fn a_connection_ends_with_close_notify() {
    let server = serve(Config::default(), with(&ONE));
    let mut stream = connect(server.address(), &ONE.others_client(&[]));
    upgrade(&mut stream);
    stream.write_all(b"\x81\x85\0\0\0\0close").expect("write");
    let mut close = [0; 4];
    stream.read_exact(&mut close).expect("a close frame");
    assert_eq!(close, [0x80 | OpCode::Close as u8, 2, 3, 232]);
    stream.write_all(b"\x88\x82\0\0\0\0\x03\xE8").expect("write");
    // A stream that ended without a word of TLS would be an error here.
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
}

#[test]
fn queued_output_is_delivered_after_the_peer_half_closes() {
    // A session and the system hold some of it, and the loop the rest, if there is any.
    for len in (100_000..1_000_000).step_by(50_000) {
        let server = serve(Config::default(), with(&ONE));
        let mut stream = connect(server.address(), &ONE.others_client(&[]));
        upgrade(&mut stream);
        let socket = socket2::SockRef::from(&stream.sock);
        socket.set_recv_buffer_size(32 * 1024).expect("set the receive buffer");
        let message = [&b"\x82\xFF\0\0\0\0\0"[..], &(len as u32).to_be_bytes()[1..], &[0; 4]];
        let message = [&message.concat()[..], &vec![9; len]].concat();
        stream.write_all(&message).expect("write");
        stream.conn.send_close_notify();
        stream.flush().expect("write");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an end in order");
        assert_eq!(answer.len(), len + 10);
    }
}

#[test]
fn a_peer_that_reads_late_gets_everything() {
    let server = serve(Config::default(), with(&ONE));
    let mut stream = connect(server.address(), &ONE.others_client(&[]));
    upgrade(&mut stream);
    let message = [&b"\x82\xFF\0\0\0\0\0\x0F\x42\x40\0\0\0\0"[..], &vec![9; 1_000_000]].concat();
    // More than the system takes on the way back before anything of it is read.
    let mut writer = stream.sock.try_clone().expect("clone the stream");
    let mut bytes = Vec::new();
    for _ in 0..8 {
        stream.conn.writer().write_all(&message[..60_000]).expect("room");
        let mut rest = &message[60_000..];
        while stream.conn.wants_write() || !rest.is_empty() {
            stream.conn.write_tls(&mut bytes).expect("a vector takes everything");
            let (some, others) = rest.split_at(rest.len().min(60_000));
            stream.conn.writer().write_all(some).expect("room");
            rest = others;
        }
    }
    let writing = std::thread::spawn(move || writer.write_all(&bytes).expect("write"));
    for _ in 0..8 {
        let mut header = [0; 10];
        stream.read_exact(&mut header).expect("a header");
        assert_eq!(header, *b"\x82\x7F\0\0\0\0\0\x0F\x42\x40");
        let mut payload = vec![0; 1_000_000];
        stream.read_exact(&mut payload).expect("a payload");
        assert!(payload.iter().all(|byte| *byte == 9));
    }
    writing.join().expect("everything was written");
}

#[test]
fn a_turn_takes_its_share_of_records_however_little_is_in_them() {
    /// Each record holds a byte.
    const RECORDS: usize = 100_000;
    let mut event_loop = EventLoop::<()>::new(Config::default()).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", with(&ONE), on_message(echo)).expect("listen");
    let address = event_loop.local_addr(listener).expect("an address");
    let mut stream = drive(&mut event_loop, &mut (), || {
        let mut stream = connect(address, &ONE.others_client(&[]));
        upgrade(&mut stream);
        stream
    });
    let mut records = Vec::new();
    let message = [&b"\x82\xFF\0\0\0\0\0\x0F\x42\x40\0\0\0\0"[..], &[9; RECORDS]].concat();
    for byte in message {
        stream.conn.writer().write_all(&[byte]).expect("room");
        stream.conn.write_tls(&mut records).expect("a vector takes everything");
    }
    stream.sock.set_nonblocking(true).expect("set O_NONBLOCK");
    let handle = event_loop.handle();
    let (start, mut before) = (handle.stats().bytes_received, handle.stats().bytes_received);
    while before < start + RECORDS as u64 {
        while let Ok(count) = stream.sock.write(&records) {
            records.drain(..count);
            if records.is_empty() {
                break;
            }
        }
        event_loop.turn(Some(Duration::from_millis(5)), &mut ()).expect("turn");
        let after = handle.stats().bytes_received;
        // Twice as many as are in what is taken in for one receive.
        assert!(after - before < 2 * 256 * 1024 / 22, "{} in a turn", after - before);
        before = after;
    }
}

#[test]
fn data_after_urgent_data_is_read_at_once_over_tls() {
    let mut event_loop = EventLoop::<()>::new(Config::default()).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", with(&ONE), on_message(echo)).expect("listen");
    let address = event_loop.local_addr(listener).expect("an address");
    let mut stream = drive(&mut event_loop, &mut (), || {
        let mut stream = connect(address, &ONE.others_client(&[]));
        upgrade(&mut stream);
        stream
    });
    let mut records = Vec::new();
    for _ in 0..2 {
        stream.conn.writer().write_all(b"\x81\x85\0\0\0\0hello").expect("room");
        stream.conn.write_tls(&mut records).expect("a vector takes everything");
    }
    let (begun, rest) = records.split_at(7);
    stream.sock.write_all(begun).expect("write");
    let urgent = socket2::SockRef::from(&stream.sock).send_out_of_band(b"!");
    assert_eq!(urgent.expect("urgent data"), 1);
    stream.sock.write_all(rest).expect("write");
    let received = |event_loop: &EventLoop<()>| event_loop.stats().messages_received;
    for _ in 0..1000 {
        if received(&event_loop) < 2 {
            event_loop.turn(Some(PATIENCE), &mut ()).expect("turn");
        }
    }
    assert_eq!(received(&event_loop), 2);
}

#[test]
fn peers_that_do_not_speak_tls_are_disconnected() {
    let server = serve(Config::default(), with(&ONE));
    let mut peer = Peer::open(server.address());
    peer.write(&request("/", ""));
    // An alert, and the end: nothing of HTTP.
    assert!(!peer.until_end().text().starts_with("HTTP"));
    upgrade(&mut connect(server.address(), &ONE.others_client(&[])));
    while server.handle.stats().opened == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_handshake_of_tls_has_the_time_of_the_opening_handshake() {
    let limits = Limits::default().handshake_timeout(Duration::from_millis(200));
    let server = serve(Config::default(), with(&ONE).limits(limits));
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut peer = Peer::open(server.address());
        peer.write(begun);
        peer.until_end();
    }
}

#[test]
fn damaged_records_end_the_connection() {
    let server = serve(Config::default(), with(&ONE));
    let mut stream = connect(server.address(), &ONE.others_client(&[]));
    upgrade(&mut stream);
    stream.sock.write_all(b"\x17\x03\x03\x00\x20this is not what was encrypted!!").expect("write");
    assert!(stream.read(&mut [0]).is_err());
    let closed = || server.handle.stats().closed_by_failure;
    while closed() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_failure_behind_a_message_is_noticed_at_once() {
    let limits = Limits::default().ping_interval(None);
    let server = serve(Config::default(), with(&ONE).limits(limits));
    let mut stream = connect(server.address(), &ONE.others_client(&[]));
    upgrade(&mut stream);
    let mut bytes = Vec::new();
    stream.conn.writer().write_all(b"\x82\x85\0\0\0\0hello").expect("room");
    stream.conn.write_tls(&mut bytes).expect("a vector takes everything");
    bytes.extend(b"\x17\x03\x03\x00\x20this is not what was encrypted!!");
    stream.sock.write_all(&bytes).expect("write");
    // The stream stands, and nothing more is said on it.
    while server.handle.stats().closed_by_failure == 0 {
        std::thread::yield_now();
    }
    assert_eq!(server.handle.stats().messages_received, 1);
    assert!(stream.read(&mut [0]).is_err());
}

#[test]
fn over_tls_a_page_in_the_clear_is_of_another_origin() {
    let server = serve(Config::default(), with(&ONE));
    for (page, status) in [
        ("https://localhost", 101),
        ("http://localhost", 403),
        ("http://localhost:443", 403),
        ("https://other", 403),
    ] {
        let mut stream = connect(server.address(), &ONE.others_client(&[]));
        stream.write_all(&request("/", &format!("Origin: {page}\r\n"))).expect("write");
        let head = read_head(&mut stream).expect("an answer");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{page}: {head}");
    }
    // So it is for requests that handlers check.
    let routes = || {
        Routes::new().get("/", |_, request, (): &mut ()| {
            let checked = OriginPolicy::SameOrigin.check_request(request);
            HttpResponse::new(if checked.is_ok() { 204 } else { 403 })
        })
    };
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let listener = event_loop.listen("127.0.0.1:0", with(&ONE), routes()).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    for (page, status) in [("https://localhost", 204), ("http://localhost", 403)] {
        let mut stream = connect(server.address(), &ONE.others_client(&[]));
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: {page}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("write");
        let head = read_head(&mut stream).expect("an answer");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{page}: {head}");
    }
    // In the clear it is not known what a proxy in between speaks.
    let server = serve(Config::default(), ServerConfig::default());
    for page in ["https://localhost", "http://localhost"] {
        let (_, head) = Peer::ask(server.address(), &format!("Origin: {page}\r\n"));
        assert!(head.starts_with("HTTP/1.1 101 "), "{page}: {head}");
    }
}

#[test]
fn the_proxy_header_comes_before_tls() {
    let here = ["127.0.0.1".parse().expect("a network")];
    let config = with(&ONE).proxies(TrustedProxies::proxy_protocol(here));
    let server = serve(Config::default(), config);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C".to_vec();
    header.extend([203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0x00, 0x50]);
    // With the beginning of TLS right behind it, a part of that, and alone.
    for behind in [usize::MAX, 77, 0] {
        let mut stream = connect(server.address(), &ONE.others_client(&[]));
        let mut said = header.clone();
        stream.conn.write_tls(&mut said).expect("a vector takes everything");
        let (first, rest) = said.split_at(said.len().min(header.len().saturating_add(behind)));
        for piece in [first, rest] {
            stream.sock.write_all(piece).expect("write");
        }
        upgrade(&mut stream);
        stream.write_all(b"\x81\x83\0\0\0\0who").expect("write");
        let mut answer = [0; 19];
        stream.read_exact(&mut answer).expect("an address");
        assert_eq!(&answer, b"\x81\x11203.0.113.9:12345");
    }
    // Without the header there is no connection.
    let mut silent = connect(server.address(), &ONE.others_client(&[]));
    assert!(silent.write_all(&request("/", "")).and_then(|()| read_head(&mut silent)).is_err());
}

#[test]
fn what_cannot_be_encrypted_is_an_error_at_once() {
    let mut event_loop = EventLoop::<Seen>::new(Config::default()).expect("a loop");
    let error = event_loop.connect("wss://localhost/", ClientConfig::default(), Client);
    assert!(matches!(error, Err(Error::Url(UrlError::TlsNotConfigured))));
    assert!(TlsServer::from_pem(b"", b"").is_err());
    assert!(TlsClient::from_pem(b"").is_err());
}

#[test]
fn a_kept_connection_that_makes_room_has_its_answer_and_the_end_of_its_session() {
    let server = serve(Config::default().max_kept_alive(1), with(&ONE));
    let config = ONE.others_client(&[]);
    let mut kept = [(); 2].map(|()| {
        let mut stream = connect(server.address(), &config);
        stream.write_all(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n").expect("write");
        assert!(read_head(&mut stream).expect("a head").starts_with("HTTP/1.1 200 "));
        let mut body = [0; 6];
        stream.read_exact(&mut body).expect("a body");
        assert_eq!(&body, b"a page");
        stream
    });
    // An end without a notice would be an error.
    assert_eq!(kept[0].read(&mut [0; 16]).expect("an end in order"), 0);
    kept[1].write_all(&request("/", "")).expect("write");
    assert!(read_head(&mut kept[1]).expect("a head").starts_with("HTTP/1.1 101 "));
}
