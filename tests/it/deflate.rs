//! Messages that are compressed on their way, between two ends of the engine and from raw sockets.

use std::io::Write;
use std::net::TcpListener;

use eventwire::proto::{DeflateConfig, OpCode};
use eventwire::{
    ClientConfig, CloseCode, Config, Connection, ConnectionId, Context, EventLoop, Message,
    Outgoing, PreparedMessage, ServerConfig, TopicId, WebSocketHandler, on_message,
};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::util::{Call, Peer, Recorder, Server, drive_until, pattern, text};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// A message as RFC 7692 §7.2.1 has it compressed.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("into memory");
    encoder.flush().expect("into memory");
    let mut bytes = encoder.get_ref().clone();
    assert_eq!(bytes.split_off(bytes.len() - 4), [0, 0, 0xFF, 0xFF]);
    bytes
}

/// A frame whose message is compressed.
fn encode_compressed(peer: &mut Peer, fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = peer.encode(fin, opcode, payload);
    frame[0] |= 0x40;
    frame
}

fn server(config: DeflateConfig, max_message: usize) -> Server {
    // Answers come as they are, so that a peer without a decompressor can read them.
    let config = config.min_size(usize::MAX);
    let config = ServerConfig::default().deflate(config).max_message(max_message);
    let echo = on_message(|conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()| {
        conn.send(message);
    });
    Server::listen(Config::default(), config, echo)
}

fn offering(server: &Server) -> Peer {
    let (peer, head) = Peer::ask(server.address(), OFFER);
    assert!(head.contains("permessage-deflate; server_no_context_takeover"), "{head}");
    peer
}

