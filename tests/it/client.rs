//! Connections that this program makes.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId, Context, Error,
    EventLoop, Message, OnPanic, ServerConfig, WebSocketHandler, on_message,
};
use socket2::{Domain, Socket, Type};

use crate::util::{Call, Log, PATIENCE, Peer, Recorder, Server, drive_until, looping, pattern};

/// A loop that connects to `url` and says hello there.
fn connecting(url: String, config: ClientConfig) -> (Server<ConnectionId>, Log) {
    let (recorder, log) = Recorder::greeting("hello");
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        event_loop.connect(&url, config, recorder).expect("begin to connect")
    });
    (server, log)
}

/// The same, to a listener of the test's.
fn connecting_to(listener: &TcpListener, config: ClientConfig) -> (Server<ConnectionId>, Log) {
    connecting(format!("ws://{}/path?query", address_of(listener)), config)
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("listen on a free port")
}

/// An address without a listener, and what keeps it so.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("bind to a free port");
    let address = socket.local_addr().expect("an address");
    (socket, address.as_socket().expect("an address of the internet"))
}

// Connections that open.

#[test]
fn a_client_talks_to_a_server_of_the_same_loop() {
    let (server_side, served) = Recorder::new();
    let (mut event_loop, address) = looping(Config::default(), server_side);
    let (client_side, log) = Recorder::greeting("hello");
    let url = format!("ws://{address}");
    let conn = event_loop.connect(&url, ClientConfig::default(), client_side).unwrap();
    let mut calls = Vec::new();
    drive_until(&mut event_loop, &mut (), |_, ()| {
        calls.extend(log.try_next());
        calls.len() == 2
    });
    assert_eq!(calls, [Call::Open(conn), Call::Message(b"hello".to_vec())]);
    assert_ne!(served.open(), conn);
    assert_eq!(served.next(), Call::Message(b"hello".to_vec()));
    assert_eq!(event_loop.connections(), 2);
}

#[test]
fn a_client_talks_to_a_server_of_another_loop() {
    let (recorder, served) = Recorder::new();
    let server = Server::with(recorder);
    let (client, log) = connecting(format!("ws://{}", server.address()), ClientConfig::default());
    assert_eq!(log.open(), client.ready);
    assert_eq!(log.next(), Call::Message(b"hello".to_vec()));
    served.open();
    assert_eq!(served.next(), Call::Message(b"hello".to_vec()));
    drop(client);
    assert_eq!(log.close(), "ClosedByApplication(1001)");
    assert_eq!(served.close(), "ClosedByPeer(Some(1001), \"\")");
}

/// Sends messages of these lengths one after the other, each when the one before has come back.
struct Lengths {
    left: Vec<usize>,
}

impl Lengths {
    fn send(&self, conn: ConnectionId, cx: &mut Context<'_>) {
        if let Some(&len) = self.left.last() {
            cx.send_to(conn, pattern(len, len));
        } else {
            cx.connection(conn).close(CloseCode::NORMAL, "");
        }
    }
}

impl WebSocketHandler<()> for Lengths {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        self.send(conn.id(), conn);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        let len = self.left.pop().expect("one answer for each message");
        assert!(message.as_bytes() == pattern(len, len), "{len}");
        self.send(conn.id(), conn);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, why: &eventwire::Disconnect, _: &mut ()) {
        let code = CloseCode::NORMAL;
        assert_eq!(why.to_string(), format!("closed by the application: {code}"));
        assert!(self.left.is_empty());
        conn.stop();
    }
}

#[test]
fn messages_of_every_form_go_both_ways() {
    let server = Server::echo();
    let url = format!("ws://{}", server.address());
    let mut event_loop = EventLoop::new(Config::default().on_panic(OnPanic::Propagate)).unwrap();
    let left = vec![0, 1, 125, 126, 5_000, 65_535, 65_536, 300_000, 1024 * 1024];
    event_loop.connect(&url, ClientConfig::default(), Lengths { left }).unwrap();
    event_loop.run(&mut ()).unwrap();
}

