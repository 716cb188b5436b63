//! Unix sockets: the same connections, within one machine.

use std::path::PathBuf;
use std::time::Duration;

use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, Error, EventLoop, Message,
    ServerConfig, WebSocketHandler, on_message,
};

/// A path that is removed with its owner.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> Self {
        let file = format!("eventwire-{name}-{}.sock", std::process::id());
        Self(std::env::temp_dir().join(file))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[derive(Default)]
struct App {
    received: Vec<String>,
    failed: bool,
}

struct Client;

impl WebSocketHandler<App> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut App) {
        assert_eq!(conn.peer_addr(), None);
        conn.send("over a path");
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        app.received.extend(message.as_text().map(str::to_owned));
        conn.close(CloseCode::NORMAL, "");
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, app: &mut App) {
        assert!(matches!(error, ConnectError::Io(_)), "{error}");
        app.failed = true;
    }
}

fn echo(conn: &mut Connection<'_>, message: Message<'_>, _: &mut App) {
    assert_eq!(conn.peer_addr(), None);
    conn.send(message);
}

fn turn_until(event_loop: &mut EventLoop<App>, app: &mut App, done: impl Fn(&App) -> bool) {
    for _ in 0..10_000 {
        if done(app) {
            return;
        }
        event_loop.turn(Some(Duration::from_secs(1)), app).expect("a turn");
    }
    panic!("not done");
}

#[test]
fn a_client_reaches_a_server_over_a_path() {
    let path = SocketPath::new("echo");
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    let listener =
        event_loop.listen_unix(&path.0, ServerConfig::default(), on_message(echo)).unwrap();
    assert_eq!(event_loop.local_addr(listener), None);
    let config = ClientConfig::default().unix_socket(&path.0);
    event_loop.connect("ws://localhost/", config, Client).unwrap();
    let mut app = App::default();
    turn_until(&mut event_loop, &mut app, |app| !app.received.is_empty());
    assert_eq!(app.received, ["over a path"]);
}

#[test]
fn a_path_in_use_and_a_path_without_a_server_are_errors() {
    let path = SocketPath::new("in-use");
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    event_loop.listen_unix(&path.0, ServerConfig::default(), on_message(echo)).unwrap();
    let error =
        event_loop.listen_unix(&path.0, ServerConfig::default(), on_message(echo)).unwrap_err();
    let Error::Io { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);

    let nowhere = SocketPath::new("nowhere");
    let config = ClientConfig::default().unix_socket(&nowhere.0);
    event_loop.connect("ws://localhost/", config, Client).unwrap();
    let mut app = App::default();
    turn_until(&mut event_loop, &mut app, |app| app.failed);
}