#[test]
fn without_an_acceptable_offer_nothing_is_compressed() {
    let server = server(DeflateConfig::default(), 1000);
    for offer in ["", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n"]
    {
        let (mut peer, head) = Peer::ask(server.address(), offer);
        assert!(head.starts_with("HTTP/1.1 101") && !head.contains("Extensions"), "{head}");
        let frame = encode_compressed(&mut peer, true, OpCode::Text, &compressed(b"hello"));
        peer.write(&frame);
        peer.expect_close(CloseCode::PROTOCOL);
        peer.expect_end();
    }
}

#[test]
fn a_malformed_offer_is_refused() {
    let server = server(DeflateConfig::default(), 1000);
    let (_, head) = Peer::ask(server.address(), "Sec-WebSocket-Extensions: a;=\r\n");
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

#[test]
fn compressed_messages_arrive_whole_whatever_pieces_they_come_in() {
    let server = server(DeflateConfig::default(), 1_000_000);
    let mut peer = offering(&server);
    let message = text(100_000);
    let payload = compressed(message.as_bytes());
    for pieces in [1, 2, 7] {
        for (index, piece) in payload.chunks(payload.len().div_ceil(pieces)).enumerate() {
            let fin = (index + 1) * payload.len().div_ceil(pieces) >= payload.len();
            let frame = match index {
                0 => encode_compressed(&mut peer, fin, OpCode::Text, piece),
                _ => peer.encode(fin, OpCode::Continuation, piece),
            };
            // A header of its own, and a ping between the pieces.
            peer.write(&frame[..1]);
            peer.write(&frame[1..]);
            if fin {
                peer.expect(&message);
            }
            peer.send_frame(true, OpCode::Ping, b"between");
            peer.expect_frame(OpCode::Pong, b"between");
        }
    }
    // Others may come as they are.
    peer.send("plain");
    peer.expect("plain");
}

#[test]
fn reserved_bits_that_mean_nothing_are_refused() {
    let server = server(DeflateConfig::default(), 1000);
    for (first, rest) in [
        (0xC9_u8, &[][..]),     // a ping
        (0xA1, &[]),            // RSV2
        (0xF1, &[]),            // all three
        (0xC0, &[]),            // a continuation of nothing
        (0x41, &[0xC0_u8][..]), // a continuation of a compressed message
    ] {
        let mut peer = offering(&server);
        let mut bytes = peer.encode(true, OpCode::Text, b"");
        bytes[0] = first;
        if let Some(second) = rest.first() {
            let mut next = peer.encode(true, OpCode::Text, b"");
            next[0] = *second;
            bytes.extend(next);
        }
        peer.write(&bytes);
        peer.expect_close(CloseCode::PROTOCOL);
        peer.expect_end();
    }
}

#[test]
fn input_that_inflates_beyond_the_limit_ends_only_its_connection() {
    let server = server(DeflateConfig::default(), 100_000);
    let bomb = compressed(&vec![0; 50_000_000]);
    assert!(bomb.len() < 60_000, "{}", bomb.len());
    let mut bystander = offering(&server);
    for pieces in [1, 3] {
        let mut peer = offering(&server);
        for (index, piece) in bomb.chunks(bomb.len().div_ceil(pieces)).enumerate() {
            let fin = index + 1 == pieces;
            let frame = match index {
                0 => encode_compressed(&mut peer, fin, OpCode::Binary, piece),
                _ => peer.encode(fin, OpCode::Continuation, piece),
            };
            peer.write(&frame);
        }
        peer.expect_close(CloseCode::TOO_BIG);
        peer.expect_end();
    }
    bystander.send("still here");
    bystander.expect("still here");
}

#[test]
fn input_that_cannot_be_inflated_ends_its_connection() {
    let server = server(DeflateConfig::default(), 1000);
    for (opcode, payload) in [
        (OpCode::Binary, vec![0xFF; 20]),
        (OpCode::Binary, compressed(b"hello, hello, hello")[..7].to_vec()),
        (OpCode::Text, compressed(b"\xFF")),
    ] {
        let mut peer = offering(&server);
        let frame = encode_compressed(&mut peer, true, opcode, &payload);
        peer.write(&frame);
        peer.expect_close(CloseCode::INVALID_PAYLOAD);
        peer.expect_end();
    }
}

#[test]
fn an_incomplete_message_is_refused_with_and_without_contexts() {
    for contexts in [false, true] {
        let config = DeflateConfig::default().context_takeover(contexts, contexts);
        let server = server(config, 1000);
        // No block at all, whole and in fragments, the last of them empty; codes, a length and a
        // block that are cut.
        for payload in [&[][..], &[0x04], &[0x00, 0x01], &compressed(b"hello, hello, hello")[..7]] {
            for pieces in [1, 2] {
                let (mut peer, head) = Peer::ask(server.address(), OFFER);
                assert!(head.contains("permessage-deflate"), "{head}");
                let first = encode_compressed(&mut peer, true, OpCode::Text, &compressed(b"abc"));
                peer.write(&first);
                peer.expect("abc");
                let mut bytes = encode_compressed(&mut peer, pieces == 1, OpCode::Text, payload);
                if pieces == 2 {
                    bytes.extend(peer.encode(true, OpCode::Continuation, b""));
                }
                peer.write(&bytes);
                peer.expect_close(CloseCode::INVALID_PAYLOAD);
                peer.expect_end();
            }
        }
    }
}

#[test]
fn context_takeover_by_the_server_is_accepted_unless_it_was_refused() {
    let payloads = {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        [(); 2].map(|()| {
            encoder.write_all(b"a message like the one before").expect("into memory");
            encoder.flush().expect("into memory");
            let mut bytes = std::mem::take(encoder.get_mut());
            bytes.truncate(bytes.len() - 4);
            bytes
        })
    };
    assert!(payloads[1].len() < payloads[0].len(), "it does not refer to the first");
    for (config, is_refused) in [
        (DeflateConfig::default(), false),
        (DeflateConfig::default().context_takeover(false, false), true),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let (recorder, log) = Recorder::greeting("hello");
        let _client = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
            let config = ClientConfig::default().deflate(config);
            event_loop.connect(&url, config, recorder).expect("begin to connect")
        });
        let (mut peer, request) = Peer::accept_request(&listener);
        assert!(request.contains("permessage-deflate; server_no_context_takeover"), "{request}");
        peer.answer(&request, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        if is_refused {
            peer.expect_end();
            continue;
        }
        log.open();
        for payload in &payloads {
            let frame = encode_compressed(&mut peer, true, OpCode::Binary, payload);
            peer.write(&frame);
            assert_eq!(log.next(), Call::Message(b"a message like the one before".to_vec()));
        }
    }
}

#[test]
fn many_messages_that_inflate_to_much_arrive_in_order() {
    let server = server(DeflateConfig::default(), 1_000_000);
    let mut peer = offering(&server);
    let mut bytes = Vec::new();
    for number in 0..40_u8 {
        let payload = compressed(&vec![number; 100_000]);
        bytes.extend(encode_compressed(&mut peer, true, OpCode::Binary, &payload));
    }
    assert!(bytes.len() < 64 * 1024, "more than one receive");
    peer.write(&bytes);
    for number in 0..40_u8 {
        peer.expect(&vec![number; 100_000]);
    }
}

// Both ends.

/// What the two ends of one loop have seen.
#[derive(Default)]
struct Seen {
    sent: usize,
    received: usize,
    compressed: usize,
    closed: usize,
}

/// Sends messages of many lengths, each when the one before came back.
struct Asking;

fn message(number: usize) -> Vec<u8> {
    let len = [0, 1, 1023, 1024, 5000, 70_000, 300_000][number % 7];
    if number % 3 == 0 { pattern(len, number) } else { text(len).into_bytes() }
}

const MESSAGES: usize = 21;

impl WebSocketHandler<Seen> for Asking {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        seen.compressed += usize::from(conn.is_compressed());
        conn.send(message(0));
        seen.sent += 1;
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, answer: Message<'_>, seen: &mut Seen) {
        assert!(answer.as_bytes() == message(seen.received), "{}", seen.received);
        seen.received += 1;
        if seen.sent == MESSAGES {
            conn.close(CloseCode::NORMAL, "");
        } else {
            conn.send(message(seen.sent));
            seen.sent += 1;
        }
    }

    fn on_close(
        &mut self,
        _: &mut Connection<'_>,
        reason: &eventwire::Disconnect,
        seen: &mut Seen,
    ) {
        assert!(matches!(reason, eventwire::Disconnect::ClosedByApplication { .. }), "{reason}");
        seen.closed += 1;
    }
}

