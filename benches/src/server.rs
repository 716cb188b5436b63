//! The engine as a server: echo and broadcast.
//!
//! The only file that uses the engine's event loop.

use eventwire::{
    Config, ConnectionId, Context, EventLoop, Idle, Message, ServerConfig, TopicId,
    WebSocketHandler,
};

use crate::error::Error;
use crate::idle::{IdleMode, SPIN_MAX};
use crate::service::{ReadyLine, Service, ServiceConfig};

/// The one topic that every connection of the broadcast server is in.
const TOPIC: &str = "all";

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let idle = match config.idle {
        IdleMode::Block => Idle::Block,
        IdleMode::Adaptive => Idle::Adaptive { spin_max: SPIN_MAX },
        IdleMode::Busy => Idle::Busy,
    };
    let mut event_loop = EventLoop::new(Config::default().idle(idle))
        .map_err(Error::engine("cannot start the event loop"))?;
    let mut server = ServerConfig::default();
    if let Some(bytes) = config.max_message {
        server = server.max_message(bytes);
    }
    let address = config.address.as_str();
    let listener = match config.service {
        Service::Echo => event_loop.listen(address, server, Echo),
        Service::Broadcast => event_loop.listen(address, server, Broadcast { topic: None }),
    };
    let cannot_listen = format!("cannot listen on {address}");
    let listener = listener.map_err(Error::engine(cannot_listen.as_str()))?;
    let address = event_loop
        .local_addr(listener)
        .ok_or_else(|| Error::engine(cannot_listen)("the listener has no address"))?;
    let handle = event_loop.handle();
    ready.listening(address, Box::new(move || handle.stop()));
    event_loop
        .run(&mut ())
        .map_err(Error::engine("the event loop failed"))
}

/// Sends every message back.
struct Echo;

impl WebSocketHandler<()> for Echo {
    fn on_message(
        &mut self,
        conn: ConnectionId,
        message: Message<'_>,
        cx: &mut Context<'_>,
        (): &mut (),
    ) {
        cx.send(conn, message);
    }
}

/// Sends every message to all connections.
struct Broadcast {
    /// Looked up once, when the first connection opens.
    topic: Option<TopicId>,
}

impl WebSocketHandler<()> for Broadcast {
    fn on_open(&mut self, conn: ConnectionId, cx: &mut Context<'_>, (): &mut ()) {
        if self.topic.is_none() {
            self.topic = cx.topic(TOPIC).ok();
        }
        if let Some(topic) = self.topic {
            cx.subscribe(conn, topic);
        }
    }

    fn on_message(
        &mut self,
        _: ConnectionId,
        message: Message<'_>,
        cx: &mut Context<'_>,
        (): &mut (),
    ) {
        if let Some(topic) = self.topic {
            cx.broadcast(topic, message);
        }
    }
}
