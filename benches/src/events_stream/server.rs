//! The loop: broadcasts to its WebSockets, or to its streams of events.

use std::net::SocketAddr;

use eventwire::{
    Config, Connection, Context, EventLoop, EventStream, Idle, LoopHandle, Message, Publisher,
    Routes, ServerConfig, WebSocketHandler,
};

use super::Kind;
use crate::contestants::connections_max;
use crate::error::Error;
use crate::machine::ThreadCpu;
use crate::worker::Worker;

/// The loop on its thread.
pub(super) struct Server {
    worker: Worker<()>,
    ready: Ready,
}

/// What the thread hands over when it is ready.
struct Ready {
    address: SocketAddr,
    handle: LoopHandle,
    publisher: Publisher<Broadcast>,
    cpu: ThreadCpu,
}

/// Asks for a broadcast to the connections of that kind.
#[derive(Debug)]
struct Broadcast(Kind);

/// Subscribes every WebSocket.
struct Subscribe;

impl WebSocketHandler<()> for Subscribe {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        // If the connection is already gone, the load reports it.
        let _ = conn.topic(Kind::WebSocket.name()).map(|topic| conn.subscribe(topic));
    }

    fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, (): &mut ()) {}
}

impl Server {
    pub(super) fn start(message: String, cpu: Option<usize>) -> Result<Self, Error> {
        let (ready, worker) = Worker::start("server", cpu, move |ready| {
            let config = Config::default().idle(Idle::Block).max_connections(connections_max());
            let mut event_loop = EventLoop::new(config)?;
            let routes = Routes::new()
                .websocket(Kind::WebSocket.path(), ServerConfig::default(), Subscribe)
                .events(Kind::EventStream.path(), EventStream::of(Kind::EventStream.name()));
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
            let address = event_loop.local_addr(listener).expect("the listener is open");
            let web_sockets = event_loop.topic(Kind::WebSocket.name())?;
            let event_streams = event_loop.topic(Kind::EventStream.name())?;
            event_loop.on(move |cx: &mut Context<'_>, asked: &Broadcast, (): &mut ()| {
                let topic = match asked.0 {
                    Kind::WebSocket => web_sockets,
                    Kind::EventStream => event_streams,
                };
                cx.broadcast(topic, message.as_str());
            });
            let (handle, publisher) = (event_loop.handle(), event_loop.publisher());
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send(Ready { address, handle, publisher, cpu: ThreadCpu::current() });
            event_loop.run(&mut ())?;
            Ok(())
        })?;
        Ok(Self { worker, ready })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.ready.address
    }

    /// The CPU time of its thread.
    pub(super) fn cpu(&self) -> &ThreadCpu {
        &self.ready.cpu
    }

    pub(super) fn broadcast(&self, kind: Kind) -> Result<(), Error> {
        let published = self.ready.publisher.publish(Broadcast(kind));
        published.map_err(|_| Error::Events("an event was refused".to_owned()))
    }

    /// Ends the loop and returns its result.
    pub(super) fn stop(self) -> Result<(), Error> {
        self.ready.handle.stop();
        self.worker.join()
    }
}
