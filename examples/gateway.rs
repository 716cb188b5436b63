//! A gateway: fifty upstream connections for any number of clients, in one loop.
//!
//! `cargo run --example gateway -- 127.0.0.1:9001 ws://127.0.0.1:9002` connects to
//! `ws://127.0.0.1:9002/0` up to `/49`, and again whenever such a connection ends. Every client
//! gets all messages of all upstreams, and a count of those that are connected when it sends one.

use std::collections::HashMap;

use eventwire::{
    Backoff, ClientConfig, Config, ConnectError, Connection, Disconnect, EventLoop, LinkId,
    Message, ServerConfig, TopicId, WebSocketHandler,
};

const UPSTREAMS: usize = 50;

#[derive(Default)]
struct Gateway {
    /// The number of each upstream.
    upstreams: HashMap<LinkId, usize>,
    connected: usize,
}

struct Upstream {
    messages: TopicId,
}

impl WebSocketHandler<Gateway> for Upstream {
    fn on_open(&mut self, _: &mut Connection<'_>, gateway: &mut Gateway) {
        gateway.connected += 1;
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, gw: &mut Gateway) {
        let number = conn.link().and_then(|link| gw.upstreams.get(&link));
        if let (Some(number), Some(text)) = (number, message.as_text()) {
            conn.broadcast(self.messages, format!("{number}: {text}"));
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, why: &Disconnect, gateway: &mut Gateway) {
        gateway.connected -= 1;
        eprintln!("an upstream is gone: {why}; next attempt in {:?}", conn.retry_in());
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, why: &ConnectError, _: &mut Gateway) {
        eprintln!("no upstream: {why}; next attempt in {:?}", conn.retry_in());
    }
}

struct Downstream {
    messages: TopicId,
}

impl WebSocketHandler<Gateway> for Downstream {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut Gateway) {
        conn.subscribe(self.messages).expect("it is open, and this is its only topic");
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, _: Message<'_>, gateway: &mut Gateway) {
        conn.send(format!("{} of {UPSTREAMS} upstreams", gateway.connected));
    }
}

fn main() -> Result<(), eventwire::Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let upstream = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:9002".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let (messages, mut gateway) = (event_loop.topic("messages")?, Gateway::default());
    let config = ClientConfig::default().reconnect(Backoff::default());
    let endpoint = event_loop.client_endpoint(config, Upstream { messages })?;
    let mut cx = event_loop.context();
    for number in 0..UPSTREAMS {
        let conn = cx.connect(endpoint, &format!("{upstream}/{number}"))?;
        gateway.upstreams.extend(cx.connection(conn).link().map(|link| (link, number)));
    }
    let listener = event_loop.listen(address, ServerConfig::default(), Downstream { messages })?;
    println!("listening on ws://{}", event_loop.local_addr(listener).expect("it listens"));
    event_loop.run(&mut gateway).map(drop)
}
