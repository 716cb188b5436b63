//! The example `socketio`, or another server that is named in the environment.

use std::env;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::super::client::command;

/// A command that `PORT PROFILE` is appended to. Node's server with the same events is
/// `clients/socket_io_server.js`.
const VARIABLE: &str = "EVENTWIRE_SOCKET_IO_SERVER";

/// A server is ready within this time.
const START: Duration = Duration::from_secs(15);
const ATTEMPTS: usize = 5;

/// The settings of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Profile {
    /// With recovery.
    Client,
    /// Without it.
    Load,
}

impl Profile {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Load => "load",
        }
    }
}

/// A running server. Dropping it kills it.
pub(super) struct Server {
    child: Child,
    port: u16,
    profile: Profile,
}

impl Server {
    pub(super) fn start(profile: Profile) -> Self {
        let mut starts = (0..ATTEMPTS).map(|_| Self::try_start(free_port(), profile));
        starts.find_map(|start| start).expect("a server that starts")
    }

    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Kills the server, and starts it again at the same port.
    pub(super) fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        *self = Self::try_start(self.port, self.profile).expect("a server that starts again");
    }

    /// `None` if another program has taken the port.
    fn try_start(port: u16, profile: Profile) -> Option<Self> {
        let mut command = serve();
        command.args([&port.to_string(), profile.name()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Self { child, port, profile };
        let start = Instant::now();
        while server.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the server is another than the example.
pub(super) fn is_reference() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// The command that serves, without its arguments.
fn serve() -> Command {
    if let Ok(words) = env::var(VARIABLE) {
        return command(&words.split_whitespace().collect::<Vec<_>>());
    }
    let test = env::current_exe().unwrap();
    let path: PathBuf = test.ancestors().nth(2).unwrap().join("examples/socketio");
    assert!(path.exists(), "{}: `cargo build --examples` makes it", path.display());
    Command::new(path)
}

/// A port that nobody listens on. It is below those that the system gives to clients.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different ports.
    let first = u16::try_from(std::process::id() % 500 * 10).unwrap();
    loop {
        let port = 15_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 5_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
