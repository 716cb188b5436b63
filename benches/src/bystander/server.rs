//! A loop that echoes on one port, and broadcasts to the clients of another port.

use eventwire::{Config, Context, EventLoop, ListenerId, LoopHandle, Publisher, ServerConfig};

use crate::contestants::{Broadcast, Echo};
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Stamp, Target, Wire, pattern};
use crate::machine::ThreadCpu;
use crate::worker::Worker;

/// The loop on its thread.
#[derive(Debug)]
pub(crate) struct Server {
    worker: Worker<()>,
    handle: LoopHandle,
}

/// What the load needs to use the server.
#[derive(Debug)]
pub(crate) struct Access {
    /// The bystander's port.
    pub(crate) echo: Target,
    /// The subscribers' port.
    pub(crate) crowd: Target,
    /// Requests broadcasts with a given stamp.
    pub(crate) shouts: Publisher<Stamp>,
    pub(crate) cpu: ThreadCpu,
}

impl Server {
    pub(crate) fn start(
        size: usize,
        idle: IdleMode,
        cpu: Option<usize>,
    ) -> Result<(Self, Access), Error> {
        let ((access, handle), worker) = Worker::start("server", cpu, move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(idle.engine()))?;
            let topic = event_loop.topic("crowd")?;
            let config = ServerConfig::default();
            let echo = event_loop.listen("127.0.0.1:0", config.clone(), Echo)?;
            let crowd = event_loop.listen("127.0.0.1:0", config, Broadcast { topic })?;
            let mut payload = pattern(size);
            event_loop.on(move |cx: &mut Context<'_>, shout: &Stamp, (): &mut ()| {
                payload[..Stamp::LEN].copy_from_slice(&shout.to_bits().to_le_bytes());
                // A dropped broadcast is noticed at the end.
                cx.broadcast(topic, payload.as_slice());
            });
            let (echo, crowd) = (target(&event_loop, echo), target(&event_loop, crowd));
            let (shouts, cpu) = (event_loop.publisher(), ThreadCpu::current());
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send((Access { echo, crowd, shouts, cpu }, event_loop.handle()));
            event_loop.run(&mut ())?;
            Ok(())
        })?;
        Ok((Self { worker, handle }, access))
    }

    /// Ends the loop and returns its result.
    pub(crate) fn stop(self) -> Result<(), Error> {
        self.handle.stop();
        self.worker.join()
    }
}

fn target(event_loop: &EventLoop<()>, listener: ListenerId) -> Target {
    let address = event_loop.local_addr(listener).expect("the listener is open");
    Target::embedded(Wire::WebSocket, address)
}
