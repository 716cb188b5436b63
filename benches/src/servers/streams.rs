//! The engine's raw streams as a server: they forward the bytes of each receive, as the floor does.

use std::collections::HashSet;

use eventwire::{
    CloseCode, Connection, ConnectionId, Disconnect, EventLoop, StreamConfig, StreamHandler,
    TopicId,
};

use super::engine_loop::{TOPIC, engine_config, serve};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    // Idle connections and receivers of broadcasts send nothing.
    let streams = StreamConfig::default().idle_timeout(None);
    let mut event_loop = EventLoop::new(engine_config(config))?;
    let address = config.address.as_str();
    let listener = match config.service {
        Service::Broadcast => {
            let topic = event_loop.topic(TOPIC)?;
            event_loop.listen_stream(address, streams, Broadcast { topic, echoing: HashSet::new() })
        }
        _ => event_loop.listen_stream(address, streams, Echo),
    };
    serve(event_loop, listener, &config.address, ready)
}

/// Echoes all bytes.
struct Echo;

impl StreamHandler<()> for Echo {
    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], (): &mut ()) -> usize {
        conn.send(data);
        data.len()
    }
}

/// Broadcasts all bytes to all connections, or echoes those of a connection whose first ones
/// request that: later ones have no known boundaries.
struct Broadcast {
    topic: TopicId,
    echoing: HashSet<ConnectionId>,
}

impl StreamHandler<()> for Broadcast {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        if conn.subscribe(self.topic).is_err() {
            conn.close(CloseCode::INTERNAL, "");
        }
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], (): &mut ()) -> usize {
        if self.echoing.contains(&conn.id()) || asks_for_echo(data) {
            self.echoing.insert(conn.id());
            conn.unsubscribe(self.topic);
            conn.send(data);
        } else {
            conn.broadcast(self.topic, data);
        }
        data.len()
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, (): &mut ()) {
        self.echoing.remove(&conn.id());
    }
}