fn echo(conn: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
    seen.compressed += usize::from(conn.is_compressed());
    conn.send(message);
}

#[test]
fn both_ends_understand_each_other_in_every_setting() {
    let contexts = [(false, false), (true, false), (true, true)];
    let windows = [(15, 15), (9, 12)];
    let settings: Vec<_> = contexts
        .iter()
        .flat_map(|context| windows.iter().map(move |window| (*context, *window)))
        .map(|((send, receive), (to, from))| {
            DeflateConfig::default().context_takeover(send, receive).window_bits(to, from)
        })
        .collect();
    for server in &settings {
        for client in &settings {
            let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
            let config = ServerConfig::default().deflate(*server);
            let listener =
                event_loop.listen("127.0.0.1:0", config, on_message(echo)).expect("a port");
            let url = format!("ws://{}", event_loop.local_addr(listener).expect("an address"));
            let config = ClientConfig::default().deflate(*client);
            event_loop.connect(&url, config, Asking).expect("connecting");
            let mut seen = Seen::default();
            drive_until(&mut event_loop, &mut seen, |_, seen| seen.closed == 1);
            assert_eq!((seen.received, seen.compressed), (MESSAGES, MESSAGES + 1));
            let stats = event_loop.stats();
            let plain: usize = (0..MESSAGES).map(|number| message(number).len()).sum();
            assert!(stats.bytes_sent < plain as u64, "{} of {}", stats.bytes_sent, 2 * plain);
            assert!(stats.messages_compressed > 0);
        }
    }
}

/// Subscribes every connection, and notes it.
struct Broadcasting {
    topic: TopicId,
}

