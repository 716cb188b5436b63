//! Servers: examples of the library, programs by others, and loops of a test's own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use eventwire::{
    Config, ContentType, EventLoop, HttpResponse, LoopHandle, Routes, ServerConfig, StaticFile,
};

use super::folder::Folder;
use super::program::Running;
use super::wait::wait_for;

/// A program that listens on a port of its own. Dropping it kills it.
pub(super) struct Daemon {
    pub(super) address: String,
    command: Command,
    process: Option<Running>,
    _folder: Folder,
}

impl Daemon {
    /// Starts the command that is made of a port and a folder for files.
    pub(super) fn start(command: impl FnOnce(u16, &Folder) -> Command) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let (address, command) = (format!("127.0.0.1:{port}"), command(port, &folder));
        let mut daemon = Self { address, command, process: None, _folder: folder };
        daemon.restart();
        daemon
    }

    /// Starts an example with its address and further arguments.
    pub(super) fn example(name: &str, arguments: &[&str]) -> Self {
        Self::start(|port, _| {
            let mut command = Command::new(example_path(name));
            command.arg(format!("127.0.0.1:{port}")).args(arguments);
            command
        })
    }

    /// Ends it and all its connections in their midst.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again at the same port, and waits until it listens.
    pub(super) fn restart(&mut self) {
        self.kill();
        self.process = Some(Running::spawn(&mut self.command));
        wait_for(|| TcpStream::connect(&self.address));
    }
}

/// `cargo test` builds the examples into a folder beside that of the tests.
pub(super) fn example_path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: `cargo build --examples` makes it", path.display());
    path
}

/// A port that nobody listens on. It is below those that the system gives to clients.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different ports.
    let first = u16::try_from(std::process::id() % 500 * 10).unwrap();
    let mut ports = (0..).map(|_| 15_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 5_000);
    ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).unwrap()
}

/// A loop on a thread of its own. Dropping it stops it.
pub(super) struct Looping {
    pub(super) address: SocketAddr,
    handle: LoopHandle,
    thread: Option<JoinHandle<()>>,
}

impl Looping {
    pub(super) fn serve<S: Default>(
        config: Config,
        server: ServerConfig,
        routes: impl FnOnce(&mut EventLoop<S>) -> Routes<S> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || {
            let mut event_loop = EventLoop::new(config).unwrap();
            let routes = routes(&mut event_loop);
            let listener = event_loop.listen("127.0.0.1:0", server, routes).unwrap();
            let address = event_loop.local_addr(listener).unwrap();
            sender.send((address, event_loop.handle())).unwrap();
            event_loop.run(&mut S::default()).unwrap();
        });
        let (address, handle) = receiver.recv().unwrap();
        Self { address, handle, thread: Some(thread) }
    }

    /// Serves a page, and the script that it needs.
    pub(super) fn page(html: &'static str, script: &str) -> Self {
        let script = StaticFile::new(ContentType::JAVASCRIPT, script.to_owned());
        Self::serve(Config::default(), ServerConfig::default(), move |_: &mut EventLoop<()>| {
            Routes::new().page("/", HttpResponse::html(html)).file("/script.js", script)
        })
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
