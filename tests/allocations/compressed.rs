//! What compression costs: nothing for each connection, unless messages refer to those before.

use std::sync::Arc;

use allocation_counter::measure;
use eventwire::Time;
use eventwire::proto::handshake::{Acceptance, ClientRequest, Key, UpgradeRequest, WsUrl};
use eventwire::proto::{
    BufferPool, DeflateConfig, Event, Handled, Incoming, Limits, MaskKeys, Message, WebSocket,
    Workspace,
};

/// What a context may cost one that sends and one that receives, as
/// `DeflateConfig::context_takeover` says of the largest windows.
const SENDER_MAX: i64 = 384 * 1024;
const RECEIVER_MAX: i64 = 33 * 1024;

/// One end of a connection.
struct End {
    connection: WebSocket,
    out: Vec<u8>,
    mask_keys: MaskKeys,
    now: Time,
}

impl End {
    fn new(connect: impl FnOnce(&mut Workspace<'_>) -> WebSocket, pool: &mut BufferPool) -> Self {
        let (mut out, now) = (Vec::with_capacity(64 * 1024), Time::BEGINNING);
        let mut mask_keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(7));
        let connection =
            connect(&mut Workspace { out: &mut out, mask_keys: &mut mask_keys, pool, now });
        Self { connection, out, mask_keys, now }
    }

    fn with<T>(
        &mut self,
        pool: &mut BufferPool,
        act: impl FnOnce(&mut WebSocket, &mut Workspace<'_>) -> T,
    ) -> T {
        let Self { connection, out, mask_keys, now } = self;
        act(connection, &mut Workspace { out, mask_keys, pool, now: *now })
    }

    /// Sends a message, which the other end is to receive.
    fn send(&mut self, message: &[u8], pool: &mut BufferPool) {
        assert!(self.with(pool, |connection, work| connection.send(message.into(), work)));
        assert!(self.out.len() < message.len() / 2, "it was not compressed");
    }

    fn receive(&mut self, input: &mut Vec<u8>, message: &[u8], pool: &mut BufferPool) {
        self.with(pool, |connection, work| {
            let len = input.len();
            let Handled { consumed: used, event } =
                connection.handle_input(input, work).expect("a message");
            let Some(Event::Message(incoming)) = event else { panic!("a message") };
            assert!(used == len && incoming.message() == Message::Binary(message));
            if let Incoming::Assembled(_, buffer) = incoming {
                work.pool.recycle(buffer);
            }
        });
        input.clear();
    }
}

/// A server's and a client's end that have agreed.
fn pair(config: DeflateConfig, pool: &mut BufferPool) -> (End, End) {
    let limits = Arc::new(Limits::default());
    let asked = ClientRequest::new(WsUrl::parse("ws://a/").expect("a URL")).deflate(config);
    let key = Key::from_nonce(*b"16 random bytes!");
    let mut client =
        End::new(|work| WebSocket::client(asked, key, Arc::clone(&limits), work), pool);
    let mut server = End::new(|work| WebSocket::server(limits, work.now), pool);
    let mut head = std::mem::take(&mut client.out);
    server.with(pool, |connection, work| {
        let Handled { event, .. } = connection.handle_input(&mut head, work).expect("a request");
        let Some(Event::Request(head)) = event else { panic!("a request") };
        let request =
            UpgradeRequest::parse(&head, Limits::default().head_limits()).expect("a request");
        connection.accept(&request, &Acceptance::new().deflate(&config, &request), work);
    });
    client.with(pool, |connection, work| {
        let Handled { event, .. } =
            connection.handle_input(&mut server.out, work).expect("a response");
        assert!(matches!(event, Some(Event::Response(_))) && connection.is_compressed());
        connection.handshake().open(work);
    });
    server.out.clear();
    client.out = Vec::with_capacity(64 * 1024);
    (server, client)
}

/// Bytes that a connection holds which sends messages, and one that receives them.
fn held(config: DeflateConfig, pool: &mut BufferPool) -> (i64, i64) {
    let message = b"all for one and one for all, ".repeat(100);
    let (mut server, mut client) = pair(config, pool);
    let (mut sent, mut received) = (0, 0);
    // More than the largest window.
    for _ in 0..20 {
        sent += measure(|| server.send(&message, pool)).bytes_current;
        received += measure(|| client.receive(&mut server.out, &message, pool)).bytes_current;
    }
    (sent, received)
}

#[test]
fn an_agreement_costs_nothing_and_contexts_cost_their_documented_size() {
    let mut pool = BufferPool::default();
    let plain = DeflateConfig::default();
    // Now there is what all connections share.
    held(plain, &mut pool);
    assert_eq!(held(plain, &mut pool), (0, 0));
    let contexts = plain.context_takeover(true, true);
    let (sender, receiver) = held(contexts, &mut pool);
    let (small_sender, small_receiver) = held(contexts.window_bits(9, 9), &mut pool);
    println!("contexts of 15 bits: {sender} and {receiver} bytes");
    println!("contexts of 9 bits: {small_sender} and {small_receiver} bytes");
    assert!((32 * 1024..=SENDER_MAX).contains(&sender), "{sender}");
    assert!((32 * 1024..=RECEIVER_MAX).contains(&receiver), "{receiver}");
    assert!(small_sender < sender && small_receiver < receiver / 32);
}

#[test]
fn last_blocks_within_a_message_allocate_nothing() {
    for window in [9, 15] {
        let mut pool = BufferPool::default();
        let config = DeflateConfig::default().context_takeover(true, true).window_bits(15, window);
        let (mut server, _client) = pair(config, &mut pool);
        // A masked binary frame that is compressed: empty last blocks.
        let payload = [0x03, 0x00].repeat(1000);
        let frame = [&[0xC2, 0x80 | 126, 0x07, 0xD0, 0, 0, 0, 0][..], &payload].concat();
        for round in 0..3 {
            let mut input = frame.clone();
            let allocations = measure(|| server.receive(&mut input, b"", &mut pool));
            assert!(round == 0 || allocations.count_total == 0, "{allocations:?}");
        }
    }
}
