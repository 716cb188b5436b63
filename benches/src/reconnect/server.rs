//! The server that is killed.

use std::net::SocketAddr;

use eventwire::{Config, EventLoop, Idle, LoopHandle, ServerConfig, on_message};

use crate::error::Error;
use crate::worker::Worker;

/// A loop on its thread.
#[derive(Debug)]
pub(super) struct Server {
    worker: Worker<()>,
    handle: LoopHandle,
    pub(super) address: SocketAddr,
}

impl Server {
    pub(super) fn start(address: SocketAddr) -> Result<Self, Error> {
        let ((address, handle), worker) = Worker::start("server", None, move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(Idle::Block))?;
            let ignore = on_message(|_, _, _: &mut ()| {});
            let listener = event_loop.listen(address, ServerConfig::default(), ignore)?;
            let address = event_loop.local_addr(listener).expect("the listener is open");
            let _ = ready.send((address, event_loop.handle()));
            event_loop.run(&mut ())?;
            Ok(())
        })?;
        Ok(Self { worker, handle, address })
    }

    /// Ends all connections at once, without waiting for the clients.
    pub(super) fn kill(self) -> Result<(), Error> {
        self.handle.stop();
        self.worker.join()
    }
}
