//! The server under attack: a process of its own, so that what it holds is its alone.

use std::io::Read;
use std::net::SocketAddr;
use std::{env, io, thread};

use eventwire::proto::Limits;
#[cfg(feature = "socketio")]
use eventwire::socketio::{SocketIo, SocketIoConfig};
use eventwire::{
    Config, Connection, EventLoop, LoopHandle, Message, OnPanic, SendStatus, ServerConfig, TopicId,
    WebSocketHandler, on_message,
};

#[cfg(feature = "socketio")]
use super::socketio_peer;

/// Tells the process which profile it serves with.
pub(super) const PROFILE: &str = "EVENTWIRE_HOSTILE_PROFILE";

/// The test by which the process starts.
pub(super) const TEST: &str = "hostile::service::serves_the_hostile_tests";

/// Puts everything over TLS, in the process and in the test that starts it.
pub(super) const OVER_TLS: &str = "EVENTWIRE_HOSTILE_TLS";

/// How the server is set up.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) config: Config,
    pub(super) server: ServerConfig,
    /// Descriptors that the process may have.
    pub(super) descriptors: usize,
    /// Serves clients of Socket.IO, too.
    #[cfg(feature = "socketio")]
    pub(super) socket_io: Option<SocketIoConfig>,
}

impl Profile {
    pub(super) const fn new(config: Config, server: ServerConfig) -> Self {
        Self {
            config,
            server,
            descriptors: 8192,
            #[cfg(feature = "socketio")]
            socket_io: None,
        }
    }

    #[cfg(feature = "socketio")]
    pub(super) fn socket_io(mut self, config: SocketIoConfig) -> Self {
        self.socket_io = Some(config);
        self
    }

    pub(super) const fn descriptors(mut self, count: usize) -> Self {
        self.descriptors = count;
        self
    }
}

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    /// Echoes every message.
    pub(super) echo: SocketAddr,
    /// Subscribes every connection to the broadcasts.
    pub(super) feed: SocketAddr,
    /// Answers questions, and broadcasts.
    pub(super) control: SocketAddr,
    /// Serves clients of Socket.IO, if the profile says so.
    #[cfg(feature = "socketio")]
    pub(super) socket_io: Option<SocketAddr>,
}

impl Addresses {
    const MARK: &str = "listening on ";

    /// Reads them from a line that the process prints, if it is that line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (_, list) = line.split_once(Self::MARK)?;
        let mut addresses = list.split_whitespace().map_while(|word| word.parse().ok());
        Some(Self {
            echo: addresses.next()?,
            feed: addresses.next()?,
            control: addresses.next()?,
            #[cfg(feature = "socketio")]
            socket_io: addresses.next(),
        })
    }
}

/// Subscribes every connection.
struct Feed(TopicId);

impl WebSocketHandler<()> for Feed {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        assert_eq!(conn.subscribe(self.0), Ok(true));
    }
}

/// Answers `stats` with them, and `COUNT LEN` with how many of such broadcasts were taken.
struct Control {
    feed: TopicId,
    handle: LoopHandle,
    #[cfg(feature = "socketio")]
    io: Option<SocketIo>,
}

impl WebSocketHandler<()> for Control {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        let answer = match message.as_text().and_then(|text| text.split_once(' ')) {
            None => self.stats(conn),
            Some((count, len)) => {
                let count: usize = count.parse().expect("a count");
                let payload = vec![0; len.parse().expect("a length")];
                let taken = |_: &usize| conn.broadcast(self.feed, &payload) != SendStatus::Dropped;
                (0..count).filter(taken).count().to_string()
            }
        };
        conn.send(&answer);
    }
}

impl Control {
    #[cfg(not(feature = "socketio"))]
    fn stats(&self, _: &mut Connection<'_>) -> String {
        stats(&self.handle)
    }

    #[cfg(feature = "socketio")]
    fn stats(&self, conn: &mut Connection<'_>) -> String {
        let further = self.io.as_ref().map(|io| socketio_peer::stats(io, conn));
        stats(&self.handle) + &further.unwrap_or_default()
    }
}

fn stats(handle: &LoopHandle) -> String {
    let stats = handle.stats();
    let numbers = [
        ("connections", stats.connections),
        ("opened", stats.opened),
        ("not_opened", stats.not_opened),
        ("by_application", stats.closed_by_application),
        ("by_peer", stats.closed_by_peer),
        ("by_failure", stats.closed_by_failure),
        ("by_overflow", stats.closed_by_overflow),
        ("by_memory_pressure", stats.closed_by_memory_pressure),
        ("by_protocol", stats.closed_by_protocol),
        ("by_timeout", stats.closed_by_timeout),
        ("by_limit", stats.closed_by_limit),
        ("refused_by_limit", stats.refused_by_limit),
        ("paused_by_limit", stats.paused_by_limit),
        ("limited_addresses", stats.limited_addresses),
        ("messages_received", stats.messages_received),
        ("bytes_received", stats.bytes_received),
        ("inbound_bytes", stats.inbound_bytes),
        ("outbound_bytes", stats.outbound_bytes),
        ("turns", stats.turns),
    ];
    numbers.map(|(name, number)| format!("{name}={number}")).join(" ")
}

/// The same with TLS, if everything is to be done over it.
fn secured(server: ServerConfig) -> ServerConfig {
    #[cfg(feature = "tls")]
    if env::var_os(OVER_TLS).is_some() {
        return server.tls(crate::util::Identity::ONE.server());
    }
    server
}

fn serve(profile: Profile) {
    // A fault in a handler must not look like a peer that was turned away.
    let config = profile.config.on_panic(OnPanic::Propagate);
    let mut event_loop = EventLoop::new(config).expect("make a loop");
    let topic = event_loop.topic("feed").expect("a topic");
    let handle = event_loop.handle();
    let mut addresses = String::new();
    let echo = on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
        conn.send(message);
    });
    #[cfg(feature = "socketio")]
    let io = profile.socket_io.map(SocketIo::new);
    let control = Control {
        feed: topic,
        handle: handle.clone(),
        #[cfg(feature = "socketio")]
        io: io.clone(),
    };
    // The control connection is not pinged.
    let quiet = ServerConfig::default().limits(Limits::default().ping_interval(None));
    let server = secured(profile.server);
    let listeners = [
        event_loop.listen("127.0.0.1:0", server.clone(), echo),
        event_loop.listen("127.0.0.1:0", server.clone(), Feed(topic)),
        event_loop.listen("127.0.0.1:0", quiet, control),
    ];
    #[cfg(feature = "socketio")]
    let socket_io =
        io.map(|io| event_loop.listen("127.0.0.1:0", server, socketio_peer::routes(io)));
    #[cfg(feature = "socketio")]
    let listeners = listeners.into_iter().chain(socket_io);
    for listener in listeners {
        let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
        addresses.push_str(&format!("{address} "));
    }
    println!("{}{addresses}", Addresses::MARK);
    // It ends with its owner, however that ends.
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        handle.stop();
    });
    event_loop.run(&mut ()).expect("run the loop");
}

/// No test by itself: the others start this program again, with the name of a profile, and have
/// this one run.
#[test]
fn serves_the_hostile_tests() {
    if let Ok(name) = env::var(PROFILE) {
        serve(super::profile(&name));
    }
}