#[test]
fn the_request_says_what_was_configured() {
    let listener = listener();
    let config = ClientConfig::default()
        .subprotocols(["chat.v2", "chat.v1"])
        .header("Authorization", "Bearer abc")
        .origin("https://example.com");
    let (_client, log) = connecting_to(&listener, config);
    let (mut peer, request) = Peer::accept_request(&listener);
    assert!(request.starts_with("GET /path?query HTTP/1.1\r\n"), "{request}");
    for line in [
        &format!("Host: {}", address_of(&listener)),
        "Sec-WebSocket-Protocol: chat.v2, chat.v1",
        "Authorization: Bearer abc",
        "Origin: https://example.com",
        "Sec-WebSocket-Version: 13",
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line}: {request}");
    }
    peer.answer(&request, "Sec-WebSocket-Protocol: chat.v1\r\n");
    peer.expect("hello");
    log.open();
}

#[test]
fn the_answer_may_come_in_pieces_and_messages_with_it() {
    let listener = listener();
    let (_client, log) = connecting_to(&listener, ClientConfig::default());
    let (mut peer, request) = Peer::accept_request(&listener);
    let mut answer = Peer::acceptance(&request, "");
    answer.extend(peer.encode_message("one"));
    answer.extend(peer.encode_message("two"));
    let (pieces, rest) = answer.split_at(100);
    for byte in pieces {
        peer.write(&[*byte]);
    }
    peer.write(rest);
    log.open();
    assert_eq!(log.next(), Call::Message(b"one".to_vec()));
    assert_eq!(log.next(), Call::Message(b"two".to_vec()));
    peer.expect("hello");
}

#[test]
fn interim_responses_and_body_headers_do_not_prevent_the_opening() {
    for (before, headers) in [
        ("HTTP/1.1 100 Continue\r\n\r\n", ""),
        ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "Transfer-Encoding: chunked\r\n"),
        ("HTTP/1.1 102 \r\n\r\nHTTP/1.1 103 \r\n\r\n", "Content-Length: 5\r\n"),
    ] {
        let listener = listener();
        let (_client, log) = connecting_to(&listener, ClientConfig::default());
        let (mut peer, request) = Peer::accept_request(&listener);
        peer.write(before.as_bytes());
        peer.answer(&request, headers);
        peer.send("hello, too");
        peer.expect("hello");
        log.open();
        assert_eq!(log.next(), Call::Message(b"hello, too".to_vec()));
    }
}

#[test]
fn every_connection_sends_its_own_key() {
    let listener = listener();
    let keys: HashSet<_> = (0..5)
        .map(|_| {
            let (_client, _log) = connecting_to(&listener, ClientConfig::default());
            let (_, request) = Peer::accept_request(&listener);
            let key = request.lines().find(|line| line.starts_with("Sec-WebSocket-Key: "));
            key.expect("a key").to_owned()
        })
        .collect();
    assert_eq!(keys.len(), 5);
}

#[test]
fn every_frame_has_its_own_mask_key() {
    let listener = listener();
    let server = Server::start(Config::default(), {
        let url = format!("ws://{}", address_of(&listener));
        move |event_loop: &mut EventLoop<()>| {
            let handler = on_message(|conn: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {
                conn.send("the same");
                conn.ping(b"ping");
            });
            event_loop.connect(&url, ClientConfig::default(), handler).expect("begin to connect");
        }
    });
    let mut peer = Peer::accept(&listener);
    let mut keys = HashSet::new();
    for _ in 0..50 {
        peer.send("go");
        peer.send_frame(true, OpCode::Ping, b"alive?");
        let frames = [peer.frame(), peer.frame(), peer.frame()];
        for (frame, opcode) in frames.iter().zip([OpCode::Text, OpCode::Ping, OpCode::Pong]) {
            assert_eq!(frame.opcode, opcode);
            keys.insert(frame.mask.expect("a client masks"));
        }
        assert_eq!(frames[0].payload, b"the same");
        assert_eq!(frames[2].payload, b"alive?");
    }
    server.handle.stop();
    keys.insert(peer.frame().mask.expect("a client masks"));
    // Of 151 keys of 32 random bits two are the same once in 380,000 runs.
    assert!(keys.len() >= 150, "{} of 151 keys differ", keys.len());
}

