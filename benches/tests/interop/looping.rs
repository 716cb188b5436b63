//! An event loop of the test's own.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use eventwire::{Config, EventLoop, ListenerId, LoopHandle};

/// A loop on a thread of its own. Dropping it stops it.
pub(super) struct Looping {
    pub(super) address: SocketAddr,
    pub(super) handle: LoopHandle,
    thread: Option<JoinHandle<()>>,
}

impl Looping {
    /// Runs a loop that `listen` has added a listener to.
    pub(super) fn start<S: Default>(
        config: Config,
        listen: impl FnOnce(&mut EventLoop<S>) -> ListenerId + Send + 'static,
    ) -> Self {
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            let mut event_loop = EventLoop::new(config).unwrap();
            let listener = listen(&mut event_loop);
            tell.send((event_loop.local_addr(listener).unwrap(), event_loop.handle())).unwrap();
            event_loop.run(&mut S::default()).unwrap();
        });
        let (address, handle) = told.recv().unwrap();
        Self { address, handle, thread: Some(thread) }
    }
}

impl Drop for Looping {
    fn drop(&mut self) {
        self.handle.stop();
        let outcome = self.thread.take().map(JoinHandle::join);
        // A test that has failed reports that alone.
        assert!(thread::panicking() || matches!(outcome, Some(Ok(()))), "the loop panicked");
    }
}
