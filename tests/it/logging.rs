//! What the log says: which connection, and why.

use std::sync::Mutex;

use eventwire::{CloseCode, Config, Connection, Message, OnPanic, ServerConfig, on_message};
use log::{LevelFilter, Log, Metadata, Record};

use crate::util::{Peer, request};

/// Notes every line of the engine's. Of all tests in this program, only this one looks at them.
struct Notes(Mutex<Vec<String>>);

static NOTES: Notes = Notes(Mutex::new(Vec::new()));

impl Log for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "eventwire"
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            self.0.lock().expect("nobody panics here").push(line);
        }
    }

    fn flush(&self) {}
}

/// Closes the connection, or panics, when a message asks for it.
fn obey(conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
    match message.as_text() {
        Some("close") => drop(conn.close(CloseCode::NORMAL, "")),
        Some("break") => panic!("broken for a test of the log"),
        _ => {}
    }
}

#[test]
fn each_line_says_which_connection_it_is_about_and_why() {
    log::set_logger(&NOTES).expect("the only logger");
    log::set_max_level(LevelFilter::Trace);
    let config = Config::default().on_panic(OnPanic::CloseConnection);
    let mut event_loop = eventwire::EventLoop::new(config).unwrap();
    let listener =
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), on_message(obey)).unwrap();
    let (address, handle) = (event_loop.local_addr(listener).unwrap(), event_loop.handle());
    let client = std::thread::spawn(move || {
        let mut peer = Peer::connect(address);
        peer.send("close");
        peer.expect_close(CloseCode::NORMAL);
        peer.send_close(1000, "");
        peer.expect_end();
        let mut peer = Peer::connect(address);
        peer.send("break");
        peer.expect_close(CloseCode::INTERNAL);
        let mut peer = Peer::connect(address);
        peer.write(b"\xFF");
        peer.expect_close(CloseCode::PROTOCOL);
        let mut peer = Peer::open(address);
        peer.write(&request("/", "Origin: https://evil.example\r\n"));
        peer.head();
        handle.stop();
    });
    event_loop.run(&mut ()).unwrap();
    client.join().unwrap();

    let notes = NOTES.0.lock().expect("nobody panics here").clone();
    let wanted = [
        ("DEBUG", "open, from 127.0.0.1:"),
        ("DEBUG", "closed by the application: 1000"),
        ("ERROR", "Message panicked: broken for a test of the log"),
        ("WARN", "the handler panicked"),
        ("WARN", "the peer broke the protocol"),
        ("INFO", "not opened: opening handshake failed: origin not allowed, from 127.0.0.1:"),
    ];
    for (level, why) in wanted {
        let is_it = |line: &&String| {
            line.starts_with(&format!("{level} connection ")) && line.contains(why)
        };
        assert!(notes.iter().any(|line| is_it(&line)), "{level} {why}: {notes:#?}");
    }
    assert!(notes.iter().any(|line| line.starts_with("INFO ending, with ")), "{notes:#?}");
}