#[test]
fn a_server_that_masks_is_closed_with_a_protocol_error() {
    let listener = listener();
    let (_client, log) = connecting_to(&listener, ClientConfig::default());
    let mut peer = Peer::accept(&listener);
    peer.expect("hello");
    peer.write(b"\x81\x81\0\0\0\0x");
    peer.expect_close(CloseCode::PROTOCOL);
    log.open();
    assert_eq!(log.close(), "Protocol(MaskedFrame)");
}

#[test]
fn the_servers_close_is_answered() {
    let listener = listener();
    let (_client, log) = connecting_to(&listener, ClientConfig::default());
    let mut peer = Peer::accept(&listener);
    peer.expect("hello");
    peer.send_close(1001, "bye");
    peer.expect_close(CloseCode::GOING_AWAY);
    log.open();
    assert_eq!(log.close(), "ClosedByPeer(Some(1001), \"bye\")");
}

// Addresses.

#[test]
fn localhost_is_this_machine_whichever_family_it_listens_on() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        // A machine without one of the families has nothing to test there.
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let url = format!("ws://localhost:{}", address_of(&listener).port());
        let (_client, log) = connecting(url, ClientConfig::default());
        Peer::accept(&listener).expect("hello");
        log.open();
    }
}

#[test]
fn addresses_are_tried_in_turn_until_one_answers() {
    let (_socket, refusing) = refusing();
    let (first, second) = (listener(), listener());
    let config = ClientConfig::default()
        .address(refusing)
        .address(refusing)
        .address(address_of(&first))
        .address(address_of(&second));
    let (_client, log) = connecting("ws://nobody.invalid/".to_owned(), config);
    let (mut peer, request) = Peer::accept_request(&first);
    assert!(request.contains("\r\nHost: nobody.invalid\r\n"), "{request}");
    peer.answer(&request, "");
    peer.expect("hello");
    log.open();
    second.set_nonblocking(true).unwrap();
    assert!(second.accept().is_err(), "nobody comes here");
}

/// An address that never answers, and what keeps it so: the queue of its listener is full, so that
/// the system drops connections beyond it.
fn silent() -> (SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let listener = socket();
    let any: SocketAddr = ([127, 0, 0, 2], 0).into();
    listener.bind(&any.into()).expect("bind to a free port");
    listener.listen(0).expect("listen");
    let address = listener.local_addr().expect("an address");
    let mut sockets = vec![listener];
    // Within the machine, a connection that is not made at once is one that was dropped.
    loop {
        let client = socket();
        client.set_nonblocking(true).expect("set O_NONBLOCK");
        // In progress, or made.
        let _ = client.connect(&address);
        let is_made = client.peer_addr().is_ok();
        sockets.push(client);
        if !is_made {
            return (address.as_socket().expect("an address of the internet"), sockets);
        }
    }
}

#[test]
fn a_silent_address_does_not_block_the_next_one() {
    let (silent, _sockets) = silent();
    let listener = listener();
    for addresses in [&[silent][..], &[silent, silent, silent]] {
        let config = ClientConfig::default().connect_timeout(PATIENCE);
        let config = addresses.iter().fold(config, |config, silent| config.address(*silent));
        let config = config.address(address_of(&listener));
        let (client, log) = connecting("ws://nobody.invalid/".to_owned(), config);
        Peer::accept(&listener).expect("hello");
        assert_eq!(log.open(), client.ready);
    }
}

