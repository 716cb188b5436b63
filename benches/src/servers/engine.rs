//! The engine as a server: echo and broadcast.

use std::time::Duration;

use eventwire::proto::DeflateConfig;
use eventwire::proto::handshake::OriginPolicy;
use eventwire::{
    CloseCode, Config, Connection, EventLoop, ListenerId, Message, ServerConfig, TopicId,
    WebSocketHandler,
};

use super::{page, resume, socket_io};
use crate::error::Error;
use crate::machine;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};

/// The outbox's soft limit in bytes, above which a peer is not read from: the engine's default.
const OUTBOX_SOFT: usize = 64 * 1024;

/// Queued bytes for one peer besides the longest message: an echo needs room for both.
const OUTBOX_ROOM: usize = 2 * 1024 * 1024;

/// The topic that every connection of the broadcast server subscribes to.
pub(super) const TOPIC: &str = "all";

/// How long peers may take to answer a close frame at shutdown.
const DRAIN: Duration = Duration::from_secs(1);

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    match config.service {
        Service::Echo | Service::Broadcast => serve_messages(config, ready),
        Service::Page => page::handled(config, ready),
        Service::SocketIo => socket_io::serve(config, ready),
        Service::Resume => resume::serve(config, ready),
    }
}

fn serve_messages(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let mut engine =
        Config::default().idle(config.idle.engine()).max_connections(connections_max());
    // Any origin may connect: the server has nothing to protect.
    let mut server = ServerConfig::default().origins(OriginPolicy::Any);
    if let Some(bytes) = config.max_message {
        server = server.max_message(bytes);
        engine = engine.outbox(OUTBOX_SOFT, bytes.saturating_add(OUTBOX_ROOM));
    }
    if config.deflate {
        server = server.deflate(DeflateConfig::default());
    }
    #[cfg(feature = "tls")]
    if config.tls {
        server = server.tls(crate::identity::server()?);
    }
    let mut event_loop = EventLoop::new(engine)?;
    let address = config.address.as_str();
    let listener = match config.service {
        Service::Broadcast => {
            let topic = event_loop.topic(TOPIC)?;
            event_loop.listen(address, server, Broadcast { topic })
        }
        _ => event_loop.listen(address, server, Echo),
    };
    serve(event_loop, listener, address, ready)
}

/// Serves what `listener` accepts until it is stopped.
pub(crate) fn serve(
    mut event_loop: EventLoop<()>,
    listener: Result<ListenerId, eventwire::Error>,
    address: &str,
    ready: ReadyLine,
) -> Result<(), Error> {
    let listener = listener.map_err(|error| match error {
        eventwire::Error::Io { source, .. } => {
            Error::System { what: format!("cannot listen on {address}"), source }
        }
        error => Error::Engine(error),
    })?;
    let address = event_loop.local_addr(listener).expect("the listener is open");
    let handle = event_loop.handle();
    ready.listening(address, Box::new(move || handle.shutdown(DRAIN)));
    event_loop.run(&mut ())?;
    Ok(())
}

/// As many connections as open files are allowed, like the other contestants: a scenario opens up
/// to 100,000 idle ones.
pub(crate) fn connections_max() -> usize {
    const OTHER_FILES: u64 = 64;
    const MOST: u64 = 1 << 20;
    machine::raise_file_limit(0).saturating_sub(OTHER_FILES).clamp(1, MOST) as usize
}

/// Echoes every message.
pub(crate) struct Echo;

impl WebSocketHandler<()> for Echo {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()) {
        conn.send(message);
    }
}

/// Broadcasts every message to all connections, or echoes it if it requests that.
pub(crate) struct Broadcast {
    pub(crate) topic: TopicId,
}

impl WebSocketHandler<()> for Broadcast {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        if conn.subscribe(self.topic).is_err() {
            conn.close(CloseCode::INTERNAL, "cannot subscribe");
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()) {
        let payload = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        };
        if asks_for_echo(payload) {
            conn.unsubscribe(self.topic);
            conn.send(message);
        } else {
            conn.broadcast(self.topic, message);
        }
    }
}
