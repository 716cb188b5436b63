//! A client of the engine behind tinyproxy, which opens tunnels by `CONNECT`.

use std::fs;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use eventwire::{
    ClientConfig, Config, ConnectError, Connection, EventLoop, HttpProxy, Message, ServerConfig,
    WebSocketHandler,
};

use super::client::Client;
use super::server::Daemon;
use super::wait::wait_for;

/// Sends a message of every size, and reports when the last one has come back, or what went wrong.
struct Sizes {
    sizes: Vec<usize>,
    report: Sender<String>,
}

impl WebSocketHandler<()> for Sizes {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        match self.sizes.last() {
            Some(&size) => drop(conn.send(vec![7; size])),
            None => self.report.send("all".to_owned()).unwrap(),
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut ()) {
        let size = self.sizes.pop().unwrap();
        assert_eq!(message.as_bytes(), vec![7; size]);
        self.on_open(conn, state);
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, (): &mut ()) {
        let report = match error {
            ConnectError::Proxy(refused) => {
                assert!(!refused.body().is_empty());
                format!("proxy {}", refused.status())
            }
            other => other.to_string(),
        };
        self.report.send(report).unwrap();
    }
}

/// Connects through the proxy to a server of the same loop. Returns what came of it.
fn exchange(proxy: HttpProxy) -> String {
    let (report, reports) = channel();
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    let echo = event_loop
        .listen_fn("127.0.0.1:0", ServerConfig::default(), |conn, message, (): &mut ()| {
            conn.send(message);
        })
        .unwrap();
    let url = format!("ws://{}/", event_loop.local_addr(echo).unwrap());
    let sizes = Sizes { sizes: vec![1_000_000, 65_536, 126, 1, 0], report };
    event_loop.connect(&url, ClientConfig::default().proxy(proxy), sizes).unwrap();
    wait_for(|| {
        event_loop.turn(Some(Duration::from_millis(5)), &mut ()).unwrap();
        reports.try_recv()
    })
}

#[test]
fn tinyproxy_opens_tunnels_for_those_it_knows() {
    let Some(client) = Client::new("tinyproxy", &["tinyproxy"], &["-v"]).find() else { return };
    let tinyproxy = Daemon::start(|port, folder| {
        let settings = "Listen 127.0.0.1\nTimeout 60\nMaxClients 10\nBasicAuth user password\n";
        fs::write(folder.path("conf"), format!("Port {port}\n{settings}")).unwrap();
        let mut command = client.command();
        command.args(["-d", "-c", &folder.path("conf")]);
        command
    });
    let proxy = HttpProxy::new(&format!("http://{}", tinyproxy.address)).unwrap();
    assert_eq!(exchange(proxy.clone().credentials("user", "password").unwrap()), "all");
    assert_eq!(exchange(proxy.clone().credentials("user", "wrong").unwrap()), "proxy 401");
    assert_eq!(exchange(proxy), "proxy 407");
}