#[test]
fn attempts_that_go_on_are_closed_with_their_connection() {
    let (silent, _sockets) = silent();
    let config = ClientConfig::default().connect_timeout(Duration::from_millis(600));
    let config = config.address(silent).address(silent);
    let (recorder, log) = Recorder::new();
    let mut event_loop = EventLoop::<()>::new(Config::default()).unwrap();
    event_loop.connect("ws://nobody.invalid/", config, recorder).unwrap();
    drive_until(&mut event_loop, &mut (), |event_loop, ()| event_loop.connections() == 0);
    assert_eq!(log.connect_error(), "TimedOut");
}

#[test]
fn a_name_that_does_not_resolve_is_a_connect_error() {
    let config = ClientConfig::default().connect_timeout(Duration::from_secs(20));
    let (_client, log) = connecting("ws://nonexistent.invalid".to_owned(), config);
    let error = log.connect_error();
    // A resolver whose servers do not answer may take longer than the timeout.
    assert!(error.starts_with("Io(") || error == "TimedOut", "{error}");
}

// Connections that do not open.

#[test]
fn a_refused_connection_is_a_connect_error() {
    let (_socket, address) = refusing();
    let (client, log) = connecting(format!("ws://{address}"), ClientConfig::default());
    assert_eq!(log.connect_error(), "Io(ConnectionRefused)");
    drop(client);
    assert_eq!(log.rest(), []);
}

#[test]
fn an_answer_that_does_not_open_is_a_connect_error() {
    let listener = listener();
    let wrong_accept = |request: &str| {
        let answer = String::from_utf8(Peer::acceptance(request, "")).expect("UTF-8");
        answer.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x")
    };
    let unasked = |request: &str| {
        let answer = Peer::acceptance(request, "Sec-WebSocket-Protocol: unasked\r\n");
        String::from_utf8(answer).expect("UTF-8")
    };
    let missing = |_: &str| "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".to_owned();
    let moved = |_: &str| {
        "HTTP/1.1 301 Moved\r\nLocation: ws://example.com\r\nContent-Length: 0\r\n\r\n".to_owned()
    };
    let other = |_: &str| "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned();
    type Answer<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(Answer<'_>, &str); 5] = [
        (&missing, "Refused(404)"),
        (&moved, "Refused(301)"),
        (&wrong_accept, "Handshake(WrongAccept)"),
        (&unasked, "Handshake(UnaskedSubprotocol)"),
        (&other, "Handshake(Http(InvalidStartLine))"),
    ];
    for (answer, expected) in cases {
        let (_client, log) = connecting_to(&listener, ClientConfig::default());
        let (mut peer, request) = Peer::accept_request(&listener);
        peer.write(answer(&request).as_bytes());
        assert_eq!(log.connect_error(), expected);
        peer.expect_end();
    }
}

#[test]
fn a_server_that_hangs_up_is_a_connect_error() {
    let listener = listener();
    let (_client, log) = connecting_to(&listener, ClientConfig::default());
    let (peer, _) = Peer::accept_request(&listener);
    drop(peer);
    assert_eq!(log.connect_error(), "Handshake(ConnectionEnded)");
    let (_client, log) = connecting_to(&listener, ClientConfig::default());
    let (peer, _) = Peer::accept_request(&listener);
    peer.reset();
    assert_eq!(log.connect_error(), "Io(ConnectionReset)");
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    let listener = listener();
    let config = ClientConfig::default().connect_timeout(Duration::from_millis(200));
    let (client, log) = connecting_to(&listener, config);
    let (mut peer, _) = Peer::accept_request(&listener);
    assert_eq!(log.connect_error(), "TimedOut");
    peer.expect_end();
    drop(client);
    assert_eq!(log.rest(), []);
}

#[test]
fn stopping_cancels_connections_that_are_still_opening() {
    let listener = listener();
    let (client, log) = connecting_to(&listener, ClientConfig::default());
    let (_peer, _) = Peer::accept_request(&listener);
    drop(client);
    assert_eq!(log.rest(), [Call::ConnectError("Cancelled".to_owned())]);
}

