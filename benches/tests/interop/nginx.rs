//! nginx in front of a listener, as the guide configures it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventwire::proto::http::{HttpRequest, HttpResponse};
use eventwire::{
    Config, Connection, EventLoop, Routes, ServerConfig, TrustedProxies, WebSocketHandler,
};
use socket2::{Domain, Socket, Type};
use tungstenite::Message;

use super::client::{skip, succeeds};
use super::looping::Looping;
use super::program::Running;

/// A wait takes this long only if something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends each client its address, and then echoes its messages.
struct Who;

impl WebSocketHandler<()> for Who {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        conn.send(name(conn));
    }

    fn on_message(
        &mut self,
        conn: &mut Connection<'_>,
        message: eventwire::Message<'_>,
        (): &mut (),
    ) {
        conn.send(message);
    }
}

fn name(conn: &Connection<'_>) -> String {
    conn.peer_addr().unwrap().ip().to_string()
}

fn who(conn: &mut Connection<'_>, _: &HttpRequest<'_>, (): &mut ()) -> HttpResponse {
    HttpResponse::text(name(conn))
}

fn serve() -> Looping {
    Looping::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        let nginx = TrustedProxies::x_forwarded_for(["127.0.0.1".parse().unwrap()]);
        let config = ServerConfig::default().proxies(nginx);
        let routes = Routes::new().get("/who", who).websocket("/", ServerConfig::default(), Who);
        event_loop.listen("127.0.0.1:0", config, routes).unwrap()
    })
}

/// nginx with the guide's configuration, in a folder of its own.
pub(super) struct Nginx {
    _process: Running,
    folder: PathBuf,
    pub(super) address: SocketAddr,
}

impl Nginx {
    /// Starts nginx in front of the listener at this address.
    pub(super) fn start(upstream: &str) -> Self {
        Self::start_with(upstream, |block| block)
    }

    /// The same, with a configuration that `change` makes of the guide's.
    pub(super) fn start_with(upstream: &str, change: impl FnOnce(String) -> String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let guide = include_str!("../../../src/guide.md");
        let block = guide.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
        // A port that was just free.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let block = block.replace("127.0.0.1:9001", upstream);
        let block = block.replace("listen 8080;", &format!("listen {address};"));
        assert!(block.contains(upstream) && block.contains(&address.to_string()));
        let block = change(block);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nginx-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let whole = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
            http {{\naccess_log off;\n{temporary}{block}}}\n"
        );
        fs::write(folder.join("nginx.conf"), whole).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&folder).args(["-c", "nginx.conf", "-e", "stderr"]);
        let process = Running::spawn(&mut command);
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "nginx does not listen");
            thread::yield_now();
        }
        Self { _process: process, folder, address }
    }

    /// Connects from this local address.
    fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// Whether there is an nginx.
pub(super) fn is_installed() -> bool {
    succeeds(Command::new("nginx").arg("-v"))
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // nginx may still be writing.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn nginx_passes_on_websockets_and_pages_and_whose_they_are() {
    if !is_installed() {
        return skip("nginx");
    }
    let upstream = serve();
    let nginx = Nginx::start(&upstream.address.to_string());
    let clients = [2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));

    for from in clients {
        let url = format!("ws://{}/", nginx.address);
        let (mut socket, _) = tungstenite::client(url, nginx.connect(from)).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(from.to_string()));
        for size in [0, 1, 126, 65_536, 1_000_000] {
            let message = Message::binary(vec![7; size]);
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
        }
        socket.close(None).unwrap();
        assert!(matches!(socket.read(), Ok(Message::Close(_)) | Err(_)));
    }
    // nginx uses one connection to the listener for several clients, one after the other.
    for from in [clients, clients].concat() {
        let mut stream = nginx.connect(from);
        // nginx does not forward the client's own header.
        let request = b"GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\
            Connection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{from}")), "{answer}");
    }
}
