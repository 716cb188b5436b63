//! The servers that the cases run against.

use std::env;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Another server for all cases: a command that `PORT PROFILE` is appended to.
pub(super) const VARIABLE: &str = "EVENTWIRE_SOCKET_IO_SERVER";

/// A server is ready within this time.
const START: Duration = Duration::from_secs(15);
const ATTEMPTS: usize = 5;

/// The settings of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Profile {
    /// Heartbeats after 300 ms, so that cases about time are short.
    Protocol,
    /// Recovery.
    Client,
    /// As `Client`, but without recovery: nothing happens by itself.
    Load,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Client => "client",
            Self::Load => "load",
        }
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

/// Whether there is a server.
pub(super) fn is_there() -> bool {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/socketio.rs");
    env::var_os(VARIABLE).is_some() || Path::new(source).exists()
}

impl Server {
    pub(super) fn start(profile: Profile) -> Self {
        (0..ATTEMPTS).find_map(|_| Self::try_start(profile)).expect("a server that starts")
    }

    /// Starts a server at a port that was free; another program may have taken it since.
    fn try_start(profile: Profile) -> Option<Self> {
        let port = free_port();
        let mut command = command();
        command.args([&port.to_string(), profile.name()]).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let start = Instant::now();
        while server.child.try_wait().expect("its status").is_none() {
            if TcpStream::connect(server.address).is_ok() {
                return Some(server);
            }
            assert!(start.elapsed() < START, "{command:?} does not answer");
            thread::yield_now();
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that serves, without its arguments.
fn command() -> Command {
    if let Ok(words) = env::var(VARIABLE) {
        let mut words = words.split_whitespace();
        let mut command = Command::new(words.next().expect("a command"));
        command.args(words);
        return command;
    }
    let path = example();
    assert!(path.exists(), "{}: `cargo build --examples` makes it", path.display());
    Command::new(path)
}

/// `cargo test` builds the examples into a directory beside that of the tests.
fn example() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("the profile's directory");
    profile.join("examples/socketio")
}

/// A port that nobody listens on. It is below those that the system gives to clients.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different ports.
    let first = std::process::id() % 500 * 20;
    loop {
        let port = 20_000 + (first as u16 + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
