//! The engine's own Socket.IO server, with the events that the loads need.

#[cfg(feature = "socketio")]
pub(super) use server::serve;

use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

/// Refuses: this build has no such server.
#[cfg(not(feature = "socketio"))]
pub(super) fn serve(_: &ServiceConfig, _: ReadyLine) -> Result<(), Error> {
    Err(Error::Settings("this build has no Socket.IO: build with --features socketio".to_owned()))
}

#[cfg(feature = "socketio")]
mod server {
    use eventwire::socketio::{Event, Socket, SocketIo, SocketIoConfig, SocketIoHandler};
    use eventwire::{Cors, EventLoop, Routes, ServerConfig};
    use serde_json::{Value, json};

    use super::{Error, ReadyLine, ServiceConfig};
    use crate::servers::engine_loop::{connections_max, engine_config, serve as serve_loop};

    const MAX_PAYLOAD: usize = 3_000_000;
    /// Of sessions, also of those that have sent one request alone. The default is 1,024 of them,
    /// and a storm has more.
    const MAX_SESSIONS: usize = 1_000_000;

    struct Handler;

    impl SocketIoHandler<()> for Handler {
        fn on_connect(&mut self, socket: &mut Socket<'_>, (): &mut ()) {
            let auth: Value = socket.auth().unwrap_or_else(|| json!({}));
            socket.emit("auth", (auth,));
        }

        fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, (): &mut ()) {
            let Event { name, arguments, ack, .. } = event;
            match (name, ack) {
                ("message-with-ack", Some(ack)) => drop(socket.acknowledge(ack, arguments)),
                ("all", _) => drop(socket.everyone().emit("all-event", arguments, socket)),
                _ => {}
            }
        }
    }

    /// Serves until it is stopped.
    pub(in crate::servers) fn serve(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
        let io = SocketIoConfig::default()
            .max_payload(MAX_PAYLOAD)
            .max_sessions(MAX_SESSIONS)
            .max_unconfirmed(MAX_SESSIONS)
            .cors(Cors::any());
        let routes = Routes::new().socket_io("/socket.io/", SocketIo::new(io), Handler);
        // The connections of a storm's clients are idle between two requests.
        let engine = engine_config(config).max_kept_alive(connections_max());
        let mut event_loop = EventLoop::new(engine)?;
        let listener = event_loop.listen(&*config.address, ServerConfig::default(), routes);
        serve_loop(event_loop, listener, &config.address, ready)
    }
}