impl WebSocketHandler<Received> for Broadcasting {
    fn on_open(&mut self, conn: &mut Connection<'_>, received: &mut Received) {
        assert_eq!(conn.subscribe(self.topic), Ok(true));
        received.open.push(conn.id());
    }
}

#[derive(Default)]
struct Received {
    open: Vec<ConnectionId>,
    clients: usize,
    /// By the client's number.
    messages: Vec<Vec<Vec<u8>>>,
}

/// A subscriber, by its number.
struct Receiving(usize);

impl WebSocketHandler<Received> for Receiving {
    fn on_message(
        &mut self,
        _: &mut Connection<'_>,
        message: Message<'_>,
        received: &mut Received,
    ) {
        received.messages[self.0].push(message.as_bytes().to_vec());
    }
}

/// Something to be done in a handler of events.
struct Act(fn(TopicId, &Received, &mut Context<'_>));

/// Runs `act` with twelve subscribers of four settings, and returns what each of them receives, and
/// how often something was compressed.
fn received_of(
    act: fn(TopicId, &Received, &mut Context<'_>),
    count: usize,
) -> (Vec<Vec<Vec<u8>>>, u64) {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let topic = event_loop.topic("all").expect("a topic");
    let deflate = DeflateConfig::default().context_takeover(true, true);
    let config = ServerConfig::default().deflate(deflate);
    let listener = event_loop.listen("127.0.0.1:0", config, Broadcasting { topic });
    let address = event_loop.local_addr(listener.expect("a port")).expect("an address");
    event_loop.on(move |cx: &mut Context<'_>, act: &Act, received: &mut Received| {
        (act.0)(topic, received, cx);
    });
    let mut received =
        Received { messages: vec![Vec::new(); 12], clients: 12, ..Received::default() };
    for number in 0..received.clients {
        let config = match number % 4 {
            0 => ClientConfig::default(),
            1 => ClientConfig::default().deflate(DeflateConfig::default()),
            2 => ClientConfig::default().deflate(DeflateConfig::default().window_bits(15, 10)),
            _ => ClientConfig::default().deflate(deflate),
        };
        event_loop.connect(&format!("ws://{address}"), config, Receiving(number)).expect("connect");
    }
    drive_until(&mut event_loop, &mut received, |_, received| {
        received.open.len() == received.clients
    });
    let before = event_loop.stats().messages_compressed;
    assert!(event_loop.publisher().publish(Act(act)).is_ok());
    drive_until(&mut event_loop, &mut received, |_, received| {
        received.messages.iter().all(|messages| messages.len() >= count)
    });
    (received.messages, event_loop.stats().messages_compressed - before)
}

#[test]
fn a_broadcast_is_compressed_once_for_each_setting() {
    let (received, compressions) = received_of(
        |topic, _, cx| {
            cx.broadcast(topic, text(5000));
            cx.broadcast(topic, "short");
            cx.broadcast(topic, text(9000));
        },
        3,
    );
    let all = [text(5000).into_bytes(), b"short".to_vec(), text(9000).into_bytes()];
    assert!(received.iter().all(|messages| messages[..] == all));
    // Two of the three messages, for windows of 15 and of 10 bits.
    assert_eq!(compressions, 4);
}

#[test]
fn a_prepared_message_is_compressed_once_for_each_setting() {
    let (received, compressions) = received_of(
        |_, received, cx| {
            let prepared = PreparedMessage::new(text(5000));
            for conn in &received.open {
                cx.send_to(*conn, &prepared);
            }
        },
        1,
    );
    assert!(received.iter().all(|messages| messages[..] == [text(5000).into_bytes()]));
    assert_eq!(compressions, 2);
}

#[test]
fn uncompressed_messages_keep_their_place() {
    let (received, compressions) = received_of(
        |topic, received, cx| {
            cx.broadcast(topic, text(2000));
            cx.broadcast(topic, Outgoing::uncompressed(&text(3000)));
            cx.broadcast_except(topic, received.open[0], Outgoing::uncompressed(&text(3500)));
            cx.send_to(received.open[0], Outgoing::uncompressed(&text(3500)));
            for conn in &received.open {
                cx.send_to(*conn, Outgoing::uncompressed(&text(4000)));
                cx.send_to(*conn, PreparedMessage::new(Outgoing::uncompressed("a")));
            }
        },
        5,
    );
    let all = [text(2000), text(3000), text(3500), text(4000), "a".into()].map(String::into_bytes);
    for messages in received {
        assert!(messages[..] == all);
    }
    // One message, for windows of 15 and of 10 bits.
    assert_eq!(compressions, 2);
}

/// Several topics, to all of which every connection is subscribed.
fn topics(received: &Received, cx: &mut Context<'_>) -> Vec<TopicId> {
    let names = (0..12).map(|name| cx.topic(&format!("topic {name}")).expect("a topic"));
    let topics: Vec<_> = names.collect();
    for topic in &topics {
        for conn in &received.open {
            assert_eq!(cx.connection(*conn).subscribe(*topic), Ok(true));
        }
    }
    topics
}

#[test]
fn broadcasts_to_several_topics_are_compressed_once_for_each_setting() {
    let (received, compressions) = received_of(
        |_, received, cx| {
            let topics = topics(received, cx);
            for round in 0..3 {
                for (number, topic) in topics.iter().enumerate() {
                    cx.broadcast(*topic, text(2000 + 100 * round + number));
                }
            }
        },
        36,
    );
    for messages in received {
        let lens = (0..3).flat_map(|round| (0..12).map(move |number| 2000 + 100 * round + number));
        assert!(
            messages
                .iter()
                .map(|message| message.to_vec())
                .eq(lens.map(|len| text(len).into_bytes()))
        );
    }
    assert_eq!(compressions, 2 * 36);
}

#[test]
fn broadcasts_among_other_messages_are_compressed_once_for_each_setting() {
    let (received, compressions) = received_of(
        |all, received, cx| {
            let topics = topics(received, cx);
            for round in 0..12 {
                cx.broadcast(all, text(2000 + round));
                cx.broadcast(topics[round], Outgoing::uncompressed(&text(3000 + round)));
                for conn in &received.open {
                    cx.send_to(*conn, Outgoing::uncompressed("between"));
                }
                cx.broadcast_except(topics[0], received.open[round], text(4000 + round));
            }
            for conn in &received.open {
                cx.send_to(*conn, "the end");
            }
        },
        48,
    );
    for messages in received {
        assert_eq!(messages.last().map(Vec::as_slice), Some(&b"the end"[..]));
        assert!(
            messages.iter().all(|message| {
                message.len() < 10 || *message == text(message.len()).into_bytes()
            })
        );
    }
    assert_eq!(compressions, 2 * 24);
}

#[test]
fn prepared_messages_are_compressed_once_for_each_setting_in_whatever_order_they_are_sent() {
    let (received, compressions) = received_of(
        |_, received, cx| {
            let prepared: Vec<_> =
                (0..20).map(|number| PreparedMessage::new(text(2000 + number))).collect();
            for conn in &received.open {
                for message in &prepared {
                    cx.send_to(*conn, message.clone());
                }
            }
        },
        20,
    );
    assert!(received.iter().all(|messages| messages.len() == 20));
    assert_eq!(compressions, 2 * 20);
}

#[test]
fn contexts_survive_shared_compressed_messages() {
    let (received, _) = received_of(
        |topic, received, cx| {
            for round in 0..5 {
                for conn in &received.open {
                    cx.send_to(*conn, text(1500 + round));
                }
                cx.broadcast(topic, text(2500 + round));
            }
        },
        10,
    );
    for messages in received {
        let lens: Vec<_> = messages.iter().map(Vec::len).collect();
        assert_eq!(lens, [1500, 2500, 1501, 2501, 1502, 2502, 1503, 2503, 1504, 2504]);
        assert!(messages.iter().all(|message| *message == text(message.len()).into_bytes()));
    }
}
