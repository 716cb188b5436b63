//! A client of the engine behind tinyproxy, which opens tunnels by `CONNECT`.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use eventwire::{
    ClientConfig, Config, ConnectError, Connection, EventLoop, HttpProxy, Message, ServerConfig,
    WebSocketHandler,
};

use super::client::{skip, succeeds};
use super::program::Running;

/// A wait takes this long only if something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// tinyproxy with credentials, in a folder of its own.
struct Tinyproxy {
    _process: Running,
    folder: PathBuf,
    address: SocketAddr,
}

impl Tinyproxy {
    fn start() -> Self {
        // A port that was just free.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let name = format!("tinyproxy-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "Port {}\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nBasicAuth user password\n",
            address.port()
        );
        let path = folder.join("tinyproxy.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(path);
        let process = Running::spawn(&mut command);
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "tinyproxy does not listen");
            thread::yield_now();
        }
        Self { _process: process, folder, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sends a message of every size, and tells when the last one has come back, or what went wrong.
struct Sizes {
    sizes: Vec<usize>,
    tell: Sender<String>,
}

impl Sizes {
    fn send(&self, conn: &mut Connection<'_>) {
        match self.sizes.last() {
            Some(&size) => drop(conn.send(vec![7; size])),
            None => drop(self.tell.send("all".to_owned())),
        }
    }
}

impl WebSocketHandler<()> for Sizes {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        self.send(conn);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()) {
        let size = self.sizes.pop().unwrap();
        assert_eq!(message.as_bytes(), vec![7; size]);
        self.send(conn);
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, (): &mut ()) {
        let told = match error {
            ConnectError::Proxy(refused) => {
                assert!(!refused.body().is_empty());
                format!("proxy {}", refused.status())
            }
            other => other.to_string(),
        };
        self.tell.send(told).unwrap();
    }
}

/// Connects through the proxy to a server of the same loop. Returns what came of it.
fn exchange(proxy: HttpProxy) -> String {
    let (tell, told): (_, Receiver<String>) = channel();
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    let echo = event_loop
        .listen_fn("127.0.0.1:0", ServerConfig::default(), |conn, message, (): &mut ()| {
            conn.send(message);
        })
        .unwrap();
    let url = format!("ws://{}/", event_loop.local_addr(echo).unwrap());
    let sizes = Sizes { sizes: vec![1_000_000, 65_536, 126, 1, 0], tell };
    event_loop.connect(&url, ClientConfig::default().proxy(proxy), sizes).unwrap();
    let start = Instant::now();
    loop {
        event_loop.turn(Some(Duration::from_millis(5)), &mut ()).unwrap();
        if let Ok(outcome) = told.try_recv() {
            return outcome;
        }
        assert!(start.elapsed() < PATIENCE, "nothing comes of it");
    }
}

#[test]
fn tinyproxy_opens_tunnels_for_those_it_knows() {
    if !succeeds(Command::new("tinyproxy").arg("-v")) {
        return skip("tinyproxy");
    }
    let running = Tinyproxy::start();
    let proxy = HttpProxy::new(&running.url()).unwrap();
    assert_eq!(exchange(proxy.clone().credentials("user", "password").unwrap()), "all");
    assert_eq!(exchange(proxy.clone().credentials("user", "wrong").unwrap()), "proxy 401");
    assert_eq!(exchange(proxy), "proxy 407");
}