/// Closes the connection that is being made, and notes how that ends.
#[derive(Default)]
struct Cancelling {
    making: Option<ConnectionId>,
    ends: Vec<String>,
}

struct Canceller;

impl WebSocketHandler<Cancelling> for Canceller {
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut Cancelling) {
        let making = state.making.expect("a connection is being made");
        assert!(!conn.connection(making).is_open());
        assert!(conn.connection(making).close(CloseCode::NORMAL, ""));
        assert!(!conn.connection(making).close(CloseCode::NORMAL, ""));
    }

    fn on_connect_error(
        &mut self,
        conn: &mut Connection<'_>,
        error: &ConnectError,
        state: &mut Cancelling,
    ) {
        assert_eq!(Some(conn.id()), state.making);
        state.ends.push(format!("{error:?}"));
    }
}

#[test]
fn a_connection_may_be_closed_before_it_is_open() {
    let listener = listener();
    let (mut event_loop, address) = looping(Config::default(), Canceller);
    let url = format!("ws://{}", address_of(&listener));
    let making = event_loop.connect(&url, ClientConfig::default(), Canceller).unwrap();
    let mut state = Cancelling { making: Some(making), ends: Vec::new() };
    let peer = crate::util::drive(&mut event_loop, &mut state, || Peer::connect(address));
    drive_until(&mut event_loop, &mut state, |_, state| !state.ends.is_empty());
    drop(peer);
    drive_until(&mut event_loop, &mut state, |event_loop, _| event_loop.connections() == 0);
    assert_eq!(state.ends, ["Cancelled"]);
}

// What the caller asked for and cannot have.

#[test]
fn an_impossible_request_fails_at_once() {
    let ignore = on_message(|_: &mut Connection<'_>, _: Message<'_>, _: &mut ()| {});
    let mut event_loop = EventLoop::new(Config::default().max_connections(1)).unwrap();
    let mut connect = |url: &str, config| event_loop.connect(url, config, ignore);
    for url in ["", "http://localhost", "wss://localhost", "ws://", "ws://a b/", "ws://a/#part"] {
        assert!(matches!(connect(url, ClientConfig::default()), Err(Error::Url(_))), "{url}");
    }
    let good = "ws://127.0.0.1:9";
    for config in [
        ClientConfig::default().header("Bad name", "value"),
        ClientConfig::default().header("Name", "bad\r\nvalue"),
        ClientConfig::default().header("Host", "elsewhere"),
        ClientConfig::default().subprotocols(["no token"]),
        ClientConfig::default().subprotocols(["twice", "twice"]),
        ClientConfig::default().origin("no origin"),
    ] {
        assert!(matches!(connect(good, config.clone()), Err(Error::Header(_))), "{config:?}");
    }
    assert!(connect(good, ClientConfig::default()).is_ok());
    assert!(matches!(connect(good, ClientConfig::default()), Err(Error::ConnectionLimit)));
}

#[test]
fn many_clients_and_their_server_share_one_loop() {
    let mut event_loop = EventLoop::<usize>::new(Config::default()).unwrap();
    let echo = on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut usize| {
        conn.send(message);
    });
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), echo).unwrap();
    let url = format!("ws://{}", event_loop.local_addr(listener).unwrap());
    struct Once;
    impl WebSocketHandler<usize> for Once {
        fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut usize) {
            conn.send("once");
        }
        fn on_message(
            &mut self,
            conn: &mut Connection<'_>,
            message: Message<'_>,
            answered: &mut usize,
        ) {
            assert_eq!(message, Message::Text("once"));
            *answered += 1;
            conn.close(CloseCode::NORMAL, "");
        }
    }
    for _ in 0..200 {
        event_loop.connect(&url, ClientConfig::default(), Once).unwrap();
    }
    let mut answered = 0;
    drive_until(&mut event_loop, &mut answered, |event_loop, _| event_loop.connections() == 0);
    assert_eq!(answered, 200);
}
