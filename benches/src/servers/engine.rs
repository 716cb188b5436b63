//! The engine as a server: echo and broadcast.

use eventwire::proto::DeflateConfig;
use eventwire::proto::handshake::OriginPolicy;
use eventwire::{
    CloseCode, Connection, EventLoop, Message, ServerConfig, TopicId, WebSocketHandler,
};

use super::engine_loop::{TOPIC, engine_config, serve};
use super::{page, resume, socket_io};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};

/// The outbox's soft limit in bytes, above which a peer is not read from: the engine's default.
const OUTBOX_SOFT: usize = 64 * 1024;

/// Queued bytes for one peer besides the longest message: an echo needs room for both.
const OUTBOX_ROOM: usize = 2 * 1024 * 1024;

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    match config.service {
        Service::Echo | Service::Broadcast => serve_messages(config, ready),
        Service::Page => page::handled(config, ready),
        Service::SocketIo => socket_io::serve(config, ready),
        Service::Resume => resume::run(config, ready),
    }
}

fn serve_messages(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let mut engine = engine_config(config);
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
    serve(event_loop, listener, &config.address, ready)
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
