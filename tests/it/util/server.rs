use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use eventwire::{
    Config, Connection, EventLoop, LoopHandle, Message, OnPanic, ServerConfig, WebSocketHandler,
    on_message,
};

use super::PATIENCE;

/// A loop that runs on a thread of its own until this is dropped.
#[derive(Debug)]
pub(crate) struct Server<T = SocketAddr> {
    /// What the loop's set-up returned: the address, as a rule.
    pub(crate) ready: T,
    pub(crate) handle: LoopHandle,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Server<T> {
    /// Runs a loop which `setup` prepares.
    pub(crate) fn start<S: Default>(
        config: Config,
        setup: impl FnOnce(&mut EventLoop<S>) -> T + Send + 'static,
    ) -> Self {
        let (tell_ready, ready) = channel();
        let (tell_end, ended) = channel();
        let thread = thread::spawn(move || {
            // Dropped when the thread ends, whichever way.
            let _tell_end = tell_end;
            // An assertion in a handler fails its test.
            let config = config.on_panic(OnPanic::Propagate);
            let mut event_loop = EventLoop::new(config).expect("make a loop");
            let outcome = setup(&mut event_loop);
            tell_ready.send((outcome, event_loop.handle())).expect("tell that the loop is ready");
            event_loop.run(&mut S::default()).expect("run the loop");
        });
        let (ready, handle) = ready.recv_timeout(PATIENCE).expect("the loop is ready");
        Self { ready, handle, ended, thread: Some(thread) }
    }
}

impl Server {
    /// A server with one handler on a free port.
    pub(crate) fn listen(
        config: Config,
        server: ServerConfig,
        handler: impl WebSocketHandler<()> + Send + 'static,
    ) -> Self {
        Self::start(config, move |event_loop| {
            let listener = event_loop.listen("127.0.0.1:0", server, handler).expect("listen");
            event_loop.local_addr(listener).expect("an address")
        })
    }

    /// A server with default settings.
    pub(crate) fn with(handler: impl WebSocketHandler<()> + Send + 'static) -> Self {
        Self::listen(Config::default(), ServerConfig::default(), handler)
    }

    /// An echo server with default settings.
    pub(crate) fn echo() -> Self {
        Self::with(on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
            conn.send(message);
        }))
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.ready
    }
}

impl<T> Server<T> {
    /// Waits until the loop ends by itself.
    pub(crate) fn wait(mut self) {
        self.join();
    }

    fn join(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        let waited = self.ended.recv_timeout(PATIENCE);
        if waited == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            assert!(thread::panicking(), "the loop did not stop");
            return;
        }
        if let Err(panic) = thread.join() {
            if !thread::panicking() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl<T> Drop for Server<T> {
    fn drop(&mut self) {
        self.handle.stop();
        self.join();
    }
}

/// A loop with one listener, to be driven turn by turn on the test's own thread.
pub(crate) fn looping<S>(
    config: Config,
    handler: impl WebSocketHandler<S> + 'static,
) -> (EventLoop<S>, SocketAddr) {
    let config = config.on_panic(OnPanic::Propagate);
    let mut event_loop = EventLoop::new(config).expect("make a loop");
    let listener = event_loop
        .listen("127.0.0.1:0", ServerConfig::default(), handler)
        .expect("listen on a free port");
    let address = event_loop.local_addr(listener).expect("an address");
    (event_loop, address)
}

/// Turns the loop while `client` runs on another thread, and returns what that returns.
pub(crate) fn drive<S, T: Send>(
    event_loop: &mut EventLoop<S>,
    state: &mut S,
    client: impl FnOnce() -> T + Send,
) -> T {
    thread::scope(|scope| {
        let client = scope.spawn(client);
        while !client.is_finished() {
            event_loop.turn(Some(Duration::from_millis(5)), state).expect("turn");
        }
        match client.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Turns the loop until `done` says so.
#[track_caller]
pub(crate) fn drive_until<S>(
    event_loop: &mut EventLoop<S>,
    state: &mut S,
    mut done: impl FnMut(&EventLoop<S>, &S) -> bool,
) {
    let start = Instant::now();
    while !done(event_loop, state) {
        assert!(start.elapsed() < PATIENCE, "it never happens");
        event_loop.turn(Some(Duration::from_millis(5)), state).expect("turn");
    }
}
