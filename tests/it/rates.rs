//! Limits of addresses and tags over real sockets. The rates themselves are tested in virtual time
//! (`simulation/rates.rs`): here nothing may come too early, and everything comes in the end.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use eventwire::{
    AddressLimits, CloseCode, Config, Connection, Error, EventLoop, Message, OnExcess, Rate,
    RateLimits, ServerConfig, StreamConfig, StreamHandler, TrustedProxies, on_message,
};

use crate::util::{PATIENCE, Peer, Server, pattern, request};

fn echo(conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    conn.send(message);
}

fn server(limits: impl Into<AddressLimits>) -> Server {
    let config = Config::default().address_limits(limits);
    Server::listen(config, ServerConfig::default(), on_message(echo))
}

#[test]
fn a_second_connection_of_an_address_is_refused_and_one_of_another_address_opens() {
    let server = server(RateLimits::new().connections(1));
    let first = Peer::connect(server.address());
    let (mut refused, head) = Peer::ask(server.address(), "");
    assert!(head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{head}");
    assert_eq!(refused.rest(), "too many connections");
    let other = Peer::open_from([127, 0, 0, 2], server.address()).upgrade();
    drop((first, other));
}

#[test]
fn a_new_connection_beyond_the_rate_learns_when_to_come_back() {
    let server = server(RateLimits::new().new_connections(Rate::per_minute(1)));
    let _first = Peer::connect(server.address());
    let (_, head) = Peer::ask(server.address(), "");
    let wait = head.lines().find_map(|line| line.strip_prefix("Retry-After: "));
    let wait: u64 = wait.expect("the header").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
}

#[test]
fn messages_beyond_the_rate_come_later_and_in_order() {
    const COUNT: usize = 40;
    let started = Instant::now();
    let server = server(RateLimits::new().messages(Rate::per_second(50).burst(10)));
    let mut peer = Peer::connect(server.address());
    let texts: Vec<_> = (0..COUNT).map(|number| number.to_string()).collect();
    let frames: Vec<_> = texts.iter().flat_map(|text| peer.encode_message(&**text)).collect();
    peer.write(&frames);
    for text in &texts {
        peer.expect(&**text);
    }
    // The burst had one for the request and nine of these.
    let least = Duration::from_millis(20) * (COUNT - 9) as u32;
    assert!(started.elapsed() >= least, "{:?}", started.elapsed());
    assert!(server.handle.stats().paused_by_limit > 0);
}

#[test]
fn bytes_beyond_the_rate_come_later_and_whole() {
    const LEN: usize = 300_000;
    let started = Instant::now();
    let server = server(RateLimits::new().bytes(Rate::per_second(1_000_000).burst(50_000)));
    let mut peer = Peer::connect(server.address());
    let payload = pattern(LEN, 1);
    peer.send(&payload[..]);
    peer.expect(&payload[..]);
    assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
}

#[test]
fn beyond_the_rate_a_connection_is_closed_with_a_reason() {
    let limits = RateLimits::new().messages(Rate::per_minute(4)).on_excess(OnExcess::Close);
    let server = server(limits);
    let mut peer = Peer::connect(server.address());
    let frames = peer.encode_message("again").repeat(5);
    peer.write(&frames);
    for _ in 0..3 {
        peer.expect("again");
    }
    assert_eq!(peer.expect_close(CloseCode::POLICY), "too many messages");
    peer.send_close(1008, "");
    peer.expect_end();
    // The turn may not have ended.
    let start = Instant::now();
    while server.handle.stats().closed_by_limit == 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_messages_count_as_they_arrive() {
    use eventwire::{DeflateConfig, Outgoing};

    let limits = RateLimits::new()
        .messages(Rate::per_minute(4))
        .bytes(Rate::per_minute(2_000))
        .on_excess(OnExcess::Close);
    let config = Config::default().address_limits(limits);
    let listen = ServerConfig::default().deflate(DeflateConfig::default());
    let received = |conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
        assert_eq!(message.len(), 8_000);
        conn.send(Outgoing::uncompressed("received"));
    };
    let server = Server::listen(config, listen, on_message(received));
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let mut peer = Peer::open(server.address()).upgrade_with(offer);
    let compressed = compress(&[b'x'; 8_000]);
    assert!(compressed.len() < 100);
    let mut frame = crate::util::frame(true, eventwire::proto::OpCode::Text, &compressed);
    frame[0] |= 0x40;
    peer.write(&frame.repeat(4));
    for _ in 0..3 {
        peer.expect("received");
    }
    assert_eq!(peer.expect_close(CloseCode::POLICY), "too many messages");
}

#[cfg(feature = "deflate")]
fn compress(bytes: &[u8]) -> Vec<u8> {
    use flate2::{Compress, Compression, FlushCompress};

    let mut out = Vec::with_capacity(1_000);
    let mut compress = Compress::new(Compression::default(), false);
    compress.compress_vec(bytes, &mut out, FlushCompress::Sync).expect("room");
    out.truncate(out.len() - 4);
    out
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_the_bytes_within_it_count() {
    use crate::util::{Identity, Target};

    let config = Config::default()
        .address_limits(RateLimits::new().bytes(Rate::per_second(1_000_000).burst(20_000)));
    let listen = ServerConfig::default().tls(Identity::ONE.server());
    let server = Server::listen(config, listen, on_message(echo));
    let target = Target { address: server.address(), secure: true };
    let started = Instant::now();
    let mut peer = Peer::connect(target);
    let payload = pattern(200_000, 2);
    peer.send(&payload[..]);
    peer.expect(&payload[..]);
    assert!(started.elapsed() >= Duration::from_millis(180), "{:?}", started.elapsed());
}

#[test]
fn addresses_of_ipv6_count_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let config = Config::default().address_limits(RateLimits::new().connections(1));
    let server = Server::start(config, |event_loop| {
        let listener = event_loop.listen("[::1]:0", ServerConfig::default(), on_message(echo));
        event_loop.local_addr(listener.expect("listen")).expect("an address")
    });
    let _first = Peer::connect(server.address());
    let (_, head) = Peer::ask(server.address(), "");
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
}

/// A path that is removed with its owner.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> Self {
        let file = format!("eventwire-rates-{name}-{}.sock", std::process::id());
        Self(std::env::temp_dir().join(file))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The status of a response to a request over a Unix socket, and the stream.
fn ask_over(path: &SocketPath, headers: &str) -> (String, UnixStream) {
    use std::io::{Read, Write};

    let mut stream = UnixStream::connect(&path.0).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    stream.write_all(&request("/", headers)).expect("write");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("a response");
    (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
}

#[test]
fn over_a_unix_socket_only_clients_that_a_proxy_names_count() {
    let (path, proxied) = (SocketPath::new("direct"), SocketPath::new("proxied"));
    let paths = (path.0.clone(), proxied.0.clone());
    let config = Config::default().address_limits(RateLimits::new().connections(1));
    let _server = Server::start(config, move |event_loop: &mut EventLoop<()>| {
        let trusted = TrustedProxies::x_forwarded_for([]).unix_sockets();
        let config = ServerConfig::default();
        event_loop.listen_unix(paths.0, config.clone(), on_message(echo)).expect("a path");
        event_loop.listen_unix(paths.1, config.proxies(trusted), on_message(echo)).expect("a path");
    });
    let open: Vec<_> = (0..3).map(|_| ask_over(&path, "")).collect();
    assert!(open.iter().all(|(status, _)| status == "101"));
    let forwarded = |client: &str| ask_over(&proxied, &format!("X-Forwarded-For: {client}\r\n"));
    let clients = ["192.0.2.1", "192.0.2.2", "192.0.2.1"].map(forwarded);
    assert_eq!(clients.each_ref().map(|(status, _)| &**status), ["101", "101", "429"]);
    assert_eq!(ask_over(&proxied, "").0, "101");
}

/// A raw stream that uses everything.
struct Sink;

impl StreamHandler<()> for Sink {
    fn on_data(&mut self, _: &mut Connection<'_>, data: &[u8], _: &mut ()) -> usize {
        data.len()
    }
}

#[test]
fn a_stream_of_the_applications_own_counts_and_is_not_added_beyond_the_limit() {
    let config = Config::default().address_limits(RateLimits::new().connections(1));
    let mut event_loop = EventLoop::new(config).expect("a loop");
    let listener = event_loop.listen_stream("127.0.0.1:0", StreamConfig::default(), Sink);
    let listener = listener.expect("a port");
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    let connect = || {
        let address = elsewhere.local_addr().expect("an address");
        let near = TcpStream::connect(address).expect("connect");
        (near, elsewhere.accept().expect("accept").0)
    };
    let (_one, theirs) = connect();
    event_loop.adopt(listener, theirs).expect("the first");
    let (_two, theirs) = connect();
    let error = event_loop.adopt(listener, theirs).expect_err("the second");
    assert!(matches!(error, Error::ConnectionLimit), "{error}");
    assert_eq!(event_loop.connections(), 1);
}
